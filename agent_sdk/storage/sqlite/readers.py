"""The threads of a process that read from a database, a connection each: they wait neither for the writer nor for its disk."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import TypeVar

from agent_sdk.storage.sqlite.connect import connect_reader
from agent_sdk.storage.sqlite.failures import closed, storage_error
from agent_sdk.storage.sqlite.reads import Reads

T = TypeVar("T")

_THREADS = 2


class _Own(local):
    """What each thread has to itself."""

    reads: Reads | None = None


class Readers:
    """Performs queries; connects at the first one."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"read {path.name}")
        self._own = _Own()
        self._all: list[Reads] = []
        self._is_closed = False

    async def do(self, query: Callable[[Reads], T]) -> T:
        if self._is_closed:
            raise closed(self._path)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._perform, query)

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._pool.shutdown)
            for reads in self._all:
                reads.db.close()

    def _perform(self, query: Callable[[Reads], T]) -> T:
        try:
            return query(self._reads())
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error

    def _reads(self) -> Reads:
        if self._own.reads is None:
            self._own.reads = Reads(connect_reader(self._path, busy_timeout_s=self._busy_timeout_s))
            self._all.append(self._own.reads)
        return self._own.reads
