"""A cancel, at every stage of a run, and a tool's ways with it (rules J5 and J9)."""

import asyncio

import pytest

from agent_sdk.core.errors import RateLimited, ToolError
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Batch
from agent_sdk.core.tools import Effect
from agent_sdk.testing import Call, ScriptedModel
from tests.unit.execution.fakes import Args, Context, CountingJournal, FakeTool, hang, plan, raiser, step
from tests.unit.execution.world import World, at, hanging


async def test_a_cancel_that_came_before_the_start_ends_the_run_at_its_next_look() -> None:
    world = World([], ["done"])
    await world.begin()
    await world.slip("cancel", {"note": "never mind"})
    assert await world.executor.drive() == "ended"
    assert (await world.story())[-2:] == ["run.cancel_requested", "run.cancelled"]
    assert [fact.cause for fact in await world.facts() if fact.cause is not None] == ["inbox:1"]


async def test_a_cancel_while_the_model_is_asked_ends_the_question() -> None:
    world = World([], model=ScriptedModel(["done"], delay_s=100))
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert await world.story() == ["run.created", "run.claimed", "run.cancel_requested", "run.cancelled"]
    assert world.clock.monotonic() == 1


@pytest.mark.parametrize(("effect", "end"), [("once", "step.unknown a cancelled #1"), ("read", "step.failed a cancelled #1")])
async def test_a_cancel_ends_a_lone_step(effect: Effect, end: str) -> None:
    world = hanging(effect)
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert (await world.story())[-4:] == ["step.started a #1", "run.cancel_requested", end, "run.cancelled"]


async def test_a_cancel_ends_steps_side_by_side() -> None:
    tools = [FakeTool("pay", hang, "once"), FakeTool("look", hang)]
    world = World(tools, [[Call("pay"), Call("look"), Call("look")]])
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert (await world.story())[-5:] == [
        "run.cancel_requested",
        "step.unknown t1.1 cancelled #1",
        "step.failed t1.2 cancelled #1",
        "step.failed t1.3 cancelled #1",
        "run.cancelled",
    ]


async def test_a_cancel_ends_the_sleep_before_another_attempt() -> None:
    world = World([FakeTool("look", raiser(RateLimited("wait", retry_after_s=100)), retries=3)], plan=plan(step("a", "look")))
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert (await world.story())[-3:] == ["run.cancel_requested", "step.failed a cancelled #1", "run.cancelled"]


async def test_a_cancel_ends_a_model_step() -> None:
    world = World([], model=ScriptedModel(["done"], delay_s=100), plan=plan(ModelStep(StepId("m"), "say")))
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert (await world.story())[-3:] == ["run.cancel_requested", "step.failed m cancelled #1", "run.cancelled"]


async def test_a_cancel_while_the_next_start_is_flushed_performs_nothing() -> None:
    pay = FakeTool("pay", effect="once")
    world = World([pay], plan=plan(step("a", "pay")), journal=CountingJournal(delay_s=1))
    assert await at(world, 0.5, lambda: world.put("cancel")) == "ended"
    assert pay.calls == []
    assert (await world.story())[-4:] == ["step.started a #1", "run.cancel_requested", "step.failed a cancelled #1", "run.cancelled"]


async def test_a_cancel_while_the_next_attempt_is_flushed_performs_nothing() -> None:
    pay = FakeTool("pay", raiser(RateLimited("wait", retry_after_s=0.1)), "idempotent", retries=3)
    world = World([pay], plan=plan(step("a", "pay")), journal=CountingJournal(delay_s=1))
    assert await at(world, 1.5, lambda: world.put("cancel")) == "ended"
    assert len(pay.calls) == 1
    assert (await world.story())[-4:] == ["step.started a #2", "run.cancel_requested", "step.failed a cancelled #2", "run.cancelled"]


async def test_a_cancel_between_an_effect_and_the_question_asks_nothing() -> None:
    model = ScriptedModel([Call("pay"), "done"])
    world = World([FakeTool("pay", effect="once")], model=model, journal=CountingJournal(delay_s=1))
    assert await at(world, 1.5, lambda: world.put("cancel")) == "ended"
    assert len(model.requests) == 1
    assert (await world.story())[-3:] == ["step.finished t1.1 #1", "run.cancel_requested", "run.cancelled"]


async def test_a_cancel_during_the_release_wins_over_the_answer() -> None:
    world = World([], ["done"])

    async def cancel(_number: int, batch: Batch) -> None:
        if batch.state == "succeeded":
            await world.put("cancel")

    world.journal.before = cancel
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["run.cancel_requested", "run.cancelled"]


async def test_a_message_during_the_release_is_read_before_the_run_ends() -> None:
    model = ScriptedModel(["too early", "now"])
    world = World([], model=model)

    async def write(_number: int, batch: Batch) -> None:
        if batch.state == "succeeded" and len(model.requests) == 1:
            await world.put("message", "one more thing")

    world.journal.before = write
    assert await world.drive() == "ended"
    assert world.run.answer == "now"
    assert [message.text for message in model.requests[1].conversation] == ["the goal", "too early", "one more thing"]


async def test_a_tool_cannot_refuse_to_be_cancelled() -> None:
    async def stubborn(_args: Args, _context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ToolError("not now") from None

    world = World([FakeTool("look", stubborn)], plan=plan(step("a", "look")))
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert (await world.story())[-2:] == ["step.failed a cancelled #1", "run.cancelled"]


async def test_a_tool_that_ends_on_being_cancelled_has_its_result_kept() -> None:
    async def quick(_args: Args, _context: Context) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "just in time"
        return "never"

    world = World([FakeTool("pay", quick, "once")], plan=plan(step("a", "pay")))
    assert await at(world, 1, lambda: world.put("cancel")) == "ended"
    assert (await world.story())[-2:] == ["step.finished a #1", "run.cancelled"]


async def test_a_step_that_is_cancelled_before_its_task_began_is_journaled_and_not_performed() -> None:
    tool = FakeTool("pay", hang, "once")
    world = World([tool], [[Call("pay"), Call("pay")]])

    def cancel(_number: int, batch: Batch) -> None:
        if any("step.started" in fact.event.type for fact in batch.facts):
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: loop.call_soon(world.executor.interrupt, "expire"))

    world.journal.after = cancel
    assert await world.drive() == "ended"
    assert tool.calls == []
    assert (await world.story())[-3:] == ["step.failed t1.1 expired #1", "step.failed t1.2 expired #1", "run.expired"]
