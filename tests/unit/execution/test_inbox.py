"""Mail: every item becomes exactly one event, a refusal included."""

import asyncio
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.messages import ToolResultPart
from agent_sdk.core.ports import InboxDraft, InboxItem, ItemKind
from agent_sdk.testing import Call, ScriptedModel
from tests.unit.execution.fakes import RUN, TENANT, CountingJournal, FakeTool, plan, raiser, ref, sleeper, step
from tests.unit.execution.world import World


def unknown(*, after: str = "done") -> World:
    """Return a run that parks with an unknown effect."""
    return World([FakeTool("pay", raiser(ValueError("mid-send"), then="paid"), "once")], [Call("pay"), after])


def texts(model: ScriptedModel, question: int) -> list[str]:
    return [message.text for message in model.requests[question].conversation if message.role == "user"]


@pytest.mark.parametrize(
    ("decision", "events", "is_error"),
    [
        ("done", ["effect.decided t1.1 done"], False),
        ("retry", ["effect.decided t1.1 retry", "step.started t1.1 #2", "step.finished t1.1 #2"], False),
        ("skip", ["effect.decided t1.1 skip"], True),
        ("fail", ["effect.decided t1.1 fail"], True),
    ],
)
async def test_a_decision_settles_an_unknown_effect(decision: str, events: list[str], is_error: bool) -> None:
    world = unknown()
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: unknown_effect"
    assert (await world.story())[-2:] == ["run.waiting unknown_effect", "run.released waiting"]
    await world.slip("decide", {"step": "t1.1", "decision": decision, "output": "by hand"})
    assert await world.resume() == "ended"
    story = await world.story()
    assert story[story.index("run.released waiting") + 1 :] == ["run.claimed", *events, "model.called t2", "run.succeeded"]
    (result,) = world.run.conversation.messages[2].parts
    assert isinstance(result, ToolResultPart)
    assert result.is_error is is_error


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"step": "t9.9", "decision": "done"}, "step 't9.9' has no unknown effect to decide"),
        ({"step": "t1.1", "decision": "maybe"}, "'maybe' is no decision; it is one of done, retry, skip, fail"),
        (["t1.1"], "step 'None' has no unknown effect to decide"),
    ],
)
async def test_a_decision_that_cannot_be_taken_is_refused_in_one_event(body: JsonValue, refusal: str) -> None:
    world = unknown()
    await world.drive()
    await world.slip("decide", body)
    assert await world.resume() == "waiting"
    story = await world.story()
    assert story[story.index("run.released waiting") + 1 :] == [
        "run.claimed",
        f"message.received {refusal}",
        "run.waiting unknown_effect",
        "run.released waiting",
    ]
    assert [fact.cause for fact in await world.facts()][-3] == "inbox:1"


async def test_an_effect_is_not_done_with_an_output_that_its_tool_cannot_have_given() -> None:
    pay = FakeTool("pay", raiser(ValueError("mid-send"), then="paid"), "once", returns={"type": "string"})
    world = World([pay], [Call("pay"), "done"])
    await world.drive()
    await world.slip("decide", {"step": "t1.1", "decision": "done"})
    assert await world.resume() == "waiting"
    assert "message.received pay returns string, and the output given is None" in await world.story()
    await world.slip("decide", {"step": "t1.1", "decision": "done", "output": "by hand"})
    assert await world.resume() == "ended"


async def test_the_same_effect_is_decided_once() -> None:
    world = unknown()
    await world.drive()
    for _ in range(2):
        await world.slip("decide", {"step": "t1.1", "decision": "done"})
    assert await world.resume() == "ended"
    decided = [line for line in await world.story() if line.startswith(("effect.decided", "message.received"))]
    assert decided == ["effect.decided t1.1 done", "message.received step 't1.1' has no unknown effect to decide"]


async def test_what_is_no_message_is_refused() -> None:
    world = World([], ["done"])
    await world.begin()
    await world.journal.put(TENANT, RUN, InboxDraft("message", {"role": "nobody"}))
    assert await world.executor.drive() == "ended"
    assert "message.received it is no message" in await world.story()


async def test_what_is_of_no_known_kind_is_refused() -> None:
    world = World([], ["done"])
    await world.begin()
    await world.journal.put(TENANT, RUN, InboxDraft(cast("ItemKind", "nonsense"), {}))
    assert await world.executor.drive() == "ended"
    assert "message.received nothing of the kind 'nonsense' is known" in await world.story()


async def test_a_message_during_a_question_is_read_with_the_next_one() -> None:
    model = ScriptedModel([Call("look"), "done"], delay_s=10)
    world = World([FakeTool("look")], model=model)
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(1)
        await world.put("message", "be quick")
        assert "message.received" not in await world.story()
    assert driving.result() == "ended"
    assert texts(model, 1) == ["the goal", "be quick"]
    story = await world.story()
    assert story.index("model.called t1") < story.index("message.received") < story.index("step.finished t1.1 #1")


async def test_a_message_during_the_last_question_is_answered_too() -> None:
    model = ScriptedModel(["early", "late"], delay_s=10)
    world = World([], model=model)
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(1)
        await world.put("message", "wait")
    assert world.run.answer == "late"
    assert texts(model, 1) == ["the goal", "wait"]


async def test_a_message_while_calls_are_open_stands_behind_their_results() -> None:
    model = ScriptedModel([[Call("look"), Call("look")], "done"])
    world = World([FakeTool("look", sleeper(10))], model=model)
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(1)
        await world.put("message", "be quick")
    assert [message.role for message in model.requests[1].conversation] == ["user", "assistant", "tool", "user"]


async def test_a_cancel_behind_a_message_does_not_wait_for_the_answer() -> None:
    world = World([], model=ScriptedModel(["done"], delay_s=10))
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(1)
        await world.slip("message", "hello")
        await world.put("cancel")
    assert world.clock.monotonic() < 2
    assert (await world.story())[2:] == ["message.received", "run.cancel_requested", "run.cancelled"]


async def test_two_who_take_the_mail_at_once_make_one_event_of_each_item() -> None:
    class SlowInbox(CountingJournal):
        async def inbox(self, tenant: TenantId, run_id: RunId, *, after: int) -> list[InboxItem]:
            items = await super().inbox(tenant, run_id, after=after)
            await asyncio.sleep(0.1)
            return items

    world = World([FakeTool("look", sleeper(10))], plan=plan(step("a", "look")), journal=SlowInbox())
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(1)
        await world.slip("message", "hello")
        for _ in range(3):
            tasks.create_task(world.executor.take_mail())
    assert (await world.story()).count("message.received") == 1


async def test_what_a_decision_frees_starts_beside_a_slow_neighbour() -> None:
    pay, slow = FakeTool("pay", raiser(ValueError(), then="paid"), "once"), FakeTool("slow", sleeper(100), timeout_s=1e6)
    steps = [step("a", "pay"), step("wait", "slow", {"n": 1}), step("b", "slow", {"x": ref("a")}), step("c", "slow", {"x": ref("wait")})]
    world = World([pay, slow], plan=plan(*steps, result=[ref("b"), ref("c")]), limits=Limits())
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.executor.drive())
        await asyncio.sleep(150)
        await world.put("decide", {"step": "a", "decision": "done", "output": 1})
    assert world.clock.monotonic() == 250
    assert await world.state() == "succeeded"
