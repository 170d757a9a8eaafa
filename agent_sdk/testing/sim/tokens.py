"""The simulated vendors' tokenizer: simple, the same for all, and the same at every run."""

import json
import re
from functools import lru_cache

from pydantic import JsonValue

_TOKEN = re.compile(r"\s*\S{1,6}|\s+")


def split_tokens(text: str) -> list[str]:
    """Return the text's tokens, which joined are the text: up to six characters each, with the white space before them."""
    return _TOKEN.findall(text)


@lru_cache(maxsize=16_384)
def count_tokens(text: str) -> int:
    """Return how many tokens the text has."""
    return len(_TOKEN.findall(text))


def json_tokens(value: JsonValue) -> int:
    """Return how many tokens a value has, written as JSON."""
    return count_tokens(json.dumps(value, ensure_ascii=False))
