from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, JsonValue

from agent_sdk.llm.anthropic_schema import output_schema, tool_schema
from agent_sdk.llm.strict_schema import NotStrict


class Part(BaseModel):
    name: str = Field(min_length=1, pattern="[a-z]+")
    kind: Literal["bolt", "nut"] = "bolt"


class Order(BaseModel):
    """What was ordered."""

    count: Annotated[int, Field(ge=1, le=10)]
    parts: list[Part] = Field(min_length=2)
    note: str | None = None
    main: Part


class Node(BaseModel):
    children: list["Node"] = []


class Free(BaseModel):
    counts: dict[str, int]


def test_bounds_and_notes_are_left_out_and_objects_closed() -> None:
    said = output_schema(Order.model_json_schema())
    assert said == {
        "$defs": {
            "Part": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "kind": {"type": "string", "enum": ["bolt", "nut"]}},
                "required": ["name"],
                "additionalProperties": False,
            }
        },
        "description": "What was ordered.",
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "main": {"$ref": "#/$defs/Part"},
        },
        "required": ["count", "parts", "main"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "binary"}, {"type": "string"}),
        ({"type": "array", "minItems": 1, "items": {"const": 1}}, {"type": "array", "minItems": 1, "items": {"const": 1}}),
        ({"oneOf": [{"type": "null"}, {"enum": [1, "a"]}]}, {"anyOf": [{"type": "null"}, {"enum": [1, "a"]}]}),
        ({"allOf": [{"$ref": "#/$defs/A"}]}, {"allOf": [{"$ref": "#/$defs/A"}]}),
    ],
)
def test_what_the_dialect_has_is_kept(schema: dict[str, JsonValue], said: JsonValue) -> None:
    assert output_schema(schema) == said


@pytest.mark.parametrize(
    "schema",
    [
        Node.model_json_schema(),
        Free.model_json_schema(),
        {},
        {"type": "object"},
        {"type": "object", "properties": {"x": True}},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"enum": [{"a": 1}]},
        {"const": [1]},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
    ],
    ids=["itself", "free keys", "anything", "free object", "any value", "tuple", "objects", "list", "values"],
)
def test_what_the_dialect_lacks_is_named(schema: dict[str, JsonValue]) -> None:
    with pytest.raises(NotStrict):
        output_schema(schema)


def test_definitions_that_build_on_each_other_are_no_loop() -> None:
    schema: dict[str, JsonValue] = {
        "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/B"}}, "B": {"type": "string"}},
        "$ref": "#/$defs/A",
    }
    assert output_schema(schema) == schema


def test_a_tool_s_parameters_are_an_object_without_alternatives_at_the_root() -> None:
    assert tool_schema({"anyOf": [], "title": "x"}) == {"type": "object", "properties": {}, "title": "x"}
    assert tool_schema({"type": "object", "properties": {"a": {"anyOf": []}}}) == {"type": "object", "properties": {"a": {"anyOf": []}}}
