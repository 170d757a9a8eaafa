"""Plain JSON data: a copy of what a tool returned, of the types that JSON knows alone, or the place where it has others."""

import math
from typing import cast

from pydantic import JsonValue

MAX_DEPTH = 100
"""How deep lists and objects may be nested: what JSON parsers take without trouble."""
MAX_INT_BITS = 14_000
"""How long an integer may be: Python, and the parser of stored events, read 4,300 digits and no more."""


class NotPlainError(ValueError):
    """What stands at `steps` (from the inside out while it is raised) cannot be told in JSON."""

    def __init__(self, problem: str, found: str | None = None) -> None:
        self.problem = problem
        self.found = found
        self.steps: list[str | int] = []
        super().__init__(problem)


def plain(value: object, depth: int = MAX_DEPTH) -> JsonValue:
    """Copy lists, tuples and dicts, and take text and numbers as they are; subclasses become what they derive from.

    Raises:
        NotPlainError: NaN, an infinity or an integer that is too long, a key that is no text, text that is no Unicode, another type, or
            nesting deeper than `depth`, as of a value that holds itself.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list | tuple):
        return _items(cast("list[object]", value), depth)
    if isinstance(value, dict):
        return _members(cast("dict[object, object]", value), depth)
    raise NotPlainError("JSON cannot hold it", type(value).__name__)


def _text(value: str) -> str:
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise NotPlainError("it holds half of a surrogate pair, which is no Unicode text", ascii(text[error.start])) from error
    return text


def _integer(value: int) -> int:
    if value.bit_length() > MAX_INT_BITS:
        raise NotPlainError(f"it is longer than {MAX_INT_BITS:,} bits, which few readers of JSON take", "an integer")
    return value if type(value) is int else int(value)


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise NotPlainError("JSON has no such number", str(float(value)))
    return value if type(value) is float else float(value)


def _items(values: list[object] | tuple[object, ...], depth: int) -> list[JsonValue]:
    _go_down(depth)
    copy: list[JsonValue] = []
    index = 0
    try:
        for index, value in enumerate(values):  # noqa: B007  (the handler tells the place)
            copy.append(plain(value, depth - 1))
    except NotPlainError as error:
        error.steps.append(index)
        raise
    return copy


def _members(members: dict[object, object], depth: int) -> dict[str, JsonValue]:
    _go_down(depth)
    copy: dict[str, JsonValue] = {}
    key: object = None
    try:
        for key, value in members.items():
            copy[_key(key)] = plain(value, depth - 1)
    except NotPlainError as error:
        if isinstance(key, str):
            error.steps.append(key)
        raise
    return copy


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise NotPlainError("a key of an object must be text", repr(key)[:60])
    return _text(key)


def _go_down(depth: int) -> None:
    if depth == 0:
        raise NotPlainError(f"it is nested deeper than {MAX_DEPTH}, or holds itself")
