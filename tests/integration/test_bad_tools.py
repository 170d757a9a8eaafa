"""Tools that do what no tool should: whatever it is, the run knows it, ends once or waits for a named reason, and others go on."""

import asyncio
import re
import sys
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent_sdk import Agent, App, NotDone, Plan, RunFilter, Runtime, StepId, ToolError, ToolStep, tool
from agent_sdk.core.ports import Tool
from agent_sdk.core.run import Run
from agent_sdk.testing import Call, ScriptedModel
from tests.integration.rest import brought_to_rest, journal_in

RELEASE = threading.Event()
HALF = "the file \udcff is lost"


class Odd(BaseException):
    """What no `except Exception` catches."""


@pytest.fixture(autouse=True)
def _release() -> Generator[None]:
    RELEASE.clear()
    yield
    RELEASE.set()


def throw(error: BaseException) -> object:
    raise error


def recurse() -> object:
    return recurse()


def nested() -> object:
    inside: list[object] = []
    inside.append(inside)
    return inside


async def hang() -> object:
    return await asyncio.Event().wait()


async def hang_and_complain() -> object:
    try:
        return await asyncio.Event().wait()
    finally:
        raise Odd("on the way out")


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "raises": (partial(throw, ValueError("no")), "tool_failed"),
    "raises half a character": (partial(throw, ValueError(HALF)), "tool_failed"),
    "fails with half a character": (partial(throw, ToolError(HALF, hint=HALF)), "tool_failed"),
    "raises ten megabytes": (partial(throw, ValueError("x" * 10_000_000)), "tool_failed"),
    "raises a group": (partial(throw, ExceptionGroup("many", [ValueError("one")])), "tool_failed"),
    "has no memory": (partial(throw, MemoryError()), "tool_failed"),
    "raises StopIteration": (partial(throw, StopIteration()), "tool_failed"),
    "raises no Exception": (partial(throw, Odd("odd")), "tool_failed"),
    "recurses": (recurse, "tool_failed"),
    "exits": (partial(sys.exit, 3), "tool_exited"),
    "exits with half a character": (partial(sys.exit, HALF), "tool_exited"),
    "returns an object": (object, "result_invalid"),
    "returns bytes": (partial(bytes, 3), "result_invalid"),
    "returns NaN": (partial(float, "nan"), "result_invalid"),
    "returns infinity below": (lambda: {"deep": [float("-inf")]}, "result_invalid"),
    "returns 5,000 digits": (lambda: 10**5000, "result_invalid"),
    "returns half a character": (lambda: HALF, "result_invalid"),
    "returns itself": (nested, "result_invalid"),
    "returns 50 MB": (lambda: "x" * 50_000_000, "output_too_large"),
}
SOME = list(BAD)[::3]


def named(function: Callable[[], object]) -> Callable[[], Any]:
    """Return a plain function, as `@tool` wants one."""

    def bad() -> Any:  # noqa: ANN401  (that it promises nothing is the point)
        return function()

    return bad


def named_async(function: Callable[[], object]) -> Callable[[], Any]:
    async def bad() -> Any:  # noqa: ANN401  (the same)
        return function()

    return bad


def planned(bad: Tool) -> Agent[None, str]:
    return Agent(name="planned", strategy="fixed", tools=[bad], plan=Plan((ToolStep(StepId("s"), "bad"),), result={"$ref": "s"}))


def failure_of(run: Run) -> str | None:
    (state,) = run.graph.steps.values()
    return state.failure.code if state.failure is not None else None


@pytest.mark.parametrize("place", ["thread", "inline", "async"])
@pytest.mark.parametrize("case", BAD)
async def test_what_a_tool_raises_or_returns_is_a_fact(case: str, place: str, tmp_path: Path) -> None:
    function, code = BAD[case]
    plain = named_async(function) if place == "async" else named(function)
    bad = tool(effect="read", inline=place == "inline")(plain)
    run = await brought_to_rest(planned(bad), tmp_path)
    assert (run.state, failure_of(run), run.failed_step) == ("failed", code, "s")
    assert run.failure is not None
    assert run.failure.message


@pytest.mark.parametrize("case", SOME)
async def test_of_an_effect_nobody_knows_whether_it_was_done(case: str, tmp_path: Path) -> None:
    function, code = BAD[case]
    run = await brought_to_rest(planned(tool(effect="once")(named(function))), tmp_path)
    assert (run.state, run.reason, failure_of(run)) == ("waiting", "unknown_effect", code)
    assert list(run.graph.unknown) == ["s"]


async def test_an_effect_that_says_itself_that_nothing_was_done_has_failed(tmp_path: Path) -> None:
    run = await brought_to_rest(planned(tool(effect="once")(named(partial(throw, NotDone("not yet"))))), tmp_path)
    assert (run.state, failure_of(run)) == ("failed", "tool_not_done")


@pytest.mark.parametrize("case", SOME)
async def test_a_model_in_a_loop_is_told_and_goes_on(case: str, tmp_path: Path) -> None:
    function, code = BAD[case]
    model = ScriptedModel([Call("bad"), "I could not."])
    agent = Agent(name="looping", model=model, tools=[tool(effect="read")(named(function))])
    run = await brought_to_rest(agent, tmp_path)
    assert (run.state, run.answer, failure_of(run)) == ("succeeded", "I could not.", code)
    assert code in str(model.requests[-1].conversation.messages[-1])


