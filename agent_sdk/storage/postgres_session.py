"""A connection of one's own for work on a whole database, which may take long."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from agent_sdk.storage.postgres.connect import Connection, connect, parse_address
from agent_sdk.storage.postgres.failures import FAILURES, translated

_UNHURRIED = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "lock_timeout": "10s"}
_CLOSE_S = 10.0


@asynccontextmanager
async def session(url: str) -> AsyncGenerator[Connection]:
    """Connect for as long as the block lasts; only locks are not waited for without end.

    Raises:
        ConfigError, StorageError: the database cannot be reached, or a statement failed.
    """
    address = parse_address(url)
    try:
        connection = await connect(replace(address, settings={**address.settings, **_UNHURRIED}), command_timeout_s=None)
        try:
            yield connection
        finally:
            await connection.close(timeout=_CLOSE_S)
    except FAILURES as error:
        raise translated(error, address.name) from error


async def value(connection: Connection, query: str) -> Any:  # noqa: ANN401  (whatever the one column of the one row holds)
    """Return what a query finds that has one row of one column."""
    ((found,),) = await connection.fetch(query)
    return found


async def server_time_us(url: str) -> int:
    """Return the server's time in microseconds since 1970."""
    async with session(url) as connection:
        return int(await value(connection, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))
