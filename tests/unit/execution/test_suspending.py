"""Suspension, deadline and a task that is cancelled from outside, at every stage of a run."""

import asyncio

import pytest

from agent_sdk.core.errors import RateLimited
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import ModelStep
from agent_sdk.testing import Call, ScriptedModel
from tests.unit.execution.fakes import CountingJournal, FakeTool, hang, plan, raiser, sleeper, step
from tests.unit.execution.world import World, at, hanging, no_stray_tasks


async def suspend(world: World, *, force: bool = False) -> None:
    world.executor.interrupt("suspend", force=force)


async def test_a_run_that_is_suspended_before_it_starts_goes_on_later() -> None:
    world = World([], ["done"])
    await world.begin()
    await suspend(world)
    assert await world.executor.drive() == "suspended"
    assert await world.state() == "queued"
    assert await world.resume() == "ended"
    assert await world.story() == [
        "run.created",
        "run.claimed",
        "run.released suspended",
        "run.claimed",
        "model.called t1",
        "run.succeeded",
    ]


async def test_a_question_that_is_suspended_is_asked_again() -> None:
    world = World([], model=ScriptedModel(["early", "done"], delay_s=10))
    assert await at(world, 1, lambda: suspend(world)) == "suspended"
    assert await world.resume() == "ended"
    assert world.run.answer == "early"
    assert (await world.story()).count("model.called t1") == 1


async def test_a_suspended_read_starts_again() -> None:
    look = FakeTool("look", sleeper(10))
    world = World([look], plan=plan(step("a", "look")))
    assert await at(world, 1, lambda: suspend(world)) == "suspended"
    assert await world.resume() == "ended"
    assert (await world.story())[3:] == [
        "step.started a #1",
        "run.released suspended",
        "run.claimed",
        "step.started a #2",
        "step.finished a #2",
        "run.succeeded",
    ]


@pytest.mark.parametrize("calls", [["pay"], ["pay", "look"]])
async def test_a_once_effect_may_end_before_the_run_is_suspended(calls: list[str]) -> None:
    pay, look = FakeTool("pay", sleeper(10), "once"), FakeTool("look", sleeper(10))
    world = World([pay, look], [list(map(Call, calls)), "done"])
    assert await at(world, 1, lambda: suspend(world)) == "suspended"
    assert world.clock.monotonic() == 10
    assert (await world.story())[-2:] == ["step.finished t1.1 #1", "run.released suspended"]
    assert await world.resume() == "ended"
    assert len(pay.calls) == 1


@pytest.mark.parametrize("calls", [["pay"], ["pay", "look"]])
async def test_a_forced_suspension_leaves_the_effect_unknown(calls: list[str]) -> None:
    pay, look = FakeTool("pay", hang, "once"), FakeTool("look", sleeper(10))
    world = World([pay, look], [list(map(Call, calls))])

    async def twice() -> None:
        await suspend(world)
        await asyncio.sleep(1)
        await suspend(world, force=True)

    assert await at(world, 1, twice) == "suspended"
    assert (await world.story())[-2:] == ["step.unknown t1.1 suspended #1", "run.released suspended"]
    assert await world.resume() == "waiting"
    assert await world.state() == "waiting: unknown_effect"


async def test_an_effect_that_was_suspended_before_it_began_is_performed_later() -> None:
    pay = FakeTool("pay", effect="once")
    world = World([pay], plan=plan(step("a", "pay")), journal=CountingJournal(delay_s=1))
    assert await at(world, 0.5, lambda: suspend(world)) == "suspended"
    assert pay.calls == []
    assert await world.resume() == "ended"
    assert (await world.story())[3:] == [
        "step.started a #1",
        "step.unknown a suspended #1",
        "effect.decided a retry",
        "run.released suspended",
        "run.claimed",
        "step.started a #2",
        "step.finished a #2",
        "run.succeeded",
    ]


async def test_a_cancel_after_a_suspension_ends_the_run() -> None:
    world = World([FakeTool("pay", hang, "once")], plan=plan(step("a", "pay")))

    async def both() -> None:
        await suspend(world)
        await world.put("cancel")
        await suspend(world)

    assert await at(world, 1, both) == "ended"
    assert (await world.story())[-1] == "run.cancelled"


