"""What every dispatcher promises to workers and to those who start runs."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent_sdk.core.errors import RunBusy
from agent_sdk.core.events import Event, Fact, RunClaimed, RunCreated, RunSucceeded
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Batch, Claim, Dispatcher, Journal, Ticket, Wanted
from agent_sdk.dispatch import JournalDispatcher
from agent_sdk.dispatch.jetstream import NatsDispatcher
from agent_sdk.dispatch.nats_link import NatsOptions
from agent_sdk.storage import open_journal
from agent_sdk.testing import SeededRandom
from tests.contract.real_time import RealClock

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
ALICE, BOB = OwnerId("own_alice"), OwnerId("own_bob")
CLERK = frozenset({("the clerk, v. 2", "1.0 beta")})
LEASE_S = 20.0
WAIT_S = 10.0
"""So long only a dispatcher that is broken takes."""


@dataclass
class Bench:
    """A journal, and as many dispatchers over it as a test asks for, as if each was a process's own."""

    journal: Journal
    nats: NatsOptions | None
    stack: AsyncExitStack
    clock: RealClock = field(default_factory=RealClock)

    async def dispatcher(self) -> Dispatcher:
        made: Dispatcher
        if self.nats is None:
            made = JournalDispatcher(self.journal, self.clock, SeededRandom())
        else:
            made = await NatsDispatcher.open(self.nats, self.journal, self.clock, SeededRandom())
        self.stack.push_async_callback(made.close)
        return made

    async def create(
        self, run_id: str, *, tenant: TenantId = ACME, agent: str = "the clerk, v. 2", version: str = "1.0 beta", queue: str = "default"
    ) -> Ticket:
        """Make a queued run, and return its ticket."""
        event = RunCreated(agent, version, {}, goal="count", queue=queue)
        await self.journal.create(tenant, RunId(run_id), [Fact(1, 0, self.clock.now_us(), event)])
        return Ticket(tenant, RunId(run_id), agent, version, queue)

    async def end(self, claim: Claim) -> None:
        events: list[Event] = [RunClaimed(claim.owner), RunSucceeded(TRUSTED, "ten")]
        facts = [Fact(claim.head + place, claim.epoch, self.clock.now_us(), event) for place, event in enumerate(events, 1)]
        await self.journal.append(Batch(claim.tenant, claim.run_id, claim.epoch, claim.head, facts, "succeeded", releases=True))


@pytest.fixture(params=["memory", "sqlite", "postgres", "nats"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Bench]:
    nats = None
    match str(request.param):
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'agent.db'}"
        case "postgres":
            url = str(request.getfixturevalue("postgres_url"))
        case "nats":
            url, nats = "memory:", NatsOptions(str(request.getfixturevalue("nats_url")), name=f"test_{secrets.token_hex(8)}", sweep_s=0.2)
        case _:
            url = "memory:"
    async with AsyncExitStack() as stack:
        journal = await open_journal(url, clock=RealClock())
        stack.push_async_callback(journal.close)
        yield Bench(journal, nats, stack)


def wanted(limit: int = 1, *, queues: frozenset[str] | None = None, tenants: frozenset[TenantId] | None = None) -> Wanted:
    return Wanted(limit, agents=CLERK, queues=queues, tenants=tenants)


async def take(dispatcher: Dispatcher, which: Wanted | None = None, *, owner: OwnerId = ALICE, wait_s: float = WAIT_S) -> list[Claim]:
    return await dispatcher.take(which if which is not None else wanted(), owner, lease_s=LEASE_S, wait_s=wait_s)


async def take_all(dispatcher: Dispatcher, count: int, limit: int, *, owner: OwnerId = ALICE) -> list[Claim]:
    taken: list[Claim] = []
    while len(taken) < count and (claims := await take(dispatcher, wanted(limit), owner=owner)):
        assert len(claims) <= limit
        taken += claims
    return taken


def names(claims: Sequence[Claim]) -> list[str]:
    return sorted(claim.run_id for claim in claims)


async def test_a_run_offered_before_or_while_somebody_waits_is_taken(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(await bench.create("r1"))
    assert names(await take(dispatcher)) == ["r1"]
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(take(dispatcher))
        await asyncio.sleep(0.05)
        await dispatcher.offer(await bench.create("r2"))
    claim = waiting.result()[0]
    assert (claim.run_id, claim.owner, claim.epoch, claim.head) == ("r2", ALICE, 1, 1)


async def test_each_run_is_taken_once_by_one_of_two(bench: Bench) -> None:
    first, second = await bench.dispatcher(), await bench.dispatcher()
    for number in range(20):
        await first.offer(await bench.create(f"r{number:02}"))
    taken: list[Claim] = []

    async def work(dispatcher: Dispatcher, owner: OwnerId) -> None:
        while len(taken) < 20:
            taken.extend(await take(dispatcher, wanted(3), owner=owner, wait_s=0.5))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work(first, ALICE))
        tasks.create_task(work(second, BOB))
    assert names(taken) == [f"r{number:02}" for number in range(20)]


