"""What every journal promises of mail between runs, and of an append whose answer nobody heard."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from agent_sdk.core.envelope import decode
from agent_sdk.core.errors import Fenced, InboxPending, LedgerRefused, NotFound
from agent_sdk.core.ids import PrincipalId, RunId
from agent_sdk.core.ports import Batch, InboxDraft, Journal, LedgerChange, Mail, Wanted
from tests.contract.batches import ALICE, BOB, OTHER_TENANT, RUN, TENANT, Hand, begin, created, end, finished
from tests.contract.stores import Store

PARENT = RunId("parent")
DONE = Mail(PARENT, InboxDraft("child", {"child": "run-1"}, key="child:run-1"))


async def bodies(journal: Journal, run_id: RunId = PARENT) -> list[object]:
    return [item.body for item in await journal.inbox(TENANT, run_id, after=0)]


def sending(batch: Batch, *mail: Mail) -> Batch:
    return replace(batch, mail=mail)


class TestMail:
    async def test_it_comes_with_the_append(self, journal: Journal) -> None:
        await journal.create(TENANT, PARENT, [created()])
        hand = await begin(journal)
        note = Mail(PARENT, InboxDraft("signal", ["a", 1], PrincipalId("eve")))
        await journal.append(sending(hand.batch(finished()), note, DONE))
        assert [(item.number, item.kind, item.by) for item in await journal.inbox(TENANT, PARENT, after=0)] == [
            (1, "signal", "eve"),
            (2, "child", None),
        ]
        assert await bodies(journal) == [["a", 1], {"child": "run-1"}]
        assert (await journal.row(TENANT, PARENT)).inbox_head == 2

    @pytest.mark.parametrize("refused", [Fenced, InboxPending, LedgerRefused, NotFound])
    async def test_a_refused_append_sends_nothing(self, journal: Journal, refused: type[Exception]) -> None:
        await journal.create(TENANT, PARENT, [created()])
        await journal.set_limit(TENANT, "small", 1)
        hand = await begin(journal)
        await journal.put(TENANT, RUN, InboxDraft("cancel", None))
        batches: dict[type[Exception], Batch] = {
            Fenced: replace(hand.batch(finished()), epoch=7),
            InboxPending: hand.ending(),
            LedgerRefused: hand.batch(finished(), ledger=[LedgerChange("small", reserve=2)]),
            NotFound: replace(hand.batch(finished()), run_id=RunId("run-9")),
        }
        with pytest.raises(refused):
            await journal.append(sending(batches[refused], DONE))
        assert await bodies(journal) == []

    async def test_mail_that_comes_twice_lies_there_once(self, journal: Journal) -> None:
        await journal.create(TENANT, PARENT, [created()])
        hand = await begin(journal)
        again = Mail(PARENT, InboxDraft("child", "again", key=DONE.item.key))
        await journal.append(sending(hand.batch(finished()), DONE, again))
        hand.head += 1
        await journal.append(sending(hand.batch(finished()), again))
        assert await journal.put(TENANT, PARENT, again.item) == 1
        assert await bodies(journal) == [{"child": "run-1"}]

    async def test_mail_to_a_run_that_is_gone_or_ended_is_dropped_and_the_append_stands(self, journal: Journal) -> None:
        await journal.create(TENANT, PARENT, [created()])
        await end(journal, PARENT)
        await journal.create(OTHER_TENANT, RunId("theirs"), [created()])
        hand = await begin(journal)
        mail = [DONE, Mail(RunId("nobody"), DONE.item), Mail(RunId("theirs"), DONE.item)]
        await journal.append(sending(hand.batch(finished()), *mail))
        assert (await journal.row(TENANT, RUN)).head == 3
        assert await bodies(journal) == []
        assert await journal.inbox(OTHER_TENANT, RunId("theirs"), after=0) == []

    async def test_a_run_s_last_append_wakes_its_parent(self, journal: Journal) -> None:
        await journal.append((await begin(journal, run_id=PARENT)).waiting())
        hand = await begin(journal)
        await journal.append(sending(hand.ending(), DONE))
        (claim,) = await journal.claim_due(Wanted(5), BOB, lease_s=30)
        assert claim.run_id == PARENT

    async def test_the_owner_of_a_running_parent_hears_of_it(self, store: Store) -> None:
        other = await store.beside()
        parent = await begin(store.journal, ALICE, run_id=PARENT)
        hand = await begin(other, BOB)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_first_mail(store.journal))
            await asyncio.sleep(0.01)
            await other.append(sending(hand.ending(), DONE))
            assert await reading == PARENT
        with pytest.raises(InboxPending):
            await parent.end()


async def _first_mail(journal: Journal) -> RunId:
    _, run_id = await anext(journal.mail(ALICE))
    return run_id


class TestLostAnswers:
    """A caller that is cut off knows nothing: the head tells, and the same batch is never written twice."""

    @pytest.mark.parametrize("turns", range(5))
    async def test_an_append_is_written_once_however_often_it_is_tried(self, journal: Journal, turns: int) -> None:
        await journal.create(TENANT, PARENT, [created()])
        hand = await begin(journal)
        batch = sending(hand.batch(finished(1), finished(2)), DONE)
        await _cut_off(journal, batch, turns)
        with suppress(Fenced):
            await journal.append(batch)
        with pytest.raises(Fenced):
            await journal.append(batch)
        assert [decode(envelope) for envelope in (await journal.read(TENANT, RUN))[2:]] == list(batch.facts)
        assert len(await bodies(journal)) == 1

    async def test_who_finds_the_head_moved_goes_on_behind_it(self, journal: Journal) -> None:
        hand = await begin(journal)
        await _cut_off(journal, hand.batch(finished()), 2)
        with suppress(Fenced):
            await journal.append(hand.batch(finished()))
        again = Hand(journal, hand.claim, (await journal.row(TENANT, RUN)).head)
        await again.append(finished())
        assert (await journal.row(TENANT, RUN)).head == 4

    @pytest.mark.parametrize("turns", range(5))
    async def test_an_end_frees_and_tells_once(self, journal: Journal, turns: int) -> None:
        await journal.create(TENANT, PARENT, [created()])
        batch = sending((await begin(journal)).ending(), DONE)
        await _cut_off(journal, batch, turns)
        with suppress(Fenced):
            await journal.append(batch)
        assert (await journal.row(TENANT, RUN)).state == "succeeded"
        assert len(await bodies(journal)) == 1


async def _cut_off(journal: Journal, batch: Batch, turns: int) -> None:
    """Append, and stop listening after so many turns of the loop."""

    async def append() -> None:
        with suppress(asyncio.CancelledError):
            await journal.append(batch)

    async with asyncio.TaskGroup() as tasks:
        appending = tasks.create_task(append())
        for _ in range(turns):
            await asyncio.sleep(0)
        appending.cancel()


class TestTenants:
    async def test_nothing_of_another_tenant_s_is_seen_or_touched(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.put(TENANT, RUN, InboxDraft("message", "secret"))
        await journal.create(OTHER_TENANT, RUN, [created(agent="spy")])
        calls = [
            journal.claim(OTHER_TENANT, RunId("run-2"), BOB, lease_s=30),
            journal.append(replace(hand.batch(finished()), tenant=OTHER_TENANT)),
            journal.renew(replace(hand.claim, tenant=OTHER_TENANT), lease_s=30),
        ]
        for call in calls:
            with pytest.raises((NotFound, Fenced)):
                await call
        assert await journal.inbox(OTHER_TENANT, RUN, after=0) == []
        assert await _seen(journal) == ["spy"]
        await end(journal, tenant=OTHER_TENANT)
        assert (await journal.row(TENANT, RUN)).state == "running"


async def _seen(journal: Journal) -> Sequence[str]:
    claims = await journal.claim_due(Wanted(5, tenants=frozenset({OTHER_TENANT})), BOB, lease_s=0)
    return [(await journal.row(claim.tenant, claim.run_id)).agent for claim in claims]
