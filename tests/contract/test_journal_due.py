"""What every journal promises to workers: which runs are due, in which order, and that nobody gets one twice or waits for ever."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from agent_sdk.core.errors import RunBusy
from agent_sdk.core.ids import OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import Claim, InboxDraft, Journal, SessionMove, Wanted
from agent_sdk.core.run import ENDS, RunState
from tests.contract.batches import ALICE, BOB, OTHER_TENANT, RUN, TENANT, Hand, begin, created, end, finished, take
from tests.contract.stores import Store

SESSION = SessionId("talk-1")
ANY = Wanted(limit=100)
SECOND, THIRD = RunId("run-2"), RunId("run-3")


def names(claims: list[Claim]) -> list[str]:
    return [claim.run_id for claim in claims]


async def due(journal: Journal, wanted: Wanted = ANY, owner: OwnerId = ALICE) -> list[str]:
    return names(await journal.claim_due(wanted, owner, lease_s=30))


class TestDue:
    async def test_a_new_run_is_claimed_as_by_name(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()])
        (claim,) = await journal.claim_due(ANY, ALICE, lease_s=30)
        assert claim == Claim(TENANT, RUN, ALICE, epoch=1, head=1, lease_until=claim.lease_until)
        assert abs(claim.lease_until - store.now_us() - 30_000_000) < 1_000_000
        row = await journal.row(TENANT, RUN)
        assert (row.owner, row.epoch, row.lease_until) == (ALICE, 1, claim.lease_until)
        assert await due(journal) == []

    async def test_what_is_held_ended_or_waits_is_not_due(self, journal: Journal) -> None:
        await begin(journal)
        await (await begin(journal, run_id=SECOND)).end()
        await journal.append((await begin(journal, run_id=THIRD)).waiting())
        assert await due(journal) == []

    async def test_a_run_that_was_handed_back_is_due(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.append(replace(hand.batch(finished()), state="queued", releases=True))
        assert await due(journal, owner=BOB) == [RUN]

    async def test_a_run_that_waits_for_a_time_is_due_then(self, journal: Journal, store: Store) -> None:
        await journal.append((await begin(journal)).waiting(wake_at=store.now_us() + 20_000_000))
        assert await due(journal) == []
        await store.pass_s(21)
        assert await due(journal) == [RUN]

    async def test_mail_makes_a_waiting_run_due_until_it_is_read(self, journal: Journal) -> None:
        await journal.append((await begin(journal)).waiting())
        await journal.put(TENANT, RUN, InboxDraft("signal", "go"))
        (claim,) = await journal.claim_due(ANY, ALICE, lease_s=30)
        await journal.append(Hand(journal, claim, claim.head, inbox_seen=1).waiting())
        assert await due(journal) == []

    async def test_an_expired_lease_is_due_and_a_renewed_one_is_not(self, journal: Journal, store: Store) -> None:
        await begin(journal)
        kept = await begin(journal, run_id=SECOND)
        await store.pass_s(20)
        await journal.renew(kept.claim, lease_s=30)
        assert await due(journal, owner=BOB) == []
        await store.pass_s(11)
        assert await due(journal, owner=BOB) == [RUN]
        await store.pass_s(31)
        assert sorted(await due(journal, owner=BOB)) == [RUN, SECOND]

    async def test_a_lost_owner_s_runs_are_due(self, store: Store) -> None:
        other = await store.beside()
        await begin(other, OwnerId("gone"))
        await other.close()
        if not store.knows_the_dead:
            await store.pass_s(31)
        (claim,) = await store.journal.claim_due(ANY, BOB, lease_s=30)
        assert (claim.epoch, claim.head) == (2, 2)

    async def test_what_is_wanted_is_taken_alone(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created(agent="clerk", version="1")])
        await journal.create(TENANT, SECOND, [created(agent="clerk", version="2")])
        await journal.create(TENANT, THIRD, [created(queue="night")])
        await journal.create(OTHER_TENANT, RunId("run-4"), [created(agent="cook")])
        nothing = frozenset[str]()
        for wanted in (
            Wanted(5, agents=frozenset({("clerk", "3"), ("cook", "2")})),
            Wanted(5, queues=frozenset({"day"})),
            Wanted(5, queues=nothing),
            Wanted(5, tenants=frozenset({TenantId("initech")})),
            Wanted(5, runs=frozenset({RunId("run-5")})),
            Wanted(5, tenants=frozenset({TENANT}), runs=frozenset({RunId("run-4")})),
            Wanted(0),
        ):
            assert await due(journal, wanted) == []
        assert sorted(await due(journal, Wanted(5, agents=frozenset({("clerk", "2"), ("cook", "1")})))) == [SECOND, "run-4"]
        assert await due(journal, Wanted(5, queues=frozenset({"night", "day"}))) == [THIRD]
        assert await due(journal, Wanted(5, tenants=frozenset({TENANT}), runs=frozenset({RUN, SECOND}))) == [RUN]

    async def test_a_run_that_is_wanted_by_name_is_claimed_if_it_is_due(self, journal: Journal, store: Store) -> None:
        await begin(journal)
        await journal.create(TENANT, SECOND, [created()])
        named = Wanted(5, runs=frozenset({RUN, SECOND}))
        assert await due(journal, named, BOB) == [SECOND]
        await store.pass_s(31)
        assert sorted(await due(journal, named, BOB)) == [RUN, SECOND]

    async def test_a_run_goes_where_its_new_version_is_carried(self, journal: Journal) -> None:
        hand = await begin(journal)
        await journal.append(replace(hand.waiting(wake_at=1), agent_version="2"))
        assert await due(journal, Wanted(5, agents=frozenset({("clerk", "1")}))) == []
        assert await due(journal, Wanted(5, agents=frozenset({("clerk", "2")}))) == [RUN]


class TestOrder:
    async def test_a_higher_priority_comes_first_then_who_waits_longest(self, journal: Journal, store: Store) -> None:
        for name, priority in (("a", 0), ("b", 5), ("c", -1), ("d", 5), ("e", 0)):
            await journal.create(TENANT, RunId(name), [created(priority=priority)])
            await store.pass_s(1)
        assert await due(journal, Wanted(2)) == ["b", "d"]
        assert await due(journal) == ["a", "e", "c"]

    async def test_order_holds_over_queues_and_agents(self, journal: Journal, store: Store) -> None:
        for name, priority, queue, agent in (("a", 0, "x", "clerk"), ("b", 0, "y", "cook"), ("c", 1, "y", "clerk"), ("d", 0, "x", "clerk")):
            await journal.create(TENANT, RunId(name), [created(priority=priority, queue=queue, agent=agent)])
            await store.pass_s(1)
        assert await due(journal) == ["c", "a", "b", "d"]

    async def test_what_a_lost_owner_left_comes_before_all(self, journal: Journal, store: Store) -> None:
        await begin(journal)
        await store.pass_s(31)
        await journal.create(TENANT, SECOND, [created(priority=9)])
        assert await due(journal, Wanted(1), BOB) == [RUN]

    async def test_mail_does_not_cost_a_new_run_its_place(self, journal: Journal, store: Store) -> None:
        for name in ("a", "b"):
            await journal.create(TENANT, RunId(name), [created()])
            await store.pass_s(1)
        await journal.put(TENANT, RunId("a"), InboxDraft("message", "soon?"))
        assert await due(journal) == ["a", "b"]


class TestFairness:
    async def test_each_tenant_gets_an_equal_share_and_what_others_leave(self, journal: Journal) -> None:
        for tenant, count in (("a", 20), ("b", 3), ("c", 20)):
            for number in range(count):
                await journal.create(TenantId(tenant), RunId(f"{tenant}{number}"), [created()])
        shares = Counter(claim.tenant for claim in await journal.claim_due(Wanted(12), ALICE, lease_s=30))
        assert shares[TenantId("b")] == 3
        assert sorted(shares.values()) == [3, 4, 5]

    @pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("limit", [1, 10])
    async def test_a_tenant_s_crowd_does_not_starve_another_s_one(self, journal: Journal, count: int, limit: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(journal.create(TENANT, RunId(f"crowd-{number}"), [created(priority=9)]))
        await journal.create(OTHER_TENANT, RUN, [created()])
        taken = [name for _ in range(2) for name in await due(journal, Wanted(limit))]
        assert RUN in taken
        assert len(taken) == 2 * limit

    async def test_who_takes_one_run_at_a_time_serves_tenants_in_turn(self, journal: Journal) -> None:
        tenants = [TenantId(name) for name in "abc"]
        for tenant in tenants:
            for number in range(3):
                await journal.create(tenant, RunId(f"run-{number}"), [created()])
        served = [(await journal.claim_due(Wanted(1), ALICE, lease_s=30))[0].tenant for _ in range(9)]
        assert [sorted(served[start : start + 3]) for start in (0, 3, 6)] == [tenants] * 3


class TestClaimants:
    async def test_of_two_that_claim_a_run_at_once_one_gets_it(self, store: Store) -> None:
        journals = [store.journal, await store.beside()]
        await store.journal.create(TENANT, RUN, [created()])
        outcomes: list[str] = []

        async def claim(journal: Journal, owner: str) -> None:
            try:
                await journal.claim(TENANT, RUN, OwnerId(owner), lease_s=30)
            except RunBusy:
                outcomes.append("busy")
            else:
                outcomes.append("claimed")

        async with asyncio.TaskGroup() as tasks:
            for number in range(6):
                tasks.create_task(claim(journals[number % 2], f"owner-{number % 2}"))
        assert sorted(outcomes) == ["busy"] * 5 + ["claimed"]
        assert (await store.journal.row(TENANT, RUN)).epoch == 1

    async def test_no_run_is_taken_twice(self, store: Store) -> None:
        journals = {ALICE: store.journal, BOB: await store.beside()}
        for number in range(60):
            await store.journal.create(TENANT if number % 3 else OTHER_TENANT, RunId(f"run-{number}"), [created()])
        taken: list[str] = []

        async def take_all(journal: Journal, owner: OwnerId) -> None:
            while claims := await due(journal, Wanted(4), owner):
                taken.extend(claims)

        async with asyncio.TaskGroup() as tasks:
            for owner, journal in journals.items():
                for _ in range(2):
                    tasks.create_task(take_all(journal, owner))
        assert sorted(taken) == sorted(f"run-{number}" for number in range(60))

    async def test_who_took_a_due_run_is_its_owner(self, journal: Journal, store: Store) -> None:
        await journal.create(TENANT, RUN, [created()])
        (claim,) = await journal.claim_due(ANY, ALICE, lease_s=30)
        with pytest.raises(RunBusy, match="held by alice"):
            await journal.claim(TENANT, RUN, BOB, lease_s=30)
        await store.pass_s(31)
        await take(journal, BOB)
        assert (await journal.row(TENANT, RUN)).epoch == claim.epoch + 1


class TestWaiting:
    async def test_it_returns_where_something_is_due(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()])
        async with asyncio.timeout(30):
            await journal.wait_due(ANY, timeout_s=60)

    async def test_it_returns_after_its_time_at_the_latest(self, journal: Journal) -> None:
        await begin(journal)
        async with asyncio.timeout(30):
            await journal.wait_due(ANY, timeout_s=0.02)

    async def test_it_returns_once_something_becomes_due(self, store: Store) -> None:
        waiting, other = store.journal, await store.beside()
        hand = await begin(other)
        await other.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, None))
        await other.create(TENANT, THIRD, [created()], session=SessionMove(SESSION, SECOND))
        held = await take(other, run_id=SECOND)
        for make_due, run_id in (
            (other.create(TENANT, RunId("new"), [created()]), "new"),
            (other.append(hand.waiting(wake_at=1)), RUN),
            (held.end(), THIRD),
        ):
            async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
                waiter = tasks.create_task(waiting.wait_due(ANY, timeout_s=60))
                await asyncio.sleep(0.01)
                await make_due
                await waiter
            assert await due(waiting, owner=BOB) == [run_id]

    async def test_it_does_not_return_for_what_is_not_wanted(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created(queue="night")])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await journal.wait_due(Wanted(1, queues=frozenset({"day"})), timeout_s=60)


class TestSessions:
    async def two(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await journal.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN))

    async def test_a_turn_stands_behind_the_one_before_it(self, journal: Journal) -> None:
        await self.two(journal)
        row = await journal.row(TENANT, SECOND)
        assert (row.behind, row.state, row.session) == (RUN, "queued", SESSION)
        with pytest.raises(RunBusy, match="stands behind run run-1"):
            await journal.claim(TENANT, SECOND, ALICE, lease_s=30)
        assert await due(journal) == [RUN]
        assert await due(journal, Wanted(5, runs=frozenset({SECOND}))) == []

    @pytest.mark.parametrize("state", sorted(ENDS))
    async def test_it_is_free_once_that_one_has_ended(self, journal: Journal, state: RunState) -> None:
        await self.two(journal)
        await journal.create(TENANT, THIRD, [created()], session=SessionMove(SESSION, SECOND))
        await journal.append(replace((await take(journal)).ending(), state=state))
        assert [(await journal.row(TENANT, run_id)).behind for run_id in (SECOND, THIRD)] == [None, SECOND]
        assert await due(journal) == [SECOND]

    async def test_a_wait_or_a_cancel_of_the_turn_before_frees_nothing(self, journal: Journal) -> None:
        await self.two(journal)
        await journal.append((await take(journal)).waiting())
        await journal.put(TENANT, RUN, InboxDraft("cancel", None))
        await journal.put(TENANT, SECOND, InboxDraft("message", "hurry"))
        assert await due(journal) == [RUN]

    async def test_a_turn_that_may_not_queue_is_refused_and_leaves_nothing(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None, queues=False))
        with pytest.raises(RunBusy, match="run-1, which has not ended"):
            await journal.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN, queues=False))
        assert await journal.session_head(TENANT, SESSION) == RUN
        await end(journal)
        await journal.create(TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN, queues=False))
        assert (await journal.row(TENANT, SECOND)).behind is None

    async def test_sessions_of_the_same_name_do_not_wait_for_one_another(self, journal: Journal) -> None:
        await journal.create(TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await journal.create(OTHER_TENANT, RUN, [created()], session=SessionMove(SESSION, None))
        await journal.create(OTHER_TENANT, SECOND, [created()], session=SessionMove(SESSION, RUN))
        await end(journal)
        assert (await journal.row(OTHER_TENANT, SECOND)).behind == RUN


class TestLeaseLine:
    async def test_it_renews_many_and_leaves_out_the_lost(self, journal: Journal, store: Store) -> None:
        hands = [await begin(journal, run_id=run_id) for run_id in (RUN, SECOND, THIRD)]
        kept, lost, given_up = [hand.claim for hand in hands]
        await journal.append(hands[2].waiting())
        await journal.renew(lost, lease_s=0)
        await store.pass_s(20)
        await take(journal, BOB, run_id=SECOND)
        line = journal.lease_line()
        (renewed,) = await asyncio.to_thread(line.renew, [kept, lost, given_up, replace(kept, tenant=OTHER_TENANT)], lease_s=30)
        assert renewed == replace(kept, head=2, lease_until=renewed.lease_until)
        await store.pass_s(20)
        assert await due(journal, Wanted(5, runs=frozenset({RUN})), BOB) == []
        assert (await journal.row(TENANT, SECOND)).owner == BOB
        assert (await journal.row(TENANT, THIRD)).owner is None
        await asyncio.to_thread(line.close)

    async def test_it_renews_nothing_and_is_closed_unused_without_harm(self, journal: Journal) -> None:
        line = journal.lease_line()
        assert list(line.renew([], lease_s=30)) == []
        line.close()
        line.close()
        journal.lease_line().close()
