import math
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, Field, JsonValue, PlainSerializer

from agent_sdk.core.errors import ResultInvalid
from agent_sdk.tools.results import Results
from agent_sdk.tools.signature import NOTHING


class Colour(Enum):
    RED = "red"


class Hit(BaseModel):
    title: str
    score: float = 0.0
    tags: list[Any] = []
    link: str | None = Field(default=None, alias="url")


@dataclass
class Point:
    x: int
    at: datetime


def broken(value: int) -> str:
    raise KeyError(value)


atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20)


def dump(annotation: object, value: object) -> JsonValue:
    return Results("find", annotation).dump(value)


def refusal(annotation: object, value: object) -> list[tuple[str, str | None]]:
    with pytest.raises(ResultInvalid) as caught:
        dump(annotation, value)
    assert caught.value.message.startswith("the result of find does not fit:\n- $")
    return [(finding.path, finding.found) for finding in caught.value.findings]


@given(json_values)
def test_any_json_data_come_through_where_nothing_is_declared(value: JsonValue) -> None:
    assert dump(NOTHING, value) == dump(JsonValue, value) == dump(Any, value) == value


@pytest.mark.parametrize("annotation", [NOTHING, Any, object])
def test_nothing_declared_is_the_empty_schema(annotation: object) -> None:
    assert Results("find", annotation).schema == {}


FITTING: list[tuple[object, object, JsonValue]] = [
    (str, "x", "x"),
    (int, 3, 3),
    (bool, True, True),
    (None, None, None),
    (float, 1, 1.0),
    (str | None, None, None),
    (list[int], (1, 2), [1, 2]),
    (set[int], {1}, [1]),
    (tuple[int, str], (1, "a"), [1, "a"]),
    (dict[int, str], {1: "a"}, {"1": "a"}),
    (dict[str, JsonValue], {"a": [1, None]}, {"a": [1, None]}),
    (Colour, Colour.RED, "red"),
    (Literal["a", 1], "a", "a"),
    (date, date(2026, 1, 2), "2026-01-02"),
    (Decimal, Decimal("1.10"), "1.10"),
    (UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (list[Hit], [Hit(title="a", url="u")], [{"title": "a", "score": 0.0, "tags": [], "url": "u"}]),
    (Hit, {"title": "a"}, {"title": "a", "score": 0.0, "tags": [], "url": None}),
    (Point, Point(1, datetime(2026, 1, 2, tzinfo=UTC)), {"x": 1, "at": "2026-01-02T00:00:00Z"}),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), FITTING)
def test_what_fits_its_annotation_becomes_json_data(annotation: object, value: object, expected: JsonValue) -> None:
    dumped = dump(annotation, value)
    assert (dumped, type(dumped)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("annotation", "value", "where"),
    [
        (str, 3, [("$", "3")]),
        (int, "three", [("$", '"three"')]),
        (int, 2.5, [("$", "2.5")]),
        (None, 0, [("$", "0")]),
        (list[int], [1, "x"], [("$[1]", '"x"')]),
        (Hit, {"title": 3}, [("$.title", "3")]),
        (dict[str, list[str]], {"a": ["x", None]}, [("$.a[1]", "null")]),
    ],
)
def test_what_does_not_fit_its_annotation_is_refused_with_its_place(annotation: object, value: object, where: object) -> None:
    assert refusal(annotation, value) == where


@pytest.mark.parametrize(
    ("annotation", "value", "where"),
    [
        (NOTHING, object(), [("$", "object")]),
        (NOTHING, {"a": {1, 2}}, [("$.a", "set")]),
        (NOTHING, {"a": [math.nan]}, [("$.a[0]", "nan")]),
        (NOTHING, {3: "x"}, [("$", "3")]),
        (NOTHING, "\udc80", [("$", "'\\udc80'")]),
        (NOTHING, Hit(title="a"), [("$", "Hit")]),
        (float, math.inf, [("$", "inf")]),
        (list[float], [0.0, math.nan], [("$[1]", "nan")]),
        (dict[str, Any], {"a": {1: 2}}, [("$.a", "1")]),
        (list[Any], [{"a": b"x"}], [("$[0].a", "bytes")]),
        (Hit, Hit(title="a", score=math.nan), [("$.score", "nan")]),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(annotation: object, value: object, where: object) -> None:
    assert refusal(annotation, value) == where


def test_a_model_that_was_made_past_its_validation_is_refused() -> None:
    (place,) = refusal(Hit, Hit.model_construct(title=object()))
    assert place[0] == "$"


def test_a_value_that_holds_itself_is_refused() -> None:
    circular: list[object] = []
    circular.append(circular)
    assert refusal(NOTHING, circular)[0][0].startswith("$[0][0][0]")
    assert refusal(list[Any], circular)[0][0].startswith("$[0][0][0]")
    hit = Hit(title="a")
    hit.tags.append(hit)
    assert refusal(Hit, hit) == [("$", None)]


def test_a_serializer_that_fails_is_told() -> None:
    with pytest.raises(ResultInvalid, match="KeyError"):
        dump(Annotated[int, PlainSerializer(broken)], 1)


def test_a_large_result_is_not_copied() -> None:
    large = "x" * 50_000_000
    assert dump(str, large) is large
    assert dump(NOTHING, large) is large


def test_the_result_shares_nothing_with_what_the_tool_keeps() -> None:
    kept: dict[str, JsonValue] = {"a": []}
    assert dump(NOTHING, kept) is not kept
    assert dump(dict[str, JsonValue], kept) is not kept


def test_the_hint_says_how_to_mend_it() -> None:
    with pytest.raises(ResultInvalid) as caught:
        dump(NOTHING, sys)
    assert (
        caught.value.findings[0].hint == "return plain JSON data, or annotate the return type with a pydantic model, dataclass or TypedDict"
    )
