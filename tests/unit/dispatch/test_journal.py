import asyncio

import pytest

from agent_sdk.core.errors import StorageError
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Claim, Clock, Dispatcher, Wanted
from agent_sdk.dispatch.journal import LONGEST_PAUSE_S, JournalDispatcher
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import SeededRandom, VirtualClock, run_virtual

ACME, ALICE = TenantId("acme"), OwnerId("alice")
ONE = Wanted(1)


class HintedJournal(MemoryJournal):
    """A journal whose hints come at once, `hints` of them, or only when the waiting is over; it counts how often it was asked."""

    def __init__(self, clock: Clock, *, hints: int = 0) -> None:
        super().__init__(clock)
        self.hints = hints
        self.asked = 0
        self.failure: StorageError | None = None

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(0.001)
        return await super().claim_due(wanted, owner, lease_s=lease_s)

    async def wait_due(self, wanted: Wanted, *, timeout_s: float) -> None:
        if self.hints > 0:
            self.hints -= 1
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(timeout_s)


async def create(journal: MemoryJournal, run_id: str = "r1") -> None:
    await journal.create(ACME, RunId(run_id), [Fact(1, 0, 0, RunCreated("clerk", "1", {}, goal="count"))])


def dispatcher_of(journal: MemoryJournal) -> Dispatcher:
    return JournalDispatcher(journal, VirtualClock(), SeededRandom())


def test_what_is_due_is_taken_without_waiting() -> None:
    async def story() -> None:
        journal = HintedJournal(VirtualClock())
        await create(journal)
        claims = await dispatcher_of(journal).take(ONE, ALICE, lease_s=30, wait_s=60)
        assert [claim.run_id for claim in claims] == ["r1"]
        assert VirtualClock().monotonic() < 0.01

    run_virtual(story())


@pytest.mark.parametrize("wait_s", [0.0, 0.5, 60.0])
def test_one_waits_no_longer_than_asked(wait_s: float) -> None:
    async def story() -> None:
        assert await dispatcher_of(HintedJournal(VirtualClock())).take(ONE, ALICE, lease_s=30, wait_s=wait_s) == []
        assert VirtualClock().monotonic() == pytest.approx(wait_s, abs=0.01)

    run_virtual(story())


def test_a_run_without_a_hint_is_found_within_seconds() -> None:
    async def story() -> None:
        journal = HintedJournal(VirtualClock())
        async with asyncio.TaskGroup() as tasks:
            taking = tasks.create_task(dispatcher_of(journal).take(ONE, ALICE, lease_s=30, wait_s=60))
            await asyncio.sleep(1)
            await create(journal)
        assert [claim.run_id for claim in taking.result()] == ["r1"]
        assert VirtualClock().monotonic() < 10

    run_virtual(story())


def test_hints_for_nothing_are_answered_ever_more_slowly() -> None:
    async def story() -> None:
        journal = HintedJournal(VirtualClock(), hints=1_000_000)
        assert await dispatcher_of(journal).take(ONE, ALICE, lease_s=30, wait_s=60) == []
        assert journal.asked < 60 / LONGEST_PAUSE_S * 3

    run_virtual(story())


def test_an_error_of_the_journal_is_the_caller_s() -> None:
    async def story() -> None:
        journal = HintedJournal(VirtualClock())
        journal.failure = StorageError("no disk")
        with pytest.raises(StorageError):
            await dispatcher_of(journal).take(ONE, ALICE, lease_s=30, wait_s=60)

    run_virtual(story())
