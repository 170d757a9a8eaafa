"""A run while a process performs it: leases, dependencies that fail, grace. In virtual time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from agent_sdk import Agent, App, RunFilter, RunInfo, Runtime, tool
from agent_sdk.core.errors import Fenced
from agent_sdk.core.ids import OwnerId
from agent_sdk.runtime import World
from agent_sdk.runtime.stage import LEASE_S
from agent_sdk.testing import Call, CountingIds, ScriptedModel, SeededRandom, VirtualClock, run_virtual


@tool(effect="read", timeout_s=1000)
async def rest(seconds: float) -> str:
    """Rest."""
    await asyncio.sleep(seconds)
    return "rested"


def world() -> World:
    return World(VirtualClock(), CountingIds(), SeededRandom())


def resting(seconds: float) -> Agent[None, str]:
    return Agent(name="rester", model=ScriptedModel([Call("rest", {"seconds": seconds}), "done"]), tools=[rest])


def test_what_is_sent_to_a_run_before_it_begins_is_read_when_it_begins() -> None:
    async def scene() -> None:
        agent = resting(100)
        async with Runtime.open(app=App([agent]), world=world()) as runtime:
            run = await runtime.start(agent, "rest")
            await runtime.send(run.run_id, "and quickly")
            await run.result()
            kinds = [fact.event.type async for fact in run.facts()]
            assert kinds[:3] == ["run.created", "run.claimed", "message.received"]

    run_virtual(scene())


def test_a_run_that_another_process_took_is_let_go_of() -> None:
    async def scene() -> None:
        agent = resting(100 * LEASE_S)
        async with Runtime.open(app=App([agent]), world=world()) as runtime:
            run = await runtime.start(agent, "rest")
            await asyncio.sleep(1)
            VirtualClock().advance(2 * LEASE_S)
            await runtime.journal.claim(runtime.tenant, run.run_id, OwnerId("other"), lease_s=LEASE_S)
            with pytest.raises(Fenced):
                await run.result()
            assert (await runtime.journal.row(runtime.tenant, run.run_id)).owner == "other"

    run_virtual(scene())


def test_a_run_whose_dependencies_cannot_be_made_is_handed_back() -> None:
    is_broken = True

    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[str]:
        if is_broken:
            raise ConnectionError("no database")
        yield "deps"

    async def scene() -> None:
        nonlocal is_broken
        agent = Agent(name="needy", model=ScriptedModel(["done"]), deps=deps)
        async with Runtime.open(app=App([agent]), world=world()) as runtime:
            run = await runtime.start(agent, "go")
            with pytest.raises(ConnectionError):
                await run.result()
            assert [(row.run_id, row.reason) for row in await runtime.runs(RunFilter(states=frozenset({"waiting"})))] == [
                (run.run_id, "timer")
            ]
            is_broken = False
            assert await (await runtime.resume(run.run_id)).result() == "done"

    run_virtual(scene())


def test_dependencies_that_fail_to_close_take_no_answer_away() -> None:
    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[str]:
        yield "deps"
        raise ConnectionError("gone")

    async def scene() -> None:
        agent = Agent(name="needy", model=ScriptedModel(["done"]), deps=deps)
        assert await agent.run("go") == "done"

    run_virtual(scene())


def test_a_run_suspended_while_its_dependencies_are_made_performs_nothing() -> None:
    @asynccontextmanager
    async def slow(_: RunInfo) -> AsyncGenerator[str]:
        await asyncio.sleep(3)
        yield "deps"

    async def scene() -> None:
        model = ScriptedModel(["done"])
        agent = Agent(name="slow", model=model, deps=slow)
        async with Runtime.open(app=App([agent]), world=world()) as runtime:
            run = await runtime.start(agent, "go")
            await run.suspend(grace_s=1)
            assert model.requests == []
            assert (await run.state()).state == "queued"

    run_virtual(scene())
