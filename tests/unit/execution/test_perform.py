"""The boundary to tools: whatever happens behind it becomes an outcome in the journal."""

import asyncio
import json
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import ArgumentsInvalid, NotDone, RateLimited, ToolError
from agent_sdk.core.events import Event, StepFailed, StepUnknown
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.model import Progress
from agent_sdk.core.ports import Verdict
from agent_sdk.core.tools import Effect
from agent_sdk.execution.perform import Performer
from tests.unit.execution.fakes import Args, Context, FakeTool, Tokens, gives, plan, raiser, ref, sleeper, step
from tests.unit.execution.world import World


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def one_step(tool: FakeTool, limits: Limits | None = None) -> World:
    return World([tool], plan=plan(step("a", tool.name)), limits=limits or Limits())


async def end_of(world: World) -> Event:
    """Perform the run and return the event that its step ended with."""
    await world.drive()
    return next(fact.event for fact in reversed(await world.facts()) if fact.event.type.startswith("step."))


@pytest.mark.parametrize(
    ("error", "code", "retryable", "message"),
    [
        (ValueError("no such city"), "tool_failed", False, "ValueError: no such city"),
        (ValueError(), "tool_failed", False, "ValueError"),
        (TimeoutError("slow"), "tool_failed", True, "TimeoutError: slow"),
        (ConnectionResetError("gone"), "tool_failed", True, "ConnectionResetError: gone"),
        (SystemExit(3), "tool_exited", False, "the tool tried to end the process: SystemExit(3)"),
        (asyncio.CancelledError(), "tool_cancelled_itself", False, "the tool was cancelled from within, not by the run"),
        (UnprintableError(), "tool_failed", False, "UnprintableError"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "tool_failed", False, "ExceptionGroup: two (2 sub-exceptions)"),
        (ToolError("closed on Sundays", hint="try Monday"), "tool_failed", False, "closed on Sundays"),
        (RateLimited("too fast"), "model_rate_limited", True, "too fast"),
        (ArgumentsInvalid("`n` is no number"), "arguments_invalid", False, "`n` is no number"),
    ],
)
async def test_what_a_tool_raises_is_a_fact(error: BaseException, code: str, retryable: bool, message: str) -> None:
    end = await end_of(one_step(FakeTool("fail", raiser(error))))
    assert isinstance(end, StepFailed)
    assert (end.code, end.retryable, end.message) == (code, retryable, message)


async def test_a_failure_keeps_its_traceback_and_a_meant_one_its_hint() -> None:
    by_accident = await end_of(one_step(FakeTool("fail", raiser(ValueError("oops")))))
    assert isinstance(by_accident, StepFailed)
    assert by_accident.traceback is not None
    assert "raise left.pop(0)" in by_accident.traceback

    on_purpose = await end_of(one_step(FakeTool("fail", raiser(ToolError("closed", hint="try Monday")))))
    assert isinstance(on_purpose, StepFailed)
    assert (on_purpose.hint, on_purpose.traceback) == ("try Monday", None)


async def test_a_meant_failure_with_a_cause_keeps_its_traceback() -> None:
    def fail(_args: Args, _context: Context) -> JsonValue:
        raise ToolError("no answer") from OSError("line cut")

    end = await end_of(one_step(FakeTool("fail", fail)))
    assert isinstance(end, StepFailed)
    assert end.traceback is not None
    assert "OSError: line cut" in end.traceback


async def test_a_long_message_and_traceback_are_cut() -> None:
    end = await end_of(one_step(FakeTool("fail", raiser(ValueError("x" * 1_000_000)))))
    assert isinstance(end, StepFailed)
    assert (len(end.message or ""), len(end.traceback or "")) == (4000, 16_000)


@pytest.mark.parametrize("error", [ValueError("mid-send"), SystemExit(), asyncio.CancelledError(), TimeoutError(), ToolError("no")])
async def test_a_once_effect_that_fails_is_unknown(error: BaseException) -> None:
    world = one_step(FakeTool("pay", raiser(error), "once", retries=5))
    assert isinstance(await end_of(world), StepUnknown)
    assert await world.state() == "waiting: unknown_effect"


@pytest.mark.parametrize("error", [NotDone("the account is empty"), ArgumentsInvalid("`n` is no number")])
async def test_a_once_effect_that_was_not_done_has_failed(error: ToolError) -> None:
    world = one_step(FakeTool("pay", raiser(error), "once"))
    end = await end_of(world)
    assert isinstance(end, StepFailed)
    assert end.code == error.code
    assert await world.state() == "failed"