@pytest.mark.parametrize("name", ["sync", "async", "stubborn"])
async def test_a_tool_that_hangs_is_given_up_in_time(name: str, tmp_path: Path) -> None:
    plain: dict[str, Callable[[], Any]] = {"sync": named(lambda: RELEASE.wait(30)), "async": hang, "stubborn": hang_and_complain}
    began_at = time.monotonic()
    run = await brought_to_rest(planned(tool(effect="read", name="bad", timeout_s=0.05)(plain[name])), tmp_path)
    assert (run.state, failure_of(run)) == ("failed", "tool_timed_out")
    assert time.monotonic() - began_at < 5


@pytest.mark.parametrize("place", ["thread", "async"])
async def test_a_tool_that_cancels_itself_has_failed_and_not_the_run(place: str, tmp_path: Path) -> None:
    throws = partial(throw, asyncio.CancelledError())
    bad = tool(effect="read")(named_async(throws) if place == "async" else named(throws))
    run = await brought_to_rest(planned(bad), tmp_path)
    assert (run.state, failure_of(run)) == ("failed", "tool_cancelled_itself" if place == "async" else "tool_failed")


@pytest.mark.parametrize("place", ["inline", "async"])
def test_a_keyboard_interrupt_ends_the_process_and_the_run_can_be_resumed(place: str, tmp_path: Path) -> None:
    """On the event loop it cannot be told from a person's Ctrl-C."""
    throws = partial(throw, KeyboardInterrupt())
    bad = tool(effect="once", inline=place == "inline")(named_async(throws) if place == "async" else named(throws))
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(brought_to_rest(planned(bad), tmp_path))
    run = asyncio.run(resumed(planned(bad), tmp_path))
    assert (run.state, run.reason, failure_of(run)) == ("waiting", "unknown_effect", "owner_lost")


async def resumed(agent: Agent[None, str], folder: Path) -> Run:
    async with Runtime.open(journal_in(folder), app=App([agent])) as runtime:
        (row,) = await runtime.runs(RunFilter())
        assert row.state == "queued"
        return await (await runtime.resume(row.run_id)).settled()


async def test_a_bad_tool_harms_no_other_run_of_the_process(tmp_path: Path) -> None:
    bad = planned(tool(effect="read", inline=True)(named(partial(throw, Odd("odd")))))
    gate = asyncio.Event()

    @tool(effect="read")
    async def patient() -> str:
        await gate.wait()
        return "still here"

    good = Agent(name="good", strategy="fixed", tools=[patient], plan=Plan((ToolStep(StepId("p"), "patient"),), result={"$ref": "p"}))
    async with Runtime.open(journal_in(tmp_path), app=App([bad, good])) as runtime:
        waits = await runtime.start(good, "wait")
        assert (await (await runtime.start(bad, "break")).settled()).state == "failed"
        gate.set()
        assert await waits.result() == "still here"


async def test_a_tool_that_changes_its_arguments_changes_its_own_alone(tmp_path: Path) -> None:
    seen: list[object] = []

    @tool(effect="read", retries=1)
    def spoil(items: list[int], anything: Any) -> Any:  # noqa: ANN401  (what nothing is said of is copied too)
        seen.append((list(items), dict(anything)))
        items.clear()
        anything["more"] = anything
        if len(seen) == 1:
            raise ConnectionError("once more")
        return "spoilt"

    steps = (
        ToolStep(StepId("first"), "spoil", {"items": [1, 2], "anything": {"a": 1}}),
        ToolStep(StepId("again"), "spoil", {"items": [1, 2], "anything": {"a": 1}}, after=(StepId("first"),)),
    )
    run = await brought_to_rest(
        Agent(name="spoiler", strategy="fixed", tools=[spoil], plan=Plan(steps, result={"$ref": "again"})), tmp_path
    )
    assert run.state == "succeeded"
    assert seen == [([1, 2], {"a": 1})] * 3


async def test_a_result_that_is_the_arguments_or_an_earlier_result_is_a_copy(tmp_path: Path) -> None:
    kept: list[Any] = []

    @tool(effect="read")
    def same(value: Any) -> Any:  # noqa: ANN401  (the very object comes back)
        for each in kept:
            each.append("changed afterwards")
        kept.append(value)
        return value

    steps = (
        ToolStep(StepId("one"), "same", {"value": [1]}),
        ToolStep(StepId("two"), "same", {"value": {"$ref": "one"}}),
        ToolStep(StepId("three"), "same", {"value": {"$ref": "two"}}),
    )
    plan = Plan(steps, result=[{"$ref": "one"}, {"$ref": "two"}, {"$ref": "three"}])
    run = await brought_to_rest(Agent(name="same", strategy="fixed", tools=[same], plan=plan), tmp_path)
    assert run.answer == [[1], [1], [1]]


@pytest.mark.slow
async def test_a_tool_that_holds_the_whole_interpreter_delays_and_breaks_nothing(tmp_path: Path) -> None:
    @tool(effect="read")
    def hold() -> bool:
        return re.match(r"(a+)+$", "a" * 24 + "b") is None

    @tool(effect="read")
    async def quick() -> str:
        await asyncio.sleep(0.01)
        return "quick"

    steps = (ToolStep(StepId("h"), "hold"), ToolStep(StepId("q"), "quick"))
    plan = Plan(steps, result=[{"$ref": "h"}, {"$ref": "q"}])
    run = await brought_to_rest(Agent(name="both", strategy="fixed", tools=[hold, quick], plan=plan), tmp_path)
    assert run.answer == [True, "quick"]
