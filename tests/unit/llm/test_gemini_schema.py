import pytest
from pydantic import JsonValue

from agent_sdk.llm.gemini_schema import gemini_schema


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"type": "string", "title": "T", "default": "a", "pattern": "a+", "maxLength": 3}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uuid"}, {"type": "string"}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": True}, {"type": "boolean"}),
        ({"const": None}, {"type": "null"}),
        ({"enum": [1, 2]}, {"type": "integer", "enum": [1, 2]}),
        ({"enum": [1, 2.5]}, {"type": "number", "enum": [1, 2.5]}),
        ({"enum": ["a", None]}, {}),
        ({"type": "integer", "minimum": 1, "exclusiveMaximum": 5}, {"type": "integer", "minimum": 1}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"allOf": [{"$ref": "#/$defs/A"}], "description": "d"}, {"$ref": "#/$defs/A"}),
        ({"allOf": [{"type": "string"}, {"minLength": 3}]}, {}),
        ({"$ref": "#/$defs/A", "description": "d"}, {"$ref": "#/$defs/A"}),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "title": "A"}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}},
        ),
        (
            {
                "type": "object",
                "properties": {"title": {"type": "string"}, "any": True},
                "required": ["title"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"title": {"type": "string"}, "any": {}},
                "required": ["title"],
                "additionalProperties": False,
            },
        ),
        ({"additionalProperties": {"const": 1}}, {"additionalProperties": {"type": "integer", "enum": [1]}}),
        (
            {"type": "array", "items": False, "prefixItems": [{"const": "a"}], "minItems": 1, "uniqueItems": True},
            {"type": "array", "items": {}, "prefixItems": [{"type": "string", "enum": ["a"]}], "minItems": 1},
        ),
        ({"items": {"type": "string", "examples": ["a"]}}, {"items": {"type": "string"}}),
    ],
)
def test_what_the_dialect_lacks_is_left_out(given: dict[str, JsonValue], expected: JsonValue) -> None:
    assert gemini_schema(given) == expected