async def test_nothing_to_take_takes_no_longer_than_one_waits(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    began = bench.clock.monotonic()
    assert await take(dispatcher, wait_s=0) == []
    assert await take(dispatcher, wait_s=0.2) == []
    assert 0.15 < bench.clock.monotonic() - began < WAIT_S


async def test_a_run_whose_ticket_was_lost_is_found_by_the_sweep(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    assert await take(dispatcher, wait_s=0.01) == []
    await bench.create("r1")
    assert names(await take(dispatcher)) == ["r1"]


async def test_a_ticket_that_comes_twice_does_no_harm(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    ticket = await bench.create("r1")
    for _ in range(3):
        await dispatcher.offer(ticket)
    claims = await take(dispatcher, wanted(5))
    assert names(claims) == ["r1"]
    assert await take(dispatcher, wanted(5), wait_s=0.3) == []
    await bench.end(claims[0])
    await dispatcher.done(claims[0])
    await dispatcher.offer(ticket)
    assert await take(dispatcher, wanted(5), wait_s=0.3) == []


async def test_a_ticket_for_a_run_that_does_not_exist_is_passed_over(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(Ticket(ACME, RunId("nobody's"), *next(iter(CLERK))))
    await dispatcher.offer(await bench.create("r1"))
    assert names(await take_all(dispatcher, 1, 2)) == ["r1"]
    assert await take(dispatcher, wait_s=0.3) == []


async def test_what_a_worker_does_not_carry_it_does_not_take(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(await bench.create("other agent", agent="cook"))
    await dispatcher.offer(await bench.create("other version", version="2"))
    await dispatcher.offer(await bench.create("other queue", queue="slow"))
    fast = wanted(5, queues=frozenset({"default"}))
    assert await take(dispatcher, fast, wait_s=0.3) == []
    await dispatcher.offer(await bench.create("r1"))
    assert names(await take(dispatcher, fast)) == ["r1"]
    slow = Wanted(5, agents=frozenset({("the clerk, v. 2", "1.0 beta"), ("cook", "1.0 beta")}), queues=frozenset({"slow", "default"}))
    assert names(await take(dispatcher, slow) + await take(dispatcher, slow, wait_s=0.3)) == ["other agent", "other queue"]


async def test_a_worker_that_names_nothing_takes_from_every_queue_and_agent(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    tickets = [await bench.create("r1", queue="a.b *"), await bench.create("r2", agent="cook"), await bench.create("r3", version="9")]
    for ticket in tickets:
        await dispatcher.offer(ticket)
    taken: list[Claim] = []
    while len(taken) < 3:
        taken += await take(dispatcher, Wanted(1))
    assert names(taken) == ["r1", "r2", "r3"]


async def test_a_worker_of_one_tenant_takes_no_other_s_runs(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    await dispatcher.offer(await bench.create("r1", tenant=ACME))
    await dispatcher.offer(await bench.create("r2", tenant=GLOBEX))
    assert names(await take(dispatcher, wanted(5, tenants=frozenset({GLOBEX})))) == ["r2"]
    assert names(await take(dispatcher, wanted(5))) == ["r1"]


async def test_one_tenant_s_many_runs_do_not_stand_before_another_s_one(bench: Bench) -> None:
    dispatcher = await bench.dispatcher()
    for number in range(50):
        await dispatcher.offer(await bench.create(f"many{number}", tenant=ACME))
    await dispatcher.offer(await bench.create("one", tenant=GLOBEX))
    taken = [claim for _ in range(3) for claim in await take(dispatcher, wanted(2))]
    assert "one" in names(taken)


@pytest.mark.parametrize("wait_s", [0.0, 0.001, 0.005, 0.02, 0.1])
async def test_a_cancelled_take_leaves_nothing_claimed(bench: Bench, wait_s: float) -> None:
    dispatcher = await bench.dispatcher()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(take(dispatcher, wanted(5)))
        await asyncio.sleep(0.02)
        tickets = [await bench.create("r1"), await bench.create("r2", tenant=GLOBEX)]
        for ticket in tickets:
            await dispatcher.offer(ticket)
        await asyncio.sleep(wait_s)
        waiting.cancel()
    kept = [] if waiting.cancelled() else waiting.result()
    assert names(kept + await take_all(dispatcher, 2 - len(kept), 5, owner=BOB)) == ["r1", "r2"]


@pytest.mark.slow
async def test_a_run_that_is_kept_stays_with_its_owner(bench: Bench) -> None:
    first, second = await bench.dispatcher(), await bench.dispatcher()
    await first.offer(await bench.create("r1"))
    claims = await first.take(wanted(), ALICE, lease_s=0.6, wait_s=WAIT_S)
    for _ in range(4):
        assert await second.take(wanted(), BOB, lease_s=0.6, wait_s=0.3) == []
        claims = [await bench.journal.renew(claim, lease_s=0.6) for claim in claims]
        await first.keep(claims)
    await bench.end(claims[0])
    await first.done(claims[0])
    assert await second.take(wanted(), BOB, lease_s=0.6, wait_s=0.8) == []


async def test_what_a_lost_worker_held_comes_again_when_its_lease_ends(bench: Bench) -> None:
    lost, other = await bench.dispatcher(), await bench.dispatcher()
    await lost.offer(await bench.create("r1"))
    claims = await lost.take(wanted(), ALICE, lease_s=0.5, wait_s=WAIT_S)
    with pytest.raises(RunBusy):
        await bench.journal.claim(ACME, RunId("r1"), BOB, lease_s=LEASE_S)
    again = await take(other, owner=BOB, wait_s=2.5)
    assert [(claim.run_id, claim.epoch) for claim in again] == [("r1", claims[0].epoch + 1)]


async def test_a_closed_dispatcher_leaves_all_to_the_others(bench: Bench) -> None:
    first, second = await bench.dispatcher(), await bench.dispatcher()
    assert await take(first, wait_s=0.05) == []
    await first.close()
    await second.offer(await bench.create("r1"))
    assert names(await take(second, owner=BOB)) == ["r1"]
