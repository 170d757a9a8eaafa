"""What a SQLite journal does beyond its contract: files that are not well, and what lies in them."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from agent_sdk.core.envelope import ARTIFACT_THRESHOLD_BYTES, artifacts_named
from agent_sdk.core.errors import ConfigError, JournalCorrupt, JournalNewer, StorageBusy, StorageError, StorageFull
from agent_sdk.core.events import StepFinished, StepStarted
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.ports import InboxDraft
from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import RUN, START_US, TENANT, Clock, Hand, begin, created, finished, take


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@asynccontextmanager
async def opened(path: Path, *, busy_timeout_s: float = 5.0, max_bytes: int | None = None) -> AsyncGenerator[SqliteJournal]:
    journal = await SqliteJournal.open(path, clock=Clock(), busy_timeout_s=busy_timeout_s, max_bytes=max_bytes)
    try:
        yield journal
    finally:
        await journal.close()


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SqliteJournal]:
    async with opened(path) as journal:
        yield journal


def execute(path: Path, *statements: str) -> list[tuple[object, ...]]:
    """Lay hands on the file, past the journal; return the rows of the last statement."""
    rows: list[tuple[object, ...]] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            rows = db.execute(statement).fetchall()
    return rows


class TestOpening:
    async def test_what_was_written_is_there_when_opened_again(self, path: Path) -> None:
        async with opened(path) as journal:
            await begin(journal)
        async with opened(path) as journal:
            assert (await journal.row(TENANT, RUN)).head == 2
            assert await journal.check_integrity() == []

    async def test_nothing_but_the_database_is_left_when_it_is_closed(self, path: Path) -> None:
        async with opened(path) as journal:
            await (await begin(journal)).end()
        assert sorted(file.name for file in path.parent.rglob("*")) == ["agent.db", "agent.db.owners"]

    async def test_a_file_that_is_no_database_is_left_alone(self, path: Path) -> None:
        path.write_text("Dear diary, " * 1000)
        with pytest.raises(JournalCorrupt, match="not a database"):
            await SqliteJournal.open(path, clock=Clock())
        assert path.read_text().startswith("Dear diary")

    async def test_another_program_s_database_is_left_alone(self, path: Path) -> None:
        execute(path, "CREATE TABLE bookmarks (url TEXT)")
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="another program"):
            await SqliteJournal.open(path, clock=Clock())
        assert path.read_bytes() == before

    async def test_a_newer_journal_is_refused(self, path: Path) -> None:
        async with opened(path):
            pass
        execute(path, "INSERT INTO migrations VALUES (999, 'future', 'abc', 0)")
        with pytest.raises(JournalNewer) as refused:
            await SqliteJournal.open(path, clock=Clock())
        assert "upgrade" in (refused.value.hint or "")

    async def test_a_locked_file_is_worth_another_try(self, path: Path) -> None:
        async with opened(path, busy_timeout_s=0.02) as journal:
            await journal.create(TENANT, RUN, [created()])
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StorageBusy, match="locked by another process") as refused:
                    await journal.put(TENANT, RUN, InboxDraft("cancel", None))
                assert refused.value.retryable
                other.execute("ROLLBACK")
            assert await journal.put(TENANT, RUN, InboxDraft("cancel", None)) == 1

    async def test_a_file_locked_at_its_opening_says_so(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StorageBusy):
                await SqliteJournal.open(path, clock=Clock(), busy_timeout_s=0.02)

    async def test_an_opening_that_is_cancelled_leaves_no_thread(self, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await SqliteJournal.open(path, clock=Clock(), busy_timeout_s=0.05)
        async with opened(path) as journal:
            await begin(journal)


class TestFull:
    async def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(self, path: Path) -> None:
        async with opened(path, max_bytes=256 * 1024) as journal:
            hand = await begin(journal)
            with pytest.raises(StorageFull) as refused:
                await _fill(hand)
            assert "free disk space" in (refused.value.hint or "")
            assert (await journal.row(TENANT, RUN)).head == hand.head > 2
        async with opened(path) as journal:
            assert await verify_chain(journal, TENANT, RUN) is None
            again = await begin(journal, run_id=RunId("run-2"))
            await again.append(finished("x" * 20_000))


async def _fill(hand: Hand) -> None:
    while True:
        await hand.append(finished("x" * 20_000))


class TestDamage:
    async def test_an_altered_event_is_named(self, journal: SqliteJournal, path: Path) -> None:
        hand = await begin(journal)
        await hand.append(*(finished(number) for number in range(4)))
        execute(path, "UPDATE events SET body = CAST('{\"output\":42}' AS BLOB) WHERE seq = 4")
        assert await verify_chain(journal, TENANT, RUN) == 4

    async def test_an_altered_artifact_is_not_handed_out(self, journal: SqliteJournal, path: Path) -> None:
        hand = await begin(journal)
        await hand.append(finished("x" * ARTIFACT_THRESHOLD_BYTES))
        (artifact,) = artifacts_named((await journal.read(TENANT, RUN))[2]).values()
        execute(path, "UPDATE artifacts SET data = CAST('\"y\"' AS BLOB)")
        with pytest.raises(JournalCorrupt, match=artifact):
            await journal.artifact(TENANT, artifact)

    async def test_a_damaged_page_is_found(self, path: Path) -> None:
        async with opened(path) as journal:
            hand = await begin(journal)
            await hand.append(*(finished("x" * 1000) for _ in range(50)))
        damaged = bytearray(path.read_bytes())
        damaged[-20_000:] = b"\xa5" * 20_000
        path.write_bytes(damaged)
        async with opened(path) as journal:
            assert await journal.check_integrity()

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            ("DELETE FROM events WHERE seq = 2", "run run-1 of acme stands at event 4, and 3 are stored"),
            ("DELETE FROM inbox", "run run-1 of acme counts 1 inbox items, and 0 are stored"),
            ("DELETE FROM artifacts", "which run run-1 names, is not stored"),
            ("DELETE FROM runs", "the events of run run-1 of acme belong to no run"),
        ],
    )
    async def test_rows_that_do_not_fit_one_another_are_found(
        self, journal: SqliteJournal, path: Path, statement: str, problem: str
    ) -> None:
        hand = await begin(journal)
        await hand.append(finished(), finished("x" * ARTIFACT_THRESHOLD_BYTES))
        await journal.put(TENANT, RUN, InboxDraft("cancel", None))
        assert await journal.check_integrity() == []
        execute(path, statement)
        (found,) = await journal.check_integrity()
        assert problem in found


class TestClosing:
    async def test_appends_that_wait_are_made_before_it_closes(self, path: Path) -> None:
        journal = await SqliteJournal.open(path, clock=Clock())
        hands = [await begin(journal, run_id=RunId(f"run-{number}")) for number in range(5)]
        async with asyncio.TaskGroup() as tasks:
            for hand in hands:
                tasks.create_task(hand.append(finished()))
            await asyncio.sleep(0)
            await journal.close()
        assert [hand.head for hand in hands] == [3] * 5
        assert execute(path, "SELECT DISTINCT head FROM runs") == [(3,)]

    async def test_a_closed_journal_refuses_everything(self, path: Path) -> None:
        async with opened(path) as journal:
            hand = await begin(journal)
        for call in (hand.append(finished()), journal.row(TENANT, RUN)):
            with pytest.raises(StorageError, match="is closed"):
                await call

    async def test_who_follows_a_run_hears_of_the_end(self, path: Path) -> None:
        async with opened(path) as journal:
            await begin(journal)
            events = journal.watch(TENANT, RUN)
            assert [(await anext(events)).seq, (await anext(events)).seq] == [1, 2]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_closed(journal))
                with pytest.raises(StorageError, match="is closed"):
                    await anext(events)

    async def test_an_append_whose_caller_is_cancelled_is_made_or_not_and_breaks_nothing(self, journal: SqliteJournal) -> None:
        hand = await begin(journal)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await hand.append(finished())
        row = await journal.row(TENANT, RUN)
        hand.head = row.head
        assert row.head in {2, 3}
        await journal.close()


async def _closed(journal: SqliteJournal) -> None:
    await asyncio.sleep(0)
    await journal.close()


class TestDue:
    """What a sweep will look for: runs that nobody holds and something can be done for."""

    async def due(self, path: Path) -> list[object]:
        return [value for (value,) in execute(path, "SELECT ready_at FROM runs ORDER BY run_id")]

    async def test_a_run_is_due_unless_it_is_held_ended_or_waits(self, journal: SqliteJournal, path: Path) -> None:
        await journal.create(TENANT, RUN, [created()])
        assert await self.due(path) == [START_US]
        hand = await take(journal)
        assert await self.due(path) == [None]
        await journal.append(hand.waiting())
        assert await self.due(path) == [None]
        await journal.put(TENANT, RUN, InboxDraft("cancel", None))
        assert await self.due(path) == [START_US]
        again = await take(journal)
        again.inbox_seen = 1
        await again.end()
        assert await self.due(path) == [None]

    async def test_a_run_that_waits_for_a_time_is_due_then(self, journal: SqliteJournal, path: Path) -> None:
        await journal.append((await begin(journal)).waiting(wake_at=START_US + 7))
        assert await self.due(path) == [START_US + 7]


async def test_a_step_costs_little_on_the_disk(path: Path) -> None:
    def step(number: int) -> tuple[StepStarted, StepFinished]:
        started = StepStarted(StepId(f"t{number}.1"), key="k" * 32, args_digest="d" * 64, refs={"query": f"t{number - 1}.1"})
        return started, finished({"text": "x" * 100})

    async with opened(path) as journal:
        hand = await begin(journal)
        before = path.stat().st_size
        for first in range(0, 400, 20):
            await hand.append(*(event for number in range(first, first + 20) for event in step(number)))
    assert (path.stat().st_size - before) / 400 < 1024
