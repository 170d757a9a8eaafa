"""What a vendor says instead of a reply, as one of our errors: one table a vendor, from its words and status to the class."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime
from typing import ClassVar, cast

from pydantic import JsonValue

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.core.frozen import frozen

_SHOWN_CHARS = 500


class QuotaExhausted(RateLimited):
    """The account has no money or quota left; waiting does not mend it."""

    code = "model_quota_exhausted"
    retryable = False
    default_hint: ClassVar[str | None] = "look at the plan and the billing of the account that the key belongs to"


class CertificateRefused(Unavailable):
    """The server's certificate is not trusted here, so nothing was sent."""

    code = "model_certificate_refused"
    retryable = False
    default_hint: ClassVar[str | None] = "check base_url, this machine's clock and its certificate authorities"


@frozen
class Place:
    """Where a model is asked, as errors may show it; secrets are cut out of whatever the server says."""

    url: str
    secret: str | None = field(default=None, repr=False)
    more_secrets: tuple[str, ...] = field(default=(), repr=False)

    def clean(self, text: str) -> str:
        """Return text in one line of at most 500 characters, without the secrets and without anything that steers a terminal."""
        line = " ".join(text.split(None, _SHOWN_CHARS)[:_SHOWN_CHARS])  # so many words fill the line
        for secret in (self.secret, *self.more_secrets):
            if secret:
                line = line.replace(secret, "[secret]")
        if len(line) > _SHOWN_CHARS:
            line = line[:_SHOWN_CHARS] + "..."
        return line if line.isprintable() else "".join([char if char.isprintable() else "\ufffd" for char in line])


Words = tuple[tuple[str, type[ModelError]], ...]
_BY_WORD: Words = (
    ("context_length_exceeded", ContextTooLong),
    ("exceed_context_size", ContextTooLong),
    ("content_filter", ContentRefused),
    ("content_policy", ContentRefused),
    ("insufficient_quota", QuotaExhausted),
    ("billing_hard_limit", QuotaExhausted),
    ("invalid_api_key", AuthFailed),
)
STATUSES: Mapping[int, type[ModelError]] = {
    401: AuthFailed,
    402: QuotaExhausted,
    403: AuthFailed,
    407: AuthFailed,
    408: Unavailable,
    409: Unavailable,
    413: ContextTooLong,
    425: Unavailable,
    429: RateLimited,
    498: Overloaded,
    503: Overloaded,
    529: Overloaded,
}
_WITHOUT_STATUS: Words = (
    ("rate_limit", RateLimited),
    ("overloaded", Overloaded),
    ("invalid_request", BadRequest),
    ("authentication", AuthFailed),
)


@frozen
class ErrorTable:
    """How one vendor's errors are told apart.

    `words` are looked for in the error's code, type, status and reasons, in lower case, and go before the HTTP status; `inside` are those
    of an error that comes without one, in the middle of a reply. `too_long` matches the message of a request beyond the model's context.
    `request_ids` are the headers that may name the exchange. `messages` are looked for in the message, in lower case, where a vendor has
    no word of its own for what happened.
    """

    protocol: str
    words: Words
    inside: Words
    statuses: Mapping[int, type[ModelError]]
    too_long: re.Pattern[str]
    request_ids: tuple[str, ...] = ("x-request-id",)
    messages: Words = ()

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the vendor's id of the exchange."""
        return next((headers[name] for name in self.request_ids if name in headers), None)


OPENAI = ErrorTable(
    "OpenAI's",
    _BY_WORD,
    _WITHOUT_STATUS,
    STATUSES,
    re.compile(r"context (length|window|size)|prompt is too long|too many tokens", re.IGNORECASE),
)
_RETRY_INFO = re.compile(rb'"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d{1,9})?)s"')
"""How long to wait, as Google says it inside its errors (google.rpc.RetryInfo)."""
PROXY_HINT = "the proxy wants to know who asks: check user and password in the setting `proxy`"
_HINTS: Mapping[type[ModelError], str] = {
    RateLimited: "wait, or ask for a higher limit",
    ContextTooLong: "shorten the goal or what tools return, or take a model with a larger context",
    BadRequest: "check the model's name and base_url against what the server offers",
}


def refusal(status: int, headers: Mapping[str, str], body: bytes, place: Place, table: ErrorTable = OPENAI) -> ModelError:
    """Return the error for a reply whose status is not 200."""
    words, message = _read(body)
    if 300 <= status < 400:
        target = place.clean(headers.get("Location", "nowhere"))
        return BadRequest(f"{place.url} redirects to {target}", hint="set base_url to the address itself: a key is never carried along")
    kind = _by_words(words, message, table) if status < 500 else None
    kind = kind or table.statuses.get(status) or (Unavailable if status >= 500 else BadRequest)
    request_id = table.request_id(headers)
    text = f"{place.url} answered {status}: {place.clean(message) or 'no message'}"
    if request_id:
        text += f" (request {place.clean(request_id)})"
    wait_s = retry_after_s(headers) if kind.retryable else None
    if wait_s is None and kind.retryable and (told := _RETRY_INFO.search(body)):
        wait_s = float(told[1])
    return kind(text, hint=PROXY_HINT if status == 407 else _HINTS.get(kind), retry_after_s=wait_s)