async def test_the_deadline_ends_a_run() -> None:
    world = hanging()
    world.deadline_s = 5
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["step.unknown a expired #1", "run.expired"]
    assert world.clock.monotonic() == 5


async def test_a_deadline_that_has_passed_ends_the_resumed_run_at_once() -> None:
    world = World([], model=ScriptedModel(["done"], delay_s=10), deadline_s=5)
    assert await at(world, 1, lambda: suspend(world)) == "suspended"
    world.clock.advance(60)
    assert await world.resume() == "ended"
    assert (await world.story())[-2:] == ["run.claimed", "run.expired"]


async def test_a_run_that_ends_before_its_deadline_forgets_it() -> None:
    world = World([], ["done"], deadline_s=5)
    assert await world.drive() == "ended"
    assert world.clock.monotonic() < 1
    assert await world.state() == "succeeded"


async def test_cancelling_the_task_hands_the_run_back_and_goes_on_outwards() -> None:
    pay, look = FakeTool("pay", hang, "once"), FakeTool("look", sleeper(10))
    world = World([pay, look], [[Call("pay"), Call("look")], "done"])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.drive()
    assert (await world.story())[-2:] == ["step.unknown t1.1 interrupted #1", "run.released suspended"]
    assert await world.state() == "queued"
    assert no_stray_tasks()


async def test_cancelling_the_task_in_a_model_step_starts_it_again_later() -> None:
    world = World([], model=ScriptedModel(["early", "late"], delay_s=10), plan=plan(ModelStep(StepId("m"), "say")))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.drive()
    assert await world.resume() == "ended"
    assert (await world.story())[3:6] == ["step.started m #1", "run.released suspended", "run.claimed"]


async def test_cancelling_the_task_between_attempts_starts_the_next_one_later() -> None:
    look = FakeTool("look", raiser(RateLimited("wait", retry_after_s=100)), retries=1)
    world = World([look], plan=plan(step("a", "look")))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.drive()
    assert await world.resume() == "ended"
    assert (await world.story())[4:] == [
        "step.retried a model_rate_limited #2",
        "run.released suspended",
        "run.claimed",
        "step.started a #2",
        "step.finished a #2",
        "run.succeeded",
    ]


async def test_cancelling_the_task_under_suspension_goes_on_outwards() -> None:
    world = World([FakeTool("pay", hang, "once")], plan=plan(step("a", "pay")))
    await world.begin()
    asyncio.get_running_loop().call_later(1, world.executor.interrupt, "suspend")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await world.executor.drive()
    assert (await world.story())[-2:] == ["step.unknown a interrupted #1", "run.released suspended"]


async def test_a_cancellation_from_outside_is_not_lost_in_one_of_our_own() -> None:
    world = World([FakeTool("look", hang)], plan=plan(step("a", "look")))
    await world.begin()
    asyncio.get_running_loop().call_later(1, world.executor.interrupt, "suspend")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.executor.drive()
    assert (await world.story())[-1] == "run.released suspended"


async def test_a_cancelled_task_takes_its_mail_before_it_hands_the_run_back() -> None:
    world = World([], model=ScriptedModel(["done"], delay_s=10))
    await world.begin()
    await world.slip("message", "hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.executor.drive()
    assert (await world.story())[-2:] == ["message.received", "run.released suspended"]


async def test_a_journal_that_hangs_holds_nobody_up_for_long() -> None:
    world = World([FakeTool("pay", effect="once")], plan=plan(step("a", "pay")), journal=CountingJournal(delay_s=1e6))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await world.drive()
    assert world.clock.monotonic() == 6
    assert no_stray_tasks()


async def test_mail_for_a_run_that_was_handed_back_stays_for_the_next_owner() -> None:
    world = World([], ["done"])
    await world.begin()
    await suspend(world)
    assert await world.executor.drive() == "suspended"
    await world.put("cancel")
    assert (await world.story())[-1] == "run.released suspended"
    assert await world.resume() == "ended"
    assert (await world.story())[-3:] == ["run.claimed", "run.cancel_requested", "run.cancelled"]
