"""The bodies of inbox items as they are stored."""

import json

from pydantic import JsonValue


def inbox_body(stored: str | bytes) -> JsonValue:
    """Read an item's body; None where it is no JSON any more: the run refuses such an item, and is not held up by it for ever."""
    try:
        body: JsonValue = json.loads(stored)
    except ValueError:
        return None
    return body