def error_inside(error: JsonValue, place: Place, table: ErrorTable = OPENAI) -> ModelError:
    """Return the error for an error object that came where a reply, or its next piece, was expected."""
    body = json.dumps({"error": error}).encode()
    status = error.get("code") if isinstance(error, dict) else None
    if isinstance(status, int) and 400 <= status < 600:
        return refusal(status, {}, body, place, table)
    words, message = _read(body)
    kind = _by_words(words, message, table) or next((kind for word, kind in table.inside if word in words), Unavailable)
    return kind(f"{place.url} broke off its reply: {place.clean(message) or 'no message'}", hint=_HINTS.get(kind))


def not_the_protocol(problem: str, body: bytes, place: Place, table: ErrorTable = OPENAI) -> ReplyInvalid:
    """Return the error for a reply that is not what the protocol says, with the beginning of what came."""
    _, message = _read(body[:100_000])
    shown = place.clean(message)[:200]
    return ReplyInvalid(
        f"{place.url} sent {problem}: {shown}" if shown else f"{place.url} sent {problem}",
        hint=f"check that base_url leads to a server that speaks {table.protocol} protocol, and no proxy answers in its place",
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks us to wait (RFC 9110, 10.2.3, and the vendors' own headers); None where it does not say."""
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    if after := headers.get("Retry-After"):
        return seconds if (seconds := _seconds(after)) is not None else _until(after, headers.get("Date"))
    exhausted = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    waits = [wait for kind in exhausted if (wait := _duration(headers.get(f"x-ratelimit-reset-{kind}", ""))) is not None]
    return max([*waits, *_anthropic_waits(headers)], default=None)


def _anthropic_waits(headers: Mapping[str, str]) -> Iterator[float]:
    """Yield how long each of Anthropic's limits that is used up lasts: their ends are points in time (RFC 3339)."""
    for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
        if headers.get(f"anthropic-ratelimit-{kind}-remaining") == "0":
            wait = _until(headers.get(f"anthropic-ratelimit-{kind}-reset", ""), headers.get("Date"))
            if wait is not None:
                yield wait


def _by_words(words: str, message: str, table: ErrorTable) -> type[ModelError] | None:
    found = next((kind for word, kind in table.words if word in words), None)
    found = found or next((kind for phrase, kind in table.messages if phrase in message.lower()), None)
    return found or (ContextTooLong if table.too_long.search(message) and "rate_limit" not in words else None)


def _read(body: bytes) -> tuple[str, str]:
    """Return the error's code, type, status and reasons as one text, and its message, in whichever of the usual shapes it came."""
    text = body.decode(errors="replace")
    try:
        value = cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        return "", _excerpt(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # Google's, where a stream was asked for
    if not isinstance(value, dict):
        return "", text
    error = value.get("error", value)
    if not isinstance(error, dict):
        return "", str(error)
    details = error.get("details")
    reasons = [reason for each in details for reason in _reasons(each)] if isinstance(details, list) else []
    if isinstance(details, dict):
        reasons = [details.get("error_code")]
    words = " ".join(map(str, (error.get("code"), error.get("type"), error.get("status"), *reasons))).lower()
    message = error.get("message") or error.get("detail")
    return words, message if isinstance(message, str) else text


def _reasons(detail: JsonValue) -> Iterator[JsonValue]:
    """Yield why the request failed, and which quotas it was over (google.rpc.ErrorInfo, QuotaFailure)."""
    if isinstance(detail, dict):
        yield detail.get("reason")
        violations = detail.get("violations")
        yield from (each.get("quotaId") for each in violations if isinstance(each, dict)) if isinstance(violations, list) else ()


def _excerpt(text: str) -> str:
    """Return what a page says to people: its title, or the text between its tags; in one pass, whatever a server made of it."""
    if not text.lstrip().startswith("<"):
        return text
    title = re.search(r"<title[^<>]*>([^<]*)</title>", text, re.IGNORECASE)
    return "an HTML page, " + (title[1].strip() if title else re.sub(r"<[^<>]*>", " ", text))


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text) else None


def _until(date: str, now: str | None) -> float | None:
    """Return the seconds to `date` on the server's own clock, so that ours may be wrong."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  (few servers name a date, and the module loads many)

    try:
        until = datetime.fromisoformat(date) if "T" in date[:11] else parsedate_to_datetime(date)
        return max(0.0, (until - parsedate_to_datetime(now or "")).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _duration(text: str) -> float | None:
    """Read a duration such as `6m0s`, `1.5s` or `20ms`."""
    if not (found := re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,6})ms)?", text)):
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000 if text else None
