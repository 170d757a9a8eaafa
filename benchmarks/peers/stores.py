"""Where the runs are kept: a fresh SQLite file or Postgres database for each sample, both synced in full."""

import asyncio
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, Literal

from agent_sdk.testing.postgres import PrivatePostgres

Kind = Literal["SQLite", "Postgres"]


@dataclass(frozen=True, slots=True)
class Store:
    """A place for one sample's runs; `size_kib` reads it after a checkpoint, as it is without a VACUUM."""

    url: str
    size_kib: Callable[[], float]


class Stores:
    """Makes stores, in a folder and on a server that whoever made it closes."""

    def __init__(self, folder: Path, server: PrivatePostgres | None) -> None:
        self.kinds: tuple[Kind, ...] = ("SQLite",) if server is None else ("SQLite", "Postgres")
        self._folder = folder
        self._server = server
        self._numbers = count(1)

    @contextmanager
    def fresh(self, kind: Kind) -> Generator[Store]:
        name = f"bench_{next(self._numbers)}"
        if kind == "SQLite":
            path = self._folder / f"{name}.db"
            yield Store(f"sqlite:///{path}", lambda: _file_kib(path))
            for file in self._folder.glob(f"{name}.db*"):
                if file.is_file():
                    file.unlink()
            return
        assert self._server is not None
        url = self._server.create_database(name)
        try:
            yield Store(url, lambda: asyncio.run(_database_kib(url)))
        finally:
            self._server.drop_database(name)


def _file_kib(path: Path) -> float:
    """Read the file's size with its log in it; the journal mode stays what the system made it."""
    db = sqlite3.connect(path, timeout=30)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if file.is_file()) / 1024


async def _database_kib(url: str) -> float:
    asyncpg: Any = import_module("asyncpg")  # it brings no types, and SQLite needs it not
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CHECKPOINT")
        return float(await connection.fetchval("SELECT pg_database_size(current_database())")) / 1024
    finally:
        await connection.close()
