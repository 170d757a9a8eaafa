"""JSON Schemas in Gemini's dialect, a subset of JSON Schema; what it lacks is left out, as the answer's own check holds it anyway.

Source: the reference of `GenerationConfig.responseJsonSchema` and `FunctionDeclaration.parametersJsonSchema`.
"""

from collections.abc import Mapping

from pydantic import JsonValue

from agent_sdk.llm.strict_schema import Schema

_KEPT = frozenset({"$anchor", "$id", "description", "maxItems", "maximum", "minItems", "minimum", "propertyOrdering", "required", "type"})
_FORMATS = frozenset({"date", "date-time", "time"})


def gemini_schema(schema: Mapping[str, JsonValue]) -> Schema:
    """Return the schema in the dialect: whatever fits the given one fits it too."""
    given = _merged(schema)
    if isinstance(reference := given.get("$ref"), str):
        beside = given.get("$defs")
        return {"$ref": reference, "$defs": _named(beside)} if isinstance(beside, dict) else {"$ref": reference}
    said: Schema = {}
    for key, value in given.items():
        match key, value:
            case (("properties" | "$defs"), dict()):
                said[key] = _named(value)
            case (("anyOf" | "oneOf"), list()):
                said["anyOf"] = [_node(each) for each in value]
            case "prefixItems", list():
                said[key] = [_node(each) for each in value]
            case "items", _:
                said[key] = _node(value)
            case "additionalProperties", _:
                said[key] = gemini_schema(value) if isinstance(value, dict) else value
            case "enum", list():
                said.update(_one_of(value))
            case "const", _:
                said.update(_one_of([value]))
            case "format", str() if value in _FORMATS:
                said[key] = value
            case _ if key in _KEPT:
                said[key] = value
            case _:
                pass
    return said


def _named(schemas: Mapping[str, JsonValue]) -> Schema:
    return {name: _node(each) for name, each in schemas.items()}


def _node(schema: JsonValue) -> JsonValue:
    return gemini_schema(schema) if isinstance(schema, dict) else {}


def _merged(schema: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """Return the schema with the one it refines, as pydantic writes it for a described reference; of several, none is said."""
    match schema.get("allOf"):
        case [dict() as only]:
            return {**only, **{key: value for key, value in schema.items() if key != "allOf"}}
        case _:
            return schema


def _one_of(values: list[JsonValue]) -> Schema:
    """Return the choice, which the dialect knows of strings and numbers alone; of others only their type."""
    if all(isinstance(value, str) for value in values):
        return {"type": "string", "enum": values}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"type": "integer" if all(isinstance(value, int) for value in values) else "number", "enum": values}
    if all(isinstance(value, bool) for value in values):
        return {"type": "boolean"}
    return {"type": "null"} if values == [None] else {}
