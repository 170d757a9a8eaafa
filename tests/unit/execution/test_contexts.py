"""Runs whose conversation must be made shorter, and tools whose output is shown in part."""

import json
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from agent_sdk.core.agent import ContextPolicy
from agent_sdk.core.compaction import SUMMARY
from agent_sdk.core.errors import ContextTooLong
from agent_sdk.core.events import CallMark, ContextCompacted, ContextExceeded, ModelCalled, RunClaimed, StepFinished, StepStarted
from agent_sdk.core.ids import OwnerId, RunId, StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.run import History
from agent_sdk.core.sizes import size_of
from agent_sdk.core.tools import ToolContext
from agent_sdk.core.usage import Usage
from agent_sdk.testing import Call, ScriptedModel, ScriptItem
from tests.contract.batches import begin
from tests.unit.execution.fakes import TENANT, FakeTool, gives, plan, step
from tests.unit.execution.world import World

NOISE = "y" * 900
"""Three hundred tokens."""


def chatter(_request: ModelRequest) -> str | list[Call]:
    return [Call("look", {"note": NOISE})]


async def events_of(world: World, kind: type[ContextCompacted] | type[ContextExceeded]) -> list[ContextCompacted | ContextExceeded]:
    return [fact.event for fact in await world.facts() if isinstance(fact.event, kind)]


async def assert_live_as_loaded(world: World) -> None:
    folded = await world.folded()
    assert folded.conversation.messages == world.run.conversation.messages
    assert (folded.measured, folded.ratio, folded.usage) == (world.run.measured, world.run.ratio, world.run.usage)


async def test_a_long_run_never_sends_more_than_its_cap() -> None:
    def answer(request: ModelRequest) -> str | list[Call]:
        if request.id.startswith("summary"):
            return "in short"
        return "done" if request.id == "t40" else [Call("look", {"note": f"{request.id} {NOISE}"})]

    world = World([FakeTool("look", gives("seen"))], [answer] * 99, context=ContextPolicy(max_tokens=2000))
    assert await world.drive() == "ended"
    assert (world.run.answer, world.run.turn) == ("done", 40)
    asked = [fact.event.usage.input_tokens for fact in await world.facts() if isinstance(fact.event, ModelCalled)]
    assert len(asked) > 45
    assert max(asked) <= 2000
    compacted = await events_of(world, ContextCompacted)
    assert len(compacted) > 5
    assert all(isinstance(event, ContextCompacted) and event.tokens_after < event.tokens_before for event in compacted)
    texts = [message.text for message in world.run.conversation]
    assert (texts[0], texts[1]) == ("the goal", f"{SUMMARY}\nin short")
    await assert_live_as_loaded(world)


def too_long() -> ContextTooLong:
    error = ContextTooLong("at most 500 tokens")
    error.usage = Usage(7, 0)
    return error


async def test_a_question_that_the_model_finds_too_long_is_put_again_shorter() -> None:
    tool = FakeTool("look", gives(NOISE))
    model = ScriptedModel([Call("look"), Call("look", {"n": 1}), too_long(), "done"])
    world = World([tool], model=model, context=ContextPolicy(keep_turns=0))
    assert await world.drive() == "ended"
    assert world.run.answer == "done"
    assert (await world.story())[-5:-1] == ["step.finished t2.1 #1", "context.exceeded t3", "context.compacted", "model.called t3"]
    assert await events_of(world, ContextExceeded) == [ContextExceeded(StepId("t3"), "at most 500 tokens", Usage(7, 0))]
    last, before = model.requests[-1], model.requests[-2]
    assert size_of(last, world.run).tokens < 0.7 * size_of(before, world.run).tokens
    await assert_live_as_loaded(world)


async def test_a_summary_that_is_too_long_to_ask_for_is_asked_for_with_less() -> None:
    model = ScriptedModel([*[chatter] * 6, too_long(), too_long(), "in short", "done"])
    world = World([FakeTool("look", lambda _args, context: context.step_id)], model=model)
    world.limits = type(world.limits)(max_repeats=99)
    assert await world.drive() == "ended"
    assert world.run.answer == "done"
    asked = [request for request in model.requests if request.id.startswith("summary")]
    assert len(asked) == 2
    assert size_of(asked[1], world.run).tokens < size_of(asked[0], world.run).tokens


async def test_a_model_that_finds_everything_too_long_ends_the_run() -> None:
    model = ScriptedModel([Call("look"), *(too_long() for _ in range(99))])
    world = World([FakeTool("look", gives(NOISE))], model=model)
    assert await world.drive() == "ended"
    assert world.run.failure is not None
    assert world.run.failure.code in {"context_full", "model_context_too_long"}
    assert len(model.requests) < 8
    await assert_live_as_loaded(world)


