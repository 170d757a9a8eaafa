"""A connection to NATS servers, which mends itself; what it says of them never holds a password."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from agent_sdk.core.errors import ConfigError, QueueUnreachable
from agent_sdk.core.frozen import frozen

_log = logging.getLogger(__name__)
_SCHEMES = ("nats", "tls", "ws", "wss")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@frozen
class NatsOptions:
    """Where the servers are, and how they keep tickets.

    `url` is one server or several with commas between; `name` is the stream's and begins each subject, so that installations may share
    servers. `replicas` is 1, 3 or 5; a ticket that nobody took is dropped after `max_age_s`. Whatever the
    tickets say, the journal is asked every `sweep_s` on average. `credentials` is a file of NATS credentials.
    """

    url: str
    name: str = "agent_sdk"
    replicas: int = 1
    max_age_s: float = 7 * 86_400.0
    dedupe_s: float = 120.0
    sweep_s: float = 1.0
    connect_timeout_s: float = 5.0
    credentials: Path | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} cannot name a NATS stream", hint="use letters, digits, - and _, 64 at most")
        for url in self.urls:
            if not _is_address(url):
                raise ConfigError(
                    f"{render_servers(url)!r} is no address of a NATS server", hint="write nats://host:4222 or tls://host:4222"
                )

    @property
    def urls(self) -> list[str]:
        return [url.strip() for url in self.url.split(",")]


async def connect(options: NatsOptions, *, on_reconnect: Callable[[], None] | None = None, echoes: bool = True) -> Client:
    """Return a connection that reconnects for as long as it is not closed; without `echoes` it gets nothing of what it sends itself.

    Raises:
        ConfigError: no server answers, or it refuses the credentials.
    """
    client, said = Client(), [""]

    async def reconnected() -> None:
        _log.info("connected to NATS again")
        if on_reconnect is not None:
            on_reconnect()

    async def failed(error: Exception) -> None:
        if "authorization" not in said[0].lower():  # which is the reason for what follows it
            said[0] = str(error) or type(error).__name__
        _log.debug("NATS: %s", type(error).__name__)

    async def disconnected() -> None:
        if not client.is_closed:
            _log.warning("the connection to NATS was lost; connecting again")

    connecting: Awaitable[None] = client.connect(
        options.urls,
        name=options.name,
        error_cb=failed,
        reconnected_cb=reconnected,
        disconnected_cb=disconnected,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        drain_timeout=5,
        no_echo=not echoes,
        user_credentials=options.credentials,
    )
    try:
        async with asyncio.timeout(options.connect_timeout_s):
            await connecting
    except (TimeoutError, OSError, errors.Error) as error:
        await client.close()
        raise _unreachable(options, said[0] or str(error)) from None  # the library's error may name the URL with its password
    return client


async def disconnect(client: Client) -> None:
    """Close the connection; that the server is gone already is nothing to complain of then."""
    with contextlib.suppress(errors.Error, OSError):
        await client.close()


async def subscribe(client: Client, subject: str, arrived: Callable[[Msg], Awaitable[None]]) -> Subscription:
    """Have `arrived` called for each message, one at a time; the library drops none for its size."""
    return await client.subscribe(  # pyright: ignore[reportUnknownMemberType] (the library leaves a part of its signature open)
        subject, cb=arrived, pending_bytes_limit=0
    )


def render_servers(url: str) -> str:
    """Return the addresses without user and password."""
    return ",".join(re.sub(r"//[^/]*@", "//", each.strip()) for each in url.split(","))


def _unreachable(options: NatsOptions, said: str) -> QueueUnreachable:
    for url in options.urls:
        for secret in (urlsplit(url).username, urlsplit(url).password):
            said = said.replace(secret, "***") if secret else said
    return QueueUnreachable(
        f"no NATS server can be used at {render_servers(options.url)}{': ' if said else ''}{said}",
        hint="start one with JetStream (`nats-server -js`), or correct the address or the credentials",
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
