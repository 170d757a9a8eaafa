"""Guardrails inside a run: what they refuse, what comes while they judge, and what waits for none of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import GuardrailRefused
from agent_sdk.core.events import CheckRefused, Fact, MessageReceived
from agent_sdk.core.findings import Finding
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.plan import Plan
from agent_sdk.core.ports import InboxDraft
from agent_sdk.core.run import Run
from agent_sdk.testing import Call, ScriptItem
from tests.unit.execution.fakes import RUN, TENANT, FakeTool, hang, plan, raiser, sleeper, step
from tests.unit.execution.world import World, at

NO = Finding("guardrail_refused", "$", "not that")


@dataclass
class Judges:
    """Guardrails that take `delay_s` for what begins with `slow_on`, never end about `hangs_on`, and refuse what holds the word `bad`.

    `asked` tells what they were asked about.
    """

    delay_s: float = 0.0
    slow_on: tuple[str, ...] = ("",)
    hangs_on: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list[str])
    refuse: Callable[[str], bool] = lambda text: "bad" in text
    is_final: bool = False

    async def goal(self, run: Run) -> str | None:
        return "so it is" if await self._refuses(f"goal {run.goal}") else None

    async def message(self, message: Message, run: Run) -> str | None:
        return "so it is" if await self._refuses(f"message {message.text}") else None

    async def call(self, call: ToolCallPart, run: Run) -> Sequence[Finding]:
        return [NO] if await self._refuses(f"call {call.args}") else ()

    async def answer(self, value: JsonValue, run: Run) -> Sequence[Finding]:
        if not await self._refuses(f"answer {value}"):
            return ()
        if self.is_final:
            raise GuardrailRefused("never that", hint="ask for something else")
        return [NO]

    async def _refuses(self, text: str) -> bool:
        self.asked.append(text)
        if text.startswith(self.hangs_on):
            await hang()
        await asyncio.sleep(self.delay_s if text.startswith(self.slow_on) else 0)
        return self.refuse(text)


def guarded(judges: Judges, *script: ScriptItem, tools: Sequence[FakeTool] = (), of: Plan | None = None) -> World:
    return World(tools, script, plan=of, guards=judges)


def look() -> FakeTool:
    return FakeTool("look")


async def facts_of(world: World, kind: type[MessageReceived] | type[CheckRefused]) -> list[Fact]:
    return [fact for fact in await world.facts() if isinstance(fact.event, kind)]


async def test_a_refused_goal_ends_the_run_before_anything_is_done() -> None:
    world = guarded(Judges(refuse=lambda text: text == "goal the goal"), "done")
    assert await world.drive() == "ended"
    assert (await world.story())[2:] == ["step.failed goal input_refused #1", "run.failed goal input_refused"]
    assert world.run.failure is not None
    assert world.run.failure.message == "a guardrail refuses the goal: so it is"
    assert world.asked == []


async def test_a_goal_is_judged_once() -> None:
    judges = Judges()
    world = guarded(judges, Call("wait"), "done", tools=[FakeTool("wait", need="it is dear")])
    assert await world.drive() == "waiting"
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "ended"
    assert [text for text in judges.asked if text.startswith("goal")] == ["goal the goal"]


async def test_the_goal_of_a_plan_under_way_is_judged_no_more() -> None:
    judges = Judges()
    world = guarded(judges, tools=[FakeTool("pay", raiser(ValueError("mid-send"), then="paid"), "once")], of=plan(step("a", "pay")))
    assert await world.drive() == "waiting"
    await world.slip("decide", {"step": "a", "decision": "retry"})
    assert await world.resume() == "ended"
    assert judges.asked == ["goal the goal", "answer paid"]


@pytest.mark.parametrize(("stop", "outcome"), [("cancel", "ended"), ("suspend", "suspended"), ("expire", "ended")])
async def test_no_stop_waits_for_a_guardrail(stop: str, outcome: str) -> None:
    judges = Judges(delay_s=1e6)
    world = guarded(judges, "done")
    world.deadline_s = 2.0 if stop == "expire" else None

    async def act() -> None:
        if stop == "cancel":
            await world.put("cancel")
        elif stop == "suspend":
            world.executor.interrupt("suspend")

    assert await at(world, 1.0, act) == outcome
    assert judges.asked == ["goal the goal"]
    if stop == "suspend":
        judges.delay_s = 0.0
        assert await world.resume() == "ended"
        assert judges.asked[:2] == ["goal the goal"] * 2


async def test_a_guardrail_whose_task_is_cancelled_from_outside_ends_with_the_run() -> None:
    world = guarded(Judges(delay_s=1e6), "done")
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(1)
        driving.cancel()
    assert driving.cancelled()
    assert (await world.story())[-1] == "run.released suspended"


async def test_the_model_is_told_why_a_call_was_refused_and_the_others_are_performed() -> None:
    tool = look()
    judges = Judges()
    world = guarded(judges, [Call("look", {"q": "bad"}), Call("look", {"q": "good"})], "done", tools=[tool])
    assert await world.drive() == "ended"
    assert tool.steps == ["t1.2"]
    assert [part.is_error for part in world.results] == [True, False]
    assert "not that" in str(world.results[0].output)
    assert judges.asked[1:3] == ["call {'q': 'bad'}", "call {'q': 'good'}"]


async def test_calls_that_do_not_hold_are_not_for_guardrails() -> None:
    tool = look()
    tool.refused = "missing_argument"
    judges = Judges()
    world = guarded(judges, Call("look"), "done", tools=[tool])
    assert await world.drive() == "ended"
    assert [text for text in judges.asked if text.startswith("call")] == []


async def test_a_cancel_while_calls_are_judged_judges_no_more_of_them() -> None:
    tool = look()
    judges = Judges(hangs_on=("call",))
    world = guarded(judges, [Call("look", {"n": 1}), Call("look", {"n": 2})], tools=[tool])
    assert await at(world, 1.0, lambda: world.put("cancel")) == "ended"
    assert (world.run.state, tool.calls, judges.asked[1:]) == ("cancelled", [], ["call {'n': 1}"])


async def test_a_call_that_nobody_had_judged_when_the_run_was_suspended_is_judged_when_it_goes_on() -> None:
    tool = look()
    judges = Judges(hangs_on=("call",))
    world = guarded(judges, Call("look", {"q": "bad"}), "done", tools=[tool])

    async def suspend() -> None:
        world.executor.interrupt("suspend")

    assert await at(world, 1.0, suspend) == "suspended"
    judges.hangs_on = ()
    assert await world.resume() == "ended"
    assert (tool.calls, [part.is_error for part in world.results]) == ([], [True])
    assert judges.asked == ["goal the goal", "call {'q': 'bad'}", "call {'q': 'bad'}", "answer done"]


async def test_an_answer_that_a_validator_refuses_is_given_again() -> None:
    world = guarded(Judges(), "bad", "good")
    assert await world.drive() == "ended"
    assert world.run.answer == "good"
    assert len(await facts_of(world, CheckRefused)) == 1
    assert "not that" in world.asked[1]


async def test_an_answer_that_is_not_to_be_given_ends_the_run() -> None:
    world = guarded(Judges(is_final=True), "bad")
    assert await world.drive() == "ended"
    assert (world.run.state, world.run.answer) == ("failed", None)
    assert world.run.failure is not None
    assert (world.run.failure.code, world.run.failure.hint) == ("guardrail_refused", "ask for something else")


async def test_an_answer_is_judged_no_further_once_the_run_is_cancelled() -> None:
    world = guarded(Judges(hangs_on=("answer",)), "done")
    assert await at(world, 1.0, lambda: world.put("cancel")) == "ended"
    assert world.run.state == "cancelled"


@pytest.mark.parametrize("slow_on", ["answer", "message"])
async def test_a_message_that_comes_while_the_answer_is_judged_is_answered_too(slow_on: str) -> None:
    world = guarded(Judges(delay_s=2.0, slow_on=("answer", slow_on)), "done", "done, and that too")
    assert await at(world, 1.0, lambda: world.put("message", "And that?")) == "ended"
    assert world.run.answer == "done, and that too"
    assert "And that?" in world.asked[1]


async def test_a_refused_message_is_one_event_that_tells_nobody_its_text() -> None:
    world = guarded(Judges(delay_s=2.0), "done")
    assert await at(world, 0.5, lambda: world.put("message", "a bad one")) == "ended"
    (fact,) = await facts_of(world, MessageReceived)
    assert (fact.event, fact.cause) == (MessageReceived(refused="so it is"), "inbox:1")
    assert "bad" not in world.asked[0]


async def test_what_is_no_message_is_refused_without_asking_a_guardrail() -> None:
    judges = Judges(delay_s=1.0)
    world = guarded(judges, "done")
    await world.begin()
    await world.journal.put(TENANT, RUN, InboxDraft("message", {"role": "nobody"}, None))
    assert await world.executor.drive() == "ended"
    (fact,) = await facts_of(world, MessageReceived)
    assert fact.event == MessageReceived(refused="it is no message")
    assert not any(text.startswith("message") for text in judges.asked)


async def test_a_message_that_is_judged_twice_at_once_becomes_one_event() -> None:
    world = guarded(Judges(delay_s=2.0), "done", "done too")
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(0.5)
        tasks.create_task(world.put("message", "And that?"))
        await asyncio.sleep(0.5)
        tasks.create_task(world.executor.take_mail())
    assert driving.result() == "ended"
    assert len(await facts_of(world, MessageReceived)) == 1


async def test_a_cancel_behind_a_message_waits_for_no_guardrail() -> None:
    judges = Judges()
    world = guarded(judges, "done")
    judges.delay_s = 1e3

    async def both() -> None:
        await world.slip("message", "And that?")
        await world.put("cancel")

    assert await at(world, 1.0, both) == "ended"
    assert world.run.ended_at is not None
    assert world.run.ended_at - world.run.created_at < 2_000_000
    (fact,) = await facts_of(world, MessageReceived)
    assert fact.event == MessageReceived(refused="the run was cancelled before a guardrail judged the message")


def thinks_first(_request: ModelRequest) -> Awaitable[str]:
    return asyncio.sleep(10.0, "done")


async def test_a_message_that_is_still_judged_when_a_question_begins_waits_for_its_answer() -> None:
    judges = Judges()
    world = guarded(judges, Call("nap"), thinks_first, "done too", tools=[FakeTool("nap", sleeper(5.0))])

    async def act() -> None:
        judges.delay_s = 2.0
        await world.put("message", "And that?")

    assert await at(world, 4.0, act) == "ended"
    assert world.run.answer == "done too"
    story = await world.story()
    assert story.index("model.called t2") < story.index("message.received") < story.index("model.called t3")


async def test_a_message_that_comes_while_a_question_is_under_way_is_judged_once() -> None:
    judges = Judges()
    world = guarded(judges, thinks_first, "done too")
    assert await at(world, 4.0, lambda: world.put("message", "And that?")) == "ended"
    assert [text for text in judges.asked if text.startswith("message")] == ["message And that?"]


async def test_mail_that_is_still_judged_when_the_run_is_given_up_is_not_lost() -> None:
    judges = Judges()
    world = guarded(judges, Call("nap"), tools=[FakeTool("nap", sleeper(5.0))])

    async def act() -> None:
        judges.delay_s = 2.0
        await world.slip("message", "And that?")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.executor.take_mail())
            await asyncio.sleep(1.0)
            world.executor.interrupt("suspend")

    assert await at(world, 1.0, act) == "suspended"
    (fact,) = await facts_of(world, MessageReceived)
    assert fact.cause == "inbox:1"
