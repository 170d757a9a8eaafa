from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from agent_sdk.llm.strict_schema import NotStrict, object_schema, strict_schema


class Node(BaseModel):
    name: Annotated[str, Field(min_length=1, description="how it is called")]
    kind: Literal["a", "b"] = "a"
    children: list["Node"] = []


class Cat(BaseModel):
    type: Literal["cat"]


class Dog(BaseModel):
    type: Literal["dog"]
    age: int | None = None


class Home(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="type")]


class Free(BaseModel):
    values: dict[str, int]


def test_a_schema_that_fits_is_closed_and_asks_for_every_property() -> None:
    rooted, is_wrapped = object_schema(Node.model_json_schema())
    strict = strict_schema(rooted)
    assert not is_wrapped
    assert strict["required"] == ["name", "kind", "children"]
    assert strict["additionalProperties"] is False
    assert strict["properties"] == {
        "name": {"type": "string", "description": "how it is called"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    }


def test_one_of_several_shapes_becomes_any_of_them() -> None:
    strict = strict_schema(Home.model_json_schema())
    assert strict["properties"] == {"pet": {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}}


@pytest.mark.parametrize(
    "schema",
    [
        Free.model_json_schema(),
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "array", "prefixItems": []}}},
        {"type": "object", "properties": {}, "additionalProperties": True},
    ],
)
def test_what_the_dialect_cannot_say_is_not_strict(schema: dict[str, JsonValue]) -> None:
    with pytest.raises(NotStrict):
        strict_schema(schema)


def test_an_output_that_is_no_object_is_wrapped_in_one() -> None:
    rooted, is_wrapped = object_schema(TypeAdapter(list[Node]).json_schema())
    assert is_wrapped
    assert rooted["properties"] == {"value": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}
    assert "$defs" in rooted
    assert strict_schema(rooted)["required"] == ["value"]


def test_a_scalar_needs_no_definitions() -> None:
    assert object_schema({"type": "integer"}) == (
        {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"], "additionalProperties": False},
        True,
    )
