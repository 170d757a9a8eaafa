import json

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.ids import StepId
from agent_sdk.llm.calls import call_id, parse_arguments, parse_call

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_json_object_is_read_as_it_was_written(value: dict[str, JsonValue]) -> None:
    assert parse_arguments(json.dumps(value, ensure_ascii=False)) == (value, None)


@given(st.text())
def test_any_text_gives_arguments_or_a_problem_and_never_both(text: str) -> None:
    args, problem = parse_arguments(text)
    assert (args is None) != (problem is None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("I would search for cats.", "not JSON"),
        ('{"q": "ca', "not JSON: Unterminated string starting at at character 6 of 9"),
        ('{"q": 1} trailing', "Extra data"),
        ("[1]", "a JSON array; an object is expected"),
        ('"text"', "a JSON string"),
        ("1", "a JSON number"),
        ("1.5", "a JSON number"),
        ("true", "a JSON boolean"),
        ("null", "a JSON null"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('{"deep": [{"a": 1, "b": 2, "b": 2}]}', "the key 'b' stands twice in one object"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": -Infinity}', "-Infinity is no JSON number"),
        ('{"a": 1e999}', "too large a number"),
        ('{"a": "\\ud83d"}', "half a character"),
        ('{"a": ' + "[" * 100_000, "more than 100 levels deep"),
        ('{"a": ' + "[" * 250 + "]" * 250 + "}", "more than 100 levels deep"),
        ('{"a": ' + "9" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_what_is_no_json_object_is_a_problem_that_says_why(text: str, problem: str) -> None:
    args, found = parse_arguments(text)
    assert args is None
    assert found is not None
    assert problem in found


def test_a_call_keeps_the_text_only_where_it_could_not_be_read() -> None:
    good = parse_call(StepId("t1.1"), "search", '{"q": "cats"}')
    bad = parse_call(StepId("t1.1"), "search", "cats")
    assert (good.args, good.raw, good.problem) == ({"q": "cats"}, None, None)
    assert (bad.args, bad.raw) == (None, "cats")
    assert bad.problem is not None


def test_calls_are_counted_from_one() -> None:
    assert [call_id(StepId("t7"), index) for index in range(2)] == ["t7.1", "t7.2"]
