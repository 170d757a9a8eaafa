"""Random JSON that is valid for a JSON Schema: what a generative model writes as arguments and answers.

Known are type, const, enum, anyOf, oneOf, allOf, local $ref; properties, required, additionalProperties, min- and maxProperties; items,
prefixItems, minItems, maxItems, uniqueItems; lengths, pattern, the usual formats; ranges and multipleOf. What only forbids (`not`, `if`) is
not looked at.
"""

import json
import math
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID

from pydantic import JsonValue

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.schemas import Schema, mismatch, schema_of
from agent_sdk.testing.sim.pattern import text_of

Node = Mapping[str, JsonValue]
MAX_DEPTH = 32
_SHALLOW = 4
"""From this depth on nothing is made that could be left out, so that schemas which contain themselves come to an end."""
_WORDS = (
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fable",
    "harbor",
    "island",
    "käse",
    "lantern",
    "orchid",
    "quartz",
    "river",
    "東京",
    "🧀",
)
_KINDS = ("string", "integer", "number", "boolean", "null", "object", "array")


def make_value(schema: Node, chance: random.Random) -> JsonValue:
    """Return a random value that is valid for the schema.

    Raises:
        ConfigError: nothing is valid for it, or what is cannot be made up.
    """
    return _Maker(schema, chance).value(dict(schema), 0)


def make_text(chance: random.Random, words: int) -> str:
    """Return so many random words."""
    return " ".join(chance.choice(_WORDS) for _ in range(words))


class _Impossible(ConfigError):
    """Nothing is valid here, or only what is nested too deeply."""


