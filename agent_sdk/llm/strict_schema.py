"""JSON Schemas in the dialect of structured outputs: closed objects whose properties are all required, below a root that is an object."""

from collections.abc import Mapping

from pydantic import JsonValue

WRAPPED = "value"
"""The one property under which an output that is no object is asked for."""

Schema = dict[str, JsonValue]

_NOTES = frozenset(
    {"$comment", "$id", "$schema", "default", "deprecated", "discriminator", "examples", "readOnly", "title", "writeOnly"}
    | {"maxLength", "maxProperties", "minLength", "minProperties", "uniqueItems"}
)
"""What is left out: notes, and bounds that the dialect lacks and that the answer's own check holds anyway."""
_KEPT = frozenset(
    {"$ref", "const", "description", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maximum", "minItems", "minimum"}
    | {"multipleOf", "pattern", "type"}
)


class NotStrict(ValueError):
    """The schema says something that the strict dialect cannot."""


def object_schema(schema: Mapping[str, JsonValue]) -> tuple[Schema, bool]:
    """Return the schema with an object at its root, and whether the output had to be wrapped for it."""
    root: Schema = dict(schema)
    definitions = root.get("$defs")
    reference = root.get("$ref")
    if isinstance(definitions, dict) and isinstance(reference, str) and reference.startswith("#/$defs/"):
        target = definitions.get(reference.removeprefix("#/$defs/"))
        if isinstance(target, dict):
            root = dict(target)
            root["$defs"] = definitions
    if root.get("type") == "object":
        return root, False
    root.pop("$defs", None)
    wrapped: Schema = {"type": "object", "properties": {WRAPPED: root}, "required": [WRAPPED], "additionalProperties": False}
    if definitions is not None:
        wrapped["$defs"] = definitions
    return wrapped, True


def strict_schema(schema: Mapping[str, JsonValue]) -> Schema:
    """Return the schema in the strict dialect; what fits it fits the given one, but for bounds that the dialect lacks.

    Raises:
        NotStrict: it holds open objects, or keywords that cannot be said.
    """
    strict: Schema = {}
    for key, value in schema.items():
        match key, value:
            case "properties", dict():
                strict["properties"] = {name: _node(each) for name, each in value.items()}
                strict["required"] = list(value)
            case "$defs", dict():
                strict["$defs"] = {name: _node(each) for name, each in value.items()}
            case (("anyOf" | "oneOf"), list()):
                strict["anyOf"] = [_node(each) for each in value]
            case "items", _:
                strict["items"] = _node(value)
            case (("required" | "additionalProperties"), _):
                pass
            case _ if key in _KEPT:
                strict[key] = value
            case _ if key not in _NOTES:
                raise NotStrict(key)
            case _:
                pass
    if schema.get("type") == "object":
        if "properties" not in strict or schema.get("additionalProperties", False) is not False:
            raise NotStrict("an object with free keys")
        strict["additionalProperties"] = False
    if not strict.keys() & {"type", "$ref", "anyOf", "enum", "const"}:
        raise NotStrict("a schema that allows anything")
    return strict


def asks_for_all(schema: JsonValue) -> bool:
    """Say whether every property of every object is required, so that the strict dialect demands no more than the schema does."""
    if isinstance(schema, list):
        return all(map(asks_for_all, schema))
    if not isinstance(schema, dict):
        return True
    properties, required = schema.get("properties"), schema.get("required", [])
    if isinstance(properties, dict) and isinstance(required, list) and properties.keys() - {str(name) for name in required}:
        return False
    return all(map(asks_for_all, schema.values()))


def _node(schema: JsonValue) -> JsonValue:
    if not isinstance(schema, dict):
        raise NotStrict("a schema that is true or false")
    return strict_schema(schema)
