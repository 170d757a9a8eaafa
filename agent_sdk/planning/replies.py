"""A model's text as data: strict JSON, at most inside one code fence, and an exact complaint where it is none."""

import json

from pydantic import JsonValue

from agent_sdk.core.findings import Finding
from agent_sdk.core.strict_json import parse_json

FENCE = "```"
MAX_REPLY_CHARS = 4 * 1024 * 1024


def parse_json_reply(text: str) -> tuple[JsonValue, Finding | None]:
    """Return the value of a reply, or None and what is wrong with it."""
    if not text.strip():
        return None, Finding("reply_empty", "$", "the reply is empty", hint="answer with one JSON value")
    if len(text) > MAX_REPLY_CHARS:
        return None, Finding("reply_too_large", "$", f"the reply has {len(text):,} characters", hint=f"stay below {MAX_REPLY_CHARS:,}")
    inside = _unfenced(text)
    try:
        return parse_json(inside), None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {inside[max(0, error.pos - 20) : error.pos + 20]!r}"
        return None, Finding(
            "reply_not_json", "$", f"the reply is not JSON: {error.msg}", hint="answer with JSON alone, without prose", found=where
        )
    except ValueError as error:
        return None, Finding("reply_not_json", "$", f"the reply is not JSON: {error}", hint="answer with one plain JSON value")


def _unfenced(text: str) -> str:
    """Return what stands inside a code fence, if the whole text is one."""
    opening, newline, rest = text.strip().partition("\n")
    language = opening.removeprefix(FENCE).strip()
    if newline and opening.startswith(FENCE) and rest.endswith(FENCE) and (language.isalpha() or not language):
        return rest.removesuffix(FENCE)
    return text
