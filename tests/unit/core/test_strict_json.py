import json
import math

import pytest
from hypothesis import given
from pydantic import JsonValue

from agent_sdk.core.envelope import GENESIS, decode, encode
from agent_sdk.core.events import Fact, PlanAccepted
from agent_sdk.core.ids import DEFAULT_TENANT, StepId
from agent_sdk.core.plan import Plan, ToolStep
from agent_sdk.core.strict_json import MAX_DEPTH, MAX_MARKS, parse_json, require_storable
from tests.unit.core.generated import JSON
from tests.unit.core.toy import RUN


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@given(JSON)
def test_every_json_value_is_read_as_it_was_written(value: JsonValue) -> None:
    assert parse_json(json.dumps(value)) == value
    require_storable(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("NaN", "NaN is no JSON number"),
        ("[-Infinity]", "-Infinity is no JSON number"),
        ('{"x": 1e999}', "1e999 is too large a number"),
        ("-1" + "0" * 400 + ".5", "is too large a number"),
        ("9" * 5000, "Exceeds the limit"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice in one object"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' stands twice in one object"),
        ('"\\ud800"', r"half a character, '\\ud800', which UTF-8 cannot encode"),
        ('{"\\udfff": 1}', "half a character"),
        (nested(MAX_DEPTH + 2), "nested more than 100 levels deep"),
        (nested(100_000), "nested more than 100 levels deep"),
        ('{"a":' * 50_000, "nested more than 100 levels deep"),
    ],
    ids=lambda text: f"{text[:12]}-{len(text)}",
)
def test_what_no_journal_can_keep_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_json(text)


@pytest.mark.parametrize("text", ["", "prose", '{"a": 1', "{'a': 1}", "1 2", "[1,]", "\ufeff{}"])
def test_what_is_no_json_says_where_it_stops_being_any(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        parse_json(text)


def test_a_whole_character_written_as_two_halves_is_read() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "😀"


def test_the_deepest_value_that_is_read_comes_back_from_the_journal() -> None:
    value = parse_json(nested(MAX_DEPTH))
    event = PlanAccepted("d", (), 1, Plan((ToolStep(StepId("a"), "echo", {"x": value}),)))
    stored = encode(Fact(1, 1, 1, event), tenant=DEFAULT_TENANT, run_id=RUN, previous=GENESIS)
    assert decode(stored.envelope).event == event


@pytest.mark.parametrize("value", [math.nan, math.inf, {"x": [-math.inf]}, "\udc00"], ids=repr)
def test_a_value_made_elsewhere_is_looked_at_too(value: JsonValue) -> None:
    with pytest.raises(ValueError, match=r"JSON compliant|half a character"):
        require_storable(value)


def test_what_is_too_deep_for_the_encoder_is_too_deep() -> None:
    value: JsonValue = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="more than 100 levels deep"):
        require_storable(value)
    while isinstance(value, list) and value:  # taken apart from the outside: to free it in one piece would recurse as deep
        value = value.pop()


def test_a_value_with_many_brackets_need_not_be_deep() -> None:
    require_storable([[] for _ in range(2 * MAX_DEPTH)])


@pytest.mark.parametrize("inner", ["[],", "{},", '"a":[],'])
def test_a_text_of_very_many_values_is_refused_before_it_takes_their_memory(inner: str) -> None:
    many = inner * (MAX_MARKS // sum(map(inner.count, "[{:")) + 1)
    with pytest.raises(ValueError, match="more than 1,000,000 values"):
        parse_json(f"[{many}0]")


def test_a_long_text_of_few_values_is_one_like_others() -> None:
    assert parse_json('["' + "x" * (2 * MAX_MARKS) + '"]') == ["x" * (2 * MAX_MARKS)]
