"""What every journal promises to those who write and read runs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar, cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.envelope import ARTIFACT_THRESHOLD_BYTES, artifacts_named, decode
from agent_sdk.core.errors import Fenced, InboxPending, LedgerRefused, NotFound, RunBusy, RunEnded, RunExists
from agent_sdk.core.events import Fact, RunClaimed, RunWoken
from agent_sdk.core.ids import ArtifactId, PrincipalId, RunId, SessionId
from agent_sdk.core.ports import Batch, InboxDraft, InboxItem, Journal, LedgerChange, LedgerRow, RunFilter, RunRow, SessionMove
from agent_sdk.core.run import Run, fold
from agent_sdk.storage.chain import verify_chain
from tests.contract.batches import ALICE, BOB, OTHER_TENANT, RUN, START_US, TENANT, Hand, begin, created, envelopes, finished, take
from tests.contract.stores import Store

T = TypeVar("T")
SESSION = SessionId("talk-1")
BIG: JsonValue = {"text": "x" * ARTIFACT_THRESHOLD_BYTES}
CHAT = InboxDraft("message", {"text": "hurry"}, PrincipalId("eve"))


def is_about(us: int, expected: int) -> bool:
    """Say whether a store that measures time by itself says what is expected, within a second."""
    return abs(us - expected) < 1_000_000


async def first(count: int, items: AsyncIterator[T]) -> list[T]:
    """Take so many items, and leave the rest."""
    taken: list[T] = []
    async with asyncio.timeout(30), aclosing(cast("AsyncGenerator[T]", items)) as open_items:
        async for item in open_items:
            taken.append(item)
            if len(taken) == count:
                break
    return taken


async def all_of(items: AsyncIterator[T]) -> list[T]:
    async with asyncio.timeout(30):
        return [item async for item in items]


async def types(journal: Journal) -> list[str]:
    return [envelope.type for envelope in await journal.read(TENANT, RUN)]


class TestCreation:
    async def test_a_new_run_is_queued_and_nobody_s(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()])
        row = await journal.row(TENANT, RUN)
        assert row == RunRow(
            tenant=TENANT, run_id=RUN, agent="clerk", agent_version="1", state="queued", reason=None, head=1, epoch=0, owner=None,
            lease_until=None, inbox_head=0, inbox_seen=0, wake_at=None, session=None, parent=None, queue="default", priority=0, behind=None,
            created_at=row.created_at, updated_at=row.created_at,
        )  # fmt: skip
        assert is_about(row.created_at, store.now_us())

    async def test_its_row_says_what_its_first_event_asks_for(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created(parent=RunId("run-0"), queue="night", priority=7, version="3")])
        row = await journal.row(TENANT, RUN)
        assert (row.parent, row.queue, row.priority, row.agent_version) == ("run-0", "night", 7, "3")

    async def test_a_run_id_is_taken_once(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()])
        with pytest.raises(RunExists):
            await journal.create(TENANT, RUN, [created(agent="other")])
        assert (await journal.row(TENANT, RUN)).agent == "clerk"

    async def test_what_was_created_is_read_back(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()])
        (envelope,) = await journal.read(TENANT, RUN)
        assert decode(envelope) == created()

    async def test_a_fork_begins_with_several_facts(self, journal: Journal) -> None:
        facts = [created(), replace(created(seq=2), event=finished())]
        await journal.create(TENANT, RUN, facts)
        assert (await journal.row(TENANT, RUN)).head == 2
        assert [decode(envelope) for envelope in await journal.read(TENANT, RUN)] == facts

    async def test_a_run_that_does_not_begin_is_refused(self, journal: Journal) -> None:
        with pytest.raises(ValueError, match="does not begin"):
            await journal.create(TENANT, RUN, [replace(created(), event=finished())])
        with pytest.raises(NotFound):
            await journal.row(TENANT, RUN)

    async def test_two_tenants_may_have_the_same_run_id(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.create(OTHER_TENANT, RUN, [created(agent="spy")])
        await hand.append(finished())
        assert (await journal.row(OTHER_TENANT, RUN)).head == 1
        assert [row.agent for row in await journal.rows(OTHER_TENANT, RunFilter())] == ["spy"]
        assert [row.agent for row in await journal.rows(TENANT, RunFilter())] == ["clerk"]


class TestSessions:
    async def test_a_new_session_gets_its_first_run_as_head(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        assert (await journal.row(TENANT, RUN)).session == SESSION

    async def test_the_next_run_moves_the_head(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await journal.create(TENANT, RunId("run-2"), [created()], session=SessionMove(SESSION, RUN))
        await journal.create(TENANT, RunId("run-3"), [created()], session=SessionMove(SESSION, RunId("run-2")))
        assert await journal.session_head(TENANT, SESSION) == "run-3"

    async def test_a_session_without_runs_has_no_head(self, journal: Journal) -> None:
        await journal.create(OTHER_TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        assert await journal.session_head(TENANT, SESSION) is None

    @pytest.mark.parametrize("expected", [None, "run-7"])
    async def test_of_two_turns_at_once_one_is_refused_and_leaves_nothing(self, journal: Journal, expected: RunId | None) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        with pytest.raises(RunBusy, match="session talk-1 stands at run run-1"):
            await journal.create(TENANT, RunId("run-2"), [created()], session=SessionMove(SESSION, expected))
        with pytest.raises(NotFound):
            await journal.row(TENANT, RunId("run-2"))

    async def test_a_session_that_does_not_exist_has_no_head_to_expect(self, journal: Journal) -> None:
        with pytest.raises(RunBusy):
            await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, RunId("run-7")))

    async def test_sessions_of_two_tenants_are_two(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await journal.create(OTHER_TENANT, RUN, [created()], session=SessionMove(SESSION, None))


class TestLeases:
    async def test_a_claim_raises_the_epoch(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()])
        claim = await journal.claim(TENANT, RUN, ALICE, lease_s=30)
        assert (claim.epoch, claim.head) == (1, 1)
        assert is_about(claim.lease_until, store.now_us() + 30_000_000)
        row = await journal.row(TENANT, RUN)
        assert (row.owner, row.epoch, row.lease_until) == (ALICE, 1, claim.lease_until)

    async def test_a_held_run_is_busy_for_others_and_for_its_owner(self, journal: Journal) -> None:
        await begin(journal, ALICE)
        for owner in (ALICE, BOB):
            with pytest.raises(RunBusy, match="held by alice"):
                await journal.claim(TENANT, RUN, owner, lease_s=30)

    async def test_an_expired_lease_is_taken_over(self, journal: Journal, store: Store) -> None:
        await begin(journal, ALICE)
        await store.pass_s(30)
        assert (await journal.claim(TENANT, RUN, BOB, lease_s=30)).epoch == 2

    async def test_a_renewed_lease_is_not(self, journal: Journal, store: Store) -> None:
        hand = await begin(journal, ALICE)
        await store.pass_s(20)
        renewed = await journal.renew(hand.claim, lease_s=30)
        assert renewed == replace(hand.claim, head=2, lease_until=renewed.lease_until)
        assert is_about(renewed.lease_until, store.now_us() + 30_000_000)
        await store.pass_s(20)
        with pytest.raises(RunBusy):
            await journal.claim(TENANT, RUN, BOB, lease_s=30)

    async def test_an_expired_lease_that_nobody_took_is_renewed(self, journal: Journal, store: Store) -> None:
        hand = await begin(journal)
        await store.pass_s(60)
        await journal.renew(hand.claim, lease_s=30)
        await hand.append(finished())

    async def test_who_lost_the_run_cannot_renew(self, journal: Journal, store: Store) -> None:
        hand = await begin(journal, ALICE)
        await store.pass_s(30)
        await take(journal, BOB)
        with pytest.raises(Fenced):
            await journal.renew(hand.claim, lease_s=30)

    async def test_who_gave_the_run_up_cannot_renew(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.append(hand.waiting())
        with pytest.raises(Fenced):
            await journal.renew(hand.claim, lease_s=30)

    async def test_a_released_run_is_free_at_once(self, journal: Journal) -> None:
        hand = await begin(journal, ALICE)
        await journal.append(hand.waiting(wake_at=START_US + 5))
        row = await journal.row(TENANT, RUN)
        assert (row.state, row.reason, row.wake_at, row.owner, row.lease_until) == ("waiting", "timer", START_US + 5, None, None)
        again = await take(journal, BOB)
        await again.append(RunWoken())
        assert (await journal.row(TENANT, RUN)).wake_at is None

    async def test_an_ended_run_is_claimed_by_nobody(self, journal: Journal) -> None:
        await (await begin(journal)).end()
        with pytest.raises(RunEnded, match="succeeded"):
            await journal.claim(TENANT, RUN, BOB, lease_s=30)

    async def test_a_run_that_is_not_there_is_not_found(self, journal: Journal) -> None:
        with pytest.raises(NotFound):
            await journal.claim(TENANT, RUN, ALICE, lease_s=30)


class TestAppends:
    async def test_several_facts_become_events_without_gaps(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.append(finished(1), finished(2))
        await hand.append(finished(3), cause="inbox:1")
        stored = await journal.read(TENANT, RUN)
        assert [envelope.seq for envelope in stored] == [1, 2, 3, 4, 5]
        assert [envelope.epoch for envelope in stored] == [0, 1, 1, 1, 1]
        assert stored[4].cause == "inbox:1"
        assert decode(stored[3]).event == finished(2)

    async def test_the_row_says_what_the_batch_says(self, journal: Journal, store: Store) -> None:
        hand = await begin(journal)
        await store.pass_s(5)
        await journal.append(replace(hand.batch(finished()), state="planning"))
        row = await journal.row(TENANT, RUN)
        assert (row.state, row.head) == ("planning", 3)
        assert is_about(row.updated_at, row.created_at + 5_000_000)

    async def test_the_row_s_version_of_the_agent_changes_with_a_batch_that_names_one(self, journal: Journal) -> None:
        hand = await begin(journal)
        versions = [(await journal.row(TENANT, RUN)).agent_version]
        for version in ("2", None):
            await journal.append(replace(hand.batch(finished()), agent_version=version))
            hand.head += 1
            versions.append((await journal.row(TENANT, RUN)).agent_version)
        assert versions == ["1", "2", "2"]

    async def test_a_zombie_is_fenced_by_the_epoch(self, journal: Journal, store: Store) -> None:
        zombie = await begin(journal, ALICE)
        await store.pass_s(30)
        claim = await journal.claim(TENANT, RUN, BOB, lease_s=30)
        with pytest.raises(Fenced, match="stands at epoch 2, event 2; the batch was made at epoch 1, event 2"):
            await zombie.append(finished())
        await Hand(journal, claim, claim.head).append(finished())
        assert (await journal.row(TENANT, RUN)).head == 3

    @pytest.mark.parametrize("head", [1, 3])
    async def test_a_batch_made_at_another_event_is_fenced_by_the_head(self, journal: Journal, head: int) -> None:
        hand = await begin(journal)
        hand.head = head
        with pytest.raises(Fenced):
            await hand.append(finished())
        assert await types(journal) == ["run.created", "run.claimed"]

    async def test_a_batch_repeated_is_refused(self, journal: Journal) -> None:
        hand = await begin(journal)
        batch = hand.batch(finished())
        await journal.append(batch)
        with pytest.raises(Fenced):
            await journal.append(batch)
        assert (await journal.row(TENANT, RUN)).head == 3

    async def test_nothing_is_appended_after_a_release(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.append(hand.waiting())
        hand.head += 1
        with pytest.raises(Fenced, match="held no more"):
            await hand.append(finished())

    async def test_nothing_is_appended_before_a_claim(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()])
        with pytest.raises(Fenced):
            await journal.append(Batch(TENANT, RUN, 0, 1, [replace(created(seq=2), event=finished())], "running"))

    async def test_nothing_is_appended_to_no_run(self, journal: Journal) -> None:
        hand = await begin(journal)
        with pytest.raises(NotFound):
            await journal.append(replace(hand.batch(finished()), tenant=OTHER_TENANT))

    async def test_facts_with_a_gap_are_the_caller_s_fault(self, journal: Journal) -> None:
        hand = await begin(journal)
        batch = hand.batch(finished())
        with pytest.raises(ValueError, match="has number 4 where 3 is next"):
            await journal.append(replace(batch, facts=[replace(batch.facts[0], seq=4)]))
        await journal.append(batch)

    async def test_many_facts_go_in_one_batch(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.append(*(finished(number) for number in range(300)))
        stored = await journal.read(TENANT, RUN)
        assert [envelope.seq for envelope in stored] == list(range(1, 303))

    async def test_appends_of_many_runs_at_once_fail_and_succeed_each_alone(self, journal: Journal) -> None:
        hands = [await begin(journal, run_id=RunId(f"run-{number}")) for number in range(20)]
        for hand in hands[::3]:
            hand.head += 1
        outcomes: dict[int, bool] = {}

        async def append(number: int) -> None:
            try:
                await hands[number].append(finished(number), finished())
            except Fenced:
                outcomes[number] = False
            else:
                outcomes[number] = True

        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(append(number))
        assert outcomes == {number: number % 3 != 0 for number in range(20)}
        heads = [(await journal.row(TENANT, RunId(f"run-{number}"))).head for number in range(20)]
        assert heads == [2 if number % 3 == 0 else 4 for number in range(20)]


class TestInbox:
    async def test_items_are_numbered_and_read_in_order(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()])
        assert await journal.put(TENANT, RUN, CHAT) == 1
        await store.pass_s(5)
        assert await journal.put(TENANT, RUN, InboxDraft("cancel", None)) == 2
        items = await journal.inbox(TENANT, RUN, after=0)
        assert items == [
            InboxItem(1, "message", {"text": "hurry"}, PrincipalId("eve"), items[0].at),
            InboxItem(2, "cancel", None, None, items[1].at),
        ]
        assert is_about(items[1].at, items[0].at + 5_000_000)
        assert is_about(items[1].at, store.now_us())
        assert [item.number for item in await journal.inbox(TENANT, RUN, after=1)] == [2]
        assert await journal.inbox(TENANT, RUN, after=2) == []
        assert (await journal.row(TENANT, RUN)).inbox_head == 2

    async def test_a_repeated_put_returns_the_first_number(self, journal: Journal) -> None:
        hand = await begin(journal)
        draft = replace(CHAT, key="k1")
        assert [await journal.put(TENANT, RUN, item) for item in (draft, draft, CHAT, CHAT, draft)] == [1, 1, 2, 3, 1]
        hand.inbox_seen = 3
        await hand.end()
        assert await journal.put(TENANT, RUN, draft) == 1

    async def test_nothing_is_put_to_an_ended_run(self, journal: Journal) -> None:
        await (await begin(journal)).end()
        with pytest.raises(RunEnded):
            await journal.put(TENANT, RUN, CHAT)

    async def test_nothing_is_put_to_or_read_from_no_run(self, journal: Journal) -> None:
        await begin(journal)
        with pytest.raises(NotFound):
            await journal.put(OTHER_TENANT, RUN, CHAT)
        with pytest.raises(NotFound):
            await journal.inbox(OTHER_TENANT, RUN, after=0)

    async def test_a_run_is_not_released_over_an_unread_item(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.put(TENANT, RUN, CHAT)
        for batch in (hand.ending(), hand.waiting()):
            with pytest.raises(InboxPending, match="1 unread"):
                await journal.append(batch)
        assert await types(journal) == ["run.created", "run.claimed"]
        hand.inbox_seen = 1
        await hand.append(finished(), cause="inbox:1")
        await hand.end()
        row = await journal.row(TENANT, RUN)
        assert (row.inbox_head, row.inbox_seen, row.owner) == (1, 1, None)

    async def test_who_is_fenced_hears_that_and_not_of_the_inbox(self, journal: Journal, store: Store) -> None:
        zombie = await begin(journal, ALICE)
        await journal.put(TENANT, RUN, CHAT)
        await store.pass_s(30)
        await journal.claim(TENANT, RUN, BOB, lease_s=30)
        with pytest.raises(Fenced):
            await zombie.end()

    async def test_mail_names_what_lies_unread_and_what_comes(self, journal: Journal) -> None:
        await begin(journal, ALICE)
        await begin(journal, BOB, run_id=RunId("run-2"))
        await begin(journal, ALICE, tenant=OTHER_TENANT, run_id=RunId("run-3"))
        await journal.put(TENANT, RUN, CHAT)
        mail = journal.mail(ALICE)
        assert await anext(mail) == (TENANT, RUN)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(first(2, mail))
            await asyncio.sleep(0)
            await journal.put(TENANT, RunId("run-2"), CHAT)
            await journal.put(OTHER_TENANT, RunId("run-3"), CHAT)
            await asyncio.sleep(0)
            await journal.put(TENANT, RUN, CHAT)
        assert set(following.result()) == {(OTHER_TENANT, RunId("run-3")), (TENANT, RUN)}

    async def test_mail_comes_with_the_claim_of_a_run_that_has_some(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()])
        await journal.put(TENANT, RUN, CHAT)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(first(1, journal.mail(ALICE)))
            await asyncio.sleep(0)
            await journal.claim(TENANT, RUN, ALICE, lease_s=30)
        assert following.result() == [(TENANT, RUN)]


class TestLedger:
    async def test_a_budget_is_made_and_changed(self, journal: Journal) -> None:
        assert await journal.ledger(TENANT, "run:1") is None
        await journal.set_limit(TENANT, "run:1", 100)
        hand = await begin(journal)
        await hand.append(finished(), ledger=[LedgerChange("run:1", reserve=40)])
        await hand.append(finished(), ledger=[LedgerChange("run:1", reserve=-40, settle=25)])
        await journal.set_limit(TENANT, "run:1", 200)
        assert await journal.ledger(TENANT, "run:1") == LedgerRow("run:1", 200, 0, 25)
        assert await journal.ledger(OTHER_TENANT, "run:1") is None

    async def test_a_reservation_over_the_limit_is_refused_with_all_that_came_with_it(self, journal: Journal) -> None:
        await journal.set_limit(TENANT, "run:1", 100)
        hand = await begin(journal)
        await hand.append(ledger=[LedgerChange("run:1", reserve=60, settle=20)])
        changes = [LedgerChange("tenant", reserve=1), LedgerChange("run:1", reserve=20), LedgerChange("run:1", reserve=1)]
        with pytest.raises(LedgerRefused, match="1 more would take run:1 over its limit of 100: 80 are reserved and 20 settled"):
            await hand.append(finished(), ledger=changes)
        assert await journal.ledger(TENANT, "run:1") == LedgerRow("run:1", 100, 60, 20)
        assert await journal.ledger(TENANT, "tenant") is None
        assert await types(journal) == ["run.created", "run.claimed"]
        await hand.append(finished(), ledger=changes[:2])

    async def test_what_was_spent_is_settled_though_it_is_over_the_limit(self, journal: Journal) -> None:
        await journal.set_limit(TENANT, "run:1", 10)
        hand = await begin(journal)
        await hand.append(ledger=[LedgerChange("run:1", reserve=10)])
        await hand.append(ledger=[LedgerChange("run:1", reserve=-10, settle=15)])
        await hand.append(ledger=[LedgerChange("run:1", settle=-1)])
        assert await journal.ledger(TENANT, "run:1") == LedgerRow("run:1", 10, 0, 14)

    async def test_a_budget_without_a_limit_only_counts(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.append(ledger=[LedgerChange("run:1", reserve=10**15)])
        await journal.set_limit(TENANT, "run:1", None)
        await hand.append(ledger=[LedgerChange("run:1", reserve=10**15)])
        assert await journal.ledger(TENANT, "run:1") == LedgerRow("run:1", None, 2 * 10**15, 0)

    async def test_who_is_fenced_reserves_nothing(self, journal: Journal) -> None:
        hand = await begin(journal)
        hand.head += 1
        with pytest.raises(Fenced):
            await hand.append(finished(), ledger=[LedgerChange("run:1", reserve=1)])
        assert await journal.ledger(TENANT, "run:1") is None


class TestArtifacts:
    async def test_a_large_value_is_kept_beside_its_event(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.append(finished(BIG), finished(BIG))
        stored = (await journal.read(TENANT, RUN))[2]
        assert len(stored.body or b"") < 200
        (artifact,) = artifacts_named(stored).values()
        data = await journal.artifact(TENANT, artifact)
        assert decode(stored, {artifact: data}).event == finished(BIG)

    async def test_an_artifact_is_its_tenant_s_alone(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.append(finished(BIG))
        (artifact,) = artifacts_named((await journal.read(TENANT, RUN))[2]).values()
        with pytest.raises(NotFound):
            await journal.artifact(OTHER_TENANT, artifact)

    async def test_an_artifact_that_is_not_there_is_not_found(self, journal: Journal) -> None:
        with pytest.raises(NotFound):
            await journal.artifact(TENANT, ArtifactId("0" * 64))


class TestReading:
    async def test_events_are_read_in_pages(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.append(*(finished(number) for number in range(5)))
        pages = [await journal.read(TENANT, RUN, after=after, limit=3) for after in (0, 3, 6, 7)]
        assert [[envelope.seq for envelope in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]

    async def test_a_run_of_another_tenant_is_not_found(self, journal: Journal) -> None:
        await begin(journal)
        with pytest.raises(NotFound):
            await journal.read(OTHER_TENANT, RUN)
        with pytest.raises(NotFound):
            await journal.row(OTHER_TENANT, RUN)

    async def test_a_run_folds_from_what_was_stored_though_bodies_are_gone(self, journal: Journal) -> None:
        hand = await begin(journal)
        await hand.end()
        stored = await journal.read(TENANT, RUN)
        run = fold(Run(TENANT, RUN), (decode(replace(envelope, body=None)) for envelope in stored))
        assert (run.state, run.head, run.answer) == ("succeeded", 3, None)

    async def test_runs_are_listed_newest_first_in_pages(self, journal: Journal, store: Store) -> None:
        for number in range(5):
            await journal.create(TENANT, RunId(f"run-{number}"), [created()])
            await store.pass_s(number % 2)
        listed: list[RunId] = []
        before: RunId | None = None
        while page := await journal.rows(TENANT, RunFilter(before=before, limit=2)):
            listed += [row.run_id for row in page]
            before = page[-1].run_id
        assert listed == ["run-4", "run-3", "run-2", "run-1", "run-0"]

    async def test_runs_are_listed_by_state_and_agent(self, journal: Journal) -> None:
        await (await begin(journal)).end()
        await journal.create(TENANT, RunId("run-2"), [created(agent="cook")])
        await begin(journal, run_id=RunId("run-3"))

        async def found(which: RunFilter) -> list[str]:
            return sorted(row.run_id for row in await journal.rows(TENANT, which))

        assert await found(RunFilter(states=frozenset({"succeeded", "queued"}))) == ["run-1", "run-2"]
        assert await found(RunFilter(agent="clerk")) == ["run-1", "run-3"]
        assert await found(RunFilter(states=frozenset({"failed"}))) == []

    async def test_runs_are_listed_by_reason_session_and_parent(self, journal: Journal) -> None:
        await journal.append((await begin(journal)).waiting())
        await journal.create(TENANT, RunId("run-2"), [created(parent=RUN)], session=SessionMove(SESSION, None))
        await journal.create(TENANT, RunId("run-3"), [created(parent=RUN, agent="cook")])
        await journal.create(OTHER_TENANT, RunId("run-4"), [created(parent=RUN)], session=SessionMove(SESSION, None))

        async def found(which: RunFilter) -> list[str]:
            return sorted(row.run_id for row in await journal.rows(TENANT, which))

        assert await found(RunFilter(reason="timer")) == ["run-1"]
        assert await found(RunFilter(reason="approval")) == []
        assert await found(RunFilter(session=SESSION)) == ["run-2"]
        assert await found(RunFilter(parent=RUN)) == ["run-2", "run-3"]
        assert await found(RunFilter(parent=RUN, agent="cook")) == ["run-3"]

    async def test_a_page_behind_no_run_is_not_found(self, journal: Journal) -> None:
        with pytest.raises(NotFound):
            await journal.rows(TENANT, RunFilter(before=RUN))

    async def test_a_cursor_starts_at_zero_and_only_goes_on(self, journal: Journal) -> None:
        assert await journal.cursor(TENANT, "log", RUN) == 0
        for seq in (3, 5, 4):
            await journal.move_cursor(TENANT, "log", RUN, seq)
        assert await journal.cursor(TENANT, "log", RUN) == 5
        assert await journal.cursor(TENANT, "audit", RUN) == 0
        assert await journal.cursor(OTHER_TENANT, "log", RUN) == 0


class TestWatching:
    async def test_a_watcher_gets_what_is_there_and_what_comes_up_to_the_end(self, journal: Journal) -> None:
        hand = await begin(journal)
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(all_of(journal.watch(TENANT, RUN, after=after))) for after in (0, 3)]
            for number in range(20):
                await hand.append(finished(number))
                await asyncio.sleep(0)
            await hand.end()
        assert [envelope.seq for envelope in watching[0].result()] == list(range(1, 24))
        assert watching[1].result() == watching[0].result()[3:]

    async def test_a_watcher_of_an_ended_run_ends_at_once(self, journal: Journal) -> None:
        await (await begin(journal)).end()
        assert len(await all_of(journal.watch(TENANT, RUN))) == 3
        assert await all_of(journal.watch(TENANT, RUN, after=3)) == []

    async def test_a_watcher_goes_on_over_a_release(self, journal: Journal) -> None:
        hand = await begin(journal, ALICE)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(all_of(journal.watch(TENANT, RUN)))
            await journal.append(hand.waiting())
            await (await take(journal, BOB)).end()
        assert [envelope.type for envelope in watching.result()] == [
            "run.created", "run.claimed", "run.waiting", "run.claimed", "run.succeeded",
        ]  # fmt: skip

    async def test_a_run_that_is_not_there_is_not_watched(self, journal: Journal) -> None:
        with pytest.raises(NotFound):
            await all_of(journal.watch(TENANT, RUN))


class TestChain:
    async def test_the_chain_of_what_was_written_holds(self, journal: Journal, store: Store) -> None:
        hand = await begin(journal, ALICE)
        await hand.append(finished(), finished("x" * ARTIFACT_THRESHOLD_BYTES))
        await store.pass_s(30)
        await (await take(journal, BOB)).end()
        assert await verify_chain(journal, TENANT, RUN) is None

    async def test_the_same_facts_give_the_same_hashes_in_every_journal(self, journal: Journal) -> None:
        hand = await begin(journal)
        events = finished({"a": [1, None, "\u00e9"]}), finished()
        facts = [created(), Fact(2, 1, START_US, RunClaimed(ALICE)), *hand.facts(events)]
        await hand.append(*events)
        assert await journal.read(TENANT, RUN) == envelopes(facts)

    async def test_there_is_no_chain_of_no_run(self, journal: Journal) -> None:
        with pytest.raises(NotFound):
            await verify_chain(journal, TENANT, RUN)


async def test_a_journal_is_closed_twice_without_harm(journal: Journal) -> None:
    await begin(journal)
    await journal.close()
    await journal.close()
