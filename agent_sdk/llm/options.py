"""What an operator says about a vendor: key, address and patience. The adapters take it as checked."""

import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote, urlencode, urlsplit, urlunsplit

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.llm.vendor_errors import Place

OPENAI_URL = "https://api.openai.com/v1"
_SECRET_CHARS = 4
"""What is shorter is no secret, and would be cut out of the middle of words."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")


@frozen
class Timeouts:
    """How long a model call may take, in seconds.

    `connect_s` bounds the way to a usable connection, `first_token_s` the wait for a stream's first event, `idle_s` the silence between
    two reads of it, and `total_s` the whole call: it alone bounds a plain reply, which comes in one piece when all of it is written.
    """

    connect_s: float = 10.0
    first_token_s: float = 120.0
    idle_s: float = 60.0
    total_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("connect_s", "first_token_s", "idle_s", "total_s"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"the timeout {name} is {getattr(self, name)}; it must be above 0")


@frozen
class HttpRequest:
    """A request as it goes out."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"


Sign = Callable[[HttpRequest], Awaitable[HttpRequest]]
"""Signs each request, or changes it otherwise, just before it goes out: for clouds that want more than a key."""


@frozen
class VendorOptions:
    """How to reach a vendor, or a server that speaks its protocol. `api_key` None sends no key.

    `headers` and `query` go with every request, and what their values are is shown nowhere; `proxy` is an http URL. `sign` is
    asked for every request, and goes last.

    Raises:
        ConfigError: the key or a header cannot be sent, or an address is none.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str = field(default="", repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    proxy: str | None = field(default=None, repr=False)
    sign: Sign | None = None
    max_reply_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        _check_url("base_url", self.base_url)
        if self.proxy is not None:
            _check_url("the proxy", self.proxy)
        for name, value in self.headers.items():
            if not _TOKEN.fullmatch(name):
                raise ConfigError(f"{name[:40]!r} is no name of a header", hint="write it such as X-My-Header")
            _check_header(f"the header {name}", value, may_have_spaces=True)
        if self.api_key is not None:
            _check_header("the API key", self.api_key)
            if urlsplit(self.base_url).username is not None:
                raise ConfigError("base_url holds a user and api_key a key; a request can carry one of them", hint="take one away")

    @property
    def place(self) -> Place:
        """The address as it may be shown: without user and password."""
        return Place(_without_user(self.base_url), self.api_key, self._more_secrets())

    def url(self, path: str) -> str:
        """Return the address of a path below `base_url`, with the query."""
        url = self.base_url.rstrip("/") + path
        return f"{url}{'&' if '?' in path else '?'}{urlencode(self.query)}" if self.query else url

    def _more_secrets(self) -> tuple[str, ...]:
        """Return all else that was given in confidence, as a server might repeat it, the longest first."""
        given = [*self.headers.values(), *self.query.values(), *map(quote_plus, self.query.values())]
        for url in (self.base_url, self.proxy or ""):
            parts = urlsplit(url)
            password = unquote(parts.password or "")
            pair = f"{unquote(parts.username or '')}:{password}".encode()
            given += [parts.password or "", password, b64encode(pair).decode() if password else ""]
        told = {" ".join(text.split()) for text in given}
        return tuple(sorted((text for text in told if len(text) >= _SECRET_CHARS), key=len, reverse=True))

    def has_host(self, host: str) -> bool:
        """Say whether the vendor's own server is asked."""
        return urlsplit(self.base_url).hostname == host


@dataclass(frozen=True, slots=True)
class OpenAIOptions(VendorOptions):
    """How to reach OpenAI, or any server that speaks its protocols. `api_key` None sends no key, as local servers want it.

    Raises:
        ConfigError: the key cannot stand in a header, OpenAI's own server has none, or `base_url` is no address.
    """

    base_url: str = field(default=OPENAI_URL, repr=False)
    organization: str | None = None

    def __post_init__(self) -> None:
        VendorOptions.__post_init__(self)
        if self.organization is not None:
            _check_header("the organization", self.organization)
        if self.is_openai and self.api_key is None and self.sign is None:
            raise ConfigError("OpenAI needs an API key, and none is set", hint="set OPENAI_API_KEY, or base_url for another server")

    @property
    def is_openai(self) -> bool:
        return self.has_host("api.openai.com")


def _check_url(name: str, url: str) -> None:
    hint = f"write it such as {OPENAI_URL} or http://localhost:11434/v1"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{name} cannot be read as a URL", hint=hint) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or " " in url:
        raise ConfigError(f"{name} is {_without_user(url)!r}, which is no http or https address", hint=hint)
    if parts.query or parts.fragment:
        raise ConfigError(f"{name} has a query or fragment; the path of a request is put behind it", hint=hint)


def _check_header(name: str, value: str, *, may_have_spaces: bool = False) -> None:
    if not value.strip():
        raise ConfigError(f"{name} is empty", hint="set it, or leave it out")
    if not (value.isascii() and value.isprintable()) or (" " in value and not may_have_spaces):
        raise ConfigError(
            f"{name} holds white space or other characters that a header cannot carry", hint="look for a line break at its end"
        )


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
