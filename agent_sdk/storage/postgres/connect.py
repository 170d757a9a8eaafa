"""Where the database lies, and how it is reached. With `failures.py` the one part that knows asyncpg."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen

try:
    import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  (it brings no types: see the protocols below)
except ModuleNotFoundError as error:
    raise ConfigError("the Postgres journal needs the package asyncpg", hint="pip install 'agent-sdk[postgres]'") from error

_asyncpg = cast("Any", asyncpg)

FORM = "write postgresql://user:password@host:5432/database; ?pool=10 bounds the connections of a process"
OLDEST = 14
"""The first major version with function bodies that are parsed when they are made."""
POOL = 8
CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 30.0
_SETTINGS: Mapping[str, str] = {
    "application_name": "agent_sdk",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",
    "statement_timeout": "20s",
    "idle_in_transaction_session_timeout": "60s",
    "plan_cache_mode": "force_generic_plan",  # to plan a group's statement anew takes longer than to perform it
    # All that we ask for is found by an index; the planner, who knows nothing of a table that is new, would read all of it, for ever after.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

Row = Sequence[Any]
"""A row of a result: its columns are read by place, as the statement names them."""


class Connection(Protocol):
    """What is used of asyncpg's connection."""

    async def fetch(self, query: str, *args: object) -> list[Row]: ...

    async def fetchrow(self, query: str, *args: object) -> Row | None: ...

    async def execute(self, query: str, *args: object) -> str: ...

    def transaction(self) -> AbstractAsyncContextManager[None]: ...

    async def add_listener(self, channel: str, callback: Callable[["Connection", int, str, str], None]) -> None: ...

    def add_termination_listener(self, callback: Callable[["Connection"], None]) -> None: ...

    def get_server_pid(self) -> int: ...

    def is_closed(self) -> bool: ...

    def terminate(self) -> None: ...

    async def close(self, *, timeout: float | None = None) -> None: ...  # noqa: ASYNC109  (asyncpg's own)


class Pool(Protocol):
    """What is used of asyncpg's pool."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


@frozen
class Address:
    """A database as a URL names it; `name` is that without password and options, for people."""

    name: str
    dsn: str = field(repr=False)
    pool: int = POOL
    settings: Mapping[str, str] = field(default_factory=lambda: _SETTINGS)


def parse_address(url: str) -> Address:
    """Read a URL of scheme `postgres` or `postgresql`.

    Options behind the `?` are asyncpg's (`host`, `sslmode`, ...), `pool` or a setting of the server's for each connection
    (`statement_timeout`). In front of the server there may be a PgBouncer in session mode; in transaction mode statements would not stay
    prepared, and nobody would hear a NOTIFY.

    Raises:
        ConfigError: the URL is malformed.
    """
    try:
        parts = urlsplit(url)
        host = "".join(filter(None, (parts.hostname, f":{parts.port}" if parts.port else "")))
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        pools = [int(value) for name, value in options if name == "pool"] or [POOL]
    except ValueError:
        raise ConfigError("the journal's postgresql: URL is malformed", hint=FORM) from None  # the cause would show a part of the URL
    if min(pools) < 1 or parts.fragment or "@" in parts.path:
        raise ConfigError("the journal's postgresql: URL is malformed", hint=FORM)
    others = [(name, value) for name, value in options if name != "pool"]
    dsn = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(others), ""))
    user = f"{parts.username}@" if parts.username else ""
    given = {name for name, _ in others}
    settings = {name: value for name, value in _SETTINGS.items() if name not in given}
    return Address(f"postgresql://{user}{host}{parts.path}", dsn, pools[-1], settings)


async def connect(address: Address, *, command_timeout_s: float | None = COMMAND_TIMEOUT_S) -> Connection:
    """Open one connection; errors are asyncpg's."""
    connecting = _asyncpg.connect(
        address.dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=command_timeout_s, server_settings=dict(address.settings)
    )
    return cast("Connection", await connecting)


async def open_pool(address: Address) -> Pool:
    """Open a pool that grows to `address.pool` connections; errors are asyncpg's."""
    pool = _asyncpg.create_pool(
        address.dsn,
        min_size=0,
        max_size=address.pool,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=dict(address.settings),
        reset=_leave,
    )
    return cast("Pool", await pool)


async def _leave(connection: Connection) -> None:
    """Reset nothing: none of our statements leaves anything in a session, and each reset would be a round trip."""
