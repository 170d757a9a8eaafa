import asyncio
from collections.abc import Sequence

import pytest

from agent_sdk.core.errors import RequestError, StorageError
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Claim, InboxDraft, Wanted
from agent_sdk.dispatch.giveback import UNDO_S, claim_or_undo, give_back
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import VirtualClock, run_virtual

ACME, ALICE, BOB = TenantId("acme"), OwnerId("alice"), OwnerId("bob")
CLAIM = Claim(ACME, RunId("r1"), ALICE, 1, 1, 0)


class Undone(list[Claim]):
    """Keeps what was undone."""

    async def undo(self, claims: Sequence[Claim]) -> None:
        self.extend(claims)


async def slowly(outcome: list[Claim] | StorageError, *, after_s: float = 1.0) -> list[Claim]:
    await asyncio.sleep(after_s)
    if isinstance(outcome, StorageError):
        raise outcome
    return outcome


def test_a_claim_given_back_can_be_taken_at_once_and_the_journal_says_so() -> None:
    async def story() -> None:
        journal = MemoryJournal(VirtualClock())
        await journal.create(ACME, RunId("r1"), [Fact(1, 0, 0, RunCreated("clerk", "1", {}, goal="count"))])
        await give_back(journal, VirtualClock(), await journal.claim(ACME, RunId("r1"), ALICE, lease_s=30))
        assert (await journal.claim(ACME, RunId("r1"), BOB, lease_s=30)).epoch == 2
        assert [envelope.type for envelope in await journal.read(ACME, RunId("r1"))] == ["run.created", "run.claimed", "run.released"]

    run_virtual(story())


def test_a_claim_on_a_run_with_unread_mail_can_be_taken_at_once_too() -> None:
    async def story() -> None:
        journal = MemoryJournal(VirtualClock())
        await journal.create(ACME, RunId("r1"), [Fact(1, 0, 0, RunCreated("clerk", "1", {}, goal="count"))])
        claim = await journal.claim(ACME, RunId("r1"), ALICE, lease_s=30)
        await journal.put(ACME, RunId("r1"), InboxDraft("cancel", {}))
        await give_back(journal, VirtualClock(), claim)
        assert [claim.run_id for claim in await journal.claim_due(Wanted(1), BOB, lease_s=30)] == ["r1"]
        assert [envelope.type for envelope in await journal.read(ACME, RunId("r1"))] == ["run.created", "run.claimed", "run.released"]

    run_virtual(story())


def test_a_claim_that_somebody_else_has_by_now_is_left_alone() -> None:
    async def story() -> None:
        journal = MemoryJournal(VirtualClock())
        await give_back(journal, VirtualClock(), CLAIM)

    run_virtual(story())


def test_what_is_claimed_is_returned_and_nothing_undone() -> None:
    undone = Undone()
    assert run_virtual(claim_or_undo(slowly([CLAIM]), undone.undo)) == [CLAIM]
    assert undone == []


def test_an_error_of_the_journal_comes_as_it_is() -> None:
    with pytest.raises(StorageError, match="no disk"):
        run_virtual(claim_or_undo(slowly(StorageError("no disk")), Undone().undo))


@pytest.mark.parametrize(("outcome", "undone"), [([CLAIM], [CLAIM]), ([], []), (StorageError("no disk"), [])])
def test_a_cancelled_claim_is_undone_once_it_is_known(outcome: list[Claim] | StorageError, undone: list[Claim]) -> None:
    kept = Undone()

    async def story() -> None:
        async with asyncio.TaskGroup() as tasks:
            claiming = tasks.create_task(claim_or_undo(slowly(outcome), kept.undo))
            await asyncio.sleep(0.5)
            claiming.cancel()
        assert claiming.cancelled()

    run_virtual(story())
    assert kept == undone


def test_a_claim_that_hangs_is_not_waited_for_longer_than_a_moment() -> None:
    async def story() -> float:
        async with asyncio.TaskGroup() as tasks:
            claiming = tasks.create_task(claim_or_undo(slowly([CLAIM], after_s=1000), Undone().undo))
            await asyncio.sleep(1)
            claiming.cancel()
        return VirtualClock().monotonic()

    assert run_virtual(story()) == pytest.approx(1 + UNDO_S)


def test_an_error_that_is_nobody_s_fault_is_not_swallowed() -> None:
    async def broken() -> list[Claim]:
        raise RequestError("no such tenant")

    with pytest.raises(RequestError):
        run_virtual(claim_or_undo(broken(), Undone().undo))
