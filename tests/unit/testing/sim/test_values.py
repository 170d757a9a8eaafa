"""Random values are valid for their schema, whatever that is."""

import random
from typing import Literal, Protocol, cast

import jsonschema
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from agent_sdk.core.errors import ConfigError
from agent_sdk.testing.sim.pattern import text_of
from agent_sdk.testing.sim.values import make_value

Schema = dict[str, JsonValue]

NAMES = st.sampled_from(["a", "b", "c", "käse"])
NUMBERS = st.integers(-50, 50)
PLAIN: st.SearchStrategy[JsonValue] = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)


@st.composite
def bounded(draw: st.DrawFn, kind: str, low: str, high: str, largest: int) -> Schema:
    schema: Schema = {"type": kind}
    least = draw(st.integers(0, largest))
    if draw(st.booleans()):
        schema[low] = least
    if draw(st.booleans()):
        schema[high] = draw(st.integers(least, largest * 2))
    return schema


@st.composite
def numbers(draw: st.DrawFn) -> Schema:
    schema: Schema = {"type": draw(st.sampled_from(["integer", "number"]))}
    low = draw(NUMBERS)
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + draw(st.integers(20, 100))
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 2, 5, 10]))
    return schema


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[Schema]) -> Schema:
    schema: Schema = draw(bounded("array", "minItems", "maxItems", 3))
    schema["items"] = draw(items)
    if draw(st.booleans()):
        schema["prefixItems"] = [*draw(st.lists(items, max_size=2))]
    return schema


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[Schema]) -> Schema:
    properties = draw(st.dictionaries(NAMES, values, max_size=3))
    required: list[JsonValue] = [name for name in properties if draw(st.booleans())]
    schema: Schema = {"type": "object", "properties": {**properties}, "required": required}
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.sampled_from([False, True]) | values)
    return schema


@st.composite
def unions(draw: st.DrawFn, branches: st.SearchStrategy[Schema]) -> Schema:
    return {"anyOf": [*draw(st.lists(branches, min_size=1, max_size=3))]}


LEAVES: st.SearchStrategy[Schema] = st.one_of(
    st.sampled_from(["boolean", "null"]).map(lambda kind: {"type": kind}),
    bounded("string", "minLength", "maxLength", 20),
    numbers(),
    st.lists(PLAIN, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    PLAIN.map(lambda value: {"const": value}),
    st.sampled_from(["date", "date-time", "email", "uuid", "ipv4", "uri"]).map(lambda form: {"type": "string", "format": form}),
    st.lists(st.sampled_from(["string", "integer", "null", "boolean"]), min_size=1, max_size=3, unique=True).map(
        lambda kinds: {"type": [*kinds]}
    ),
    st.just({}),
)
SCHEMAS: st.SearchStrategy[Schema] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(arrays(inner), objects(inner), unions(inner)),
    max_leaves=8,
)


class Validator(Protocol):
    """What is used of the library's own, whose types are not whole."""

    def validate(self, instance: JsonValue) -> None: ...


def check(schema: Schema, value: JsonValue) -> None:
    kind = jsonschema.Draft202012Validator
    cast("Validator", kind(schema, format_checker=kind.FORMAT_CHECKER)).validate(value)


@settings(max_examples=300)
@given(SCHEMAS, st.integers(0, 2**32))
def test_a_made_up_value_is_valid_for_its_schema(schema: Schema, seed: int) -> None:
    check(schema, make_value(schema, random.Random(seed)))


@given(SCHEMAS, st.integers(0, 2**32))
def test_the_same_seed_makes_up_the_same_value(schema: Schema, seed: int) -> None:
    assert make_value(schema, random.Random(seed)) == make_value(schema, random.Random(seed))


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = Field(min_length=1)


class Home(BaseModel):
    address: str = Field(pattern=r"^[A-Z][a-z]{2,8} \d{1,3}[a-c]?$")
    pets: list[Cat | Dog] = Field(max_length=4)
    parent: "Home | None" = None
    ratio: float = Field(gt=0, lt=1)
    notes: dict[str, int] = {}