@pytest.mark.parametrize(
    ("effect", "end"), [("read", StepFailed), ("idempotent", StepFailed), ("verify", StepFailed), ("once", StepUnknown)]
)
async def test_a_tool_that_hangs_is_ended_at_its_time_limit(effect: Effect, end: type[Event]) -> None:
    world = one_step(FakeTool("hang", sleeper(1e6), effect, timeout_s=5))
    made = await end_of(world)
    assert isinstance(made, end)
    assert isinstance(made, (StepFailed, StepUnknown))
    assert (made.code, made.message) == ("tool_timed_out", "no result within 5 s")
    assert 5 <= world.clock.monotonic() < 5.1


async def test_the_limit_of_the_agent_holds_where_the_tool_has_none() -> None:
    world = one_step(FakeTool("hang", sleeper(1e6)), Limits(step_timeout_s=7))
    end = await end_of(world)
    assert isinstance(end, StepFailed)
    assert end.message == "no result within 7 s"


async def test_a_tool_that_turns_its_time_limit_into_another_error_has_timed_out() -> None:
    async def disguise(_args: Args, _context: Context) -> JsonValue:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            raise OSError("interrupted") from None
        return None

    end = await end_of(one_step(FakeTool("hang", disguise, timeout_s=5)))
    assert isinstance(end, StepFailed)
    assert end.code == "tool_timed_out"


async def test_a_tool_knows_its_deadline() -> None:
    tool = FakeTool("look", timeout_s=5)
    world = one_step(tool)
    await world.drive()
    assert [context.deadline_s for context, _ in tool.calls] == [5.0]


@pytest.mark.parametrize("output", ["x" * 50_000_000, ["x" * 1000] * 50_000, {"all": "x" * 50_000_000}], ids=["text", "list", "object"])
async def test_an_output_of_50_mb_is_refused(output: JsonValue) -> None:
    end = await end_of(one_step(FakeTool("dump", gives(output))))
    assert isinstance(end, StepFailed)
    assert end.code == "output_too_large"
    assert end.message is not None
    assert "at most 16,777,216 are allowed" in end.message


async def test_an_output_that_json_cannot_hold_is_a_failure_of_the_tool() -> None:
    end = await end_of(one_step(FakeTool("dump", gives([cast("JsonValue", object())]))))
    assert isinstance(end, StepFailed)
    assert end.code == "tool_failed"


async def test_a_started_step_whose_tool_is_there_no_more_fails() -> None:
    world = one_step(FakeTool("look", sleeper(10)))
    await world.begin()
    asyncio.get_running_loop().call_later(1, world.executor.interrupt, "suspend")
    assert await world.executor.drive() == "suspended"
    world.tools = []
    assert await world.resume() == "ended"
    assert (await world.story())[-2:] == ["step.failed a not_found #2", "run.failed a not_found"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
async def test_what_is_not_a_tools_own_goes_through(error: type[BaseException]) -> None:
    world = one_step(FakeTool("look", raiser(error)))
    await world.begin()
    performer = Performer(world.run, world.parts, lambda _: False)
    with pytest.raises(error):
        await performer.tool(StepState(StepId("a"), "look"), {}, 1)


async def test_a_verified_effect_is_asked_for_before_it_is_repeated() -> None:
    sent = list[str]()

    def send(_args: Args, context: Context) -> JsonValue:
        sent.append(context.idempotency_key)
        raise ConnectionResetError

    done = FakeTool("send", send, "verify", retries=3, verdict=lambda context: Verdict(is_done=context.attempt == 3, output="receipt"))
    world = one_step(done)
    assert await world.drive() == "ended"
    assert world.run.answer == "receipt"
    assert (sent, done.asked) == (["run/a"] * 2, ["run/a"] * 2)


async def test_the_idempotency_key_is_the_same_at_every_attempt() -> None:
    tool = FakeTool("put", raiser(TimeoutError(), TimeoutError()), "idempotent", retries=2)
    await one_step(tool).drive()
    assert [(context.idempotency_key, context.attempt) for context, _ in tool.calls] == [("run/a", 1), ("run/a", 2), ("run/a", 3)]


@pytest.mark.parametrize("listens", [True, False])
async def test_a_tool_reports_progress_to_whoever_listens(listens: bool) -> None:
    def work(_args: Args, context: Context) -> JsonValue:
        context.report("half done", 0.5)
        return None

    tokens = Tokens(listens=listens)
    world = World([FakeTool("work", work)], plan=plan(step("a", "work")), tokens=tokens)
    await world.drive()
    assert [(delta.step, delta.attempt, delta.delta) for delta in tokens.deltas] == [("a", 1, Progress("half done", 0.5))] * listens


async def test_arguments_of_references_are_filled_in() -> None:
    tool = FakeTool("echo", lambda args, _: args["x"])
    world = World(
        [tool], plan=plan(step("a", "echo", {"x": {"deep": [1, {"n": 2}]}}), step("b", "echo", {"x": [ref("a.deep.1.n"), ref("goal")]}))
    )
    assert await world.drive() == "ended"
    assert world.run.answer == [2, "the goal"]
    assert json.dumps(tool.calls[1][1]) == '{"x": [2, "the goal"]}'
