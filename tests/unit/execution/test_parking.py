"""Runs that nobody shall go on with until somebody has looked: those that crash again and again, and those whose code has changed."""

from collections.abc import Callable

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import CodeChange, RunReleased, RunWaiting, RunWoken
from agent_sdk.core.ids import PrincipalId
from agent_sdk.core.ports import Answer, Propose
from agent_sdk.core.run import Run
from agent_sdk.core.tools import Wait
from agent_sdk.testing import Call
from tests.unit.execution.fakes import RUN, TENANT, FakeTool, plan, step
from tests.unit.execution.world import World


async def crashed(world: World, times: int) -> World:
    """Claim the run so often in a row, and get nothing done."""
    for _ in range(times):
        await world.again()
    return world


def looking(*more: FakeTool) -> World:
    return World([FakeTool("look"), *more], plan=plan(step("a", "look")))


async def test_a_run_whose_owners_are_lost_again_and_again_waits_as_a_crash_loop() -> None:
    world = looking()
    world.deadline_s = 1e6
    await world.begin()
    await crashed(world, 5)
    world.run.limits = Limits(max_crashes=4)
    assert world.run.crashes == 0, "the fold knows of a claim by what its owner wrote"
    assert await world.executor.drive() == "waiting"
    assert await world.state() == "waiting: crash_loop"
    assert await world.story() == ["run.created", "run.claimed", "run.waiting crash_loop", "run.released waiting"]
    assert world.run.created is not None
    assert (await world.journal.row(TENANT, RUN)).wake_at == world.run.created.deadline_at


async def test_a_run_may_crash_as_often_as_the_limit_says() -> None:
    world = looking()
    await world.begin()
    await crashed(world, Limits().max_crashes)
    assert await world.executor.drive() == "ended"


async def looping() -> World:
    world = looking()
    await world.begin()
    await crashed(world, Limits().max_crashes + 1)
    assert await world.executor.drive() == "waiting"
    return world


async def test_a_crash_loop_lasts_until_somebody_wakes_the_run() -> None:
    world = await looping()
    await world.slip("message", "are you there?")
    assert await world.resume() == "waiting"
    assert await world.state() == "waiting: crash_loop"
    await world.slip("wake", {})
    assert await world.resume() == "ended"
    assert await world.state() == "succeeded"
    woken = next(fact.event for fact in await world.facts() if isinstance(fact.event, RunWoken))
    assert woken == RunWoken(PrincipalId("ann"))


async def test_a_cancel_ends_a_run_in_a_crash_loop() -> None:
    world = await looping()
    await world.slip("cancel")
    assert await world.resume() == "ended"
    assert await world.state() == "cancelled"


async def test_a_run_that_always_ends_in_an_error_waits_as_a_crash_loop_at_last() -> None:
    class Broken:
        def next(self, run: Run) -> Propose | Answer:
            raise ZeroDivisionError

    world = World(planner=Broken())
    await world.begin()
    for _ in range(Limits().max_crashes + 1):
        with pytest.raises(ZeroDivisionError):
            await world.executor.drive()
        assert isinstance((await world.facts())[-1].event, RunReleased)
        assert await world.state() == "queued"
        await world.again()
    assert await world.executor.drive() == "waiting"
    assert await world.state() == "waiting: crash_loop"


async def test_nobody_needs_to_wake_a_run_that_is_well() -> None:
    world = World([FakeTool("look", need="why")], [Call("look"), "done"], pins=True)
    await world.drive()
    await world.slip("wake", {"accept_code": True})
    assert await world.resume() == "waiting"
    assert (await world.since_the_wait())[0] == "message.received the run does not wait for somebody to let it go on"


def change_schema(world: World) -> None:
    world.tools[0].returns = {"type": "string"}


def change_instructions(world: World) -> None:
    world.instructions = "Be terse."


def drop_tool(world: World) -> None:
    world.tools = []


@pytest.mark.parametrize(
    ("change", "part", "is_gone"),
    [(change_schema, "tool:look", False), (change_instructions, "instructions", False), (drop_tool, "tool:look", True)],
)
async def test_a_run_whose_code_has_changed_waits_with_both_sides_shown(change: Callable[[World], None], part: str, is_gone: bool) -> None:
    world = World([FakeTool("look", need="why")], [Call("look"), "done"], pins=True, deadline_s=1e6)
    await world.drive()
    pinned = world.spec.digests()
    change(world)
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "waiting"
    assert await world.state() == "waiting: code_changed"
    waiting = [fact.event for fact in await world.facts() if isinstance(fact.event, RunWaiting)][-1]
    assert waiting.changes == (CodeChange(part, pinned[part], None if is_gone else world.spec.digests()[part]),)
    assert waiting.wake_at == (await world.journal.row(TENANT, RUN)).wake_at is not None
    assert "step.started t1.1 #1" not in await world.story()


async def changed() -> World:
    world = World([FakeTool("look", need="why")], [Call("look"), "done"], pins=True)
    await world.drive()
    change_instructions(world)
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "waiting"
    return world


async def test_a_run_whose_code_has_changed_goes_on_with_the_code_that_somebody_accepts() -> None:
    world = await changed()
    await world.slip("wake", {"accept_code": True})
    assert await world.resume() == "ended"
    woken = next(fact.event for fact in await world.facts() if isinstance(fact.event, RunWoken))
    assert woken == RunWoken(PrincipalId("ann"), world.spec.digests(), "1")
    assert (await world.folded()).pinned == world.spec.digests()


async def test_to_wake_a_run_whose_code_has_changed_is_not_to_accept_the_code() -> None:
    world = await changed()
    await world.slip("wake", {})
    assert await world.resume() == "waiting"
    assert "message.received the code has changed: instructions; accept that, or fork the run" in await world.story()
    assert await world.state() == "waiting: code_changed"


async def test_a_run_goes_on_when_the_code_is_again_what_it_was() -> None:
    world = await changed()
    world.instructions = ""
    await world.slip("message", "it is back")
    assert await world.resume() == "ended"


async def test_a_cancel_ends_a_run_whose_code_has_changed() -> None:
    world = await changed()
    await world.slip("cancel")
    assert await world.resume() == "ended"
    assert await world.state() == "cancelled"


async def test_code_that_no_step_to_come_depends_on_may_change() -> None:
    steps = [step("a", "look"), step("b", "ask", {"x": {"$ref": "a"}})]
    world = World([FakeTool("look"), FakeTool("ask", need="why")], plan=plan(*steps), pins=True)
    await world.drive()
    change_schema(world)
    change_instructions(world)
    await world.slip("approve", {"step": "b", "ruling": "approve"})
    assert await world.resume() == "ended"


async def test_the_code_may_have_changed_while_a_run_lay_in_a_queue() -> None:
    world = World([FakeTool("look")], ["done"], pins=True)
    await world.begin()
    change_instructions(world)
    assert await (await world.again()).drive() == "waiting"
    assert await world.state() == "waiting: code_changed"


async def test_no_child_is_made_with_code_that_nobody_accepted() -> None:
    help_ = FakeTool("help", waits=Wait("child", text="do it", name="helper"))
    world = World([help_], [Call("help"), "done"], pins=True)
    await world.drive()
    change_instructions(world)

    def gone() -> None:
        raise RequestError("there is no subagent")

    world.before_child = gone
    await world.slip("message", "hello")
    assert await world.resume() == "waiting"
    assert await world.state() == "waiting: code_changed"
    assert len(world.children) == 1
    await world.slip("wake", {"accept_code": True})
    await world.resume()
    assert len(world.children) == 2
    assert f"child.finished t1.1 {RequestError.code}" in await world.story()
