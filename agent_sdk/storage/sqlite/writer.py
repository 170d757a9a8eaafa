"""The one thread of a process that writes to a database: it takes whatever waits, and commits it together."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from agent_sdk.storage.follow import Bells
from agent_sdk.storage.sqlite.failures import closed, storage_error
from agent_sdk.storage.sqlite.tail import Tail
from agent_sdk.storage.sqlite.writes import Writes

T = TypeVar("T")

_MOST_A_COMMIT = 1024


@dataclass(slots=True)
class _Job(Generic[T]):
    """A change, who waits for it, and the bells to ring once it is durable."""

    work: Callable[[Writes], T]
    done: "asyncio.Future[T]"
    rings: tuple[Hashable, ...]
    result: T | None = None
    error: Exception | None = None


class Writer:
    """Performs changes in groups: one transaction and one sync for all that wait, a savepoint for each, so that one refused fails alone.

    The thread lives from `open` to `close`. Every `poll_s` it looks whether another process has committed, and if so rings the
    bells of whatever that has moved.
    """

    def __init__(self, path: Path, connect: Callable[[], Writes], bells: Bells, *, poll_s: float) -> None:
        self._path = path
        self._connect = connect
        self._bells = bells
        self._poll_s = poll_s
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._tail = Tail()
        self._is_closing = False

    async def open(self) -> None:
        """Start the thread and wait until it is connected.

        Raises:
            AgentSDKError: whatever `connect` raised, SQLite's errors as storage errors.
        """
        Thread(target=self._run, name=f"journal {self._path.name}", daemon=True).start()
        try:
            await self._opened
        except asyncio.CancelledError:
            self._stop()
            raise

    async def do(self, work: Callable[[Writes], T], *rings: Hashable) -> T:
        """Make a change, durable on return. Where the caller is cancelled, the change may be made all the same."""
        if self._is_closing:
            raise closed(self._path)
        done: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, done, rings))
        return await done

    async def close(self) -> None:
        """Make the changes that wait, then end the thread."""
        self._stop()
        await asyncio.shield(self._closed)

    def _stop(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._queue.put(None)

    def _run(self) -> None:
        try:
            writes = self._connect()
        except Exception as error:  # noqa: BLE001  (handed to `open`, which waits for it)
            self._tell(_fail, self._opened, self._translated(error))
            return
        self._tell(_succeed, self._opened)
        try:
            self._serve(writes)
        finally:
            with suppress(sqlite3.Error):
                writes.close()
            self._tell(self._ended)

    def _serve(self, writes: Writes) -> None:
        version, looked_at = _data_version(writes.db), time.monotonic()
        while True:
            taken = self._take()
            jobs = [job for job in taken if job is not None]
            if jobs:
                self._commit(writes, jobs)
                if not self._tell(self._settle, jobs):
                    return
            if len(jobs) < len(taken):
                return
            if time.monotonic() - looked_at >= self._poll_s:
                before, version, looked_at = version, _data_version(writes.db), time.monotonic()
                if before != version and not self._tell(self._bells.ring_each, self._moved(writes)):
                    return

    def _moved(self, writes: Writes) -> Sequence[Hashable]:
        """Return the bells that another process's commit is to ring: all of them where it cannot be seen what it was."""
        keys = self._bells.keys()
        try:
            return self._tail.moved(writes.db, keys)
        except sqlite3.Error:
            return keys

    def _take(self) -> list[_Job[Any] | None]:
        """Wait for a change, but not past the next look at the file, and take all that wait with it."""
        taken: list[_Job[Any] | None] = []
        with suppress(Empty):
            taken.append(self._queue.get(timeout=self._poll_s))
            while len(taken) < _MOST_A_COMMIT:
                taken.append(self._queue.get_nowait())
        return taken

    def _commit(self, writes: Writes, jobs: Sequence[_Job[Any]]) -> None:
        """Make the changes of all jobs, or none where the transaction itself fails: then SQLite has taken it back, also at its commit."""
        db = writes.db
        try:
            writes.begin()
            for job in jobs:
                _attempt(writes, job)
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  (handed to all callers, who wait for it)
            if db.in_transaction:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
            for job in jobs:
                job.error = error

    def _settle(self, jobs: Sequence[_Job[Any]]) -> None:
        for job in jobs:
            if job.error is None:
                _succeed(job.done, job.result)
                for key in job.rings:
                    self._bells.ring(key)
            else:
                _fail(job.done, self._translated(job.error))

    def _ended(self) -> None:
        """Leave nobody waiting: no more jobs come in, since they come in on this loop too."""
        self._is_closing = True
        while not self._queue.empty():
            if (job := self._queue.get()) is not None:
                _fail(job.done, closed(self._path))
        _succeed(self._closed)

    def _translated(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        translated = storage_error(error, self._path)
        translated.__cause__ = error
        return translated

    def _tell(self, callback: Callable[..., None], *args: object) -> bool:
        """Call back on the loop, and say whether the loop still lives."""
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            return False
        return True


def _attempt(writes: Writes, job: _Job[Any]) -> None:
    writes.db.execute("SAVEPOINT job")
    try:
        job.result = job.work(writes)
    except Exception as error:
        if not writes.db.in_transaction:  # SQLite took the whole transaction back, as on a full disk
            raise
        writes.db.execute("ROLLBACK TO job")
        job.error = error
    writes.db.execute("RELEASE job")


def _succeed(future: "asyncio.Future[T | None]", result: T | None = None) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _data_version(db: sqlite3.Connection) -> int:
    """Return a number that changes when another connection commits, and not when this one does; -1 where the file cannot be read."""
    try:
        version: int = db.execute("PRAGMA data_version").fetchone()[0]
    except sqlite3.Error:
        return -1
    return version
