import json

import pytest
from hypothesis import given
from pydantic import JsonValue

from agent_sdk.planning.replies import MAX_REPLY_CHARS, parse_json_reply
from tests.unit.core.generated import JSON


@given(JSON)
def test_a_reply_that_is_one_json_value_is_read_fenced_or_not(value: JsonValue) -> None:
    text = json.dumps(value)
    for reply in (text, f" \n{text}\n", f"```json\n{text}\n```", f"```\n{text}```", f"\n``` JSON \n\n{text}\n\n```\n"):
        assert parse_json_reply(reply) == (value, None)


@pytest.mark.parametrize("reply", ["", "   ", "\n\t\n"])
def test_an_empty_reply_says_so(reply: str) -> None:
    value, finding = parse_json_reply(reply)
    assert value is None
    assert finding is not None
    assert (finding.code, finding.path, finding.hint) == ("reply_empty", "$", "answer with one JSON value")


def test_a_reply_over_the_size_cap_is_not_parsed() -> None:
    _, finding = parse_json_reply('"' + "x" * MAX_REPLY_CHARS + '"')
    assert finding is not None
    assert (finding.code, finding.message, finding.hint) == (
        "reply_too_large",
        "the reply has 4,194,306 characters",
        "stay below 4,194,304",
    )


@pytest.mark.parametrize(
    "reply",
    [
        "Sure! Here is the plan.",
        'Here it is:\n```json\n{"steps": []}\n```',
        '```json\n{"steps": []}\n```\nI hope that helps.',
        '{"steps": [',
        '{"steps": []} {"steps": []}',
        '```json\n{"steps": [\n```',
        "```json\n```",
        "```",
        "```python 3\n{}\n```",
        "{'steps': []}",
        '{"steps": [],}',
        '{"steps": [] // none\n}',
        "\ufeff{}",
        "\x00",
    ],
    ids=ascii,
)
def test_a_reply_that_is_no_json_says_where_it_stops_being_any(reply: str) -> None:
    value, finding = parse_json_reply(reply)
    assert value is None
    assert finding is not None
    assert (finding.code, finding.hint) == ("reply_not_json", "answer with JSON alone, without prose")
    assert finding.found is not None
    assert finding.found.startswith("line ")
    assert len(finding.found) < 100


def test_the_complaint_shows_what_stands_there() -> None:
    _, finding = parse_json_reply('{"a": 1,\n "b": oops}')
    assert finding is not None
    assert finding.found == 'line 2, column 7: \'{"a": 1,\\n "b": oops}\''


@pytest.mark.parametrize(
    ("reply", "complaint"),
    [
        ('{"a": NaN}', "NaN is no JSON number"),
        ("1e999", "1e999 is too large a number"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('{"a": "\\ud800"}', "it holds half a character, '\\ud800', which UTF-8 cannot encode"),
        ('"\ud800"', "it holds half a character, '\\ud800', which UTF-8 cannot encode"),
        ("[" * 100_000 + "]" * 100_000, "it is nested more than 100 levels deep"),
        ('{"steps":' * 100_000, "it is nested more than 100 levels deep"),
    ],
    ids=["nan", "inf", "twice", "escaped", "raw", "lists", "objects"],
)
def test_json_that_no_journal_can_keep_is_none_for_a_reply(reply: str, complaint: str) -> None:
    value, finding = parse_json_reply(reply)
    assert value is None
    assert finding is not None
    assert (finding.code, finding.message, finding.found) == ("reply_not_json", f"the reply is not JSON: {complaint}", None)


@pytest.mark.parametrize(
    "reply",
    [
        "```\n" + " " * 1_000_000 + "x",
        "```\n" + "\n" * 1_000_000,
        "`" * 1_000_000,
        "{" + ",".join(f'"{n}":1' for n in range(50_000)) + ',"9":1}',
    ],
    ids=["spaces", "lines", "fences", "keys"],
)
def test_a_reply_made_to_be_slow_is_refused_at_once(reply: str) -> None:
    _, finding = parse_json_reply(reply)
    assert finding is not None
    assert finding.code == "reply_not_json"
