"""A worker: what it takes, how many at once, and how it ends. In virtual time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise, repeat

import pytest

from agent_sdk import Agent, App, RunId, RunInfo, Runtime, StartOptions, StepId, Worker, WorkerOptions, tool
from agent_sdk.core.envelope import Envelope
from agent_sdk.core.errors import StorageError
from agent_sdk.core.ids import OwnerId, TenantId
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.ports import Claim, Dispatcher, Ticket, Wanted
from agent_sdk.runtime.stage import RETRY_S
from agent_sdk.runtime.worker import MOST_AT_ONCE
from agent_sdk.testing import Call, Scripted, ScriptedModel, VirtualClock, run_virtual
from tests.unit.runtime.scenes import Shop, agent, parent_of, rest, world


class Noted:
    """A dispatcher that notes what it is told, and whose first looks may fail."""

    inner: Dispatcher

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.wanted: list[Wanted] = []
        self.offered: list[Ticket] = []
        self.kept: list[Claim] = []
        self.ended: list[Claim] = []

    async def offer(self, ticket: Ticket) -> None:
        self.offered.append(ticket)

    async def take(self, wanted: Wanted, owner: OwnerId, *, lease_s: float, wait_s: float) -> list[Claim]:
        self.wanted.append(wanted)
        if self.failures:
            self.failures -= 1
            raise StorageError("the journal is away")
        return await self.inner.take(wanted, owner, lease_s=lease_s, wait_s=wait_s)

    async def keep(self, claims: Sequence[Claim]) -> None:
        self.kept.extend(claims)

    async def done(self, claim: Claim) -> None:
        self.ended.append(claim)

    async def close(self) -> None:
        await self.inner.close()


Scene = Callable[[Runtime, Worker], Awaitable[None]]
FIRST = StepId("t1.1")


def work(scene: Scene, *agents: Agent[None, str], options: WorkerOptions | None = None, dispatcher: Noted | None = None) -> None:
    """Play a scene beside a worker of these agents, which is drained at its end."""
    work_with(scene, App(agents), options, dispatcher)


def work_with(scene: Scene, app: App, options: WorkerOptions | None = None, dispatcher: Noted | None = None) -> None:

    async def opened() -> None:
        async with Runtime.open(app=app, world=world()) as runtime:
            if dispatcher is not None:
                dispatcher.inner, runtime.dispatcher = runtime.dispatcher, dispatcher
            worker = Worker(runtime, options if options is not None else WorkerOptions())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(worker.run())
                await scene(runtime, worker)
                worker.drain()

    run_virtual(opened())


def resting(seconds: float) -> Agent[None, str]:
    """Return an agent whose runs rest, each once."""

    def said(request: ModelRequest) -> Scripted:
        return Call("rest", {"seconds": seconds}) if len(request.conversation) == 1 else "done"

    return Agent(name="rester", model=ScriptedModel(repeat(said)), tools=[rest])


def test_what_is_left_to_workers_is_performed_by_one() -> None:
    one = agent("done")

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(one, "go")
        assert await run.result() == "done"
        assert worker.taken == 1

    work(scene, one)


def test_no_more_runs_are_performed_at_once_than_the_worker_may() -> None:
    rester = resting(5)

    async def scene(runtime: Runtime, worker: Worker) -> None:
        runs = [await runtime.enqueue(rester, "go") for _ in range(7)]
        busy: list[int] = []
        while (await runs[-1].state()).state != "succeeded":
            busy.append(len(runtime.stage.live))
            await asyncio.sleep(1)
        assert max(busy) == 3
        assert 15 <= VirtualClock().monotonic() <= 18

    work(scene, rester, options=WorkerOptions(concurrency=3))


def test_a_run_that_waits_is_taken_up_again_by_the_worker() -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 5}), Call("wait", {"seconds": 50}), "done", tools=[shop.pay])

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(payer, "pay")
        await asyncio.sleep(1)
        assert (await run.state()).reason == "approval"
        await runtime.approve(run.run_id, FIRST)
        assert await run.result() == "done"
        assert (shop.paid, worker.taken) == ([5], 3)

    work(scene, payer)


def test_children_are_left_to_whoever_is_free() -> None:
    parent = parent_of(parent_of(agent("from below", name="child"), name="middle"))

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(parent, "go")
        assert await run.result() == "done"
        assert worker.taken == 5
        assert {row.state for row in await runtime.runs()} == {"succeeded"}

    work(scene, parent, options=WorkerOptions(concurrency=1))


def test_a_drained_worker_lets_its_runs_end_and_takes_nothing_new() -> None:
    rester = resting(10)

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(rester, "go")
        await asyncio.sleep(1)
        worker.drain()
        late = await runtime.enqueue(rester, "late")
        await asyncio.sleep(18)
        assert (await run.state()).state == "succeeded"
        assert (await late.state()).state == "queued"

    work(scene, rester)


def test_a_drained_worker_hands_back_what_outlasts_its_grace_and_offers_it_to_others() -> None:
    rester, noted = resting(5_000), Noted()

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(rester, "go", options=StartOptions(queue="slow", priority=7))
        await asyncio.sleep(1)
        worker.drain()
        await asyncio.sleep(7.5)
        assert len(runtime.stage.live) == 1
        await asyncio.sleep(2.5)
        row = await runtime.journal.row(runtime.tenant, run.run_id)
        assert (row.state, row.owner, len(runtime.stage.live)) == ("queued", None, 0)
        assert [(ticket.run_id, ticket.queue, ticket.priority) for ticket in noted.offered] == [(run.run_id, "slow", 7)] * 2
        assert [claim.run_id for claim in noted.ended] == [run.run_id]

    work(scene, rester, options=WorkerOptions(grace_s=10), dispatcher=noted)


def test_an_effect_under_way_has_the_last_of_the_grace_to_end() -> None:
    @tool(effect="once", timeout_s=100)
    async def send() -> str:
        """Send, slowly."""
        await asyncio.sleep(9.5)
        return "sent"

    sender = agent(Call("send"), "done", tools=[send])

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(sender, "go")
        await asyncio.sleep(0.1)
        worker.drain()
        await asyncio.sleep(11)
        state = await run.state()
        assert (state.state, state.graph.steps[FIRST].status) == ("queued", "finished")

    work(scene, sender, options=WorkerOptions(grace_s=10))


def test_a_worker_outlives_a_journal_that_cannot_be_asked_for_a_while() -> None:
    one, noted = agent("done"), Noted(failures=3)

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(one, "go")
        assert await run.result() == "done"
        assert len(noted.wanted) >= 4

    work(scene, one, dispatcher=noted)


def test_the_dispatcher_hears_of_runs_that_take_long_and_of_every_end() -> None:
    rester, noted = resting(25), Noted()

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(rester, "go")
        assert await run.result() == "done"
        await asyncio.sleep(1)
        assert {claim.run_id for claim in noted.kept} == {run.run_id}
        assert len(noted.kept) == 2
        assert [claim.run_id for claim in noted.ended] == [run.run_id]

    work(scene, rester, dispatcher=noted)


def test_a_worker_asks_for_what_it_carries_and_was_told_to_take() -> None:
    noted = Noted()
    parent = parent_of(agent("x", name="child").with_options(version="3"))
    options = WorkerOptions(concurrency=100, queues=frozenset({"q"}), tenants=frozenset({TenantId("t")}))

    async def scene(runtime: Runtime, worker: Worker) -> None:
        await asyncio.sleep(1)
        wanted = noted.wanted[0]
        assert wanted == Wanted(MOST_AT_ONCE, frozenset({("parent", parent.spec.version), ("child", "3")}), options.queues, options.tenants)

    work(scene, parent, options=options, dispatcher=noted)


def test_a_run_of_an_agent_or_a_version_that_it_does_not_carry_is_left_alone() -> None:
    mine = agent("done")

    async def scene(runtime: Runtime, worker: Worker) -> None:
        strange = await runtime.enqueue(agent("done", name="stranger"), "go")
        newer = await runtime.enqueue(mine.with_options(version="99"), "go")
        assert await (await runtime.enqueue(mine, "go")).result() == "done"
        await asyncio.sleep(60)
        for run in (strange, newer):
            row = await runtime.journal.row(runtime.tenant, run.run_id)
            assert (row.state, row.epoch) == ("queued", 0)

    work(scene, mine)


def test_a_run_whose_dependencies_cannot_be_made_is_given_back_and_tried_again_after_a_pause() -> None:
    tried: list[float] = []

    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[str]:
        tried.append(VirtualClock().monotonic())
        if len(tried) < 3:
            raise ConnectionError("no database")
        yield "deps"

    needy = Agent(name="needy", model=ScriptedModel(["done"]), deps=deps)

    async def scene(runtime: Runtime, worker: Worker) -> None:
        run = await runtime.enqueue(needy, "go")
        await asyncio.sleep(1)
        row = await runtime.journal.row(runtime.tenant, run.run_id)
        assert (row.state, row.reason, row.owner) == ("waiting", "timer", None)
        assert await run.result() == "done"
        assert [later - earlier >= RETRY_S - 0.1 for earlier, later in pairwise(tried)] == [True, True]

    work_with(scene, App([needy]))


def test_a_worker_serves_all_tenants_and_each_sees_its_own() -> None:
    one = agent(*["done"] * 6)

    async def scene(runtime: Runtime, worker: Worker) -> None:
        others = [Runtime(runtime.stage, TenantId(tenant)) for tenant in ("a", "b")]
        runs = [await each.enqueue(one, "go") for each in (runtime, *others) for _ in range(2)]
        assert [await run.result() for run in runs] == ["done"] * 6
        assert [len(await each.runs()) for each in (runtime, *others)] == [2, 2, 2]

    work(scene, one)


def test_a_run_whose_journal_was_altered_is_parked_until_somebody_has_looked_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = agent("done")

    async def scene(runtime: Runtime, worker: Worker) -> None:
        read = runtime.journal.read

        async def altered(tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
            return [replace(each, at=each.at + 1) for each in await read(tenant, run_id, after=after, limit=limit)]

        monkeypatch.setattr(runtime.journal, "read", altered)
        run = await runtime.enqueue(one, "go")
        await asyncio.sleep(300)
        row = await runtime.journal.row(runtime.tenant, run.run_id)
        assert (row.state, row.reason, row.wake_at, row.owner) == ("waiting", "crash_loop", None, None)
        assert worker.taken == 1

    work(scene, one)
