"""From a URL to the dispatcher, or the token line, that it names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ports import Clock, Dispatcher, Journal, Random, TokenLine
from agent_sdk.dispatch.journal import JournalDispatcher
from agent_sdk.dispatch.wire import Wire

NATS_SCHEMES = ("nats", "tls")


async def open_dispatcher(url: str | None, journal: Journal, *, clock: Clock, random: Random) -> Dispatcher:
    """Open what hands runs of `journal` to workers: NATS at a `nats://` or `tls://` URL; without a URL, the journal itself.

    Raises:
        ConfigError: the URL names no dispatcher, its package is not installed, or no server answers.
    """
    if url is None:
        return JournalDispatcher(journal, clock, random)
    if _scheme(url) not in NATS_SCHEMES:
        raise ConfigError(f"there is no dispatcher for the scheme {_scheme(url)!r}", hint="write nats://host:4222, or leave it out")
    try:
        from agent_sdk.dispatch.jetstream import NatsDispatcher  # noqa: PLC0415  (who has no NATS installs and loads no client)
        from agent_sdk.dispatch.nats_link import NatsOptions  # noqa: PLC0415  (the same)
    except ModuleNotFoundError as error:
        raise ConfigError("dispatch over NATS needs the package nats-py", hint="pip install 'agent-sdk[nats]'") from error
    return await NatsDispatcher.open(NatsOptions(url), journal, clock, random)


@asynccontextmanager
async def open_token_line(url: str, *, clock: Clock) -> AsyncGenerator[TokenLine]:
    """Open a line for streamed tokens over the NATS or the Postgres server at a URL.

    Raises:
        ConfigError: the URL names no line, its package is not installed, or no server answers.
    """
    from agent_sdk.dispatch.tokens import WireTokenLine  # noqa: PLC0415  (a process whose tokens stay in it loads none)

    async with WireTokenLine.open(await _open_wire(url, clock), clock) as line:
        yield line


async def _open_wire(url: str, clock: Clock) -> Wire:
    match _scheme(url):
        case "nats" | "tls":
            try:
                from agent_sdk.dispatch.nats_link import NatsOptions  # noqa: PLC0415  (who has no NATS installs and loads no client)
                from agent_sdk.dispatch.nats_wire import NatsWire  # noqa: PLC0415  (the same)
            except ModuleNotFoundError as error:
                raise ConfigError("tokens over NATS need the package nats-py", hint="pip install 'agent-sdk[nats]'") from error
            return await NatsWire.open(NatsOptions(url))
        case "postgres" | "postgresql":
            try:
                from agent_sdk.dispatch.postgres_wire import PostgresWire  # noqa: PLC0415  (who has no Postgres installs and loads no client)
            except ModuleNotFoundError as error:
                raise ConfigError("tokens over Postgres need the package asyncpg", hint="pip install 'agent-sdk[postgres]'") from error
            return await PostgresWire.open(url, clock)
        case scheme:
            raise ConfigError(f"no token line goes over the scheme {scheme!r}", hint="write nats://host:4222 or postgresql://host/database")


def _scheme(url: str) -> str:
    return url.partition("://")[0]
