"""Credentials that were given for requests, cut out of whatever comes back."""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable
from html import escape
from typing import Self
from urllib.parse import quote, quote_plus

from pydantic import JsonValue, SecretStr

from agent_sdk.core.errors import ConfigError

MASK = "[secret]"
MIN_CHARS = 4
"""What is shorter is cut out nowhere: every page holds it."""

Header = str | SecretStr

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ENCODED = re.compile(r"%[0-9A-F]{2}")
_SECRET_NAME = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature|session", re.IGNORECASE)
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "expect", "trailer"})


class Secrets:
    """What nobody may read in a reply, in the forms that a server echoes it in."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value) if len(form) >= MIN_CHARS}
        self._forms = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if forms else None

    @classmethod
    def of_headers(cls, headers: Iterable[tuple[str, Header]]) -> Self:
        """Take the values that are typed as secrets, and those whose header's name says it."""
        return cls(_plain(value) for name, value in headers if isinstance(value, SecretStr) or _SECRET_NAME.search(name))

    def clean(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def clean_cut(self, text: str) -> str:
        """Return the cut text without secrets, and without the beginning of one at the cut."""
        text = self.clean(text)
        held = max((_overlap(text, form) for form in self._forms), default=0)
        return text[: len(text) - held] + MASK if held else text

    def clean_json(self, value: JsonValue) -> JsonValue:
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.clean(value)
            case list():
                return [self.clean_json(inner) for inner in value]
            case dict():
                return {self.clean(key): self.clean_json(inner) for key, inner in value.items()}
            case _:
                return value


def checked_header(name: str, value: Header) -> tuple[str, str]:
    """Return a header as it is sent, its name in the one form that tells it from others.

    Raises:
        ConfigError: no request may hold it, or it is made here.
    """
    text = _plain(value)
    if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
        raise ConfigError(
            f"the header {name!r} cannot be set", hint="give names such as Authorization; those of the connection are made here"
        )
    if not text.isprintable() or not text.isascii() or text != text.strip():
        raise ConfigError(
            f"the value of the header {name!r} holds line ends or other characters that no header may hold", hint="take them away"
        )
    return name.title(), text


def _plain(value: Header) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _forms(value: str) -> Iterable[str]:
    scheme, _, rest = value.partition(" ")
    bare = {value, rest} if rest and scheme.isalpha() else {value}
    for text in bare | set(_inside(rest)) if scheme.lower() == "basic" else bare:
        yield from (text, escape(text), b64encode(text.encode()).decode().rstrip("="))
        written = json.dumps(text)[1:-1]
        yield from (written, written.replace("/", "\\/"))
        for encoded in (quote(text), quote(text, safe=""), quote_plus(text)):
            yield from (encoded, _ENCODED.sub(lambda found: found[0].lower(), encoded))


def _inside(basic: str) -> Iterable[str]:
    """Yield what Basic credentials hold (RFC 7617): name and password together, and the password."""
    try:
        pair = b64decode(basic, validate=True).decode()
    except (Error, UnicodeDecodeError):
        return
    yield pair
    yield pair.partition(":")[2]


def _overlap(text: str, form: str) -> int:
    """Return how many characters of `form`, from its beginning on and not all of them, the text ends with."""
    return next((size for size in range(min(len(form) - 1, len(text)), MIN_CHARS - 1, -1) if text.endswith(form[:size])), 0)
