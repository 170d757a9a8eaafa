"""A run is ended on request, whoever performs it."""

import asyncio
from pathlib import Path

import pytest

from agent_sdk import Agent, App, Plan, Runtime, RunWaits, ToolStep, tool
from agent_sdk.core.effects import effects_of
from agent_sdk.core.errors import NotFound, RunEnded
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.runtime.cancel import cancel_run
from agent_sdk.testing import Call
from tests.unit.runtime.scenes import Shop, agent, play


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


def booker(shop: Shop) -> Agent[None, str]:
    script = [Call("book", {"what": "flight"}), Call("book", {"what": "hotel"}), Call("ask", {"question": "fine?"})]
    return agent(*script, tools=[shop.book]).with_options(compensate=True)


def test_what_a_cancelled_run_did_is_undone_the_last_first_where_its_agent_asks_for_that() -> None:
    shop = Shop()

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(booker(shop), "book")
        with pytest.raises(RunWaits):
            await run.result()
        ended = await (await cancel_run(runtime, run.run_id)).settled()
        assert ended.state == "cancelled"
        assert shop.undone == ["booked hotel", "booked flight"]
        outcomes = [(entry.step, entry.outcome) for entry in effects_of(ended, [fact async for fact in run.facts()])]
        assert outcomes == [("t1.1", "undone"), ("t2.1", "undone")]

    play(scene, booker(shop))


async def test_a_run_with_something_to_undo_is_left_to_a_process_that_has_its_agent(tmp_path: Path) -> None:
    url, shop = f"sqlite:///{tmp_path}/agent.db", Shop()
    async with Runtime.open(url, app=App([])) as runtime:
        run = await runtime.start(booker(shop), "book")
        with pytest.raises(RunWaits):
            await run.result()
    async with Runtime.open(url, app=App([])) as runtime:
        assert (await (await cancel_run(runtime, run.run_id)).state()).state == "waiting"
        assert shop.undone == []
    async with Runtime.open(url, app=App([booker(shop)])) as runtime:
        assert (await (await runtime.resume(run.run_id)).settled()).state == "cancelled"
        assert shop.undone == ["booked hotel", "booked flight"]
