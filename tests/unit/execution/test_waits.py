"""Steps that wait: for an answer, for a time, for a signal; no process needs to be there meanwhile."""

import asyncio
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid
from agent_sdk.core.events import StepFinished, StepWaiting
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.tools import Wait
from agent_sdk.testing import Call, VirtualClock
from tests.unit.execution.fakes import RUN, TENANT, FakeTool, plan, ref, sleeper, step
from tests.unit.execution.world import World, at

TEXT: dict[str, JsonValue] = {"type": "string"}
LATE = "it was given, it came too late, or nothing was asked"


def ask(*, after_s: float | None = None) -> FakeTool:
    return FakeTool("ask", waits=Wait("question", text="Shall I?", after_s=after_s), returns=TEXT)


def hear(name: str = "hear", *, after_s: float | None = None, returns: dict[str, JsonValue] | None = None) -> FakeTool:
    return FakeTool(name, waits=Wait("signal", name="paid", after_s=after_s), returns=returns or {})


def rest(after_s: float | None = None, *, at_us: int | None = None) -> FakeTool:
    return FakeTool("rest", waits=Wait("timer", after_s=after_s, at_us=at_us))


async def wake_at(world: World) -> int | None:
    return (await world.journal.row(TENANT, RUN)).wake_at


async def test_a_question_waits_for_a_person_and_the_answer_is_the_steps_output() -> None:
    world = World([ask()], [Call("ask"), "done"])
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: question"
    asked = next(fact.event for fact in await world.facts() if isinstance(fact.event, StepWaiting))
    assert (asked.text, asked.kind, asked.wake_at) == ("Shall I?", "question", None)
    world.clock.advance(1e6)
    await world.slip("answer", {"step": "t1.1", "answer": "yes"})
    assert await world.resume() == "ended"
    assert await world.since_the_wait() == ["question.answered t1.1", "model.called t2", "run.succeeded"]
    assert [part.output for part in world.results] == ["yes"]
    assert "tool:ask" in world.run.label.untrusted


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"step": "t1.1", "answer": 7}, "ask returns string, and the output given is 7"),
        ({"step": "t1.2", "answer": "yes"}, f"step 't1.2' waits for no answer: {LATE}"),
        (None, f"step None waits for no answer: {LATE}"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_and_the_question_stands(body: JsonValue, refusal: str) -> None:
    world = World([ask()], [Call("ask"), "done"])
    await world.drive()
    await world.slip("answer", body)
    assert await world.resume() == "waiting"
    assert await world.since_the_wait() == [f"message.received {refusal}", "run.waiting question", "run.released waiting"]


async def test_a_question_is_answered_once() -> None:
    world = World([ask()], [Call("ask"), "done"])
    await world.drive()
    for answer in ("yes", "no"):
        await world.slip("answer", {"step": "t1.1", "answer": answer})
    await world.resume()
    assert (await world.since_the_wait())[:2] == ["question.answered t1.1", f"message.received step 't1.1' waits for no answer: {LATE}"]


async def test_a_question_that_nobody_answers_in_time_fails() -> None:
    world = World([ask(after_s=60)], [Call("ask"), "done"])
    await world.drive()
    assert await wake_at(world) == world.clock.now_us() + 60_000_000
    world.clock.advance(61)
    await world.slip("answer", {"step": "t1.1", "answer": "yes"})
    assert await world.resume() == "ended"
    assert (await world.since_the_wait())[:2] == [
        f"message.received step 't1.1' waits for no answer: {LATE}",
        "step.failed t1.1 wait_expired #1",
    ]
    assert [part.output for part in world.results] == [{"error": "wait_expired", "message": "no answer came in time"}]


async def test_an_approval_is_no_answer_and_an_answer_no_approval() -> None:
    world = World([ask()], [Call("ask"), "done"])
    await world.drive()
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "waiting"
    assert "waits for no approval" in (await world.since_the_wait())[0]


async def test_a_timer_lets_the_run_go_on_when_its_time_has_come() -> None:
    world = World([rest(3600)], plan=plan(step("a", "rest")))
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: timer"
    assert await wake_at(world) == world.clock.now_us() + 3_600_000_000
    world.clock.advance(3599)
    assert await world.resume() == "waiting"
    world.clock.advance(1)
    assert await world.resume() == "ended"
    assert world.run.answer == "2026-01-01T01:00:00.000+00:00"
    assert world.run.graph.steps[StepId("a")].label == TRUSTED


@pytest.mark.parametrize("tool", [rest(0), rest(), rest(-5), rest(at_us=5)])
async def test_a_timer_whose_time_has_passed_holds_nothing_up(tool: FakeTool) -> None:
    world = World([tool], plan=plan(step("a", "rest")))
    assert await world.drive() == "ended"
    assert await world.state() == "succeeded"


async def test_a_timer_for_a_given_time_comes_then() -> None:
    clock = VirtualClock()
    world = World([rest(at_us=clock.now_us() + 7_000_000)], plan=plan(step("a", "rest")))
    await world.drive()
    assert await wake_at(world) == clock.now_us() + 7_000_000


async def test_a_timer_comes_while_something_else_is_in_flight() -> None:
    slow = FakeTool("slow", sleeper(100), timeout_s=1e6)
    steps = [step("a", "rest"), step("b", "slow"), step("c", "slow", {"x": ref("a")})]
    world = World([rest(30), slow], plan=plan(*steps, result=[ref("b"), ref("c")]))
    assert await world.drive() == "ended"
    assert world.clock.monotonic() == 130


async def test_the_row_wakes_with_the_first_of_all_waits_and_the_deadline() -> None:
    steps = [step("a", "rest"), step("b", "ask"), step("c", "hear")]
    world = World([rest(300), ask(after_s=200), hear()], plan=plan(*steps, result=[ref("a"), ref("b"), ref("c")]), deadline_s=400)
    await world.drive()
    assert await world.state() == "waiting: question"
    began = world.clock.now_us()
    assert await wake_at(world) == began + 200_000_000
    await world.slip("answer", {"step": "b", "answer": "yes"})
    await world.resume()
    assert await world.state() == "waiting: signal"
    assert await wake_at(world) == began + 300_000_000
    world.clock.advance(300)
    await world.resume()
    assert await wake_at(world) == began + 400_000_000
    world.clock.advance(100)
    assert await world.resume() == "ended"
    assert await world.state() == "expired"


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
async def test_a_machine_whose_clock_is_wrong_waits_as_long_as_any_other(ahead_s: int) -> None:
    class WrongClock(VirtualClock):
        def now_us(self) -> int:
            return super().now_us() + ahead_s * 1_000_000

    world = World([rest(60)], plan=plan(step("a", "rest")), clock=WrongClock())
    assert await world.drive() == "waiting"
    assert await wake_at(world) == VirtualClock().now_us() + 60_000_000
    world.clock.advance(60)
    assert await world.resume() == "ended"
    assert await world.state() == "succeeded"


async def test_what_was_due_when_the_run_was_claimed_is_due_however_its_lease_was_renewed() -> None:
    world = World([rest(60)], plan=plan(step("a", "rest")))
    await world.drive()
    world.clock.advance(60)
    await world.again()
    world.lease.until += 20
    world.executor = type(world.executor)(world.parts, world.run, world.lease)
    assert await world.executor.drive() == "ended"


@pytest.mark.parametrize("is_before", [True, False])
async def test_a_signal_may_come_before_or_after_the_step_waits_for_it(is_before: bool) -> None:
    steps = [step("a", "look"), step("b", "hear", after=("a",))]
    world = World([FakeTool("look", sleeper(10)), hear()], plan=plan(*steps, result=[ref("a"), ref("b")]))
    assert await at(world, 5 if is_before else 0, lambda: world.slip("signal", {"name": "paid", "payload": 9})) == "ended"
    assert world.run.answer == ["slept", 9]
    heard = next(fact for fact in await world.facts() if isinstance(fact.event, StepFinished) and fact.event.step == "b")
    received = next(fact for fact in await world.facts() if fact.event.type == "signal.received")
    assert heard.cause == f"event:{received.seq}"


async def test_a_signal_wakes_the_run_that_waits_for_it() -> None:
    world = World([hear()], [Call("hear"), "done"])
    await world.drive()
    assert await world.state() == "waiting: signal"
    await world.slip("signal", {"name": "paid", "payload": {"sum": 1}})
    assert await world.resume() == "ended"
    assert (await world.since_the_wait())[:2] == ["signal.received paid", "step.finished t1.1 #1"]
    assert [part.output for part in world.results] == [{"sum": 1}]


async def test_a_signal_of_another_name_waits_for_another_step() -> None:
    world = World([hear()], [Call("hear"), "done"])
    await world.drive()
    await world.slip("signal", {"name": "sent"})
    assert await world.resume() == "waiting"
    assert world.run.signals.keys() == {"sent"}


async def test_each_signal_is_for_one_step_the_first_that_waits() -> None:
    world = World([hear()], [[Call("hear"), Call("hear")], "done"])
    await world.drive()
    await world.slip("signal", {"name": "paid", "payload": 1})
    assert await world.resume() == "waiting"
    assert world.run.graph.parked.keys() == {"t1.2"}
    for payload in (2, 3):
        await world.slip("signal", {"name": "paid", "payload": payload})
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == [1, 2]
    assert [payload for _, payload in world.run.signals["paid"]] == [3]


async def test_signals_that_came_early_are_taken_in_their_order() -> None:
    world = World([hear()], [Call("hear"), Call("hear"), "done"])
    await world.begin()
    for payload in (1, 2):
        await world.slip("signal", {"name": "paid", "payload": payload})
    await world.executor.take_mail()
    assert await world.executor.drive() == "ended"
    assert [part.output for part in world.results] == [1, 2]


async def test_a_signal_whose_payload_fits_no_wait_is_refused_and_the_right_one_still_counts() -> None:
    world = World([hear(returns=TEXT)], [Call("hear"), "done"])
    await world.drive()
    for payload in (1, "good"):
        await world.slip("signal", {"name": "paid", "payload": payload})
    assert await world.resume() == "ended"
    refusal = "message.received signal 'paid' does not fit: hear returns string, and the output given is 1"
    assert (await world.since_the_wait())[:2] == [refusal, "signal.received paid"]
    assert [part.output for part in world.results] == ["good"]


async def test_a_signal_that_fits_one_wait_of_its_name_and_not_the_other_fails_the_step_it_does_not_fit() -> None:
    world = World([hear(returns=TEXT), hear("count", returns={"type": "integer"})], [Call("hear"), "done"])
    await world.drive()
    await world.slip("signal", {"name": "paid", "payload": 1})
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == [
        {"error": "signal_invalid", "message": "hear returns string, and the output given is 1"}
    ]


class Named(FakeTool):
    """A tool whose call says which signal it waits for."""

    def wait(self, args: Mapping[str, JsonValue]) -> Wait:
        if "name" not in args:
            raise ArgumentsInvalid("a name is missing")
        return Wait("signal", name=str(args["name"]))


async def test_a_tool_whose_signal_hangs_on_its_arguments_is_not_asked_what_fits() -> None:
    world = World([Named("hear", kind="signal", returns=TEXT)], [Call("hear", {"name": "paid"}), "done"])
    await world.drive()
    await world.slip("signal", {"name": "paid", "payload": "good"})
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == ["good"]


async def test_a_signal_without_a_name_is_refused() -> None:
    world = World([hear()], [Call("hear"), "done"])
    await world.drive()
    await world.slip("signal", {"payload": 1})
    assert await world.resume() == "waiting"
    assert (await world.since_the_wait())[0] == "message.received a signal has a name"


async def test_a_signal_that_does_not_come_in_time_fails_its_step() -> None:
    world = World([hear(after_s=60)], [Call("hear"), "done"])
    await world.drive()
    world.clock.advance(60)
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == [{"error": "wait_expired", "message": "no signal 'paid' came in time"}]


async def test_a_signal_that_lies_there_counts_though_the_time_is_up_too() -> None:
    world = World([hear(after_s=60)], [Call("hear"), "done"])
    await world.drive()
    await world.slip("signal", {"name": "paid", "payload": 1})
    world.clock.advance(60)
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == [1]


async def test_what_a_tool_gone_since_waited_for_is_taken_as_it_is() -> None:
    world = World([hear(), ask()], [[Call("hear"), Call("ask")], "done"])
    await world.drive()
    world.tools = []
    await world.slip("signal", {"name": "paid", "payload": 1})
    await world.slip("answer", {"step": "t1.2", "answer": 5})
    assert await world.resume() == "ended"
    assert [part.output for part in world.results] == [1, 5]
    assert world.run.label != TRUSTED


async def test_a_wait_whose_arguments_do_not_hold_fails_its_step() -> None:
    tool = FakeTool("ask", waits=ArgumentsInvalid("no question", hint="ask one"), kind="question")
    world = World([tool], [Call("ask"), "done"])
    assert await world.drive() == "ended"
    assert [part.output for part in world.results] == [{"error": ArgumentsInvalid.code, "message": "no question", "hint": "ask one"}]


async def test_a_wait_may_need_a_word_first() -> None:
    tool = FakeTool("rest", waits=Wait("timer", after_s=5), need="it takes long")
    world = World([tool], [Call("rest"), "done"])
    await world.drive()
    assert await world.state() == "waiting: approval"
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "waiting"
    assert await world.state() == "waiting: timer"


async def test_a_cancel_ends_a_run_that_waits_beside_work_in_flight() -> None:
    slow = FakeTool("slow", sleeper(100), timeout_s=1e6)
    world = World([rest(1e6), slow], plan=plan(step("a", "rest"), step("b", "slow"), result=[ref("a"), ref("b")]))
    assert await at(world, 10, lambda: world.put("cancel")) == "ended"
    assert world.clock.monotonic() == 10
    assert await world.state() == "cancelled"


async def test_a_run_that_lay_in_a_queue_reads_its_mail_before_anything_is_done() -> None:
    tool = FakeTool("look")
    world = World([tool], plan=plan(step("a", "look")))
    await world.begin()
    await world.slip("cancel")
    await asyncio.sleep(2)
    assert await world.executor.drive() == "ended"
    assert tool.calls == []
    assert await world.story() == ["run.created", "run.claimed", "run.cancel_requested", "run.cancelled"]
