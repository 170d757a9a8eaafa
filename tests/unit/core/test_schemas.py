from collections.abc import Iterator, Mapping, Sequence
from types import GenericAlias
from typing import Literal, cast

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from agent_sdk.core.schemas import MAX_DEPTH, UNKNOWN, Mismatch, Schema, at_path, describe, items_of, mismatch, schema_of
from tests.unit.core.generated import JSON

TEXT: dict[str, JsonValue] = {"type": "string"}
INTEGER: dict[str, JsonValue] = {"type": "integer"}
NUMBER: dict[str, JsonValue] = {"type": "number"}


class Hit(BaseModel):
    title: str
    score: float | None = None


class Page(BaseModel):
    hits: list[Hit]
    next: "Page | None" = None


PAGE: Mapping[str, JsonValue] = Page.model_json_schema(mode="serialization")


def schema(**node: JsonValue) -> Schema:
    return Schema.of(node)


def places(value: JsonValue, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    yield path, value
    match value:
        case dict():
            for key, inner in value.items():
                yield from places(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                yield from places(inner, (*path, str(index)))
        case _:
            pass


@given(JSON)
def test_every_values_own_schema_accepts_it(value: JsonValue) -> None:
    assert mismatch(schema_of(value), schema_of(value)) is None
    assert mismatch(schema_of(value), UNKNOWN) is None
    assert mismatch(UNKNOWN, schema_of(value)) is None


@given(JSON)
def test_every_place_in_a_value_stands_in_its_schema(value: JsonValue) -> None:
    own = schema_of(value)
    for path, inner in places(value):
        there = at_path(own, path)
        assert there is not None
        assert mismatch(schema_of(inner), there) is None


@given(JSON)
def test_no_place_that_is_not_in_a_value_stands_in_its_schema(value: JsonValue) -> None:
    assert at_path(schema_of(value), ("no such place",)) is None


def _either(pair: tuple[object, object]) -> object:
    return cast("type[object]", pair[0]) | cast("type[object]", pair[1])


PLAIN: Sequence[object] = (int, str, bool, float, Literal["a", "b"], Literal[1, 2], Hit)
KINDS: st.SearchStrategy[object] = st.recursive(
    st.sampled_from(PLAIN),
    lambda inner: (
        inner.map(lambda each: GenericAlias(list, (each,)))
        | inner.map(lambda each: GenericAlias(dict, (str, each)))
        | st.tuples(inner, inner | st.none()).map(_either)
    ),
    max_leaves=4,
)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.sampled_from([None, True, 1, 2, 3, 0.5, "a", "b", "c"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["title", "score", "x"]), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=300)
@given(KINDS, VALUES)
def test_a_literal_fits_a_type_just_where_pydantic_takes_it(kind: object, value: JsonValue) -> None:
    adapter = TypeAdapter(cast("type[object]", kind))
    try:
        adapter.validate_json(to_json(value), strict=True)
    except ValidationError:
        is_taken = False
    else:
        is_taken = True
    assert (mismatch(schema_of(value), Schema.of(adapter.json_schema())) is None) == is_taken


# --- references, unions and what is not known


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("hits", "array of object with title, score"),
        ("hits.0.title", "string"),
        ("hits.7.score", "number or null"),
        ("next.hits.0", "object with title, score"),
        ("next.next.next.hits", "array of object with title, score"),
    ],
)
def test_a_path_leads_through_references_and_unions(path: str, found: str) -> None:
    there = at_path(Schema.of(PAGE), path.split("."))
    assert there is not None
    assert describe(there) == found


@pytest.mark.parametrize("path", ["total", "hits.first", "hits.0.title.0", "next.total", "hits.0.title.text"])
def test_a_path_that_no_value_has_leads_nowhere(path: str) -> None:
    assert at_path(Schema.of(PAGE), path.split(".")) is None


def test_a_path_into_an_open_object_or_the_unknown_leads_to_the_unknown() -> None:
    for each in (schema(type="object"), schema(), schema(type="object", properties={"a": TEXT}, additionalProperties=True)):
        there = at_path(each, ("b",))
        assert there is not None
        assert there.node == {}
    numbers = at_path(schema(type="object", additionalProperties=INTEGER), ("b",))
    assert numbers is not None
    assert numbers.node == INTEGER


def test_a_path_into_a_union_leads_to_what_any_of_its_branches_has() -> None:
    one: JsonValue = {"type": "object", "properties": {"a": TEXT}}
    other: JsonValue = {"type": "object", "properties": {"a": INTEGER}}
    there = at_path(schema(anyOf=[one, other, {"type": "null"}]), ("a",))
    assert there is not None
    assert describe(there) == "string or integer"


def test_a_union_of_the_known_and_the_unknown_is_unknown() -> None:
    one: JsonValue = {"type": "object", "properties": {"a": TEXT}}
    assert at_path(schema(anyOf=[one, {}]), ("a",)) == UNKNOWN


def test_the_elements_of_a_list_have_the_lists_item_schema() -> None:
    items = items_of(schema(type="array", items=TEXT))
    assert items is not None
    assert items.node == TEXT
    assert items_of(schema(type="array")) is not None
    texts: JsonValue = {"type": "array", "items": TEXT}
    either = items_of(schema(anyOf=[texts, {"type": "array", "items": INTEGER}]))
    assert either is not None
    assert describe(either) == "string or integer"


