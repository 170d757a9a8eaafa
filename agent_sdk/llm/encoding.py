"""JSON for the wire: each message, tool list and schema is encoded once, however often it is sent."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.errors import ConfigError

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
T = TypeVar("T")


class Once(Generic[T]):
    """Makes a value for each of the objects it is asked about once, as long as these are few; they are told apart by identity."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[int, tuple[object, T]] = {}

    def get(self, key: object, make: Callable[[], T]) -> T:
        """Return what was made for the very object, or make it."""
        found = self._made.get(id(key))
        if found is None:
            if len(self._made) >= 256:
                self._made.clear()
            found = self._made[id(key)] = (key, make())  # holding the key keeps its identity from being taken again
        return found[1]


def encode_json(value: object) -> bytes:
    """Encode with pydantic's writer, which is several times as fast as the standard library's; half a character becomes a question mark."""
    try:
        return to_json(value)
    except ValueError:
        return _ENCODER.encode(value).encode(errors="replace")


def encode_extra(extra: Mapping[str, JsonValue], taken: Collection[str]) -> bytes:
    """Return the vendor's own fields as they follow on the fields before them.

    Raises:
        ConfigError: one of them is `taken` by what every request says.
    """
    if doubled := extra.keys() & set(taken):
        raise ConfigError(f"the model setting `extra` cannot have {min(doubled)!r}", hint="that is said by other settings, or by the run")
    return b"".join(b",%b:%b" % (encode_json(name), encode_json(value)) for name, value in extra.items())
