"""Brings a database up to this code's schema: numbered files, each applied once, in order, under a lock that all processes ask for."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from agent_sdk.core.errors import ConfigError
from agent_sdk.storage.numbered import Migration, load_migrations, missing_of
from agent_sdk.storage.postgres.connect import OLDEST, Address, Connection, connect, parse_address
from agent_sdk.storage.postgres.database import PATIENCE_S, patient
from agent_sdk.storage.postgres.failures import is_refused

T = TypeVar("T")

_CLOSE_S = 5.0
_LOCK = 0x6167656E745F7364
"""The key of the advisory lock: `agent_sd` in ASCII."""
_RECORD = """
CREATE TABLE IF NOT EXISTS agent_sdk.migrations (
    number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


def migrations() -> list[Migration]:
    """Return the scripts that this code brings, in order."""
    return load_migrations("postgres")


async def pending(url: str) -> list[int]:
    """Return the numbers of the migrations that the database at `url` lacks.

    Raises:
        ConfigError, StorageError: it cannot be reached.
        JournalNewer, JournalCorrupt: its schema is not one that this code brings up to date.
    """

    async def look(connection: Connection) -> list[int]:
        return [migration.number for migration in await lacking(connection, parse_address(url), migrations())]

    return await _connected(url, look)


async def migrate(url: str) -> list[int]:
    """Apply what the database at `url` lacks, and return the numbers; processes that do so at once wait for one another.

    Raises:
        ConfigError, StorageError: it cannot be reached or changed.
        JournalNewer, JournalCorrupt: its schema is not one that this code brings up to date.
    """
    return await _connected(url, lambda connection: apply(connection, parse_address(url), migrations()))


async def prepare(address: Address, known: Sequence[Migration], *, may_migrate: bool) -> None:
    """See to it that the database has this code's schema. An empty one gets it; one of an older version only where `may_migrate`.

    Raises:
        ConfigError: its schema is behind. JournalNewer, JournalCorrupt: it is another.
    """

    async def see(connection: Connection) -> list[int]:
        missing = await lacking(connection, address, known)
        if not missing:
            return []
        if len(missing) < len(known) and not may_migrate:
            raise ConfigError(
                f"the schema of {address.name} lacks {len(missing)} of {len(known)} migrations", hint="run `agent-sdk migrate`"
            )
        return await apply(connection, address, known)

    await _through(address, see)


async def lacking(connection: Connection, address: Address, known: Sequence[Migration]) -> list[Migration]:
    """Return those of `known` that were not applied, having compared the others.

    Raises:
        ConfigError: the server is too old.
        JournalNewer: the database has migrations that this code does not know.
        JournalCorrupt: a migration was applied in another form than this code brings.
    """
    ((version, is_ours),) = await connection.fetch(
        "SELECT current_setting('server_version_num')::integer / 10000, to_regclass('agent_sdk.migrations') IS NOT NULL"
    )
    if version < OLDEST:
        raise ConfigError(f"{address.name} is PostgreSQL {version}, which is too old", hint=f"use PostgreSQL {OLDEST} or newer")
    if not is_ours:
        return list(known)
    rows = await connection.fetch("SELECT number, checksum FROM agent_sdk.migrations")
    applied: dict[int, str] = {number: checksum for number, checksum in rows}  # noqa: C416  (a row is no tuple to the type checkers)
    return missing_of(known, applied, address.name)


async def apply(connection: Connection, address: Address, known: Sequence[Migration]) -> list[int]:
    """Apply what is missing, all or nothing."""
    # The lock comes before the transaction, which begins with a fresh look at what the processes before us have made.
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        async with connection.transaction():
            return await _apply_missing(connection, await lacking(connection, address, known))
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _apply_missing(connection: Connection, missing: Sequence[Migration]) -> list[int]:
    await connection.execute("CREATE SCHEMA IF NOT EXISTS agent_sdk")
    await connection.execute(_RECORD)
    for migration in missing:
        await connection.execute(migration.script)
        await connection.execute(
            "INSERT INTO agent_sdk.migrations (number, name, checksum) VALUES ($1, $2, $3)",
            migration.number, migration.name, migration.checksum,
        )  # fmt: skip
    return [migration.number for migration in missing]


async def _connected(url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    return await _through(parse_address(url), work)


async def _through(address: Address, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` on a connection of its own, without limits of time: a migration may take long."""
    unhurried = replace(address, settings={**address.settings, "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"})

    async def attempt(_: int) -> T:
        connection = await connect(unhurried, command_timeout_s=None)
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=_CLOSE_S)

    return await patient(attempt, address, patience_s=PATIENCE_S, is_over=is_refused)
