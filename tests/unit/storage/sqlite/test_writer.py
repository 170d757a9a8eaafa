"""The writer's groups: who shares a commit, and what one that fails does to the others."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Event

import pytest

from agent_sdk.core.errors import StorageError
from agent_sdk.storage.follow import Bells
from agent_sdk.storage.sqlite.guard import Guard
from agent_sdk.storage.sqlite.owners import Owners
from agent_sdk.storage.sqlite.writer import Writer
from agent_sdk.storage.sqlite.writes import Writes
from tests.contract.batches import Clock

SCHEMA = """
CREATE TABLE runs (owner TEXT);
CREATE TABLE parents (id INTEGER PRIMARY KEY);
CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
"""


class Bench:
    """A writer over a database of its own, and the statements that it was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statements: list[str] = []
        self.bells = Bells()
        self.writer = Writer(path, self.connect, self.bells, poll_s=0.001)

    def connect(self) -> Writes:
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
        db.execute("PRAGMA foreign_keys = ON")
        db.set_trace_callback(self.statements.append)
        return Writes(db, Clock(), Owners(self.path), Guard(self.path))

    async def together(self, *works: Callable[[Writes], object]) -> list[object]:
        """Do all of these in one group, and return their results or errors."""
        gate = Event()
        outcomes: list[object] = [None] * len(works)

        async def do(place: int, work: Callable[[Writes], object]) -> None:
            try:
                outcomes[place] = await self.writer.do(work)
            except (StorageError, ValueError) as error:
                outcomes[place] = error

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.writer.do(lambda _: gate.wait(5)))
            await asyncio.sleep(0.01)
            for place, work in enumerate(works):
                tasks.create_task(do(place, work))
            await asyncio.sleep(0)
            gate.set()
        return outcomes

    async def parents(self) -> list[int]:
        rows: list[tuple[int]] = await self.writer.do(lambda writes: writes.db.execute("SELECT id FROM parents ORDER BY id").fetchall())
        return [row[0] for row in rows]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "bench.db")
    await made.writer.open()
    yield made
    await made.writer.close()


def add(number: int) -> Callable[[Writes], int]:
    def work(writes: Writes) -> int:
        writes.db.execute("INSERT INTO parents VALUES (?)", (number,))
        return number

    return work


def refuse(writes: Writes) -> None:
    writes.db.execute("INSERT INTO parents VALUES (99)")
    raise ValueError("refused")


def orphan(writes: Writes) -> None:
    writes.db.execute("INSERT INTO children VALUES (77)")


def take_all_back(writes: Writes) -> None:
    writes.db.execute("INSERT OR ROLLBACK INTO parents VALUES (1)")


async def test_what_waits_together_is_committed_together(bench: Bench) -> None:
    assert await bench.together(*(add(number) for number in range(50))) == list(range(50))
    assert bench.statements.count("COMMIT") == 2


async def test_one_that_is_refused_fails_alone(bench: Bench) -> None:
    first, refused, last = await bench.together(add(1), refuse, add(2))
    assert (first, str(refused), last) == (1, "refused", 2)
    assert await bench.parents() == [1, 2]


async def test_an_error_of_sqlite_is_a_storage_error_of_one_alone(bench: Bench) -> None:
    first, failed, last = await bench.together(add(1), add(1), add(2))
    assert (first, type(failed), last) == (1, StorageError, 2)
    assert await bench.parents() == [1, 2]


async def test_a_commit_that_fails_is_taken_back_and_told_to_all(bench: Bench) -> None:
    assert [type(outcome) for outcome in await bench.together(add(1), orphan, add(2))] == [StorageError] * 3
    assert await bench.parents() == []
    assert await bench.together(add(1)) == [1]


async def test_a_transaction_that_sqlite_takes_back_fails_for_all(bench: Bench) -> None:
    assert [type(outcome) for outcome in await bench.together(add(1), take_all_back, add(2))] == [StorageError] * 3
    assert await bench.parents() == []


async def test_bells_ring_after_the_commit_and_for_what_was_written_alone(bench: Bench) -> None:
    with bench.bells.listen("done") as done, bench.bells.listen("refused") as refused:
        await bench.writer.do(add(1), "done")
        with pytest.raises(ValueError, match="refused"):
            await bench.writer.do(refuse, "refused")
        assert (done.is_set(), refused.is_set()) == (True, False)


async def test_all_bells_ring_once_another_connection_has_committed(bench: Bench) -> None:
    with bench.bells.listen("any") as bell:
        await bench.writer.do(add(1))
        await asyncio.sleep(0.01)
        assert not bell.is_set()
        other = sqlite3.connect(bench.path, isolation_level=None)
        other.execute("INSERT INTO parents VALUES (2)")
        other.close()
        async with asyncio.timeout(1):
            await bell.wait()


async def test_a_loop_that_is_gone_ends_the_thread(tmp_path: Path) -> None:
    """Nothing is left to tell: the thread ends at the next change that it cannot report."""

    async def forget() -> Bench:
        made = Bench(tmp_path / "gone.db")
        await made.writer.open()
        return made

    bench = await asyncio.to_thread(asyncio.run, forget())
    other = sqlite3.connect(bench.path, isolation_level=None)
    other.execute("INSERT INTO parents VALUES (2)")
    other.close()
    await asyncio.sleep(0.02)
