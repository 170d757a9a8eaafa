"""Canonical JSON and the digests over it: equal values give equal bytes, on every machine."""

import hashlib
import json

from pydantic import JsonValue

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: JsonValue) -> bytes:
    """Encode with sorted keys and no white space, as UTF-8.

    Raises:
        ValueError: the value holds NaN, an infinity or an object that JSON cannot hold.
    """
    return _ENCODER.encode(value).encode()


def digest_of(value: JsonValue) -> str:
    """Return the lower-case hexadecimal SHA-256 of the value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
