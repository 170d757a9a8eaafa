"""A model's text as data: strict JSON, at most inside one code fence, and an exact complaint where it is none."""

import json
import re

from pydantic import JsonValue

from agent_sdk.core.findings import Finding

_FENCE = re.compile(r"\A\s*```[A-Za-z]*\s*\n(?P<inside>.*?)\n?\s*```\s*\Z", re.DOTALL)
MAX_REPLY_CHARS = 4 * 1024 * 1024


def parse_json_reply(text: str) -> tuple[JsonValue, Finding | None]:
    """Return the value of a reply, or None and what is wrong with it."""
    if not text.strip():
        return None, Finding("reply_empty", "$", "the reply is empty", hint="answer with one JSON value")
    if len(text) > MAX_REPLY_CHARS:
        return None, Finding("reply_too_large", "$", f"the reply has {len(text):,} characters", hint=f"stay below {MAX_REPLY_CHARS:,}")
    fenced = _FENCE.match(text)
    inside = fenced["inside"] if fenced is not None else text
    try:
        value: JsonValue = json.loads(inside, parse_constant=_refuse, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {inside[max(0, error.pos - 20) : error.pos + 20]!r}"
        return None, Finding(
            "reply_not_json", "$", f"the reply is not JSON: {error.msg}", hint="answer with JSON alone, without prose", found=where
        )
    except (ValueError, RecursionError) as error:
        return None, Finding("reply_not_json", "$", f"the reply is not JSON: {error}", hint="answer with one plain JSON value")
    return value, None


def _refuse(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object")
    return made
