"""Any Python value as plain data, and any text as one line: what logs and terminals can take, whatever they are given."""

import math
import traceback
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import cast

from pydantic import JsonValue

MAX_DEPTH = 8
MAX_ITEMS = 100
MAX_VALUES = 1000
"""Most values of one nested value that are kept; what refers to itself ends here."""
CUT = "..."
MAX_TEXT = 8192
"""Longest text that goes into one field of a log record."""


def to_plain(value: object) -> JsonValue:
    """Return the value as JSON data and never raise: what JSON cannot hold becomes its text, what is too deep or too long is cut."""
    try:
        return _plain(value, MAX_DEPTH, iter(range(MAX_VALUES)))
    except Exception:  # noqa: BLE001  (foreign code: a mapping that raises, or changes while it is read)
        return to_text(value)


def to_text(value: object) -> str:
    """Return the value's text, or what can be said of a value whose text cannot be had."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  (foreign code: whatever a `__str__` raises, the record is still wanted)
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def to_traceback(error: BaseException) -> str:
    """Return the error's traceback with those of its causes, or what can be said of one that cannot be had."""
    try:
        return "".join(traceback.format_exception(error))
    except Exception as failure:  # noqa: BLE001  (foreign code: an error's own attributes and texts)
        return f"<{type(error).__name__} without traceback: {type(failure).__name__}>"


def one_line(text: str) -> str:
    """Return the text with line ends and control characters escaped, so that it neither forges a line nor steers a terminal."""
    return text if text.isprintable() else "".join(map(_shown, text))


def lines(text: str) -> str:
    """Return the text with its lines kept and every other control character escaped."""
    return "\n".join(one_line(line) for line in text.splitlines())


def encodable(text: str, encoding: str | None) -> str:
    """Return the text with what the encoding cannot hold escaped; None means UTF-8."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)


def _plain(value: object, depth: int, budget: Iterator[int]) -> JsonValue:
    if next(budget, None) is None:
        return CUT
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if value.bit_length() <= 64 else to_text(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes() | bytearray():
            return f"<{len(value)} bytes>"
        case Mapping() if depth > 0:
            items = cast("Mapping[object, object]", value)
            return {to_text(key): _plain(inner, depth - 1, budget) for key, inner in islice(items.items(), MAX_ITEMS)}
        case list() | tuple() | set() | frozenset() if depth > 0:
            return [_plain(inner, depth - 1, budget) for inner in islice(cast("Iterable[object]", value), MAX_ITEMS)]
        case Mapping() | list() | tuple() | set() | frozenset():
            return CUT
        case _:
            return to_text(value)


def _shown(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
