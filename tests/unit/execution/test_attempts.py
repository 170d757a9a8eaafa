"""Retries: by class of error, by the plan's word, within budgets; and the labels of what steps give."""

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import ArgumentsInvalid, NotDone, RateLimited, ToolError, Unavailable
from agent_sdk.core.events import StepFinished, StepStarted
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED, UNKNOWN_SOURCE, Label
from agent_sdk.core.plan import ModelStep, OnError
from agent_sdk.core.tools import Effect
from agent_sdk.execution.backoff import delay_before
from agent_sdk.testing import Call, ScriptedModel, SeededRandom
from tests.unit.execution.fakes import FakeTool, gives, plan, raiser, ref, step
from tests.unit.execution.world import World


def one_step(tool: FakeTool, on_error: OnError = "fail", limits: Limits | None = None) -> World:
    return World([tool], plan=plan(step("a", tool.name, on_error=on_error)), limits=limits or Limits())


@pytest.mark.parametrize(
    ("errors", "retries", "calls", "end"),
    [
        ([TimeoutError(), TimeoutError()], 2, 3, "succeeded"),
        ([TimeoutError(), TimeoutError()], 1, 2, "failed"),
        ([TimeoutError()], 0, 1, "failed"),
        ([ValueError()], 5, 1, "failed"),
        ([RateLimited("slowly")], 1, 2, "succeeded"),
        ([ToolError("no")], 1, 1, "failed"),
    ],
)
async def test_a_tool_is_tried_again_where_that_may_help(errors: list[Exception], retries: int, calls: int, end: str) -> None:
    tool = FakeTool("look", raiser(*errors), retries=retries)
    world = one_step(tool)
    await world.drive()
    assert len(tool.calls) == calls
    assert await world.state() == end


@pytest.mark.parametrize(
    ("error", "effect", "calls"),
    [
        (ValueError(), "read", 2),
        (ToolError("no"), "idempotent", 2),
        (NotDone("no"), "verify", 2),
        (ArgumentsInvalid("no"), "read", 1),
    ],
)
async def test_a_plan_may_ask_for_another_attempt_whatever_failed(error: Exception, effect: Effect, calls: int) -> None:
    tool = FakeTool("look", raiser(error), effect)
    await one_step(tool, "retry").drive()
    assert len(tool.calls) == calls


async def test_what_keeps_failing_fails_with_its_last_attempt() -> None:
    world = one_step(FakeTool("look", raiser(*[ValueError("no")] * 9)), "retry")
    await world.drive()
    assert (await world.story())[3:] == [
        "step.started a #1",
        "step.retried a tool_failed #2",
        "step.started a #2",
        "step.retried a tool_failed #3",
        "step.started a #3",
        "step.failed a tool_failed #3",
        "run.failed a tool_failed",
    ]


async def test_an_effect_that_happens_once_is_never_tried_again() -> None:
    tool = FakeTool("pay", raiser(TimeoutError()), "once", retries=5)
    world = World([tool], [Call("pay")])
    assert await world.drive() == "waiting"
    assert len(tool.calls) == 1


async def test_all_further_attempts_of_a_run_share_one_budget() -> None:
    tool = FakeTool("look", raiser(*[TimeoutError()] * 99), retries=9)
    world = World([tool], [[Call("look"), Call("look")], "gave up"], limits=Limits(max_retries=3))
    assert await world.drive() == "ended"
    assert world.run.retries == 3
    assert len(tool.calls) == 5


async def test_the_model_is_given_what_is_left_of_the_budget() -> None:
    model = ScriptedModel([Call("look"), "done"])
    world = World([FakeTool("look", raiser(TimeoutError()), retries=1)], model=model, limits=Limits(max_retries=3))
    await world.drive()
    assert [request.max_attempts for request in model.requests] == [4, 3]


async def test_the_world_says_when_to_try_again() -> None:
    world = one_step(FakeTool("look", raiser(RateLimited("wait", retry_after_s=42)), retries=1))
    await world.drive()
    assert [fact.at - (await world.facts())[0].at for fact in await world.facts() if isinstance(fact.event, StepStarted)] == [0, 42_000_000]


def test_the_wait_grows_with_full_jitter_up_to_half_a_minute() -> None:
    class Highest:
        def uniform(self, low: float, high: float) -> float:
            assert low == 0
            return high

    assert [delay_before(attempt, Highest()) for attempt in (2, 3, 4, 8, 9, 60)] == [0.5, 1, 2, 30, 30, 30]
    assert 0 <= delay_before(9, SeededRandom()) <= 30


@pytest.mark.parametrize(("asked_s", "waited_s"), [(0.0, 0.0), (7.5, 7.5), (-3.0, 0.0)])
def test_what_the_world_asks_for_is_waited(asked_s: float, waited_s: float) -> None:
    assert delay_before(2, SeededRandom(), retry_after_s=asked_s) == waited_s


async def test_a_model_step_is_retried_where_the_plan_asks_for_it() -> None:
    model = ScriptedModel([Unavailable("gone"), "here"])
    world = World([], model=model, plan=plan(ModelStep(StepId("m"), "say", on_error="retry")))
    await world.drive()
    assert world.run.answer == "here"


async def test_only_the_first_attempt_says_what_fed_it_and_all_have_one_digest() -> None:
    tool = FakeTool("look", raiser(TimeoutError()), retries=1)
    world = World([FakeTool("n", gives(1)), tool], plan=plan(step("a", "n"), step("b", "look", {"x": {"y": [ref("a")]}})))
    await world.drive()
    first, again = (fact.event for fact in await world.facts() if isinstance(fact.event, StepStarted) and fact.event.step == "b")
    assert (first.refs, again.refs) == ({"x.y[0]": "a"}, None)
    assert first.args_digest == again.args_digest is not None


async def labels(world: World) -> dict[str, Label | None]:
    await world.drive()
    return {fact.event.step: fact.event.label for fact in await world.facts() if isinstance(fact.event, StepFinished)}


async def test_a_label_joins_the_tools_own_with_those_of_its_sources() -> None:
    web, mine = Label(("web",)), Label((), ("me",))
    tools = [FakeTool("web", label=web), FakeTool("mine", label=mine), FakeTool("calc", label=TRUSTED)]
    steps = [step("a", "web"), step("b", "mine"), step("c", "calc", {"x": ref("a"), "y": ref("b")}), step("d", "calc", {"g": ref("goal")})]
    model_step = ModelStep(StepId("m"), "sum", {"x": ref("a")})
    world = World(tools, ["text"], plan=plan(*steps, model_step, result=[ref("c"), ref("d"), ref("m"), ref("goal")]))
    assert await labels(world) == {"a": web, "b": mine, "c": Label(("web",), ("me",)), "d": TRUSTED, "m": web}
    succeeded = (await world.facts())[-1].event
    assert getattr(succeeded, "label", None) == Label(("web",), ("me",))


async def test_a_loops_calls_bear_the_label_of_all_that_the_model_has_read() -> None:
    world = World([FakeTool("web", label=Label(("web",))), FakeTool("calc", label=TRUSTED)], [Call("web"), Call("calc"), "done"])
    assert await labels(world) == {"t1.1": Label(("web",)), "t2.1": Label(("web",))}


async def test_a_tool_without_a_label_is_untrusted() -> None:
    assert await labels(World([FakeTool("web")], [Call("web"), "done"])) == {"t1.1": Label(("tool:web",))}
    assert UNKNOWN_SOURCE != TRUSTED
