"""A vendor's JSON as the dataclasses of its protocol: what does not fit is refused, counts that cannot be are none."""

import re
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from agent_sdk.core.codec import adapter, from_json
from agent_sdk.core.strict_json import MAX_MARKS, is_crowded, parse_json
from agent_sdk.llm.vendor_errors import ErrorTable, Place, not_the_protocol

T = TypeVar("T")
MOST_TOKENS = 10**9
"""No call uses more tokens; what a server claims beyond it would not fit the ledger once it has a price."""
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})", re.IGNORECASE
)
"""Half a character, as servers send it that cut their text by UTF-16 units."""


def parse_wire(kind: type[T], data: bytes, place: Place, errors: ErrorTable) -> T:
    """Return JSON bytes as a `kind`; half a character becomes a replacement character.

    Raises:
        ReplyInvalid: they are no JSON of that shape, or too many values.
    """
    if is_crowded(data):
        raise not_the_protocol(f"more than {MAX_MARKS:,} values in one piece", b"", place, errors)
    wire = adapter(kind)
    try:
        return wire.validate_json(data)
    except ValidationError as error:
        problem = _problem(error)
    try:
        return wire.validate_json(_with_whole_characters(data))
    except ValidationError:
        raise not_the_protocol(problem, data, place, errors) from None


def parse_plain(data: bytes) -> JsonValue:
    """Return JSON as plain data that a question can hold; half a character becomes a replacement character.

    Raises:
        ValueError: it is none.
    """
    return parse_json(_with_whole_characters(data).decode())


def read_wire(kind: type[T], value: object, place: Place, errors: ErrorTable) -> T:
    """Return plain JSON data as a `kind`.

    Raises:
        ReplyInvalid: they are not of that shape.
    """
    try:
        return from_json(kind, value)
    except ValidationError as error:
        raise not_the_protocol(_problem(error), b"", place, errors) from None


def parse_count(data: bytes, name: str, place: Place, errors: ErrorTable) -> int:
    """Return how many tokens a question has, as the vendor says it under `name`.

    Raises:
        ReplyInvalid: it does not.
    """
    told = parse_wire(dict[str, JsonValue], data, place, errors).get(name)
    if type(told) is not int or not 0 <= told <= MOST_TOKENS:
        raise not_the_protocol("no count of tokens", data, place, errors)
    return told


def count(value: JsonValue) -> int:
    """Return a number of tokens; one that is missing, negative or no whole number is 0: the reply was paid for, and is not thrown away."""
    return min(value, MOST_TOKENS) if type(value) is int and value > 0 else 0


def count_within(usage: dict[str, JsonValue], group: str, name: str) -> int:
    """Return a number of tokens that stands one level deeper."""
    details = usage.get(group)
    return count(details.get(name)) if isinstance(details, dict) else 0


def _with_whole_characters(data: bytes) -> bytes:
    return _LONE_SURROGATE.sub(rb"\\ufffd", data)


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "what is not JSON"
    return f"a reply with a wrong value at {'.'.join(map(str, first['loc'])) or 'its root'} ({first['msg']})"
