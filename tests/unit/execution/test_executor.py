"""Whole runs: loops, plans of models and authors, and how each ends."""

from collections.abc import Sequence

import pytest
from pydantic import BaseModel, JsonValue, TypeAdapter

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import AuthFailed, JournalNewer, ModelError, Unavailable
from agent_sdk.core.events import Fact, PlanRejected, UnknownEvent
from agent_sdk.core.messages import ToolResultPart
from agent_sdk.core.plan import ToolStep, plan_to_json
from agent_sdk.core.ports import Ask
from agent_sdk.core.run import Run
from agent_sdk.planning import AnswerType
from agent_sdk.testing import Call, ScriptedModel, ScriptItem
from tests.unit.execution.fakes import FakeTool, gives, plan, raiser, ref, step
from tests.unit.execution.world import World, no_stray_tasks


async def test_a_loop_calls_tools_until_the_model_answers() -> None:
    tool = FakeTool("add", lambda args, _: len(args))
    world = World([tool], [Call("add", {"a": 1, "b": 2}), "two"])
    assert await world.drive() == "ended"
    assert await world.story() == [
        "run.created",
        "run.claimed",
        "model.called t1",
        "step.started t1.1 #1",
        "step.finished t1.1 #1",
        "model.called t2",
        "run.succeeded",
    ]
    assert world.run.answer == "two"
    assert await world.state() == "succeeded"
    assert no_stray_tasks()
    context, args = tool.calls[0]
    assert (args, context.step_id, context.attempt, context.idempotency_key, context.deps) == ({"a": 1, "b": 2}, "t1.1", 1, "", "the deps")


async def test_a_plan_is_performed_and_its_result_is_the_answer() -> None:
    tool = FakeTool("echo", lambda args, _: args["x"])
    world = World([tool], plan=plan(step("a", "echo", {"x": 1}), step("b", "echo", {"x": ref("a")})))
    assert await world.drive() == "ended"
    assert world.run.answer == 1
    assert await world.story() == [
        "run.created",
        "run.claimed",
        "plan.accepted",
        "step.started a #1",
        "step.finished a #1",
        "step.started b #1",
        "step.finished b #1",
        "run.succeeded",
    ]


def planning(*replies: ScriptItem, tools: Sequence[FakeTool] = (), limits: Limits | None = None) -> World:
    return World(tools, replies, strategy="plan", limits=limits or Limits())


def proposed(*steps: ToolStep, result: JsonValue = None) -> dict[str, JsonValue]:
    """Return a plan as a model writes it."""
    made = plan_to_json(plan(*steps, result=result))
    assert isinstance(made, dict)
    return made


async def test_a_plan_that_does_not_hold_goes_back_with_its_findings() -> None:
    good = proposed(step("a", "look"))
    bad = proposed(step("a", "lock"), step("b", "look"))
    world = planning(bad, "no plan", good, tools=[FakeTool("look")])
    assert await world.drive() == "ended"
    assert (await world.story())[2:] == [
        "model.called plan.1",
        "plan.rejected unknown_tool",
        "model.called plan.2",
        "plan.rejected reply_not_json",
        "model.called plan.3",
        "plan.accepted",
        "step.started a #1",
        "step.finished a #1",
        "run.succeeded",
    ]


async def test_a_model_that_never_gives_a_plan_ends_the_run() -> None:
    world = planning(*["no plan"] * 9, limits=Limits(max_plan_repairs=1))
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["plan.rejected reply_not_json", "run.failed plan_invalid"]
    assert (await world.story()).count("model.called plan.2") == 1


async def test_a_failed_step_is_planned_around_and_what_had_finished_stays() -> None:
    look = FakeTool("look", lambda args, _: args["x"])
    first = proposed(step("a", "look", {"x": 1}), step("b", "fail", {"x": ref("a")}, on_error="repair"))
    second = proposed(step("c", "look", {"x": ref("a")}))
    world = planning(first, second, tools=[look, FakeTool("fail", raiser(ValueError("no")))])
    assert await world.drive() == "ended"
    assert (await world.story())[-6:] == [
        "step.failed b tool_failed #1",
        "model.called plan.2",
        "plan.revised",
        "step.started c #1",
        "step.finished c #1",
        "run.succeeded",
    ]
    assert world.run.answer == 1
    assert look.steps == ["a", "c"]


async def test_an_author_s_plan_that_does_not_hold_performs_nothing() -> None:
    tool = FakeTool("look")
    world = World([tool], plan=plan(step("a", "look"), step("b", "lock", {"x": ref("a")})))
    assert await world.drive() == "ended"
    assert (await world.story())[2:] == ["plan.rejected unknown_tool", "run.failed plan_invalid"]
    assert tool.calls == []


