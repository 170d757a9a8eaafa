"""JSON Schemas as types: what stands at a path, and whether values of one schema fit another.

Only what decides about types is looked at (draft 2020-12: type, const, enum, properties, required, additionalProperties, items, anyOf,
oneOf, allOf, $ref); lengths and ranges are left to the tool's own validation.
"""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen

MAX_DEPTH = 16
ANYTHING: Mapping[str, JsonValue] = {}


@frozen
class Schema:
    """A schema and the document that its local references point into."""

    node: Mapping[str, JsonValue]
    root: Mapping[str, JsonValue]

    @classmethod
    def of(cls, document: Mapping[str, JsonValue]) -> "Schema":
        return cls(document, document)

    def child(self, node: JsonValue) -> "Schema":
        return Schema(node if isinstance(node, dict) else ANYTHING, self.root)


@frozen
class Mismatch:
    """Where and why values of one schema do not fit another; `path` is relative, such as `.hits[].title`."""

    path: str
    expected: str
    found: str


UNKNOWN = Schema.of(ANYTHING)


def schema_of(value: JsonValue) -> Schema:
    """Return the schema whose only value is `value`."""
    match value:
        case dict():
            properties: dict[str, JsonValue] = {key: dict(schema_of(inner).node) for key, inner in value.items()}
            required: list[JsonValue] = list(value)
            return Schema.of({"type": "object", "properties": properties, "required": required, "additionalProperties": False})
        case list():
            branches: list[JsonValue] = [dict(schema_of(inner).node) for inner in value]
            return Schema.of({"type": "array", "items": {"anyOf": branches}} if branches else {"type": "array", "maxItems": 0})
        case _:
            return Schema.of({"const": value})


def at_path(schema: Schema, path: Sequence[str]) -> Schema | None:
    """Return the schema of the value at `path`; None where no value can stand there."""
    branches = [schema]
    for name in path:
        branches = [inner for branch in branches for plain in _branches(branch) if (inner := _step(plain, name)) is not None]
        if not branches:
            return None
    return branches[0] if len(branches) == 1 else _union(branches)


def items_of(schema: Schema) -> Schema | None:
    """Return the schema of a list's elements; None where the value can be no list."""
    found = [inner for branch in _branches(schema) if _kinds(branch) <= {"array"} and (inner := _step(branch, "0")) is not None]
    if not found:
        return None
    return found[0] if len(found) == 1 else _union(found)


def mismatch(source: Schema, target: Schema, path: str = "", depth: int = 0) -> Mismatch | None:
    """Say why a value of `source` may not fit `target`; None where it fits, or nothing is known of it."""
    if depth > MAX_DEPTH or not source.node or not target.node:
        return None
    targets = list(_branches(target))
    for branch in (each for plain in _branches(source) for each in _one_by_one(plain)):
        problems = [_misfit(branch, each, path, depth) for each in targets]
        if problems and all(problem is not None for problem in problems):
            if len(problems) == 1:
                return problems[0]
            return Mismatch(path, describe(target), describe(branch))
    return None


def describe(schema: Schema) -> str:
    """Return a schema in a few words."""
    return " or ".join(dict.fromkeys(_described(branch) for branch in _branches(schema)))[:80]


def _described(schema: Schema) -> str:
    node = schema.node
    if "const" in node:
        return repr(node["const"])[:60]
    if isinstance(values := node.get("enum"), list):
        return "one of " + ", ".join(repr(value) for value in values[:6])
    match node.get("type"):
        case "array":
            return f"array of {describe(schema.child(node.get('items')))}" if isinstance(node.get("items"), dict) else "array"
        case "object":
            names = ", ".join(_mapping(node.get("properties")))
            return f"object with {names}" if names else "object"
        case str() as kind:
            return kind
        case _:
            return "anything"


