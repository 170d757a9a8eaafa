"""What an operator says about a vendor: key, address and patience. The adapters take it as checked."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from agent_sdk.core.errors import ConfigError

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """How to reach OpenAI, or any server that speaks its Chat Completions. `api_key` None sends no key, as local servers want it.

    Raises:
        ConfigError: the key cannot stand in a header, OpenAI's own server has none, or `base_url` is no address.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str = field(default=OPENAI_URL, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    organization: str | None = None
    max_reply_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        if self.organization is not None:
            _check_header("the organization", self.organization)
        if self.api_key is not None:
            _check_header("the API key", self.api_key)
            if urlsplit(self.base_url).username is not None:
                raise ConfigError("base_url holds a user and api_key a key; a request can carry one of them", hint="take one away")
        elif self.is_openai:
            raise ConfigError("OpenAI needs an API key, and none is set", hint="set OPENAI_API_KEY, or base_url for another server")

    @property
    def is_openai(self) -> bool:
        return urlsplit(self.base_url).hostname == "api.openai.com"

    @property
    def place(self) -> str:
        """The address as it may be shown: without user and password."""
        return _without_user(self.base_url)


def _check_url(url: str) -> None:
    hint = f"write it such as {OPENAI_URL} or http://localhost:11434/v1"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigError("base_url cannot be read as a URL", hint=hint) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or " " in url:
        raise ConfigError(f"base_url is {_without_user(url)!r}, which is no http or https address", hint=hint)
    if parts.query or parts.fragment:
        raise ConfigError("base_url has a query or fragment; the path of a request is put behind it", hint=hint)


def _check_header(name: str, value: str) -> None:
    if not value.strip():
        raise ConfigError(f"{name} is empty", hint="set it, or leave it out")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ConfigError(
            f"{name} holds white space or other characters that a header cannot carry", hint="look for a line break at its end"
        )


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