async def test_of_ten_thousand_findings_a_hundred_are_kept() -> None:
    steps = [step(f"s{index}", "lock") for index in range(500)]
    world = World([], plan=plan(*steps, result=[ref(each.id) for each in steps]))
    assert await world.drive() == "ended"
    rejected = (await world.facts())[2].event
    assert isinstance(rejected, PlanRejected)
    assert rejected.findings is not None
    assert (len(rejected.findings), rejected.findings[-1].message) == (101, "400 more findings are left out")


class Report(BaseModel):
    total: int


REPORT = AnswerType(TypeAdapter(Report))


async def test_an_answer_of_the_wrong_type_goes_back_and_is_mended() -> None:
    world = World([], ['{"total": "many"}', '{"total": 3}'], answers=REPORT, output_schema=Report.model_json_schema())
    assert await world.drive() == "ended"
    assert (await world.story())[2:] == ["model.called t1", "check.refused t1 answer_type", "model.called t2", "run.succeeded"]
    assert world.run.answer == {"total": 3}


async def test_an_answer_that_never_fits_ends_the_run() -> None:
    world = World([], ["a lot"] * 9, answers=REPORT, output_schema=Report.model_json_schema(), limits=Limits(max_answer_repairs=2))
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["check.refused t3 reply_not_json", "run.failed answer_invalid"]


async def test_the_result_of_an_author_s_plan_must_fit_too() -> None:
    world = World([FakeTool("look", gives({"total": "many"}))], plan=plan(step("answer", "look")), answers=REPORT)
    assert await world.drive() == "ended"
    assert (await world.story())[-2:] == ["check.refused run.answer answer_type", "run.failed answer_invalid"]


@pytest.mark.parametrize("error", [AuthFailed("the key is wrong", hint="check it"), Unavailable("gone")])
async def test_a_model_that_fails_ends_the_run_with_its_code(error: ModelError) -> None:
    world = World([], [error])
    assert await world.drive() == "ended"
    assert (await world.story())[2:] == [f"step.failed t1 {error.code} #1", f"run.failed t1 {error.code}"]
    assert world.run.failure is not None
    assert (world.run.failure.message, world.run.failure.hint) == (error.message, error.hint)


async def test_a_run_without_a_model_says_how_to_name_one() -> None:
    world = World()
    world.model = None
    assert await world.drive() == "ended"
    assert (await world.story())[-1] == "run.failed t1 model_not_named"


async def test_calls_that_do_not_hold_are_refused_before_any_is_performed() -> None:
    look = FakeTool("look")
    model = ScriptedModel([[Call("look"), Call("lock"), Call("look", "{no json")], "done"])
    world = World([look], model=model)
    assert await world.drive() == "ended"
    assert (await world.story())[2:] == [
        "model.called t1",
        "check.refused t1.2 unknown_tool",
        "check.refused t1.3 arguments_not_json",
        "step.started t1.1 #1",
        "step.finished t1.1 #1",
        "model.called t2",
        "run.succeeded",
    ]
    results = [part for message in model.requests[1].conversation for part in message.parts if isinstance(part, ToolResultPart)]
    assert [(part.id, part.is_error) for part in results] == [("t1.1", False), ("t1.2", True), ("t1.3", True)]


async def test_a_turn_whose_calls_are_all_refused_goes_back_to_the_model() -> None:
    world = World([FakeTool("look", refused="arguments_invalid")], [Call("look"), "done"])
    assert await world.drive() == "ended"
    assert (await world.story())[3:5] == ["check.refused t1.1 arguments_invalid", "model.called t2"]


async def test_a_tool_that_fails_in_a_loop_is_told_to_the_model() -> None:
    world = World([FakeTool("look", raiser(ValueError("no such page")))], [Call("look"), "sorry"])
    assert await world.drive() == "ended"
    (result,) = world.run.conversation.messages[2].parts
    assert isinstance(result, ToolResultPart)
    assert (result.is_error, result.output) == (True, {"error": "tool_failed", "message": "ValueError: no such page"})
    assert world.run.answer == "sorry"


async def test_a_loop_that_turns_without_end_is_stopped() -> None:
    world = World([FakeTool("look")], [Call("look", {"n": n}) for n in range(9)], limits=Limits(max_turns=3))
    assert await world.drive() == "ended"
    assert (await world.story())[-1] == "run.failed turn_limit"


async def test_a_planner_that_breaks_hands_the_run_back_and_is_heard() -> None:
    class Broken:
        def next(self, run: Run) -> Ask:
            raise ZeroDivisionError

    world = World(planner=Broken())
    with pytest.raises(ZeroDivisionError):
        await world.drive()
    assert await world.state() == "queued"
    assert no_stray_tasks()


async def test_a_run_from_a_newer_version_is_left_alone() -> None:
    tool = FakeTool("look")
    world = World([tool], ["done"])
    await world.begin()
    world.run.apply(Fact(2, 1, 0, UnknownEvent("run.teleported", 1)))
    world.run.head = 1
    with pytest.raises(JournalNewer, match=r"run\.teleported"):
        await world.executor.drive()
    assert (await world.story())[1:] == ["run.waiting timer", "run.released waiting"]
