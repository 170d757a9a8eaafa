"""One SQLite file and several processes, some of which are killed."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent_sdk.core.errors import Fenced, RunBusy
from agent_sdk.core.ids import OwnerId, RunId
from agent_sdk.core.ports import InboxDraft, RunFilter
from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import ALICE, BOB, RUN, TENANT, begin, created, finished, take
from tests.contract.owner_process import SystemClock

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
ENDLESS = 10**6


class Owner:
    """A child process, and the number of the last event that it knew to be durable."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.durable = 0

    async def reaches(self, seq: int) -> None:
        while self.durable < seq:
            line = await self._lines.readline()
            assert line, "the process ended early"
            self.durable = int(line)

    async def ends(self) -> None:
        async for line in self._lines:
            self.durable = int(line)
        assert await self.process.wait() == 0

    async def killed(self) -> None:
        self.process.kill()
        async for line in self._lines:
            self.durable = int(line)
        await self.process.wait()

    @property
    def _lines(self) -> asyncio.StreamReader:
        assert self.process.stdout is not None
        return self.process.stdout


@asynccontextmanager
async def owner(path: Path, run_id: RunId, name: str = BOB, appends: int = ENDLESS) -> AsyncGenerator[Owner]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.owner_process", str(path), run_id, name, str(appends),
        stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            yield Owner(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    opened = await SqliteJournal.open(tmp_path / "agent.db", clock=SystemClock())
    yield opened
    await opened.close()


@pytest.mark.parametrize("at", [2, 11, 30])
async def test_a_killed_owner_leaves_what_was_acknowledged_and_is_taken_over_at_once(journal: SqliteJournal, at: int) -> None:
    await journal.create(TENANT, RUN, [created()])
    async with owner(journal.path, RUN) as bob:
        await bob.reaches(at)
        with pytest.raises(RunBusy, match="held by bob"):
            await journal.claim(TENANT, RUN, ALICE, lease_s=30)
        await bob.killed()
    hand = await take(journal, ALICE)
    assert hand.claim.epoch == 2
    assert hand.claim.head >= bob.durable
    await hand.append(finished())
    assert await verify_chain(journal, TENANT, RUN) is None
    assert await journal.check_integrity() == []


async def test_two_processes_write_one_file_side_by_side(journal: SqliteJournal) -> None:
    run_ids = [RunId("run-b"), RunId("run-c")]
    for run_id in run_ids:
        await journal.create(TENANT, run_id, [created()])
    mine = await begin(journal, ALICE)
    async with owner(journal.path, run_ids[0], "bob", 100) as bob, owner(journal.path, run_ids[1], "carol", 100) as carol:
        while not mine.head > 100:
            await mine.append(finished(), finished())
        await bob.ends()
        await carol.ends()
    await mine.end()
    for row in await journal.rows(TENANT, RunFilter()):
        assert row.state == "succeeded"
        assert await verify_chain(journal, TENANT, row.run_id) is None
    assert [(await journal.row(TENANT, run_id)).head for run_id in run_ids] == [203, 203]


async def test_of_several_processes_that_open_a_new_file_each_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "new.db"

    async def opened() -> None:
        code = (
            "import asyncio, sys, pathlib; from tests.contract.owner_process import *\n"
            "async def main(): await (await SqliteJournal.open(pathlib.Path(sys.argv[1]), clock=SystemClock())).close()\n"
            "asyncio.run(main())"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(path), cwd=REPOSITORY)
        assert await process.wait() == 0

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(opened())


async def test_a_frozen_owner_that_wakes_up_is_fenced(journal: SqliteJournal) -> None:
    zombie = await begin(journal, ALICE)
    await journal.renew(zombie.claim, lease_s=0)
    await journal.create(TENANT, RunId("run-2"), [created()])
    async with owner(journal.path, RUN, "bob", 3) as bob:
        await bob.ends()
    with pytest.raises(Fenced):
        await zombie.append(finished())
    assert (await journal.row(TENANT, RUN)).state == "succeeded"


async def test_another_process_is_followed_and_reached_within_a_second(journal: SqliteJournal, tmp_path: Path) -> None:
    """Two journals on one file see each other as two processes do: `data_version` tells of every other connection."""
    other = await SqliteJournal.open(tmp_path / "agent.db", clock=SystemClock())
    hand = await begin(journal, ALICE)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_types(other))
        reading = tasks.create_task(_first_mail(journal))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(1):
            await other.put(TENANT, RUN, InboxDraft("cancel", None))
            assert await reading == RUN
        hand.inbox_seen = 1
        async with asyncio.timeout(1):
            await hand.end()
            assert await watching == ["run.created", "run.claimed", "run.succeeded"]
    await other.close()


async def _types(journal: SqliteJournal) -> list[str]:
    return [envelope.type async for envelope in journal.watch(TENANT, RUN)]


async def _first_mail(journal: SqliteJournal) -> RunId:
    _, run_id = await anext(journal.mail(ALICE))
    return run_id


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has locks that belong to a descriptor")
async def test_the_journal_s_files_may_be_read_by_tools_of_the_same_process(journal: SqliteJournal) -> None:
    """Closing them drops the locks of SQLite, and the next process to come and go would remove the log that is written to."""
    hand = await begin(journal, ALICE)
    for file in journal.path.parent.glob("agent.db*"):
        if file.is_file():
            file.read_bytes()
    assert await _heads_seen_by_another_program(journal.path) == "[(2,)]"
    await hand.append(finished())
    assert await _heads_seen_by_another_program(journal.path) == "[(3,)]"


async def _heads_seen_by_another_program(path: Path) -> str:
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); print(db.execute('SELECT head FROM runs').fetchall()); db.close()"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(path), stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return printed.decode().strip()


async def test_a_closed_owner_is_taken_over_at_once(journal: SqliteJournal, tmp_path: Path) -> None:
    other = await SqliteJournal.open(tmp_path / "agent.db", clock=SystemClock())
    await begin(other, OwnerId("gone"))
    with pytest.raises(RunBusy):
        await journal.claim(TENANT, RUN, ALICE, lease_s=30)
    await other.close()
    await take(journal, ALICE)
