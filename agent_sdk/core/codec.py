"""Dataclasses to JSON and back. The validators are built at first use, so that an import stays cheap."""

from collections.abc import Collection, Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import JsonValue, TypeAdapter

T = TypeVar("T")


def adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return the one validator and serializer of `kind`."""
    made: TypeAdapter[T] = _adapter(cast("Hashable", kind))
    return made


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("type[Any]", kind))


@cache
def _writer(kind: Hashable) -> Any:  # noqa: ANN401  (pydantic-core's serializer, whose stubs are private)
    return _adapter(kind).serializer


def dump(value: object, only: Collection[str] | None = None) -> bytes:
    """Encode a dataclass as JSON; fields that are None are left out, and with `only` all but the named ones."""
    encoded: bytes = _writer(cast("Hashable", type(value))).to_json(value, include=only, exclude_none=True)
    return encoded


def load(kind: type[T], data: bytes) -> T:
    """Decode what `dump` made; unknown fields are passed over.

    Raises:
        ValidationError: the bytes are no JSON of that shape.
    """
    return adapter(kind).validate_json(data)


def to_json(kind: type[T], value: T) -> JsonValue:
    """Return the value as JSON data, without the fields that are None."""
    plain: JsonValue = adapter(kind).dump_python(value, mode="json", exclude_none=True)
    return plain


def from_json(kind: type[T], value: object) -> T:
    """Make a `kind` of plain data.

    Raises:
        ValidationError: the data are not of that shape.
    """
    return adapter(kind).validate_python(value)
