"""The runs that a process performs: what it gives back, what it takes up anew, and what it leaves to others."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from agent_sdk import Agent, App, RunInfo, Runtime, RunWaits, StepId, subagent
from agent_sdk.core.errors import Fenced, StorageError
from agent_sdk.core.ids import OwnerId
from agent_sdk.runtime.keeper import RunKey
from agent_sdk.runtime.performance import Performance
from agent_sdk.runtime.stage import LEASE_S, RETRY_S
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import Call, ScriptedModel, VirtualClock, run_virtual
from tests.unit.runtime.scenes import Shop, agent, play, world

FIRST = StepId("t1.1")


def test_a_child_whose_dependencies_cannot_be_made_is_tried_again_after_a_pause() -> None:
    tried: list[float] = []

    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[str]:
        tried.append(VirtualClock().monotonic())
        if len(tried) < 3:
            raise ConnectionError("no database")
        yield "deps"

    child = Agent(name="child", model=ScriptedModel(["ok"]), deps=deps)
    parent: Agent[None, str] = Agent(name="parent", model=ScriptedModel([Call("child", {"goal": "go"}), "done"]), tools=[subagent(child)])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        async with asyncio.timeout(4 * RETRY_S):
            assert await run.result() == "done"
        assert len(tried) == 3
        assert tried[-1] >= 2 * RETRY_S - 1

    play(scene, parent)


def test_what_the_end_of_a_lost_performance_leaves_is_the_one_that_followed_it_here() -> None:
    sleeper = agent(Call("rest", {"seconds": 5_000}), Call("rest", {"seconds": 10}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(sleeper, "go")
        await asyncio.sleep(1)
        key = runtime.tenant, run.run_id
        lost = runtime.stage.live[key]
        VirtualClock().advance(2 * LEASE_S)
        again = await runtime.stage.take_up(await runtime.stage.claim(key), sleeper)
        lost.let_go()
        await lost.ended()
        assert isinstance(lost.error, Fenced)
        assert runtime.stage.live[key] is again

    play(scene, sleeper)


def test_a_run_that_stopped_for_want_of_something_goes_on_by_itself() -> None:
    tried: list[float] = []

    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[str]:
        tried.append(VirtualClock().monotonic())
        if len(tried) == 1:
            raise ConnectionError("no database")
        yield "deps"

    needy = Agent(name="needy", model=ScriptedModel(["done"]), deps=deps)

    async def scene() -> None:
        async with Runtime.open(app=App([]), world=world()) as runtime:
            run = await runtime.start(needy, "go")
            with pytest.raises(ConnectionError):
                await run.result()
            assert await run.result() == "done"
            assert VirtualClock().monotonic() >= RETRY_S - 1

    run_virtual(scene())


def test_a_decision_outlasts_all_the_time_in_which_the_run_cannot_go_on() -> None:
    broken_until = 0.0
    shop = Shop()

    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[str]:
        if VirtualClock().monotonic() < broken_until:
            raise ConnectionError("no database")
        yield "deps"

    payer = Agent(name="payer", model=ScriptedModel([Call("pay", {"amount": 5}), "done"]), tools=[shop.pay], deps=deps)

    async def scene() -> None:
        nonlocal broken_until
        async with Runtime.open(app=App([]), world=world()) as runtime:
            run = await runtime.start(payer, "go")
            with pytest.raises(RunWaits):
                await run.result()
            broken_until = 20 * RETRY_S
            await runtime.approve(run.run_id, FIRST)
            await asyncio.sleep(broken_until)
            assert shop.paid == []
            assert await run.result() == "done"
            assert shop.paid == [5]

    run_virtual(scene())


class _AwayAtFirst(MemoryJournal):
    """A journal that cannot be asked for mail the first time."""

    asked = 0

    async def mail(self, owner: OwnerId) -> AsyncIterator[RunKey]:
        self.asked += 1
        if self.asked == 1:
            raise StorageError("the database is away")
        async for key in super().mail(owner):
            yield key


def test_a_journal_that_is_away_for_long_ends_nobody_who_waits_for_mail() -> None:
    async def scene(runtime: Runtime) -> None:
        journal = _AwayAtFirst(VirtualClock())
        runtime.stage.holds = replace(runtime.stage.holds, journal=journal)  # before the runtime's own task has looked once
        await asyncio.sleep(10)
        assert journal.asked == 2

    play(scene, agent("done"))


def test_who_waits_for_a_performance_goes_on_even_if_what_follows_cannot_be_arranged() -> None:
    resting = agent(Call("rest", {"seconds": 5}), "done")

    def refuse(_: Performance) -> None:
        raise RuntimeError("the group is shutting down")

    async def scene() -> None:
        begun: list[Performance] = []
        with suppress(ExceptionGroup, asyncio.CancelledError):
            async with Runtime.open(app=App([]), world=world()) as runtime:
                runtime.stage.on_over = refuse
                run = await runtime.start(resting, "go")
                begun.append(runtime.stage.live[runtime.tenant, run.run_id])
                await asyncio.sleep(60)
        assert [performance.is_over for performance in begun] == [True]

    run_virtual(scene())
