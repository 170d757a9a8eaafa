"""Effects that are undone, the last one first, where a run ends badly and asks for that."""

import asyncio
from collections.abc import Sequence

import pytest
from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import Fenced, StorageError, ToolTimedOut
from agent_sdk.core.events import EffectCompensated, StepFailed
from agent_sdk.core.ids import OwnerId
from agent_sdk.core.ports import Batch
from agent_sdk.testing import Call
from tests.unit.execution.fakes import LEASE_S, RUN, TENANT, Args, Context, FakeTool, Undo, hang, plan, raiser, ref, step, undoes
from tests.unit.execution.test_crash import Killer
from tests.unit.execution.world import World, no_stray_tasks


async def slowly(_args: Args, _output: JsonValue, _context: Context) -> None:
    await asyncio.sleep(10)


def book(undo: Undo = undoes) -> FakeTool:
    return FakeTool("book", effect="idempotent", undo=undo)


def failing(tool: FakeTool, *, compensate: bool = True, names: Sequence[str] = ("a", "b")) -> World:
    """Return a plan that books one thing after the other and then fails."""
    made = [step(name, "book", {"x": name}, after=names[:index]) for index, name in enumerate(names)]
    last = step("c", "fail", {name: ref(name) for name in names})
    return World([tool, FakeTool("fail", raiser(*[ValueError("no")] * 9))], plan=plan(*made, last), compensate=compensate)


def undone(story: list[str]) -> list[str]:
    return [line for line in story if line.startswith("effect.comp")]


async def test_a_failed_run_undoes_its_effects_in_reverse_and_then_fails() -> None:
    tool = book()
    world = failing(tool)
    assert await world.drive() == "ended"
    story = await world.story()
    assert story[story.index("step.failed c tool_failed #1") + 1 :] == [
        "effect.compensating b #1",
        "effect.compensated b #1",
        "effect.compensating a #1",
        "effect.compensated a #1",
        "run.failed c tool_failed",
    ]
    assert tool.undone == [("b", f"{RUN}/b~undo"), ("a", f"{RUN}/a~undo")]
    assert (world.run.undoable, world.run.undone) == ({}, {"b": None, "a": None})


async def test_a_run_that_does_not_ask_for_it_undoes_nothing() -> None:
    tool = book()
    world = failing(tool, compensate=False)
    await world.drive()
    assert tool.undone == []


async def test_a_run_that_succeeds_undoes_nothing() -> None:
    tool = book()
    world = World([tool], plan=plan(step("a", "book")), compensate=True)
    await world.drive()
    assert await world.state() == "succeeded"
    assert tool.undone == []


@pytest.mark.parametrize(("stop", "state"), [("cancel", "cancelled"), ("expire", "expired")])
async def test_a_run_that_is_stopped_undoes_what_had_finished(stop: str, state: str) -> None:
    tool = book()
    steps = [step("a", "book"), step("b", "hang", {"x": ref("a")})]
    world = World([tool, FakeTool("hang", hang)], plan=plan(*steps), compensate=True, limits=Limits(step_timeout_s=1e6))
    world.deadline_s = 50 if stop == "expire" else None
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        if stop == "cancel":
            await asyncio.sleep(50)
            await world.put("cancel")
    assert await world.state() == state
    assert tool.undone == [("a", f"{RUN}/a~undo")]


async def test_an_undoing_that_fails_is_told_and_the_others_go_on() -> None:
    def stubborn(args: Args, _output: JsonValue, _context: Context) -> None:
        if args["x"] == "b":
            raise ConnectionError("gone")

    world = failing(book(stubborn))
    assert await world.drive() == "ended"
    told = [fact.event for fact in await world.facts() if isinstance(fact.event, EffectCompensated)]
    assert [(event.step, event.code, event.message) for event in told] == [
        ("b", "tool_failed", "ConnectionError: gone"),
        ("a", None, None),
    ]
    assert world.run.undone == {"b": "tool_failed", "a": None}


async def test_an_undoing_that_takes_too_long_is_told() -> None:
    world = failing(book(hang), names=("a",))
    await world.drive()
    assert world.run.undone == {"a": ToolTimedOut.code}
    assert await world.state() == "failed"


async def test_what_a_lost_tool_did_stands_and_is_told() -> None:
    world = failing(book(), names=("a",))
    Killer(world.journal, 3, is_durable=True)
    with pytest.raises(StorageError):
        await world.drive()
    world.journal.before = world.journal.after = lambda _number, _batch: None
    world.tools = [tool for tool in world.tools if tool.name != "book"]
    await world.slip("cancel")
    assert await world.resume() == "ended"
    assert undone(await world.story())[-1] == "effect.compensated a not_found #2"


async def test_what_needs_an_erased_value_stands_and_is_told() -> None:
    world = failing(book(), names=("a",))
    Killer(world.journal, 3, is_durable=True)
    with pytest.raises(StorageError):
        await world.drive()
    world.journal.before = world.journal.after = lambda _number, _batch: None
    await world.slip("cancel")
    await world.again()
    for state in world.run.graph.steps.values():
        state.spec = None
    assert await world.executor.drive() == "ended"
    assert undone(await world.story())[-1] == "effect.compensated a reference_missing #2"


