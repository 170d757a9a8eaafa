"""Brings the schema `agent_memory` of a database up to date: that of vectors only where they are asked for, since it wants an extension."""

from dataclasses import replace

from agent_sdk.core.errors import ConfigError, StorageReadOnly
from agent_sdk.storage.numbered import Migration, load_migrations, missing_of
from agent_sdk.storage.postgres.connect import OLDEST, Address, Connection, connect
from agent_sdk.storage.postgres.database import PATIENCE_S, patient
from agent_sdk.storage.postgres.failures import FAILURES, is_refused, sqlstate

_CLOSE_S = 5.0
_LOCK = 0x6167656E745F6D65
"""The key of the advisory lock: `agent_me` in ASCII."""
_RECORD = """
CREATE TABLE IF NOT EXISTS agent_memory.migrations (
    number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
_NO_EXTENSION = frozenset({"0A000", "58P01"})


async def prepare(address: Address, *, with_vectors: bool) -> None:
    """Apply what is missing, all or nothing; processes that do so at once wait for one another.

    Raises:
        ConfigError: the server is too old, or has no pgvector. JournalNewer, JournalCorrupt: the schema is another.
        StorageError: the database cannot be reached or changed.
    """
    unhurried = replace(address, settings={**address.settings, "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"})

    async def attempt(_: int) -> None:
        connection = await connect(unhurried, command_timeout_s=None)
        try:
            if await _missing(connection, address, with_vectors=with_vectors):
                await _apply(connection, address, with_vectors=with_vectors)
        finally:
            await connection.close(timeout=_CLOSE_S)

    await patient(attempt, address, patience_s=PATIENCE_S, is_over=is_refused)


async def _missing(connection: Connection, address: Address, *, with_vectors: bool) -> list[Migration]:
    ((version,),) = await connection.fetch("SELECT current_setting('server_version_num')::integer / 10000")
    if version < OLDEST:
        raise ConfigError(f"{address.name} is PostgreSQL {version}, which is too old", hint=f"use PostgreSQL {OLDEST} or newer")
    rows = await connection.fetch("SELECT number, checksum FROM agent_memory.migrations") if await _is_ours(connection) else []
    missing = missing_of(load_migrations("postgres_memory"), {row[0]: row[1] for row in rows}, address.name)
    return [migration for migration in missing if with_vectors or migration.name != "vectors"]


async def _is_ours(connection: Connection) -> bool:
    return bool(await connection.fetch("SELECT 1 WHERE to_regclass('agent_memory.migrations') IS NOT NULL"))


async def _apply(connection: Connection, address: Address, *, with_vectors: bool) -> None:
    # The lock comes before the transaction, which begins with a fresh look at what the processes before us have made.
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        async with connection.transaction():
            missing = await _missing(connection, address, with_vectors=with_vectors)
            if not await _is_ours(connection):  # who may not make a schema may be let into one that is there
                await connection.execute("CREATE SCHEMA IF NOT EXISTS agent_memory")
                await connection.execute(_RECORD)
            for migration in missing:
                await perform(connection, address, migration)
                await connection.execute(
                    "INSERT INTO agent_memory.migrations (number, name, checksum) VALUES ($1, $2, $3)",
                    migration.number, migration.name, migration.checksum,
                )  # fmt: skip
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def perform(connection: Connection, address: Address, migration: Migration) -> None:
    """Perform one script; what is wrong with pgvector is said in words.

    Raises:
        ConfigError: the server has no pgvector. StorageReadOnly: this user may not switch it on.
    """
    try:
        await connection.execute(migration.script)
    except FAILURES as error:
        if migration.name != "vectors":
            raise
        if sqlstate(error) in _NO_EXTENSION:
            hint = "install it, such as the package postgresql-17-pgvector, or name no embedding model"
            raise ConfigError(f"the server of {address.name} has no extension pgvector", hint=hint) from error
        if sqlstate(error) == "42501":
            hint = "let the database's owner do it once: CREATE EXTENSION vector"
            raise StorageReadOnly(f"{address.name} does not let this user switch pgvector on", hint=hint) from error
        raise
