"""Copies of a Postgres journal, by PostgreSQL's own `pg_dump` and `pg_restore`."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import field
from pathlib import Path
from typing import Literal

from agent_sdk.core.errors import NotFound, RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId
from agent_sdk.storage.copier import Contents, NoScratch, Scratch
from agent_sdk.storage.postgres.connect import Connection, parse_address
from agent_sdk.storage.postgres_session import session, value
from agent_sdk.storage.postgres_tools import PostgresTools, with_database

_CONTENTS = """
SELECT (SELECT max(number) FROM agent_sdk.migrations), (SELECT count(*) FROM agent_sdk.runs),
    (SELECT count(*) FROM agent_sdk.runs WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'expired')),
    (SELECT count(*) FROM agent_sdk.events)
"""
_HAS_SCHEMA = "SELECT count(*) > 0 FROM pg_namespace WHERE nspname = 'agent_sdk'"
_HAS_JOURNAL = "SELECT to_regclass('agent_sdk.runs') IS NOT NULL"
_LEASES = "SELECT count(*) FROM agent_sdk.runs WHERE owner IS NOT NULL AND lease_until > agent_sdk.now_us()"
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'agent_sdk' AND pid <> pg_backend_pid()
"""
_RESTORE = ("--single-transaction", "--no-owner", "--no-privileges")


@frozen
class PostgresCopier:
    """The journal in a database. With an empty `url` there is no server to bring a copy back to."""

    url: str = field(repr=False)
    tools: PostgresTools
    store: Literal["postgresql"] = "postgresql"
    file: str = "journal.dump"

    async def copy(self, to: Path) -> Contents:
        """Dump the journal's schema; what is counted is counted in the same snapshot."""
        async with session(self.url) as connection:
            await self.tools.require_newest("pg_dump", await _version(connection))
            if not await value(connection, _HAS_JOURNAL):
                raise NotFound(f"there is no journal in {parse_address(self.url).name}", hint="name the database that has the runs")
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = await value(connection, "SELECT pg_export_snapshot()")
            (counted,) = await connection.fetch(_CONTENTS)
            options = ("--format=custom", "--schema=agent_sdk", f"--snapshot={snapshot}", f"--file={to}")
            await self.tools.run("pg_dump", *options, url=self.url)
            return Contents(*counted)

    async def require_free(self, *, force: bool) -> None:
        async with session(self.url) as connection:
            await self.tools.require_newest("pg_restore", await _version(connection))
            await _refuse_use(connection, force=force)

    async def restore(self, copy: Path, *, force: bool) -> None:
        """Bring the copy back; a journal that it replaces is put aside until that is done."""
        aside = f"agent_sdk_{secrets.token_hex(4)}"
        async with session(self.url) as connection:
            await _refuse_use(connection, force=force)
            replaces = await value(connection, _HAS_SCHEMA)
            if replaces:
                await connection.execute(f"ALTER SCHEMA agent_sdk RENAME TO {aside}")
            try:
                await self.tools.run("pg_restore", *_RESTORE, str(copy), url=self.url)
            except BaseException:
                if replaces:
                    await connection.execute(f"ALTER SCHEMA {aside} RENAME TO agent_sdk")
                raise
            if replaces:
                await connection.execute(f"DROP SCHEMA {aside} CASCADE")

    @asynccontextmanager
    async def scratch(self, copy: Path) -> AsyncGenerator[Scratch]:
        if not self.url:
            await self.tools.run("pg_restore", "--list", str(copy))
            raise NoScratch("no server was named to restore it to")
        name = f"agent_sdk_verify_{secrets.token_hex(6)}"
        url = with_database(self.url, name)
        async with session(self.url) as connection:
            await self.tools.require_newest("pg_restore", await _version(connection))
            if not await value(connection, "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"):
                await self.tools.run("pg_restore", "--list", str(copy))
                raise NoScratch("this user may make no database on the server (it lacks CREATEDB)")
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
            try:
                await self.tools.run("pg_restore", *_RESTORE, str(copy), url=url)
                yield Scratch(url, await _tenants(url))
            finally:
                await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def _tenants(url: str) -> tuple[TenantId, ...]:
    async with session(url) as connection:
        found = await connection.fetch("SELECT DISTINCT tenant FROM agent_sdk.runs ORDER BY tenant")
    return tuple(TenantId(tenant) for (tenant,) in found)


async def _refuse_use(connection: Connection, *, force: bool) -> None:
    """Refuse to overwrite.

    Raises:
        RequestError: somebody uses the journal, or there is one and not `force`.
    """
    others = await value(connection, _OTHERS)
    leases = await value(connection, _LEASES) if await value(connection, _HAS_JOURNAL) else 0
    if others or leases:
        raise RequestError(
            f"the journal is in use: {others} connections of agent_sdk are open to it, and {leases} runs are held",
            hint="end the processes that use it, then restore",
        )
    if not force and await value(connection, _HAS_SCHEMA):
        raise RequestError("there is a journal in this database", hint="restore to another one, or overwrite this one with --force")


async def _version(connection: Connection) -> int:
    return int(await value(connection, "SELECT current_setting('server_version_num')")) // 10_000
