"""What a model is shown of a reply: status, a few headers, and the body where it is text or JSON."""

import codecs
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import files_in
from agent_sdk.core.strict_json import parse_json
from agent_sdk.tools.http.secrets import Secrets
from agent_sdk.tools.plain import MAX_DEPTH, NotPlainError, plain

MAX_HEADER_CHARS = 1000

_SHOWN = frozenset(
    {
        "allow",
        "content-language",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "www-authenticate",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-request-id",
        "x-total-count",
    }
)
_TEXT = re.compile(
    r"text/.+|.+\+(?:json|xml|yaml)"
    r"|application/(?:json|xml|(?:x-)?javascript|ecmascript|x-www-form-urlencoded|(?:x-)?ndjson|jsonl|json-seq|(?:x-)?yaml|toml|sql|graphql)"
)
_JSON = re.compile(r"(?:application|text)/(?:.+\+)?json")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)
_CODECS = re.compile(
    r"utf-(?:8|16|32)(?:-[bl]e)?|ascii|cp\d+|iso8859-\d+|koi8-[ru]|mac-\w+"
    r"|shift_jis|euc_(?:jp|kr)|iso2022_(?:jp|kr)|gb2312|gbk|gb18030|big5|johab|hz"
)
"""Python knows others under such names, of which some take time without end for a long text, and some run no text at all."""


@frozen
class HttpReply:
    """A reply. `body` is JSON data where it is JSON, else text; None where there is none that can be shown, and `note` says why.

    `url` is where it came from in the end. Not `is_complete`: the body was cut. `headers` has names in lower case.
    """

    url: str
    status: int
    headers: dict[str, str]
    body: JsonValue
    is_complete: bool = True
    note: str | None = None


@frozen
class Shown:
    """A body as it is shown, and what there is to say of it."""

    body: JsonValue
    note: str | None = None


def shown_headers(headers: Mapping[str, str], secrets: Secrets) -> dict[str, str]:
    """Return the few that help, in text that the journal can keep."""
    found = {name: value.encode(errors="replace").decode() for name, value in headers.items() if name in _SHOWN}
    return {name: secrets.clean(value)[:MAX_HEADER_CHARS] for name, value in found.items()}


def shown_body(body: bytes, content_type: str, secrets: Secrets, *, is_cut: bool) -> Shown:
    """Return JSON data or text without secrets, or None where the body is neither."""
    media = content_type.partition(";")[0].strip().lower()
    if not body:
        return Shown(None)
    codec = _codec(content_type, body)
    if not _is_text(media, body, codec):
        return Shown(None, f"{len(body):,} bytes of {ascii(media)[1:61].rstrip(chr(39)) or 'unknown data'} are not shown: only text is")
    text, note = _decoded(body, codec, is_cut=is_cut)
    if _JSON.fullmatch(media) and not is_cut:
        try:
            value = plain(secrets.clean_json(parse_json(text)), MAX_DEPTH - 10)
        except (ValueError, NotPlainError) as error:
            note = f"it is no JSON that can be kept: {secrets.clean(str(error))[:200]}"
        else:
            if not files_in([value]):  # else a server could put a file, or an address to fetch one from, before the model: it stays text
                return Shown(value, note)
    return Shown(secrets.clean_cut(text) if is_cut else secrets.clean(text), note)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks us to wait (RFC 9110, 10.2.3), by its own clock; None where it does not say."""
    after = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", after):
        return float(after)
    until, now = _date(after), _date(headers.get("date", ""))
    return max(0.0, (until - now).total_seconds()) if until is not None and now is not None else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo is not None else None


def _is_text(media: str, body: bytes, codec: str) -> bool:
    if not codec.startswith(("utf-16", "utf-32")) and b"\0" in body:
        return False
    return media == "" or _TEXT.fullmatch(media) is not None


def _codec(content_type: str, body: bytes) -> str:
    """Return the name of the character encoding: what the bytes begin with says it, else the header, else it is UTF-8."""
    for mark, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if body.startswith(mark):
            return name
    said = _CHARSET.search(content_type)
    if said is None:
        return "utf-8"
    try:
        name = codecs.lookup(said[1]).name
    except LookupError:
        return "utf-8"
    if name == "iso8859-1":
        return "cp1252"  # as browsers do: https://encoding.spec.whatwg.org/#names-and-labels
    return name if _CODECS.fullmatch(name) else "utf-8"


def _decoded(body: bytes, codec: str, *, is_cut: bool) -> tuple[str, str | None]:
    """Return the text, without the half of a character that stands at a cut, and a note where bytes had to be replaced."""
    decoder = codecs.getincrementaldecoder(codec)
    try:
        return decoder("strict").decode(body, final=not is_cut), None
    except UnicodeError:
        note = "some of its bytes are no text, and were replaced by U+FFFD"
        return decoder("replace").decode(body, final=not is_cut).encode(errors="replace").decode(), note
