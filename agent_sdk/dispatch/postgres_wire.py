"""The wire over Postgres: LISTEN and NOTIFY on a connection of its own, which is made anew when it is lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  (it brings no types: see the protocol below)

from agent_sdk.core.errors import ConfigError, OutsideError
from agent_sdk.core.ports import Clock
from agent_sdk.dispatch.wire import Arrived

PAUSE_S = 0.05
"""A NOTIFY takes a lock of the whole database at its commit: twenty a second and process do no harm, one a token would."""
CHARACTERS = 1900
"""In one notification: its payload has to be below 8,000 bytes, and a character may have four."""
MAX_PARTS = 128
"""A message of more notifications is dropped."""
CONNECT_S = 10.0
COMMAND_S = 10.0
RETRY_S = 1.0

_asyncpg = cast("Any", asyncpg)
_FAILURES: tuple[type[Exception], ...] = (_asyncpg.PostgresError, _asyncpg.InterfaceError, OSError, TimeoutError)
_log = logging.getLogger(__name__)


class _Connection(Protocol):
    """What is used of asyncpg's connection."""

    async def executemany(self, command: str, args: Sequence[tuple[str, str]]) -> None: ...

    async def add_listener(self, channel: str, callback: Callable[[object, int, str, str], None]) -> None: ...

    async def remove_listener(self, channel: str, callback: Callable[[object, int, str, str], None]) -> None: ...

    def get_server_pid(self) -> int: ...

    def is_closed(self) -> bool: ...

    async def close(self, *, timeout: float | None = None) -> None: ...  # noqa: ASYNC109  (asyncpg's own)


class PostgresWire:
    """Each topic is a channel. A message over the size of a notification goes in parts, which Postgres delivers in their order."""

    pause_s = PAUSE_S

    def __init__(self, url: str, clock: Clock) -> None:
        self._dsn = _without_pool(url)
        self._clock = clock
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()
        self._failed_at: float | None = None
        self._listeners: dict[str, Arrived] = {}
        self._parts: dict[tuple[str, int], list[str]] = {}
        self._sent = 0
        self._is_closed = False

    @classmethod
    async def open(cls, url: str, clock: Clock) -> "PostgresWire":
        """Connect.

        Raises:
            ConfigError: the URL is malformed, or its database cannot be reached.
        """
        wire = cls(url, clock)
        try:
            await wire._do("answer", _nothing)
        except OutsideError as error:
            raise ConfigError(error.message, hint="look at the address, and whether the server runs") from error
        return wire

    async def send(self, messages: Sequence[tuple[str, bytes]]) -> None:
        notes = [(f"agent_sdk_{topic}", part) for topic, data in messages for part in self._split(data.decode())]
        await self._do("take a message", lambda connection: connection.executemany("SELECT pg_notify($1, $2)", notes))

    async def listen(self, topic: str, arrived: Arrived) -> None:
        self._listeners[topic] = arrived
        await self._do("begin to listen", lambda connection: connection.add_listener(f"agent_sdk_{topic}", self._notified))

    async def ignore(self, topic: str) -> None:
        self._listeners.pop(topic, None)
        self._parts = {key: parts for key, parts in self._parts.items() if key[0] != topic}
        await self._do("cease to listen", lambda connection: connection.remove_listener(f"agent_sdk_{topic}", self._notified))

    async def close(self) -> None:
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await _closed(connection)

    async def _do(self, what: str, act: Callable[[_Connection], Awaitable[None]]) -> None:
        """Do one thing at a time, since a connection can no more."""
        async with self._turn:
            connection = await self._connected()
            try:
                await act(connection)
            except _FAILURES as error:
                raise OutsideError(f"Postgres did not {what}: {type(error).__name__}") from error

    async def _connected(self) -> _Connection:
        """Return the connection, made anew where it was lost; after a failure not before a moment has passed."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self._is_closed or (self._failed_at is not None and self._clock.monotonic() < self._failed_at + RETRY_S):
            raise OutsideError("there is no connection to Postgres")
        try:
            self._connection = await self._connect()
        except _FAILURES as error:
            self._failed_at = self._clock.monotonic()
            raise OutsideError(f"no connection to Postgres can be made: {type(error).__name__}") from None  # its text may show the URL
        return self._connection

    async def _connect(self) -> _Connection:
        settings = {"application_name": "agent_sdk tokens"}
        connection = cast(
            "_Connection",
            await _asyncpg.connect(self._dsn, timeout=CONNECT_S, command_timeout=COMMAND_S, server_settings=settings),
        )
        self._parts.clear()
        try:
            for topic in self._listeners:
                await connection.add_listener(f"agent_sdk_{topic}", self._notified)
        except _FAILURES:
            await _closed(connection)
            raise
        return connection

    def _notified(self, _: object, pid: int, channel: str, payload: str) -> None:
        """Take one notification: its number, then `+` where more parts follow or `.` where the message is whole."""
        if self._connection is not None and pid == self._connection.get_server_pid():
            return
        topic, (_, mark, part) = channel.removeprefix("agent_sdk_"), _marked(payload)
        parts = self._parts.setdefault((topic, pid), [])
        parts.append(part)
        if mark == ".":
            del self._parts[topic, pid]
        if mark == "." and (arrived := self._listeners.get(topic)) is not None:
            arrived(topic, "".join(parts).encode())

    def _split(self, text: str) -> Iterator[str]:
        """Yield a message's notifications. Each has a number, since of two equal ones in a transaction Postgres sends one."""
        if len(text) > CHARACTERS * MAX_PARTS:
            return
        for start in range(0, len(text), CHARACTERS):
            self._sent += 1
            mark = "." if start + CHARACTERS >= len(text) else "+"
            yield f"{self._sent}{mark}{text[start : start + CHARACTERS]}"


async def _nothing(_: _Connection) -> None:
    """Do nothing with a connection that there is."""


def _marked(payload: str) -> tuple[str, str, str]:
    digits = len(payload) - len(payload.lstrip("0123456789"))
    return payload[:digits], payload[digits : digits + 1], payload[digits + 1 :]


def _without_pool(url: str) -> str:
    """Return the URL without the options that are the journal's alone."""
    try:
        parts = urlsplit(url)
        options = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "pool"]
        return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(options), ""))
    except ValueError:
        raise ConfigError(
            "the postgresql: URL of the token line is malformed", hint="write postgresql://user:password@host:5432/db"
        ) from None


async def _closed(connection: _Connection) -> None:
    try:
        await connection.close(timeout=RETRY_S)
    except _FAILURES as error:
        _log.debug("a connection was not closed in order: %s", type(error).__name__)
