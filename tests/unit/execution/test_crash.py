"""A process that dies at any append: the next owner gives the same answer, and no finished step is performed again (rules J2 and J3)."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import StorageError
from agent_sdk.core.events import CallMark, Fact, ModelCalled, RunClaimed, StepFinished
from agent_sdk.core.ids import OwnerId, StepId
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.plan import ModelStep, ToolStep, When
from agent_sdk.core.ports import Batch, Verdict
from agent_sdk.core.run import ENDS
from agent_sdk.core.tools import Wait
from agent_sdk.core.usage import NO_USAGE
from agent_sdk.testing import Call
from tests.unit.execution.fakes import RUN, TENANT, Args, Context, CountingJournal, FakeTool, plan, ref, step
from tests.unit.execution.world import World, no_stray_tasks


class Outside:
    """The world that effects change: what was done under which key, and how often each step was called."""

    def __init__(self) -> None:
        self.done: dict[str, JsonValue] = {}
        self.performed: Counter[str] = Counter()

    async def read(self, args: Args, context: Context) -> JsonValue:
        self.performed[context.step_id] += 1
        await asyncio.sleep(0.01)
        return args.get("x", 0)

    async def act(self, args: Args, context: Context) -> JsonValue:
        self.performed[context.step_id] += 1
        await asyncio.sleep(0.01)
        self.done[context.idempotency_key] = made = f"did {args['x']}"
        await asyncio.sleep(0.01)
        return made

    def verify(self, context: Context) -> Verdict:
        return Verdict(context.idempotency_key in self.done, self.done.get(context.idempotency_key))

    def tools(self) -> list[FakeTool]:
        return [
            FakeTool("look", self.read),
            FakeTool("pay", self.act, "once"),
            FakeTool("put", self.act, "idempotent"),
            FakeTool("send", self.act, "verify", verdict=self.verify),
        ]

    def waiting_tools(self) -> list[FakeTool]:
        """Tools whose calls wait: for a word, for a time, for an answer, a signal and a child."""
        return [
            FakeTool("ship", self.act, "once", need="it costs money", approval_s=1e6),
            FakeTool("rest", waits=Wait("timer", after_s=60)),
            FakeTool("ask", waits=Wait("question", text="Shall I?")),
            FakeTool("hear", waits=Wait("signal", name="paid")),
            FakeTool("help", waits=Wait("child", text="do it", name="helper")),
        ]


def planned(outside: Outside) -> World:
    steps: list[ToolStep | ModelStep] = [
        step("seen", "look", {"x": [1, 2, 3]}),
        step("paid", "pay", {"x": ref("seen.0")}),
        step("each", "put", {"x": ref("item")}, for_each="seen"),
        step("sent", "send", {"x": ref("paid")}),
        step("never", "pay", {"x": 1}, when=When("seen.0", "gt", 5)),
        step("too", "look", {"x": ref("each")}, after=("sent",)),
        ModelStep(StepId("said"), "Sum it up.", {"x": ref("too")}),
    ]
    result: dict[str, JsonValue] = {"said": ref("said"), "paid": ref("paid"), "each": ref("each"), "sent": ref("sent"), "too": ref("too")}
    return World(outside.tools(), ["all done"] * 9, plan=plan(*steps, result=result))


def looping(outside: Outside) -> World:
    turns: list[list[Call]] = [
        [Call("look", {"x": 1}), Call("pay", {"x": 2}), Call("unheard_of"), Call("put", {"x": 3})],
        [Call("pay", {"x": 4})],
        [Call("send", {"x": 5}), Call("send", {"x": 6})],
    ]

    def answer(request: ModelRequest) -> list[Call] | str:
        turn = int(request.id.removeprefix("t"))
        if turn <= len(turns):
            return turns[turn - 1]
        return str([part.output for message in request.conversation for part in message.parts if part.type == "tool_result"])

    return World(outside.tools(), [answer] * 50)


def parked(outside: Outside) -> World:
    """Return a plan in which everything waits that can wait, beside effects of all kinds."""
    steps = [
        step("seen", "look", {"x": [1, 2]}),
        step("paid", "pay", {"x": 1}),
        step("shipped", "ship", {"x": ref("item")}, for_each="seen"),
        step("rested", "rest", after=("paid",)),
        step("asked", "ask"),
        step("heard", "hear", after=("asked",)),
        step("helped", "help", {"x": ref("heard")}),
        step("sent", "send", {"x": ref("shipped")}),
        step("put", "put", {"x": ref("helped")}, after=("rested",)),
    ]
    names = ("seen", "paid", "shipped", "asked", "heard", "helped", "sent", "put")
    return World([*outside.tools(), *outside.waiting_tools()], plan=plan(*steps, result={name: ref(name) for name in names}))


async def serve(world: World, given: set[str]) -> None:
    """Give each parked step what it waits for, each once: a person, another run or the time is never lost with the process."""
    for identity, pending in world.run.graph.parked.items():
        if (identity in given and pending.kind != "timer") or (pending.kind == "child" and not world.children):
            continue
        given.add(identity)
        match pending.kind:
            case "approval" if identity == "shipped[1]":
                await world.slip("approve", {"step": identity, "ruling": "edit", "args": {"x": 20}, "digest": pending.digest})
            case "approval":
                await world.slip("approve", {"step": identity, "ruling": "approve", "digest": pending.digest})
            case "question":
                await world.slip("answer", {"step": identity, "answer": "yes"})
            case "signal":
                await world.slip("signal", {"name": "paid", "payload": 7})
            case "child":
                await world.slip("child", {"child": pending.child, "state": "succeeded", "output": "helped"})
            case _:
                world.clock.advance(60)


class Killer:
    """Lets the process die around its n-th append: from then on nothing that it does becomes durable."""

    def __init__(self, journal: CountingJournal, number: int, *, is_durable: bool) -> None:
        self._number, self._is_durable = number, is_durable
        self.struck = False
        journal.before, journal.after = self.before, self.after

    def before(self, number: int, _batch: Batch) -> None:
        if self.struck or (number == self._number and not self._is_durable):
            self._strike()

    def after(self, number: int, _batch: Batch) -> None:
        if number == self._number:
            self._strike()

    def _strike(self) -> None:
        self.struck = True
        raise StorageError("the process is dead")


async def perform_with_crashes(make: Callable[[Outside], World], outside: Outside, number: int, *, is_durable: bool) -> World:
    """Perform a run whose first two owners die at their append of that number; unknown effects are decided by what was really done."""
    world = make(outside)
    await world.begin()
    for deadly in (number, number, *[1_000_000] * 50):
        world.journal.attempts = 0
        killer, counts = Killer(world.journal, deadly, is_durable=is_durable), Counter(outside.performed)
        finished = {fact.event.step for fact in await world.facts() if isinstance(fact.event, StepFinished)}
        try:
            await world.executor.drive()
        except StorageError:
            assert killer.struck
        assert no_stray_tasks()
        assert all(counts[each] == outside.performed[each] for each in finished)
        world.journal.before = world.journal.after = lambda _number, _batch: None
        if (await world.state()) in ENDS:
            return world
        await world.again()
        for identity in world.run.graph.unknown:
            await world.slip("decide", decision(identity, world, outside))
    raise AssertionError("the run does not end")


def decision(identity: StepId, world: World, outside: Outside) -> JsonValue:
    key = world.run.graph.steps[identity].key
    return (
        {"step": identity, "decision": "done", "output": outside.done[key]}
        if key in outside.done
        else {"step": identity, "decision": "retry"}
    )


@pytest.mark.parametrize("make", [planned, looping])
@pytest.mark.parametrize("is_durable", [False, True])
async def test_the_answer_is_the_same_wherever_the_process_dies(make: Callable[[Outside], World], is_durable: bool) -> None:
    whole = make(Outside())
    assert await whole.drive() == "ended"
    assert await whole.state() == "succeeded"
    points = len(whole.journal.appends)
    assert points >= 5
    for number in range(1, points + 1):
        outside = Outside()
        world = await perform_with_crashes(make, outside, number, is_durable=is_durable)
        assert await world.state() == "succeeded"
        assert (await world.folded()).answer == whole.run.answer
        story = await world.story()
        finished = [line.split()[1] for line in story if line.startswith("step.finished")]
        assert len(finished) == len(set(finished))
        retried = {line.split()[1] for line in story if line.startswith("effect.decided") and line.endswith("retry")}
        paid = [each for each in outside.performed if world.run.graph.steps[StepId(each)].tool == "pay" and each not in retried]
        assert all(outside.performed[each] == 1 for each in paid)
        assert outside.done.keys() == {state.key for state in world.run.graph.steps.values() if state.effect != "read" and state.key}


async def perform_parked(outside: Outside, number: int, *, is_durable: bool) -> World:
    """Perform a run that waits again and again, with a process that dies around its append of that number, counted over all its owners."""
    world, given = parked(outside), set[str]()
    await world.begin()
    killer = Killer(world.journal, number, is_durable=is_durable)
    for _ in range(40):
        counts = Counter(outside.performed)
        finished = {fact.event.step for fact in await world.facts() if isinstance(fact.event, StepFinished)}
        try:
            await world.executor.drive()
        except StorageError:
            assert killer.struck
            world.journal.before = world.journal.after = lambda _number, _batch: None
        assert no_stray_tasks()
        assert all(counts[each] == outside.performed[each] for each in finished)
        if (await world.state()) in ENDS:
            return world
        world.run = await world.folded()
        await serve(world, given)
        await world.again()
        for identity in world.run.graph.unknown:
            await world.slip("decide", decision(identity, world, outside))
    raise AssertionError("the run does not end")


async def check_parked(number: int, *, is_durable: bool) -> int:
    outside = Outside()
    world = await perform_parked(outside, number, is_durable=is_durable)
    assert await world.state() == "succeeded"
    edited = next(name for name in outside.performed if name.startswith("shipped[1]~"))
    assert (await world.folded()).answer == {
        "seen": [1, 2],
        "paid": "did 1",
        "shipped": ["did 1", "did 20"],
        "asked": "yes",
        "heard": 7,
        "helped": "helped",
        "sent": "did ['did 1', 'did 20']",
        "put": "did helped",
    }
    story = await world.story()
    retried = {line.split()[1] for line in story if line.startswith("effect.decided") and line.endswith("retry")}
    assert all(outside.performed[name] == 1 for name in ("paid", "shipped[0]", edited) if name not in retried)
    assert outside.performed["shipped[1]"] == 0
    assert {step for step, _ in world.children} == {"helped"}
    assert len({child for _, child in world.children}) == 1
    assert len(story) == len(await world.facts())
    settled = [line.split()[1] for line in story if line.startswith(("step.finished", "question.answered", "child.finished"))]
    assert len(settled) == len(set(settled))
    assert len([line for line in story if line.startswith("approval.decided")]) == 2
    return len(world.journal.appends)


async def test_a_run_that_waits_for_everything_ends_the_same_wherever_the_process_dies() -> None:
    points = await check_parked(1_000_000, is_durable=True)
    assert points >= 10
    for number in range(1, points + 1):
        for is_durable in (False, True):
            await check_parked(number, is_durable=is_durable)


async def test_an_effect_that_was_under_way_is_unknown_and_blocks_only_what_hangs_on_it() -> None:
    outside = Outside()
    steps = [
        step("a", "pay", {"x": 1}),
        step("b", "look", {"x": 2}),
        step("c", "look", {"x": ref("b")}),
        step("d", "look", {"x": ref("a")}),
    ]
    world = World(outside.tools(), plan=plan(*steps, result=[ref("c"), ref("d")]))
    Killer(world.journal, 2, is_durable=False)
    with pytest.raises(StorageError, match="dead"):
        await world.drive()
    world.journal.before = lambda _number, _batch: None
    assert await world.resume() == "waiting"
    assert (await world.story())[-3:] == ["step.finished c #1", "run.waiting unknown_effect", "run.released waiting"]
    assert world.run.graph.steps[StepId("a")].failure is not None
    assert outside.performed["a"] == 1


async def test_calls_that_do_not_hold_are_refused_after_a_crash_too() -> None:
    world = World([FakeTool("look")], ["done"])
    await world.begin()
    calls = (CallMark(StepId("t1.1"), "look"), CallMark(StepId("t1.2"), "unheard_of"))
    message = Message("assistant", tuple(ToolCallPart(call.id, call.tool, {}) for call in calls))
    called = ModelCalled(StepId("t1"), "turn", "m", NO_USAGE, "tool_calls", (), calls, message=message)
    facts = [Fact(2, 1, 0, RunClaimed(OwnerId("owner-1"))), Fact(3, 1, 0, called)]
    await world.journal.append(Batch(TENANT, RUN, 1, 1, facts, "running"))
    assert await world.resume() == "ended"
    assert (await world.story())[3:] == [
        "run.claimed",
        "check.refused t1.2 unknown_tool",
        "step.started t1.1 #1",
        "step.finished t1.1 #1",
        "model.called t2",
        "run.succeeded",
    ]


async def test_a_zombie_writes_nothing_once_another_owner_has_the_run() -> None:
    world = World([FakeTool("look")], [Call("look"), "done"])
    await world.begin()
    zombie = world.executor
    await world.again()
    assert await world.executor.drive() == "ended"
    told = list(world.journal.told)
    with pytest.raises(StorageError, match="stands at epoch 2, event 7; the batch was made at epoch 1, event 1"):
        await zombie.drive()
    assert world.journal.told == told
