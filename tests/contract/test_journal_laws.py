"""Laws of every journal: whatever owners, senders, sessions, time and crashes do to it, and in whatever order."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.ids import OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import Batch, Claim, Expired, InboxDraft, Journal, Mail, RunFilter, SessionMove, Wanted
from agent_sdk.core.run import ENDS, RunState
from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.follow import RunKey
from tests.contract.batches import OTHER_TENANT, TENANT, Hand, created, finished
from tests.contract.reference import Reference, Refusal
from tests.contract.stores import STORES, Store

T = TypeVar("T")
# What a lease lasts and what passes at once are no multiples of one another, so that no store is asked about an instant.
LEASE_S, WAKE_S, PASSING_S = 10.0, 9.0, 6.0
SESSION = SessionId("talk")
TENANTS = [TENANT, OTHER_TENANT]

tenants = st.sampled_from(TENANTS)
keys = st.tuples(tenants, st.sampled_from([RunId(f"run-{number}") for number in range(3)]))
owners = st.sampled_from(["alice", "bob", "carol"])
others = st.none() | st.sampled_from([RunId(f"run-{number}") for number in range(3)])
item_keys = st.sampled_from([None, "k1"])
queues = st.sampled_from(["day", "night"])
counts = st.integers(0, 3)
wanteds = st.sampled_from(
    [
        *(Wanted(limit) for limit in (0, 1, 2, 4, 9)),
        Wanted(2, queues=frozenset({"day"})),
        Wanted(2, tenants=frozenset({TENANT})),
        Wanted(2, runs=frozenset({RunId("run-0"), RunId("run-1")})),
    ]
)
picks = st.integers(0, 5)


@dataclass
class Process:
    """An owner and its own journal."""

    owner: OwnerId
    journal: Journal


class Story(RuleBasedStateMachine):
    """One store, three processes that come and go, and the reference.

    `hands` are what living processes believe of the runs that they claimed, the newest last: a zombie goes on from there.
    """

    def __init__(self, enter: Callable[[], AbstractAsyncContextManager[Store]]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.store = self.run(self.stack.enter_async_context(enter()))
        self.journal = self.store.journal
        self.told = Reference(self.store.knows_the_dead)
        self.processes: dict[str, Process] = {}
        self.hands: list[Hand] = []
        self.started = 0

    def run(self, call: Coroutine[object, object, T]) -> T:
        return self.runner.run(call)

    def outcome(self, call: Awaitable[T]) -> T | type[AgentSDKError]:
        async def awaited() -> T | type[AgentSDKError]:
            try:
                return await call
            except AgentSDKError as refused:
                return type(refused)

        return self.run(awaited())

    def same(self, call: Awaitable[object], refusal: Refusal) -> bool:
        """Check that a call is refused as the reference says, and say whether it was made."""
        outcome = self.outcome(call)
        assert refusal == (outcome if isinstance(outcome, type) else None)
        return refusal is None

    def process(self, name: str) -> Process:
        if name not in self.processes:
            self.started += 1
            journal = self.run(self.store.beside())
            self.processes[name] = Process(OwnerId(f"{name}-{self.started}"), journal)
        return self.processes[name]

    @initialize(priorities=st.lists(st.integers(0, 1), min_size=4, max_size=4), queue=queues)
    def some_runs_are_there(self, priorities: list[int], queue: str) -> None:
        """Begin with two turns of a session and two runs of another tenant, one of them held."""
        for number, priority in enumerate(priorities):
            key = TENANTS[number % 2], RunId(f"run-{number // 2}")
            self.create(key, session=number % 2 == 0, knows=True, may_queue=True, queue=queue, priority=priority)
        self.claim("alice", (OTHER_TENANT, RunId("run-0")))

    @rule(key=keys, session=st.booleans(), knows=st.booleans(), may_queue=st.booleans(), queue=queues, priority=st.integers(0, 1))
    def create(self, key: RunKey, *, session: bool, knows: bool, may_queue: bool, queue: str, priority: int) -> None:
        head = self.run(self.journal.session_head(key[0], SESSION))
        assert head == self.told.sessions.get((key[0], SESSION))
        move = SessionMove(SESSION, head if knows else RunId("run-0"), may_queue) if session else None
        facts = [created(queue=queue, priority=priority)]
        self.same(self.journal.create(*key, facts, session=move), self.told.create(key, move, queue, priority))

    @rule(name=owners, key=keys)
    def claim(self, name: str, key: RunKey) -> None:
        process = self.process(name)
        refusal = self.told.claim(key, process.owner, LEASE_S)
        outcome = self.outcome(process.journal.claim(*key, process.owner, lease_s=LEASE_S))
        if isinstance(outcome, Claim):
            assert refusal is None
            self.hold(process, key, outcome)
        else:
            assert outcome == refusal

    @rule(name=owners, wanted=wanteds)
    def claim_due(self, name: str, wanted: Wanted) -> None:
        process = self.process(name)
        claims = self.run(process.journal.claim_due(wanted, process.owner, lease_s=LEASE_S))
        self.told.check_taken(wanted, [(claim.tenant, claim.run_id) for claim in claims])
        for claim in claims:
            key = claim.tenant, claim.run_id
            self.told.lease(key, process.owner, LEASE_S)
            self.hold(process, key, claim)

    def hold(self, process: Process, key: RunKey, claim: Claim) -> None:
        run = self.told.runs[key]
        assert (claim.owner, claim.epoch, claim.head) == (process.owner, run.epoch, run.head)
        self.hands.append(Hand(process.journal, claim, claim.head, inbox_seen=run.seen))

    def hand(self, pick: int) -> Hand:
        return self.hands[-1 - pick % len(self.hands)]

    @rule(name=owners)
    def renew_all(self, name: str) -> None:
        process = self.process(name)
        claims = [hand.claim for hand in self.hands if hand.claim.owner == process.owner]
        line = process.journal.lease_line()
        kept = self.run(asyncio.to_thread(line.renew, claims, lease_s=LEASE_S))
        line.close()
        assert [claim.epoch for claim in kept] == [claim.epoch for claim in claims if self.told.renew(claim, LEASE_S) is None]

    @precondition(lambda self: bool(self.hands))
    @rule(pick=picks)
    def renew(self, pick: int) -> None:
        hand = self.hand(pick)
        self.same(hand.journal.renew(hand.claim, lease_s=LEASE_S), self.told.renew(hand.claim, LEASE_S))

    @precondition(lambda self: bool(self.hands))
    @rule(pick=picks, count=counts, to=others, item_key=item_keys)
    def append(self, pick: int, count: int, to: RunId | None, item_key: str | None) -> None:
        hand = self.hand(pick)
        mail = [Mail(to, InboxDraft("signal", "hello", key=item_key))] if to is not None else []
        self.write(hand, replace(hand.batch(*(finished(number) for number in range(count))), mail=mail))

    @precondition(lambda self: bool(self.hands))
    @rule(pick=picks, state=st.sampled_from(["waiting", "sleeping", "queued", *sorted(ENDS)]), to=others)
    def let_go(self, pick: int, state: RunState | Literal["sleeping"], to: RunId | None) -> None:
        hand = self.hand(pick)
        wake_at = self.told.time + WAKE_S if state == "sleeping" else None
        match state:
            case "waiting":
                batch = hand.waiting()
            case "sleeping":
                batch = hand.waiting(wake_at=self.store.now_us() + int(WAKE_S * 1e6))
            case "queued":
                batch = replace(hand.batch(finished()), state="queued", releases=True)
            case _:
                batch = replace(hand.ending(), state=state)
        mail = [Mail(to, InboxDraft("child", "done", key=f"child:{hand.claim.run_id}"))] if to is not None else []
        self.write(hand, replace(batch, mail=mail), wake_at)

    def write(self, hand: Hand, batch: Batch, wake_at: float | None = None) -> None:
        if self.same(hand.journal.append(batch), self.told.append(batch, wake_at)):
            hand.head += len(batch.facts)

    @rule(key=keys, item_key=item_keys)
    def put(self, key: RunKey, item_key: str | None) -> None:
        self.same(self.journal.put(*key, InboxDraft("message", "hello", key=item_key)), self.told.put(key, item_key))

    @precondition(lambda self: bool(self.hands))
    @rule(pick=picks)
    def read_inbox(self, pick: int) -> None:
        hand = self.hand(pick)
        key = hand.claim.tenant, hand.claim.run_id
        if key in self.told.runs:
            items = self.run(hand.journal.inbox(*key, after=0))
            assert [item.number for item in items] == list(range(1, len(self.told.runs[key].inbox) + 1))
            hand.inbox_seen = len(items)

    @rule(times=st.sampled_from([1, 2, 3]))
    def time_passes(self, times: int) -> None:
        self.run(self.store.pass_s(times * PASSING_S))
        self.told.time += times * PASSING_S

    @rule(name=owners)
    def crash(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is not None:
            self.run(process.journal.close())
            self.told.crash(process.owner)
            self.hands = [hand for hand in self.hands if hand.claim.owner != process.owner]

    @rule(tenant=tenants)
    def purge(self, tenant: TenantId) -> None:
        gone = self.run(self.journal.purge(tenant, Expired(ENDS, self.store.now_us() + 1)))
        assert set(gone) == self.told.purge(tenant)
        left = {run_id for (of, run_id), run in self.told.runs.items() if of == tenant and run.session is not None}
        head = self.run(self.journal.session_head(tenant, SESSION))
        before = self.told.sessions.pop((tenant, SESSION), None)
        assert head == before if before in left else (head in left if left else head is None)
        if head is not None:
            self.told.sessions[tenant, SESSION] = head

    @invariant()
    def rows_say_what_happened(self) -> None:
        for tenant in TENANTS:
            self.told.check_rows(tenant, self.run(self.journal.rows(tenant, RunFilter(limit=100))))

    def teardown(self) -> None:
        try:
            self.run(self.check_events())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()

    async def check_events(self) -> None:
        """Check that every run's events are whole, in order of their owners, and that the store has nothing to complain of."""
        for key, run in self.told.runs.items():
            stored = await self.journal.read(*key)
            assert [envelope.seq for envelope in stored] == list(range(1, run.head + 1))
            assert [envelope.epoch for envelope in stored] == sorted(envelope.epoch for envelope in stored)
            assert await verify_chain(self.journal, *key) is None
        assert await self.journal.check_integrity() == []


def told_on(request: pytest.FixtureRequest, name: str, *, stories: int, length: int) -> None:
    class OnThisStore(Story):
        def __init__(self) -> None:
            super().__init__(lambda: STORES[name](request))

    run_state_machine_as_test(OnThisStore, settings=settings(max_examples=stories, stateful_step_count=length, deadline=None))


IN_A_MOMENT = [pytest.param(name, 15, 30, marks=[pytest.mark.slow] if name == "postgres" else []) for name in STORES]
IN_A_WHILE = [pytest.param(name, 60, 50, marks=pytest.mark.slow) for name in STORES if name != "postgres"]
IN_MINUTES = [pytest.param(name, 500, 100, marks=pytest.mark.full) for name in STORES]


@pytest.mark.parametrize(("name", "stories", "length"), [*IN_A_MOMENT, *IN_A_WHILE, *IN_MINUTES])
def test_a_journal_does_what_the_reference_does(request: pytest.FixtureRequest, name: str, stories: int, length: int) -> None:
    told_on(request, name, stories=stories, length=length)
