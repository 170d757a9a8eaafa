"""JSON as the journal can keep it: no key twice, no NaN or infinity, no lone surrogate, and no deeper than it can be read again."""

import json
import math
from collections import Counter

from pydantic import JsonValue

from agent_sdk.core.digest import canonical_json

MAX_DEPTH = 100
"""The parser of stored events goes 200 levels deep; a value stands some levels down in its event."""
MAX_MARKS = 1_000_000
"""Brackets and colons in one text: what each of them begins takes a hundred bytes and more, however short it was."""
MAX_NAME_BYTES = 1024
"""A row of an index has room for a few names of this length."""


def parse_json(text: str) -> JsonValue:
    """Return the one value that `text` holds.

    Raises:
        ValueError: it is no JSON, or none that can be kept; a `JSONDecodeError` says where.
    """
    if is_crowded(text):
        raise ValueError(f"it holds more than {MAX_MARKS:,} values")
    try:
        value: JsonValue = _DECODER.decode(text)
    except RecursionError:
        raise _too_deep() from None
    if _may_break_rules(text):
        require_storable(value)
    return value


def is_crowded(text: str | bytes) -> bool:
    """Say whether a text may hold so many values that to read it would take much more memory than the text itself."""
    if len(text) <= MAX_MARKS:
        return False
    counts = [text.count(mark) for mark in "[{:"] if isinstance(text, str) else [text.count(mark) for mark in b"[{:"]
    return sum(counts) > MAX_MARKS


def require_storable(value: JsonValue) -> None:
    """Check a value that did not come from `parse_json`.

    Raises:
        ValueError: the journal could not keep it.
    """
    try:
        encoded = canonical_json(value)
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds half a character, {error.object[error.start]!r}, which UTF-8 cannot encode") from None
    except RecursionError:
        raise _too_deep() from None
    if encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH:
        _require_shallow(value)


def require_name(name: str) -> None:
    """Check a name that stores find things by.

    Raises:
        ValueError: not every store could keep it.
    """
    if "\0" in name:
        raise ValueError("a name holds the character NUL")
    if (size := len(name.encode(errors="replace"))) > MAX_NAME_BYTES:
        raise ValueError(f"a name has {size:,} bytes; at most {MAX_NAME_BYTES:,} are allowed")


def _require_shallow(value: JsonValue) -> None:
    depth, level = 0, [value]
    while level := [inner for outer in level if isinstance(outer, (dict, list)) for inner in _inside(outer)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _may_break_rules(text: str) -> bool:
    """Say whether the text could hold half a character or too many levels; most cannot, and need no second look."""
    return not text.isascii() or "\\u" in text or text.count("[") + text.count("{") > MAX_DEPTH


def _inside(value: dict[str, JsonValue] | list[JsonValue]) -> list[JsonValue]:
    return list(value.values()) if isinstance(value, dict) else value


def _refuse(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    made = dict(pairs)
    if len(made) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:80]!r} stands twice in one object")
    return made


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