@frozen
class _Maker:
    root: Node
    chance: random.Random

    def value(self, node: JsonValue, depth: int) -> JsonValue:
        if depth > MAX_DEPTH:
            raise _Impossible("the schema contains itself without an end")
        if node is False:
            raise _Impossible("the schema `false` allows nothing")
        if not isinstance(node, Mapping):
            node = {}
        if "$ref" in node:
            return self.value(dict(self._pointed(node)), depth + 1)
        if isinstance(parts := node.get("allOf"), list):
            return self.value(_merged([_without(node, "allOf"), *(self._plain(part) for part in parts)]), depth + 1)
        for key in ("anyOf", "oneOf"):
            if isinstance(branches := node.get(key), list):
                return self._branch(_without(node, key), branches, depth, is_exclusive=key == "oneOf")
        if "const" in node:
            return node["const"]
        if isinstance(values := node.get("enum"), list):
            return self.chance.choice(values)
        return self._of_kind(node, depth)

    def _pointed(self, node: Node) -> Node:
        """Return what a reference points to, with what stands beside it."""
        reference = node["$ref"]
        value: JsonValue = dict(self.root)
        for name in str(reference).removeprefix("#").split("/")[1:]:
            value = value.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
        if not isinstance(value, dict):
            raise _Impossible(f"the schema's reference {reference!r} points to nothing")
        rest = _without(node, "$ref")
        return _merged([value, rest]) if rest else value

    def _plain(self, part: JsonValue) -> Node:
        if not isinstance(part, dict):
            return {}
        return self._plain(dict(self._pointed(part))) if "$ref" in part else part

    def _branch(self, rest: Node, branches: list[JsonValue], depth: int, *, is_exclusive: bool) -> JsonValue:
        order = self.chance.sample(branches, len(branches))
        if depth >= _SHALLOW:
            order.sort(key=lambda branch: len(json.dumps(branch)) if "$ref" not in json.dumps(branch) else math.inf)
        problem: ConfigError = _Impossible("a schema without branches allows nothing")
        doubtful: list[JsonValue] = []
        for branch in order:
            try:
                made = self.value(_merged([rest, self._plain(branch)]) if rest else branch, depth + 1)
            except ConfigError as error:
                problem = error
                continue
            if not is_exclusive or sum(self._may_fit(made, other) for other in branches) <= 1:
                return made
            doubtful.append(made)
        if doubtful:
            return doubtful[0]
        raise problem

    def _may_fit(self, value: JsonValue, branch: JsonValue) -> bool:
        return mismatch(schema_of(value), Schema.of(self.root).child(branch)) is None

    def _of_kind(self, node: Node, depth: int) -> JsonValue:
        kinds = node.get("type", _implied(node))
        kind = self.chance.choice(kinds) if isinstance(kinds, list) else kinds
        makers: dict[JsonValue, Callable[[Node, int], JsonValue]] = {
            "string": lambda node, _: _text(node, self.chance),
            "integer": lambda node, _: _number(node, self.chance, is_whole=True),
            "number": lambda node, _: _number(node, self.chance, is_whole=False),
            "boolean": lambda _node, _: self.chance.random() < 0.5,
            "null": lambda _node, _: None,
            "object": self._object,
            "array": self._array,
        }
        if kind not in _KINDS:
            raise _Impossible(f"the schema names an unknown type: {kind!r}")
        return makers[kind](node, depth)

    def _object(self, node: Node, depth: int) -> JsonValue:
        properties = _mapping(node.get("properties"))
        needed = node.get("required")
        required = [str(name) for name in needed] if isinstance(needed, list) else []
        names = [name for name in properties if name not in required and depth < _SHALLOW and self.chance.random() < 0.6]
        extra = node.get("additionalProperties")
        made: dict[str, JsonValue] = {}
        for name in [*required, *names]:
            try:
                made[name] = self.value(properties.get(name, extra), depth + 1)
            except _Impossible:
                if name in required:
                    raise
        least, most = _bound(node, "minProperties", 0), _bound(node, "maxProperties", 1_000)
        for name in [name for name in names if name in made][max(0, most - len(required)) :]:
            del made[name]
        spare = [name for name in properties if name not in made]
        while len(made) < least:
            if not spare and extra is False:
                raise _Impossible(f"the schema asks for {least} properties and knows only {len(made)}")
            name = spare.pop() if spare else f"key{len(made)}"
            made[name] = self.value(properties.get(name, extra), depth + 1)
        if not properties and isinstance(extra, dict) and depth < _SHALLOW:
            for n in range(len(made), min(most, self.chance.randint(0, 2))):
                made[f"key{n}"] = self.value(extra, depth + 1)
        return made

    def _array(self, node: Node, depth: int) -> JsonValue:
        prefix = node.get("prefixItems")
        first = prefix if isinstance(prefix, list) else []
        least = _bound(node, "minItems", 0)
        most = _bound(node, "maxItems", max(least, len(first)) + (0 if depth >= _SHALLOW else 3))
        if node.get("items") is False:
            most = min(most, len(first))
        length = self.chance.randint(least, max(least, most)) if depth < _SHALLOW else least
        made: list[JsonValue] = []
        for tries in range(20 * length + 1):
            if len(made) == length:
                break
            item = self.value(first[len(made)] if len(made) < len(first) else node.get("items"), depth + 1)
            if node.get("uniqueItems") is not True or item not in made:
                made.append(item)
            elif tries > 10 * length and len(made) >= least:
                break
        if len(made) < least:
            raise _Impossible(f"the schema asks for {least} different items, and there are not as many")
        return made