@pytest.mark.parametrize("node", [TEXT, {"type": "object"}, {"type": "array", "maxItems": 0}, {"const": 5}], ids=str)
def test_what_has_no_elements_can_be_no_list(node: Mapping[str, JsonValue]) -> None:
    assert items_of(Schema.of(node)) is None


def test_the_unknown_may_be_a_list() -> None:
    assert items_of(UNKNOWN) == UNKNOWN


# --- whether values of one schema fit another


Node = Mapping[str, JsonValue]
FITTING: Sequence[tuple[Node, Node]] = (
    (INTEGER, NUMBER),
    ({"const": 5.0}, INTEGER),
    (TEXT, {"type": "string", "enum": ["a", "b"]}),
    ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    ({"const": "a"}, {"const": "a"}),
    (TEXT, {"anyOf": [TEXT, {"type": "null"}]}),
    (TEXT, {"type": ["string", "null"]}),
    (TEXT, {"oneOf": [INTEGER, TEXT]}),
    (INTEGER, {"allOf": [INTEGER]}),
    (TEXT, {"allOf": [INTEGER, {"minimum": 1}]}),
    ({"type": "array"}, {"type": "array", "items": TEXT}),
    ({"type": "array", "items": TEXT}, {"type": "array", "prefixItems": [TEXT]}),
    ({"type": "object"}, {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}),
    ({"type": "object", "properties": {"a": TEXT}}, {"type": "object", "additionalProperties": TEXT}),
    ({"type": "object", "properties": {"a": TEXT}}, {"type": "object", "properties": {"b": TEXT}}),
    ({"enum": [["a"], {}, None]}, {"type": ["array", "object", "null"]}),
    ({"enum": [1, "a"]}, {"anyOf": [INTEGER, TEXT]}),
    ({}, TEXT),
    (TEXT, {}),
    (TEXT, {"$ref": "#/$defs/nowhere"}),
    (TEXT, {"$ref": "#/$defs/a~1b", "$defs": {"a/b": TEXT}}),
)


@pytest.mark.parametrize(("source", "target"), FITTING, ids=str)
def test_values_fit(source: Node, target: Node) -> None:
    assert mismatch(Schema.of(source), Schema.of(target)) is None


@pytest.mark.parametrize(
    ("source", "target", "misfit"),
    [
        (TEXT, INTEGER, Mismatch("", "integer", "string")),
        (NUMBER, INTEGER, Mismatch("", "integer", "number")),
        ({"const": "c"}, {"enum": ["a", "b"]}, Mismatch("", "one of 'a', 'b'", "'c'")),
        ({"enum": ["a", "c"]}, {"const": "a"}, Mismatch("", "'a'", "'c'")),
        ({"const": True}, {"const": 1}, Mismatch("", "1", "True")),
        (INTEGER, {"anyOf": [TEXT, {"type": "null"}]}, Mismatch("", "string or null", "integer")),
        ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, Mismatch("", "string", "null")),
        ({"type": ["string", "null"]}, TEXT, Mismatch("", "string", "null")),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": INTEGER}, Mismatch("[]", "integer", "string")),
        ({"type": "array", "items": TEXT}, TEXT, Mismatch("", "string", "array of string")),
        ({"type": "array"}, {"type": "object"}, Mismatch("", "object", "array")),
        (
            {"type": "object", "properties": {"a": TEXT}},
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["b"]},
            Mismatch("", "an object with 'b'", "object with a"),
        ),
        (
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}},
            {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False},
            Mismatch(".b", "no such field", "b"),
        ),
        (
            {"type": "object", "properties": {"a": TEXT}},
            {"type": "object", "additionalProperties": INTEGER},
            Mismatch(".a", "integer", "string"),
        ),
        (
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": TEXT}}}}},
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": INTEGER}}}}},
            Mismatch(".a[].b", "integer", "string"),
        ),
        ({"type": "null"}, {"$ref": "#/$defs/n", "$defs": {"n": TEXT}}, Mismatch("", "string", "null")),
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_named_with_their_place(source: Node, target: Node, misfit: Mismatch) -> None:
    assert mismatch(Schema.of(source), Schema.of(target)) == misfit


def test_types_that_hold_themselves_are_compared_to_a_bounded_depth() -> None:
    page = Schema.of(PAGE)
    assert mismatch(page, page) is None
    circle = schema(**{"$ref": "#"})
    assert mismatch(circle, schema(**TEXT)) is None
    assert at_path(circle, ("a",) * (MAX_DEPTH * 2)) == UNKNOWN
    deep: dict[str, JsonValue] = TEXT.copy()
    for _ in range(MAX_DEPTH + 1):
        deep = {"type": "array", "items": deep}
    assert mismatch(Schema.of(deep), Schema.of(deep)) is None


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ({}, "anything"),
        ({"const": "a" * 100}, "'" + "a" * 59),
        ({"enum": [0, 1, 2, 3, 4, 5, 6, 7, 8]}, "one of 0, 1, 2, 3, 4, 5"),
        ({"type": "array"}, "array"),
        ({"type": "object"}, "object"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"anyOf": [TEXT, {"type": "array", "items": INTEGER}]}, "string or array of integer"),
        ({"$ref": "#/$defs/n", "$defs": {"n": NUMBER}}, "number"),
        ({"type": "object", "properties": {f"field_{n}": TEXT for n in range(20)}}, "object with field_0, field_1, field_2"),
    ],
    ids=str,
)
def test_a_schema_is_described_in_a_few_words(node: Mapping[str, JsonValue], text: str) -> None:
    assert describe(Schema.of(node)).startswith(text)
    assert len(describe(Schema.of(node))) <= 80