async def test_a_question_for_a_plan_that_the_model_finds_too_long_is_put_again_shorter() -> None:
    words, good = json.dumps({"steps": [], "note": NOISE}), json.dumps({"steps": [{"id": "a", "tool": "look"}], "result": {"$ref": "a"}})
    model = ScriptedModel([words, words, too_long(), good])
    world = World([FakeTool("look", gives("seen"))], model=model, strategy="plan")
    assert await world.drive() == "ended"
    assert world.run.answer == "seen"
    assert [line for line in await world.story() if line.startswith(("context", "plan"))] == [
        "plan.rejected plan_shape",
        "plan.rejected plan_shape",
        "context.exceeded plan.3",
        "context.compacted",
        "plan.accepted",
    ]
    (cut,) = await events_of(world, ContextCompacted)
    assert isinstance(cut, ContextCompacted)
    assert cut.drafts == 1
    assert [request.id for request in model.requests] == ["plan.1", "plan.2", "plan.3", "plan.3"]
    assert [len(request.conversation) for request in model.requests] == [1, 3, 5, 3]
    await assert_live_as_loaded(world)


async def test_a_question_for_a_plan_of_which_nothing_can_be_left_out_ends_the_run_with_what_is_how_large() -> None:
    world = World(model=ScriptedModel([too_long()]), strategy="plan")
    assert await world.drive() == "ended"
    failure = world.run.failure
    assert failure is not None
    assert failure.code == "context_full"
    assert "schema of the reply" in (failure.message or "")


async def read(args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
    return await context.output_of(str(args["artifact"]))


async def test_of_a_large_output_the_model_is_shown_the_beginning_and_can_read_the_rest() -> None:
    tools = [
        FakeTool("look", lambda args, _: args["give"]),
        FakeTool("read_artifact", read),
    ]
    script: list[ScriptItem] = [
        [Call("look", {"give": "x" * 50}), Call("look", {"give": ["long", "list", "of", "texts"]}), Call("look", {"give": 10**30})],
        [Call("read_artifact", {"artifact": "t1.1"}), Call("read_artifact", {"artifact": "t9.9"})],
        "done",
    ]
    world = World(tools, script, context=ContextPolicy(preview_chars=20))
    assert await world.drive() == "ended"
    text, listed, number, whole, missing = [part.output for part in world.results]
    assert isinstance(text, dict)
    assert isinstance(listed, dict)
    assert (text["preview"], text["artifact"]) == ("x" * 20, "t1.1")
    assert listed["preview"] == '["long", "list", "of'
    assert (number, whole) == (10**30, "x" * 50)
    assert "there is no output 't9.9' in this run" in str(missing)
    shown = [fact.event.shown_chars for fact in await world.facts() if isinstance(fact.event, StepFinished)]
    assert shown == [20, 20, None, None]
    await assert_live_as_loaded(world)


async def test_the_output_of_a_call_of_an_earlier_run_is_read_by_the_name_that_the_model_sees() -> None:
    script: list[ScriptItem] = [[Call("read_artifact", {"artifact": name}) for name in ("h1.t1.1", "h1.t2.1", "h2.t1.1")], "done"]
    world = World([FakeTool("read_artifact", read)], script)
    earlier = await begin(world.journal, OwnerId("other"), tenant=TENANT, run_id=RunId("one"))
    call = CallMark(StepId("t1.1"), "look")
    await earlier.append(RunClaimed(OwnerId("other")))
    await earlier.append(ModelCalled(StepId("t1"), "turn", "m", Usage(), "tool_calls", (), (call,)))
    await earlier.append(StepStarted(call.id))
    await earlier.append(StepFinished(call.id, 1, 1, TRUSTED, "all of it"))
    await world.begin()
    world.run.history = History(runs=(RunId("one"),))
    assert await world.executor.drive() == "ended"
    found, *missing = [part.output for part in world.results]
    assert found == "all of it"
    assert ["there is no output" in str(output) for output in missing] == [True, True]


@pytest.mark.parametrize("preview_chars", [20, None])
async def test_a_plans_steps_pass_on_all_that_they_gave(preview_chars: int | None) -> None:
    world = World([FakeTool("look", gives("x" * 50))], plan=plan(step("a", "look")), context=ContextPolicy(preview_chars=preview_chars))
    assert await world.drive() == "ended"
    assert world.run.answer == "x" * 50
