"""The Postgres journal as a store of the contract: each in a database of its own, copied from one that has the schema."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit, urlunsplit

from agent_sdk.core.ports import Journal
from agent_sdk.storage.postgres.connect import Connection, connect, parse_address
from agent_sdk.storage.postgres.journal import PostgresJournal
from agent_sdk.storage.postgres.migrate import migrate

_TEMPLATE = "journal_template"
_numbers = count(1)


@dataclass
class PostgresStore:
    """Its time is the server's, moved on by another body of the function that all statements ask."""

    url: str
    journal: PostgresJournal
    ahead_us: int = 0
    opened: list[Journal] = field(default_factory=list[Journal])
    knows_the_dead = False

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    async def pass_s(self, seconds: float) -> None:
        self.ahead_us += int(seconds * 1e6)
        async with connected(self.url) as connection:
            await connection.execute(
                "CREATE OR REPLACE FUNCTION agent_sdk.now_us() RETURNS bigint LANGUAGE sql STABLE "
                f"RETURN (extract(epoch FROM statement_timestamp()) * 1000000)::bigint + {self.ahead_us}"
            )

    async def beside(self) -> Journal:
        other = await PostgresJournal.open(self.url)
        self.opened.append(other)
        return other


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Connection]:
    connection = await connect(parse_address(url))
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def empty_database(server_url: str) -> AsyncGenerator[str]:
    """Hand out the URL of a database with the journal's schema and nothing in it."""
    parts = urlsplit(server_url)
    name = f"journal_{next(_numbers)}"
    async with connected(server_url) as admin:
        if not await admin.fetch("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE):
            await admin.execute(f"CREATE DATABASE {_TEMPLATE}")
            await migrate(urlunsplit(parts._replace(path=f"/{_TEMPLATE}")))
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        async with connected(server_url) as admin:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def postgres_store(server_url: str) -> AsyncGenerator[PostgresStore]:
    async with empty_database(server_url) as url:
        journal = await PostgresJournal.open(url)
        store = PostgresStore(url, journal)
        try:
            yield store
        finally:
            for opened in (*store.opened, journal):
                await opened.close()
