"""TOML as JSON values. It has no line marks: the standard library's reader keeps none, so its findings name the key alone."""

import math
import re
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from agent_sdk.config.marks import MAX_DEPTH, DocumentError, Place, too_deep

MAX_BITS = 1024
"""How large a whole number may be; beyond some thousand digits Python itself refuses to write one as text."""

_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse_toml(text: str, path: Path) -> JsonValue:
    """Return the value; dates and times become text in ISO 8601.

    Raises:
        DocumentError: the text is not TOML, holds a number that JSON has not, or values lie too deep.
    """
    try:
        value: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = _WHERE.search(str(error))
        place = Place(int(where[1]), int(where[2])) if where and where[1] else None
        raise DocumentError(path, f"not TOML: {_WHERE.sub('', str(error))}", place=place) from error
    except RecursionError as error:
        raise too_deep(path) from error
    except ValueError as error:  # a whole number with more digits than Python converts
        raise DocumentError(path, f"not TOML: {error}") from error
    return _plain(value, path, "$", depth=0)


def _plain(value: object, path: Path, at: str, depth: int) -> JsonValue:
    if depth > MAX_DEPTH:
        raise too_deep(path)
    match value:
        case str() | bool():
            return value
        case int() if value.bit_length() <= MAX_BITS:
            return value
        case float() if math.isfinite(value):
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case dict():
            table = cast("dict[str, object]", value)
            return {name: _plain(inner, path, f"{at}.{name}", depth + 1) for name, inner in table.items()}
        case list():
            items = cast("list[object]", value)
            return [_plain(inner, path, f"{at}[{index}]", depth + 1) for index, inner in enumerate(items)]
        case _:
            raise DocumentError(path, f"{at} is a number that cannot be read")
