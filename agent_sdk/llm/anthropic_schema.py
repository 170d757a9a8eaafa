"""JSON Schemas in the dialect of Anthropic's structured outputs: closed objects, no bounds; what is optional may stay so.

Source: the vendor's page on structured outputs, and what its own SDK leaves out.
"""

from collections.abc import Mapping

from pydantic import JsonValue

from agent_sdk.llm.strict_schema import NotStrict, Schema

_FORMATS = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"})
_PLAIN = (str, int, float, bool, type(None))


def output_schema(schema: Mapping[str, JsonValue]) -> Schema:
    """Return the schema in the dialect; what fits it fits the given one, but for bounds that the dialect lacks.

    Raises:
        NotStrict: it holds objects with free keys, refers to itself, or allows anything.
    """
    _refuse_loops(schema)
    return _said(schema)


def tool_schema(schema: Mapping[str, JsonValue]) -> Schema:
    """Return a tool's parameters as the protocol takes them: an object, without alternatives at its root."""
    kept = {key: value for key, value in schema.items() if key not in {"allOf", "anyOf", "oneOf"}}
    return {"properties": {}, **kept, "type": "object"}


def _said(schema: Mapping[str, JsonValue]) -> Schema:
    said: Schema = {}
    for key, value in schema.items():
        match key, value:
            case (("properties" | "$defs"), dict()):
                said[key] = {name: _node(each) for name, each in value.items()}
            case (("anyOf" | "oneOf"), list()):
                said["anyOf"] = [_node(each) for each in value]
            case "allOf", list():
                said["allOf"] = [_node(each) for each in value]
            case "items", _:
                said["items"] = _node(value)
            case "enum", list() if all(isinstance(each, _PLAIN) for each in value):
                said["enum"] = value
            case "const", str() | int() | float() | bool() | None:
                said["const"] = value
            case "minItems", 0 | 1:
                said["minItems"] = value
            case "format", str() if value in _FORMATS:
                said["format"] = value
            case (("$ref" | "description" | "required" | "type"), _):
                said[key] = value
            case (("enum" | "const" | "patternProperties" | "prefixItems" | "not" | "if"), _):
                raise NotStrict(key)
            case _:
                pass
    _close(schema, said)
    return said


def _close(schema: Mapping[str, JsonValue], said: Schema) -> None:
    if schema.get("type") == "object":
        if "properties" not in said or schema.get("additionalProperties", False) is not False:
            raise NotStrict("an object with free keys")
        said["additionalProperties"] = False
    if not said.keys() & {"type", "$ref", "anyOf", "allOf", "enum", "const"}:
        raise NotStrict("a schema that allows anything")


def _node(schema: JsonValue) -> JsonValue:
    if not isinstance(schema, dict):
        raise NotStrict("a schema that is true or false")
    return _said(schema)


def _refuse_loops(schema: Mapping[str, JsonValue]) -> None:
    definitions = schema.get("$defs")
    if not isinstance(definitions, dict):
        return
    needs = {name: set(_references(each)) for name, each in definitions.items()}
    while free := [name for name, needed in needs.items() if not needed & needs.keys()]:
        for name in free:
            del needs[name]
    if needs:
        raise NotStrict("a schema that refers to itself")


def _references(value: JsonValue) -> list[str]:
    match value:
        case {"$ref": str(target)}:
            return [target.removeprefix("#/$defs/")]
        case dict():
            return [name for each in value.values() for name in _references(each)]
        case list():
            return [name for each in value for name in _references(each)]
        case _:
            return []