def _text(node: Node, chance: random.Random) -> str:
    least, most = _bound(node, "minLength", 0), _bound(node, "maxLength", 10_000)
    if isinstance(pattern := node.get("pattern"), str):
        for _ in range(50):
            if least <= len(text := text_of(pattern, chance)) <= most:
                return text
        raise _Impossible(f"no text of {least} to {most} characters was found for the pattern {pattern!r}")
    if (form := _FORMATS.get(str(node.get("format")))) is not None:
        return form(chance)
    text = make_text(chance, chance.randint(1, 4))
    while len(text) < least:
        text += " " + make_text(chance, 1 + (least - len(text)) // 8)
    return text[:most]


def _number(node: Node, chance: random.Random, *, is_whole: bool) -> JsonValue:
    """Return a number within the bounds, counted in steps of `multipleOf`, so that what is exact stays exact."""
    unit = _fraction(node.get("multipleOf"))
    step = unit if unit is not None else Fraction(1, 1 if is_whole else 100)
    if is_whole and step.denominator != 1:
        step = Fraction(step.numerator)
    low, high = _fraction(node.get("minimum")), _fraction(node.get("maximum"))
    above, below = _fraction(node.get("exclusiveMinimum")), _fraction(node.get("exclusiveMaximum"))
    lows = [math.ceil(low / step)] if low is not None else []
    lows += [math.floor(above / step) + 1] if above is not None else []
    highs = [math.floor(high / step)] if high is not None else []
    highs += [math.ceil(below / step) - 1] if below is not None else []
    least = max(lows) if lows else min([0, *(high - 1_000 for high in highs)])
    most = min(highs) if highs else max(least + 1_000, 1_000)
    if least > most:
        return _between(node, low if low is not None else above, high if high is not None else below, is_whole=is_whole or unit is not None)
    exact = chance.randint(least, most) * step
    return int(exact) if exact.denominator == 1 and (is_whole or chance.random() < 0.5) else float(exact)


def _between(node: Node, low: Fraction | None, high: Fraction | None, *, is_whole: bool) -> JsonValue:
    if (
        is_whole
        or low is None
        or high is None
        or low > high
        or (low == high and ("exclusiveMinimum" in node or "exclusiveMaximum" in node))
    ):
        raise _Impossible("no number is within the schema's bounds")
    return float((low + high) / 2)


def _implied(node: Node) -> JsonValue:
    """Return the type that a schema without one means, going by its keywords; else any that stands by itself."""
    for kind, keys in _MEANT.items():
        if node.keys() & keys:
            return kind
    return ["string", "integer", "boolean"]


_MEANT: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "minProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}


def _merged(nodes: list[Node]) -> dict[str, JsonValue]:
    """Return one schema for several that all hold: the tighter bound, every property, what is required by any."""
    merged: dict[str, JsonValue] = {}
    for node in nodes:
        for key, value in node.items():
            merged[key] = _both(key, merged[key], value) if key in merged else value
    return merged


def _both(key: str, one: JsonValue, other: JsonValue) -> JsonValue:
    match key, one, other:
        case "properties", dict(), dict():
            shared: dict[str, JsonValue] = {name: {"allOf": [one[name], other[name]]} for name in one.keys() & other.keys()}
            return {**one, **other, **shared}
        case "required", list(), list():
            return [*one, *(name for name in other if name not in one)]
        case "enum", list(), list():
            return [value for value in one if value in other]
        case _ if isinstance(one, int | float) and isinstance(other, int | float):
            return max(one, other) if key.startswith(("min", "exclusiveMin")) else min(one, other)
        case "type", list(), _:
            return other if isinstance(other, str) else one
        case _:
            return other if key != "type" or isinstance(other, str) else one


def _without(node: Node, key: str) -> dict[str, JsonValue]:
    return {name: value for name, value in node.items() if name != key}


def _mapping(value: JsonValue) -> Node:
    return value if isinstance(value, dict) else {}


def _bound(node: Node, key: str, default: int) -> int:
    value = node.get(key)
    return int(value) if isinstance(value, int | float) else default


def _fraction(value: JsonValue) -> Fraction | None:
    return Fraction(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(chance: random.Random) -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randint(0, 200_000_000))


_FORMATS: Mapping[str, Callable[[random.Random], str]] = {
    "date": lambda chance: _moment(chance).date().isoformat(),
    "date-time": lambda chance: _moment(chance).isoformat().replace("+00:00", "Z"),
    "time": lambda chance: _moment(chance).time().isoformat() + "Z",
    "duration": lambda chance: f"P{chance.randint(0, 30)}DT{chance.randint(0, 23)}H",
    "email": lambda chance: f"user{chance.randint(1, 999)}@example.com",
    "hostname": lambda chance: f"host{chance.randint(1, 999)}.example.com",
    "ipv4": lambda chance: f"192.0.2.{chance.randint(1, 254)}",
    "ipv6": lambda chance: f"2001:db8::{chance.randint(1, 9999):x}",
    "uri": lambda chance: f"https://example.com/{chance.randint(1, 999)}",
    "uuid": lambda chance: str(UUID(int=chance.getrandbits(128), version=4)),
}