@pytest.mark.parametrize("seed", range(40))
def test_a_made_up_value_is_one_of_the_model_that_the_schema_came_from(seed: int) -> None:
    value = make_value(Home.model_json_schema(), random.Random(seed))
    Home.model_validate(value)


@pytest.mark.parametrize("seed", range(20))
def test_of_exclusive_branches_one_is_taken(seed: int) -> None:
    schema: Schema = {"oneOf": [{"type": "integer"}, {"type": "number", "multipleOf": 0.5}, {"type": "string"}]}
    check(schema, make_value(schema, random.Random(seed)))


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}]},
        {"allOf": [{"minimum": 3, "type": "integer"}, {"maximum": 4}, {"type": ["integer", "string"]}]},
        {"allOf": [{"type": ["integer", "string"]}, {"enum": [1, 2]}, {"enum": [2, 3]}]},
        {"allOf": [{"properties": {"a": {"minimum": 1}}, "required": ["a"]}, {"properties": {"a": {"maximum": 2, "type": "integer"}}}]},
        {"$defs": {"a/b": {"type": "integer"}}, "$ref": "#/$defs/a~1b"},
        {"$defs": {"n": {"type": "integer", "maximum": 9}}, "allOf": [{"$ref": "#/$defs/n"}, {"minimum": 9}]},
        {"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n", "description": "n"}}, "required": ["a"]},
        {"type": "object", "minProperties": 3, "maxProperties": 4, "properties": {"a": {"type": "string"}}},
        {"type": "object", "maxProperties": 1, "properties": {"a": True, "b": True, "c": True}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [1, 2, 3, 4]}},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
        {"items": {"type": "string"}},
        {"pattern": "^[ab]+$"},
        {"minimum": 3},
        {"type": "number", "minimum": 0.101, "maximum": 0.102},
        {"type": "string", "minLength": 40, "maxLength": 41},
        {"type": "string", "pattern": "^a+$", "minLength": 3, "maxLength": 5},
        {"type": "number", "multipleOf": 0.25, "minimum": 1},
        {"type": "integer", "multipleOf": 1.5},
        {"type": "string", "format": "time"},
        {"type": "string", "format": "duration"},
        {"type": "string", "format": "hostname"},
        {"type": "string", "format": "ipv6"},
        {"type": "string", "format": "nobody-knows"},
    ],
)
@pytest.mark.parametrize("seed", range(6))
def test_keywords_are_kept_together(schema: Schema, seed: int) -> None:
    check(schema, make_value(schema, random.Random(seed)))


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    schema: Schema = {
        "$defs": {
            "tree": {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["kids"]}
        },
        "$ref": "#/$defs/tree",
    }
    for seed in range(20):
        check(schema, make_value(schema, random.Random(seed)))


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": []},
        {"anyOf": [False]},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
        {"type": "fish"},
        {"$ref": "#/nowhere"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"type": "boolean"}},
        {"type": "object", "minProperties": 2, "additionalProperties": False},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "string", "pattern": "^a$", "minLength": 2},
        {"type": "string", "pattern": "(?=x)y"},
    ],
)
def test_what_cannot_be_made_up_is_said(schema: Schema) -> None:
    with pytest.raises(ConfigError):
        make_value(schema, random.Random(0))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{3}-\d{4}$",
        r"^[A-Z]{2,}$",
        r"^(?:yes|no)$",
        r"a*b+c?",
        r"^[^a-z]\S\W\D$",
        r"^\w+@\w+\.(com|org)$",
        r"^.{2,4}$",
        r"^[\d_-]+?$",
        r"^\s\.$",
        "x{2,3}",
    ],
)
@pytest.mark.parametrize("seed", range(10))
def test_a_made_up_text_holds_the_pattern(pattern: str, seed: int) -> None:
    TypeAdapter(str).validate_python(text_of(pattern, random.Random(seed)))


@pytest.mark.parametrize("pattern", ["(?P<n>a)", "(a", "[a", "a)", "*", r"\b", r"(a)\1", "a$b", "\\", "[^\\s\\S]"])
def test_a_pattern_beyond_the_usual_is_said(pattern: str) -> None:
    with pytest.raises(ConfigError):
        text_of(pattern, random.Random(0))
