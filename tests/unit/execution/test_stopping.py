"""Cancel, suspend and deadline, at every stage of a run (rules J5 and J9)."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import RateLimited, StorageError, ToolError
from agent_sdk.core.ids import StepId
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Batch
from agent_sdk.core.tools import Effect
from agent_sdk.testing import Call, ScriptedModel
from tests.unit.execution.world import Args, Body, Context, CountingJournal, FakeTool, World, no_stray_tasks, plan, raiser, sleeper, step

ENDS = ("run.succeeded", "run.failed", "run.cancelled", "run.expired")


async def hang(*_: object) -> None:
    await asyncio.Event().wait()


def hanging(effect: Effect = "once") -> World:
    """Return a run with one step that never ends."""
    return World([FakeTool("hang", hang, effect)], plan=plan(step("a", "hang")), limits=Limits(step_timeout_s=1e6))


async def at(world: World, delay_s: float, act: Callable[[], Coroutine[object, object, object]]) -> str:
    """Drive the run, and do something to it at a moment."""

    async def later() -> None:
        await asyncio.sleep(delay_s)
        await act()

    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.drive())
        tasks.create_task(later())
    assert no_stray_tasks()
    return driving.result()


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


def random_tool(effect: str) -> Body:
    async def body(args: Args, _context: Context) -> str:
        await asyncio.sleep(float(str(args["s"])))
        return effect

    return body


DELAYS_S = st.sampled_from([0, 0.5, 1, 1.25, 3])
CALLS = st.tuples(st.sampled_from(["look", "pay"]), DELAYS_S)
STOPS = st.sampled_from(["cancel", "suspend", "force", "message", "task", "storage"])


@given(
    calls=st.lists(st.lists(CALLS, min_size=1, max_size=4), max_size=3),
    deadline_s=st.sampled_from([None, 0, 1, 2.5]),
    stops=st.lists(st.tuples(DELAYS_S, STOPS), max_size=4),
    journal_delay_s=st.sampled_from([0, 0.25, 0.5]),
)
async def test_every_run_ends_exactly_once_whatever_happens_to_it(
    calls: list[list[tuple[str, float]]],
    deadline_s: float | None,
    stops: list[tuple[float, str]],
    journal_delay_s: float,
) -> None:
    async def answer(request: ModelRequest) -> list[Call] | str:
        await asyncio.sleep(0.5)
        turn = int(request.id.removeprefix("t"))
        return [Call(name, {"s": s, "turn": turn}) for name, s in calls[turn - 1]] if turn <= len(calls) else "done"

    look, pay = FakeTool("look", random_tool("look")), FakeTool("pay", random_tool("pay"), "once")
    world = World([look, pay], [answer] * 50, deadline_s=deadline_s, journal=CountingJournal(delay_s=journal_delay_s))
    await world.begin()
    left = sorted(stops)
    while True:
        outcome = await _driven(world, left)
        assert no_stray_tasks()
        story = await world.story()
        if outcome == "ended" or (outcome == "broken" and story[-1] in ENDS):
            break
        assert outcome in {"cancelled", "broken"} or story[-1].startswith("run.released")
        for state in list(world.run.graph.unknown) if outcome == "waiting" else ():
            await world.slip("decide", {"step": state, "decision": "done", "output": None})
        await world.again()
    assert [line for line in story if line in ENDS] == story[-1:]
    assert max((pay.steps.count(each) for each in pay.steps), default=0) <= 1
    assert story[-1] in {"run.succeeded", "run.cancelled", "run.expired"}
    await world.state()


async def _driven(world: World, left: list[tuple[float, str]]) -> str:
    """Drive once, and meanwhile do what is left to be done."""

    def fail(number: int, _batch: Batch) -> None:
        if number % 2:
            raise StorageError("the disk is full")

    async def disturb() -> None:
        while left:
            delay_s, kind = left.pop(0)
            await asyncio.sleep(delay_s)
            match kind:
                case "suspend":
                    world.executor.interrupt("suspend")
                case "force":
                    world.executor.interrupt("suspend", force=True)
                case "task":
                    driving.cancel()
                case "storage":
                    world.journal.before = world.journal.after = fail
                case _ if not world.run.is_ended:
                    await world.put(kind, "note")
                case _:
                    pass

    async def drive() -> str:
        try:
            return await world.executor.drive()
        except StorageError:
            return "broken"

    world.journal.before = world.journal.after = lambda _number, _batch: None
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(drive())
        disturbing = tasks.create_task(disturb())
        await asyncio.wait([driving])
        disturbing.cancel()
    return "cancelled" if driving.cancelled() else driving.result()