def _branches(schema: Schema, depth: int = 0) -> Iterator[Schema]:
    """Yield the plain schemas that a schema is a union of, with references followed."""
    node = schema.node
    if depth > MAX_DEPTH:
        yield UNKNOWN
    elif isinstance(ref := node.get("$ref"), str):
        yield from _branches(schema.child(_pointed(schema.root, ref)), depth + 1)
    elif isinstance(parts := node.get("anyOf", node.get("oneOf")), list):
        for part in parts:
            yield from _branches(schema.child(part), depth + 1)
    elif isinstance(parts := node.get("allOf"), list):
        yield from _branches(schema.child(parts[0]), depth + 1) if len(parts) == 1 else iter((UNKNOWN,))
    elif isinstance(kinds := node.get("type"), list):
        for kind in kinds:
            yield Schema({**node, "type": kind}, schema.root)
    else:
        yield schema


def _one_by_one(schema: Schema) -> Iterator[Schema]:
    """Yield the values of an enumeration: each may fit another branch of a union."""
    if isinstance(values := schema.node.get("enum"), list):
        yield from (Schema.of({"const": value}) for value in values)
    else:
        yield schema


def _pointed(root: Mapping[str, JsonValue], ref: str) -> JsonValue:
    value: JsonValue = dict(root)
    for name in ref.removeprefix("#").split("/")[1:]:
        value = value.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value


def _step(schema: Schema, name: str) -> Schema | None:
    node = schema.node
    if not _kinds(schema):
        return UNKNOWN
    if _may_be(schema, "array"):
        if not name.isdecimal() or node.get("maxItems") == 0:
            return None
        return schema.child(node.get("items"))
    if not _may_be(schema, "object"):
        return None
    if (inner := _mapping(node.get("properties")).get(name)) is not None:
        return schema.child(inner)
    extra = node.get("additionalProperties")
    if extra is False or (extra is None and "properties" in node):
        return None
    return schema.child(extra)


def _misfit(source: Schema, target: Schema, path: str, depth: int) -> Mismatch | None:
    if not _kinds(source) or not (_kinds(target) or "enum" in target.node):
        return None
    if "enum" in target.node or "const" in target.node:
        allowed = _values(target)
        values = _values(source)
        if values is not None and allowed is not None and any(value not in allowed for value in values):
            return Mismatch(path, describe(target), describe(source))
    if not _kinds(source) <= _kinds(target) | ({"integer"} if "number" in _kinds(target) else set()):
        return Mismatch(path, describe(target), describe(source))
    if _may_be(source, "array"):
        items = source.node.get("items")
        return mismatch(source.child(items), target.child(target.node.get("items")), f"{path}[]", depth + 1) if items is not None else None
    if _may_be(source, "object"):
        return _object_misfit(source, target, path, depth)
    return None


def _object_misfit(source: Schema, target: Schema, path: str, depth: int) -> Mismatch | None:
    have, want = _mapping(source.node.get("properties")), _mapping(target.node.get("properties"))
    if not have and source.node.get("additionalProperties") is not False:
        return None
    required = target.node.get("required")
    for name in required if isinstance(required, list) else ():
        if name not in have:
            return Mismatch(path, f"an object with {name!r}", describe(source))
    extra = target.node.get("additionalProperties")
    for name, inner in have.items():
        if name not in want and extra is False:
            return Mismatch(f"{path}.{name}", "no such field", name)
        goal = want.get(name, extra if isinstance(extra, dict) else None)
        if goal is not None and (problem := mismatch(source.child(inner), target.child(goal), f"{path}.{name}", depth + 1)) is not None:
            return problem
    return None


def _kinds(schema: Schema) -> set[str]:
    """Return the JSON types a plain schema allows; empty where nothing is said."""
    if isinstance(kind := schema.node.get("type"), str):
        return {kind}
    values = _values(schema)
    return {_kind(value) for value in values} if values is not None else set()


def _may_be(schema: Schema, kind: str) -> bool:
    return kind in _kinds(schema)


def _values(schema: Schema) -> list[JsonValue] | None:
    if "const" in schema.node:
        return [schema.node["const"]]
    values = schema.node.get("enum")
    return values if isinstance(values, list) else None


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else ANYTHING


def _union(branches: Sequence[Schema]) -> Schema:
    """Return the union; branches that need another document's definitions count as unknown."""
    roots = {id(branch.root) for branch in branches}
    if len(roots) > 1:
        return UNKNOWN
    return Schema({"anyOf": [dict(branch.node) for branch in branches]}, branches[0].root)
