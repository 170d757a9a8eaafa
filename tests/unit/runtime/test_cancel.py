"""A run is ended on request, whoever performs it."""

import asyncio

import pytest

from agent_sdk import Agent, App, Plan, Runtime, ToolStep, tool
from agent_sdk.core.errors import NotFound, RunEnded
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.runtime.cancel import cancel_run


@tool(effect="read")
async def wait() -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return ""


PLAN = Plan(steps=(ToolStep(id=StepId("first"), tool="wait"),), result={"$ref": "first"})
WAITING = Agent(name="waiting", strategy="fixed", plan=PLAN, tools=[wait])


async def test_a_run_that_this_process_performs_is_ended() -> None:
    async with Runtime.open(app=App([WAITING])) as runtime:
        run = await runtime.start(WAITING, "wait")
        ended = await (await cancel_run(runtime, run.run_id)).settled()
        assert ended.state == "cancelled"


async def test_a_run_that_nobody_performs_is_ended_without_its_agent() -> None:
    async with Runtime.open(app=App([])) as runtime:
        run = await runtime.start(WAITING, "wait")
        await run.suspend()
        ended = await (await cancel_run(runtime, run.run_id, note="not needed")).settled()
        assert ended.state == "cancelled"
        assert [fact.event.type async for fact in run.facts()][-2:] == ["run.cancel_requested", "run.cancelled"]


async def test_a_run_that_has_ended_or_never_was_is_refused() -> None:
    async with Runtime.open(app=App([])) as runtime:
        run = await runtime.start(WAITING, "wait")
        await (await cancel_run(runtime, run.run_id)).settled()
        with pytest.raises(RunEnded):
            await cancel_run(runtime, run.run_id)
        with pytest.raises(NotFound):
            await cancel_run(runtime, RunId("run_nobody"))