async def test_a_suspended_undoing_begins_again_under_the_same_key() -> None:
    tool = book(slowly)
    world = failing(tool, names=("a",))
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(5)
        world.executor.interrupt("suspend")
    assert driving.result() == "suspended"
    assert await world.resume() == "ended"
    assert undone(await world.story()) == ["effect.compensating a #1", "effect.compensating a #2", "effect.compensated a #2"]
    assert tool.undone == [("a", f"{RUN}/a~undo")] * 2


@pytest.mark.parametrize("stop", ["cancel", "expire"])
async def test_what_is_being_undone_is_undone_to_its_end(stop: str) -> None:
    tool = book(slowly)
    world = failing(tool, names=("a",))
    world.deadline_s = 5 if stop == "expire" else None
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(5)
        if stop == "cancel":
            await world.put("cancel")
    assert undone(await world.story()) == ["effect.compensating a #1", "effect.compensated a #1"]
    assert await world.state() == {"cancel": "cancelled", "expire": "expired"}[stop]


async def test_a_task_that_is_cancelled_while_it_undoes_hands_the_run_back() -> None:
    world = failing(book(slowly), names=("a",))
    await world.begin()
    driving = asyncio.get_running_loop().create_task(world.executor.drive())
    await asyncio.sleep(5)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert no_stray_tasks()
    assert await world.state() == "queued"
    assert await world.resume() == "ended"
    assert world.run.undone == {"a": None}


async def test_a_failure_of_the_planner_is_a_fact_before_anything_is_undone() -> None:
    tool = book(slowly)
    world = World([tool], [Call("book")] * 3, limits=Limits(max_turns=2), compensate=True)
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(5)
        await world.put("message", "go on")
    story = await world.story()
    failed = next(fact.event for fact in await world.facts() if isinstance(fact.event, StepFailed))
    assert (failed.step, failed.code) == ("run.answer", "turn_limit")
    assert story[-1] == "run.failed run.answer turn_limit"
    assert undone(story)[::2] == ["effect.compensating t2.1 #1", "effect.compensating t1.1 #1"]


async def test_an_edited_call_is_undone_with_the_arguments_it_was_made_with() -> None:
    seen: list[tuple[Args, JsonValue]] = []
    tool = book(lambda args, output, _: seen.append((args, output)))
    tool.need = "why"
    world = failing(tool, names=("a",))
    await world.drive()
    await world.slip("approve", {"step": "a", "ruling": "edit", "args": {"x": "other"}})
    await world.resume()
    assert seen == [({"x": "other"}, {"x": "other"})]


async def test_nothing_is_undone_by_one_who_lost_the_lease() -> None:
    tool = book()
    world = failing(tool, names=("a",))

    async def taken_over(_number: int, batch: Batch) -> None:
        if any(fact.event.type == "effect.compensating" for fact in batch.facts):
            world.clock.advance(LEASE_S + 1)
            await world.journal.claim(TENANT, RUN, OwnerId("other"), lease_s=LEASE_S)

    world.journal.after = taken_over
    with pytest.raises(Fenced):
        await world.drive()
    assert tool.undone == []


@pytest.mark.parametrize("is_durable", [True, False])
async def test_wherever_the_process_dies_all_is_undone_in_order_under_the_same_keys(is_durable: bool) -> None:
    whole = failing(book())
    await whole.drive()
    for number in range(1, len(whole.journal.appends) + 1):
        tool = book()
        world = failing(tool)
        await world.begin()
        killer = Killer(world.journal, number, is_durable=is_durable)
        with pytest.raises(StorageError, match="dead"):
            await world.executor.drive()
        assert killer.struck
        world.journal.before = world.journal.after = lambda _number, _batch: None
        if await world.state() != "failed":
            assert await world.resume() == "ended"
        assert await world.state() == "failed"
        assert (await world.folded()).undone == {"b": None, "a": None}
        assert list(dict.fromkeys(tool.undone)) == [("b", f"{RUN}/b~undo"), ("a", f"{RUN}/a~undo")]


async def test_an_undoing_that_the_process_dies_of_is_left_and_the_run_ends() -> None:
    tool = book()
    world = failing(tool)
    Killer(world.journal, 1, is_durable=True)
    with pytest.raises(StorageError):
        await world.drive()
    world.journal.before = world.journal.after = lambda _number, _batch: None
    deaths = 0
    while await world.state() != "failed" and deaths < 20:
        await world.again()

        def deadly(_args: Args, _output: JsonValue, context: Context) -> None:
            if context.step_id == "b":
                Killer(world.journal, world.journal.attempts + 1, is_durable=False)

        tool.undo = deadly
        try:
            await world.executor.drive()
        except StorageError:
            deaths += 1
        world.journal.before = world.journal.after = lambda _number, _batch: None
    assert await world.state() == "failed"
    assert (await world.folded()).undone == {"b": "crash_loop", "a": None}
    assert deaths == Limits().max_crashes + 2, "the first of them had got something done before"
