import math
from collections import OrderedDict
from enum import IntEnum, StrEnum
from typing import NamedTuple, cast

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.tools.plain import MAX_DEPTH, NotPlainError, plain


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Half(float):
    pass


class Point(NamedTuple):
    x: int
    y: int


atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20)


def nested(depth: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(depth):
        value = [value]
    return value


@given(json_values)
def test_json_data_come_out_as_they_went_in(value: JsonValue) -> None:
    assert plain(value) == value


def test_what_is_returned_shares_no_container() -> None:
    inner: list[JsonValue] = [1]
    value: JsonValue = {"a": inner}
    copy = plain(value)
    inner.append(2)
    assert copy == {"a": [1]}


def test_subclasses_become_what_json_knows() -> None:
    given_value: object = {
        "c": Colour.RED,
        "l": Level.HIGH,
        "h": Half(0.5),
        "p": Point(1, 2),
        "o": OrderedDict[str, int](b=1),
        Colour.RED: True,
    }
    value = plain(given_value)
    assert value == {"c": "red", "l": 3, "h": 0.5, "p": [1, 2], "o": {"b": 1}, "red": True}
    assert isinstance(value, dict)
    kinds: list[object] = [type(each) for each in value.values()]
    assert kinds == [str, int, float, list, dict, bool]


@pytest.mark.parametrize(
    ("value", "steps", "problem"),
    [
        (math.nan, [], "JSON has no such number"),
        ({"a": [0, {"b": -math.inf}]}, ["a", 1, "b"], "JSON has no such number"),
        ([1, {2}], [1], "JSON cannot hold it"),
        ({"a": b"x"}, ["a"], "JSON cannot hold it"),
        ({"a": {1: "x"}}, ["a"], "a key of an object must be text"),
        (["ok", "\udcff"], [1], "it holds half of a surrogate pair, which is no Unicode text"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: object, steps: list[str | int], problem: str) -> None:
    with pytest.raises(NotPlainError) as caught:
        plain(value)
    assert (list(reversed(caught.value.steps)), caught.value.problem) == (steps, problem)


def test_the_deepest_value_is_taken_and_a_deeper_one_refused() -> None:
    assert plain(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(NotPlainError, match="nested deeper"):
        plain(nested(MAX_DEPTH + 1))


def test_a_value_that_holds_itself_is_refused() -> None:
    circular: dict[str, object] = {}
    circular["me"] = circular
    with pytest.raises(NotPlainError, match="holds itself"):
        plain(circular)


def test_a_large_text_is_not_copied() -> None:
    large = "x" * 50_000_000
    assert plain([large]) == [large]
    assert cast("list[JsonValue]", plain([large]))[0] is large
