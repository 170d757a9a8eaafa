"""The connections to a file of memories: one thread that writes and a few that read, so that the event loop waits for no disk."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Self, TypeVar

from agent_sdk.core.errors import ConfigError, StorageBusy, StorageError
from agent_sdk.storage.memories.distance import use_distance
from agent_sdk.storage.numbered import load_migrations
from agent_sdk.storage.sqlite.failures import storage_error
from agent_sdk.storage.sqlite.migrate import migrate
from agent_sdk.storage.sqlite.place import prepared

T = TypeVar("T")

_READERS = 2
_BUSY_S = 30.0
_RETRY_S = 0.01


class _Own(local):
    """What each thread that reads has to itself."""

    db: sqlite3.Connection | None = None


class SqliteLines:
    """Performs changes, one transaction each and durable on return, and queries beside them."""

    def __init__(self, path: Path, *, now_us: int, busy_s: float) -> None:
        self.path = path
        self._now_us = now_us
        self._busy_s = busy_s
        self._writers = ThreadPoolExecutor(1, thread_name_prefix=f"write {path.name}")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix=f"read {path.name}")
        self._writer: sqlite3.Connection | None = None
        self._own = _Own()
        self._opened: list[sqlite3.Connection] = []
        self._is_closed = False

    @classmethod
    async def open(cls, path: Path, *, now_us: int, busy_s: float = _BUSY_S) -> Self:
        """Open the file, made with its schema if there was none.

        Raises:
            ConfigError: no file of memories can lie there, or another program's does.
            StorageError: the file cannot be used.
        """
        path = await asyncio.to_thread(prepared, path)
        lines = cls(path, now_us=now_us, busy_s=busy_s)
        try:
            await lines._perform(lines._writers, lines._write_line)
        except BaseException:
            await lines.close()
            raise
        return lines

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Make a change, all or nothing. Where the caller is cancelled, it may be made all the same."""

        def change() -> T:
            db = self._write_line()
            db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
            return result

        return await self._perform(self._writers, change)

    async def wipe(self) -> None:
        """Empty the write-ahead log into the file, so that neither holds what was deleted: it waits for who reads meanwhile.

        Raises:
            StorageBusy: one reads for longer than that, and keeps what was deleted in the file.
        """
        deadline = time.monotonic() + self._busy_s
        while await self._perform(self._writers, self._left_to_wipe):  # SQLite does not wait while another process does the same
            if time.monotonic() > deadline:
                raise StorageBusy(
                    f"what was deleted is found no more, but another process reads {self.path} as it was before: its bytes stay there",
                    hint="end what reads it for so long, such as a copy or a shell, then delete it again",
                )
            await asyncio.sleep(_RETRY_S)

    def _left_to_wipe(self) -> bool:
        return bool(self._write_line().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await self._perform(self._readers, lambda: query(self._read_line()))

    async def close(self) -> None:
        """Let what is under way end, and close all connections."""
        if not self._is_closed:
            self._is_closed = True
            for pool in (self._writers, self._readers):
                await asyncio.to_thread(pool.shutdown)
            for db in self._opened:
                db.close()

    async def _perform(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._is_closed:
            raise StorageError(f"the memory {self.path} is closed", hint="open it again")
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except sqlite3.Error as error:
            raise storage_error(error, self.path) from error

    def _write_line(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = db = self._connect()
            _use_wal(db, self.path, self._busy_s)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            migrate(db, self.path, now_us=self._now_us, known=load_migrations("sqlite_memory"))
        return self._writer

    def _read_line(self) -> sqlite3.Connection:
        if self._own.db is None:
            db = self._connect()
            use_distance(db)
            db.execute("PRAGMA query_only = ON")
            self._own.db = db
        return self._own.db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False)
        self._opened.append(db)
        return db


def _use_wal(db: sqlite3.Connection, path: Path, busy_s: float) -> None:
    """Switch to the write-ahead log. SQLite does not wait by itself while another process does the same."""
    deadline = time.monotonic() + busy_s
    while True:
        try:
            _refuse_foreign(db, path)
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that holds tables, but not ours; nothing was written to it yet."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not {"migrations", "memories"} <= tables:
        what = "a journal" if {"migrations", "events"} <= tables else "a database of another program"
        raise ConfigError(f"{path} is {what}", hint="name a file of its own for the memory, such as sqlite:///memory.db")
