"""Secrets taken out of what leaves the process by logs, traces, terminals and exports. Journals stay verbatim.

The patterns are compiled at first use, so that an import stays cheap.
"""

import re
from functools import cache

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen

MASK = "[redacted]"
MAX_DEPTH = 64
"""What is nested deeper is masked whole."""

_NAME = (
    r"pass(?:word|wd|phrase)s?|pwd|secrets?|credentials?|authorization|cookie"
    r"|(?:api|access|private|signing|encryption|account|shared|master|auth)[ _-]?keys?"
    r"|(?:access|refresh|auth|api|bearer|session)[ _-]?tokens|token"
)
_QUOTED = r"""[bru]{0,2}"[^"\\]*(?:\\.[^"\\]*)*"?|[bru]{0,2}'[^'\\]*(?:\\.[^'\\]*)*'?|\\+["'][^"']*"""
_IS = r"""\\*["']?[ \t]*(?:=>|:=|[:=])[ \t]*+"""
_UNMASKED = r"(?!\[redacted\])"


def is_secret_name(name: str) -> bool:
    """Say whether what stands under this key or header is a secret: `apiKey`, `X-Auth-Token`, `db_password`, but not `input_tokens`."""
    return _secret_name().search(name.strip()) is not None


def redact_text(text: str, limit: int | None = None) -> str:
    """Return the text with what looks like a secret masked, and shortened to about `limit` characters; None leaves it whole.

    It is cut at a space or bracket, so that no half of a secret stays behind unrecognised.
    """
    cut = 0
    if limit is not None and len(text) > limit:
        kept = re.sub(r"""[^\s"',;{}()\[\]<>]*\Z""", "", text[:limit])
        text, cut = kept, len(text) - len(kept)
    lowered = text.lower()
    if _any_hint().search(lowered) is not None:
        for rule in _rules():
            if any(hint in lowered for hint in rule.hints):
                text = rule.pattern.sub(rule.replacement, text)
    return f"{text}... ({cut} more characters)" if cut else text


def redact_json(value: JsonValue, limit: int | None = None) -> JsonValue:
    """Return the data with every value under a secret name masked, and every other text treated as by `redact_text`."""
    return _redact(value, limit, MAX_DEPTH)


def _redact(value: JsonValue, limit: int | None, depth: int) -> JsonValue:
    match value:
        case str():
            return redact_text(value, limit)
        case dict() | list() if depth == 0:
            return MASK
        case dict():
            return {
                redact_text(key, limit): MASK if is_secret_name(key) and _holds(inner) else _redact(inner, limit, depth - 1)
                for key, inner in value.items()
            }
        case list():
            return [_redact(inner, limit, depth - 1) for inner in value]
        case _:
            return value


def _holds(value: JsonValue) -> bool:
    """Say whether a value could be a secret at all: "there is none" is no secret."""
    return value is not None and not isinstance(value, bool)


@frozen
class _Rule:
    """A form that secrets have. The pattern is tried only where one of `hints` stands in the text in lower case, which is cheap to see."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str = MASK


_VENDOR_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sk-", "sk_", "pk-", "pk_", "rk-", "rk_"), r"[A-Za-z0-9][\w-]{14,}"),  # OpenAI, Anthropic, Stripe
    (("gho_", "ghp_", "ghr_", "ghs_", "ghu_", "hf_", "gsk_", "npm_"), r"[A-Za-z0-9]{20,}"),
    (("github_pat_", "glpat-", "xai-", "nvapi-", "pypi-", "ya29."), r"[\w-]{16,}"),
    (("xapp-", "xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-"), r"[\w-]{10,}"),
    (("AIza",), r"[\w-]{30,}"),
    (("SG.",), r"[\w-]{16,}\.[\w-]{16,}"),
    (("AKIA", "ASIA", "AGPA", "AIDA", "AROA", "ANPA", "ANVA"), r"[A-Z0-9]{12,}"),  # AWS
)
"""How the keys of well-known vendors begin, and go on."""


@cache
def _secret_name() -> re.Pattern[str]:
    return re.compile(rf"(?:{_NAME}\Z)", re.IGNORECASE)


@cache
def _rules() -> tuple[_Rule, ...]:
    return (
        _Rule(
            ("private key",),
            re.compile(
                r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL
            ),
        ),
        _Rule(
            ("authorization", "cookie"),
            re.compile(rf"(authorization|cookie)({_IS}){_UNMASKED}(?:{_QUOTED}|[^\r\n]+)", re.IGNORECASE | re.DOTALL),
            rf"\1\2{MASK}",
        ),
        _Rule(
            ("pass", "pwd", "secret", "credential", "key", "token"),
            re.compile(
                rf"({_NAME})((?:[_-]?(?:key|value|hash))?{_IS}){_UNMASKED}(?:{_QUOTED}|[^\s&]+)",
                re.IGNORECASE | re.DOTALL,
            ),
            rf"\1\2{MASK}",
        ),
        _Rule(("://",), re.compile(r"://[^\s/?#]*@"), f"://{MASK}@"),
        _Rule(
            ("bearer", "basic"),
            re.compile(r"\b(bearer|basic)(\s+)(?=[\w.~+/=-]*[\d=]|[\w.~+/=-]{16})[\w.~+/=-]{8,}", re.IGNORECASE),
            rf"\1\2{MASK}",
        ),
        _Rule(("eyj",), re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}")),
        *(
            _Rule(tuple(start.lower() for start in starts), re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, starts))}){rest}"))
            for starts, rest in _VENDOR_KEYS
        ),
    )


@cache
def _any_hint() -> re.Pattern[str]:
    return re.compile("|".join(re.escape(hint) for rule in _rules() for hint in rule.hints))
