"""Model calls under a budget: granted before they are made, settled whatever becomes of the run, and waited for where it is spent."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.budget import NOTHING, Amounts, PriceUnknown, Purse, ledger_rows
from agent_sdk.core.errors import AuthFailed, RateLimited, StorageError, Unavailable
from agent_sdk.core.events import (
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    Event,
    MessageReceived,
    RunClaimed,
    RunWaiting,
    StepFinished,
    StepRetried,
)
from agent_sdk.core.ids import OwnerId, RunId, StepId
from agent_sdk.core.messages import Message, TextPart, ToolCallPart
from agent_sdk.core.model import Attempt, ModelReply, ModelRequest
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Batch, LedgerChange
from agent_sdk.core.tools import Wait
from agent_sdk.core.usage import Usage
from agent_sdk.execution.sequencer import Sequencer
from agent_sdk.llm import RetryingModel, RetryPolicy
from agent_sdk.llm.fallback import Candidate, FallbackModel
from agent_sdk.testing import Call, ScriptedModel, ScriptItem, VirtualClock
from tests.contract.batches import begin
from tests.unit.execution.fakes import TENANT, CountingJournal, FakeTool, gives, hang, plan, ref, sleeper, step
from tests.unit.execution.world import World, at, no_stray_tasks

SCOPE, OTHER = "run/run", OwnerId("other")
CENT = 10_000_000


@dataclass
class Fixed:
    """A meter by which every call comes to at most ten cents and a hundred tokens; of `nobody` no price is known."""

    is_known: bool = True
    estimates: list[int] = field(default_factory=list[int])

    def most(self, request: ModelRequest, input_tokens: int) -> Amounts:
        self.estimates.append(input_tokens)
        if self.is_known:
            return Amounts(10 * CENT, 100, 1)
        unknown = PriceUnknown("no price of m is known", hint="give one")
        unknown.most = Amounts(0, 100, 1)
        raise unknown

    def window(self, model: str) -> int | None:
        return None


def says(text: str = "done", cents: int = 4, tokens: int = 30) -> ModelReply:
    return ModelReply(Message("assistant", (TextPart(text),)), Usage(tokens - 10, 10, cost_usd=Decimal(cents) / 100))


def world_of(script: Sequence[ScriptItem], *tools: FakeTool, **more: object) -> World:
    world = World(tools, script, budgets=(SCOPE,), meter=Fixed())
    for name, value in more.items():
        setattr(world, name, value)
    return world


async def limit(world: World, **limits: int | None) -> World:
    """Bound what the run may spend."""
    for unit, amount in limits.items():
        await world.journal.set_limit(TENANT, f"{SCOPE}:{unit}", amount)
    return world


async def kept(world: World) -> tuple[Amounts, Amounts]:
    """Return what the ledger holds as reserved and as settled."""
    rows = [await world.journal.ledger(TENANT, row) for row, _ in ledger_rows([SCOPE])]
    reserved, settled = ([0 if row is None else getattr(row, name) for row in rows] for name in ("reserved", "settled"))
    return Amounts(*reserved), Amounts(*settled)


async def events(world: World, kind: type[Event]) -> list[Event]:
    return [fact.event for fact in await world.facts() if isinstance(fact.event, kind)]


async def assert_settled(world: World, settled: Amounts) -> None:
    """Check that nothing is held, what was spent, and that the journal tells what the run itself knows."""
    assert await kept(world) == (NOTHING, settled)
    folded = await world.folded()
    assert folded.purse == world.run.purse
    assert (folded.purse.held, folded.purse.spent) == (NOTHING, NOTHING)
    assert folded.head == world.run.head
    assert no_stray_tasks()


async def test_a_call_is_granted_before_it_is_made_and_settled_when_the_run_ends() -> None:
    world = await limit(world_of([says()]), usd=1000 * CENT)
    assert await world.drive() == "ended"
    assert (await world.story())[-4:] == ["budget.reserved t1", "model.called t1", "budget.settled", "run.succeeded"]
    assert await events(world, BudgetReserved) == [BudgetReserved(StepId("t1"), Amounts(40 * CENT, 400, 4))]
    assert await events(world, BudgetSettled) == [BudgetSettled(Amounts(4 * CENT, 30, 1), Amounts(36 * CENT, 370, 3))]
    await assert_settled(world, Amounts(4 * CENT, 30, 1))


async def test_a_slice_is_spent_without_asking_again() -> None:
    world = await limit(world_of([*(Call("look") for _ in range(3)), says()], FakeTool("look", lambda _args, context: context.step_id)))
    assert await world.drive() == "ended"
    assert len(await events(world, BudgetReserved)) == 1
    reserved, settled = await kept(world)
    assert (reserved, settled.calls) == (NOTHING, 4)


async def test_a_run_that_nothing_bounds_reserves_nothing() -> None:
    world = world_of([says()], budgets=())
    assert await world.drive() == "ended"
    assert not any(line.startswith("budget") for line in await world.story())
    assert world.run.usage.cost_usd == Decimal("0.04")
    assert world.run.purse == Purse()


async def test_a_small_budget_is_not_taken_whole() -> None:
    world = await limit(world_of([says()]), usd=30 * CENT, calls=9)
    await world.drive()
    assert await events(world, BudgetReserved) == [BudgetReserved(StepId("t1"), Amounts(15 * CENT, 400, 4))]


async def test_the_estimate_is_of_the_whole_question() -> None:
    world = await limit(world_of([says()], instructions="s" * 3000))
    await world.drive()
    assert isinstance(world.meter, Fixed)
    assert world.meter.estimates[0] > 1000


async def test_a_budget_that_is_spent_is_waited_for_and_all_is_kept() -> None:
    world = await limit(world_of([Call("look"), says()], FakeTool("look")), calls=1)
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: budget"
    (waiting,) = await events(world, RunWaiting)
    assert isinstance(waiting, RunWaiting)
    lacking = waiting.shortfall
    assert lacking is not None
    assert (lacking.row, lacking.needed, lacking.limit, lacking.reserved, lacking.settled) == ("run/run:calls", 1, 1, 0, 1)
    assert lacking.message == (
        "the budget of run/run is 1 calls, of which 1 calls are spent and 0 calls reserved for calls under way; "
        "the next model call may need 1 calls"
    )
    assert not lacking.is_passing
    assert (await kept(world))[0] == NOTHING
    await limit(world, calls=2)
    await world.slip("wake", {"budget": True})
    assert await world.resume() == "ended"
    assert world.run.answer == "done"
    assert (await kept(world))[1].calls == 2


async def test_a_call_that_the_rest_cannot_pay_is_not_waited_for_as_if_others_held_it() -> None:
    def looks(request: ModelRequest) -> ModelReply:
        call = ToolCallPart(StepId(f"{request.id}.1"), "look", {"for": request.id})
        return ModelReply(Message("assistant", (call,)), Usage(20, 10, cost_usd=Decimal("0.04")))

    world = await limit(world_of([looks] * 9, FakeTool("look")), usd=15 * CENT)
    assert await world.drive() == "waiting"
    assert world.run.turn == 2
    lacking = world.run.shortfall
    assert lacking is not None
    assert (lacking.needed, lacking.settled, lacking.reserved) == (10 * CENT, 8 * CENT, 0)
    assert not lacking.is_passing


async def test_what_others_hold_is_waited_for_a_while() -> None:
    world = await limit(world_of([says()]), usd=15 * CENT)
    await world.begin()
    other = await begin(world.journal, OTHER, tenant=TENANT, run_id=RunId("other"))
    await other.append(RunClaimed(OTHER), ledger=[LedgerChange(f"{SCOPE}:usd", 8 * CENT)])
    began_us = world.clock.now_us()
    assert await world.executor.drive() == "waiting"
    (waiting,) = await events(world, RunWaiting)
    assert isinstance(waiting, RunWaiting)
    assert waiting.shortfall is not None
    assert waiting.shortfall.is_passing
    assert "is $0.1500, of which $0.0000 are spent and $0.0800 reserved for calls under way; the next model call may need $0.1000" in (
        waiting.shortfall.message
    )
    assert waiting.wake_at is not None
    assert 1.0 <= (waiting.wake_at - began_us) / 1e6 <= 2.0, "twice as long with each refusal, and a part of that"
    await other.append(RunClaimed(OTHER), ledger=[LedgerChange(f"{SCOPE}:usd", -8 * CENT)])
    assert await world.resume() == "ended"
    assert world.run.purse.refusals == 0


async def test_a_deadline_is_not_slept_through() -> None:
    world = await limit(world_of([says()], deadline_s=5.0), calls=0)
    assert await world.drive() == "waiting"
    assert (await world.journal.row(TENANT, world.run.run_id)).wake_at == world.run.created_at + 5_000_000


async def test_a_refusal_takes_the_number_that_was_kept_and_what_was_posted_meanwhile_comes_behind_it() -> None:
    world = await limit(World(journal=CountingJournal(delay_s=0.1)), calls=0)
    await world.begin()
    durable: list[tuple[int, int]] = []

    def note(_number: int, batch: Batch) -> None:
        durable.append((batch.facts[-1].seq, batch.inbox_seen))

    world.journal.after = note
    made = Sequencer(world.journal, world.run, VirtualClock(), epoch=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.write())
        before = made.post(MessageReceived(refused="before"))
        asking = tasks.create_task(made.reserve(BudgetReserved(StepId("t1"), Amounts(calls=1)), [LedgerChange(f"{SCOPE}:calls", 1)]))
        await asyncio.sleep(0.01)
        behind = made.post(MessageReceived(refused="behind"), cause="inbox:1")
        await made.flush()
        made.close()
    assert asking.result() is not None
    assert (before.seq, behind.seq) == (2, 4)
    assert world.journal.told == [
        ["message.received before"],
        ["budget.refused t1"],
        ["message.received behind"],
    ]
    assert durable == [(2, 0), (3, 0), (4, 1)], "an item is seen once its event is durable"
    assert (await world.folded()).purse == world.run.purse


async def test_a_journal_that_fails_grants_nothing() -> None:
    world = await limit(world_of([says()]), calls=9)

    def down(_number: int, batch: Batch) -> None:
        if any(isinstance(fact.event, BudgetReserved) for fact in batch.facts):
            raise StorageError("it is down")

    world.journal.before = down
    with pytest.raises(StorageError):
        await world.drive()
    assert world.asked == []
    assert await kept(world) == (NOTHING, NOTHING)
    world.journal.before = lambda _number, _batch: None
    assert await world.resume() == "ended"
    await assert_settled(world, Amounts(4 * CENT, 30, 1))


async def test_nothing_is_reserved_once_the_journal_failed() -> None:
    def down(_number: int, _batch: Batch) -> None:
        raise StorageError("it is down")

    world = World()
    await world.begin()
    world.journal.before = down
    made = Sequencer(world.journal, world.run, VirtualClock(), epoch=1)
    made.post(MessageReceived(refused="nothing"))
    with pytest.raises(StorageError):
        await made.write()
    with pytest.raises(StorageError):
        await made.reserve(BudgetReserved(StepId("t1"), NOTHING), ())


async def test_an_owner_that_is_lost_leaves_its_slice_to_the_next_which_settles_it() -> None:
    world = await limit(world_of([Call("look"), says("lost"), Call("look"), says()], FakeTool("look")), calls=9)

    def down(_number: int, batch: Batch) -> None:
        if any(isinstance(fact.event, StepFinished) for fact in batch.facts):
            raise StorageError("it is down")

    world.journal.before = down
    with pytest.raises(StorageError):
        await world.drive()
    assert (await kept(world))[0].calls == 4
    world.journal.before = lambda _number, _batch: None
    assert await world.resume() == "ended"
    assert len(await events(world, BudgetReserved)) == 1, "what the first owner held is enough"
    reserved, settled = await kept(world)
    assert (reserved, settled.calls) == (NOTHING, 2)


FAILED_USAGE = Usage(7, 3, cost_usd=Decimal("0.01"))


def unavailable() -> Unavailable:
    error = Unavailable("it is down")
    error.usage = FAILED_USAGE
    return error


async def test_a_failed_call_settles_what_it_is_known_to_have_used() -> None:
    world = await limit(world_of([unavailable()]), calls=9)
    assert await world.drive() == "ended"
    assert world.run.state == "failed"
    await assert_settled(world, Amounts(CENT, 10, 1))


async def test_failed_tries_of_a_call_that_succeeded_are_paid_too() -> None:
    reply = says()
    tries = (Attempt(5, "model_overloaded", usage=FAILED_USAGE), Attempt(5, "model_overloaded"), Attempt(7))
    world = await limit(world_of([ModelReply(reply.message, reply.usage, attempts=tries)]), calls=9)
    await world.drive()
    assert world.run.retries == 2
    await assert_settled(world, Amounts(5 * CENT, 40, 2))


def billed(cents: int, tokens: int = 30) -> Unavailable:
    """Return the failure of a try that was billed all the same."""
    error = Unavailable("it broke off")
    error.usage = Usage(tokens - 10, 10, cost_usd=Decimal(cents) / 100)
    return error


def tenacious(*script: ScriptItem, **more: object) -> World:
    """Return a run whose model is asked again after a failure, as it is in every runtime."""
    world = world_of([], **more)
    world.model = RetryingModel(ScriptedModel(script, clock=world.clock), RetryPolicy(), world.clock, world.random)
    return world


async def test_tries_that_used_nothing_are_repeated_on_what_was_granted_for_the_first() -> None:
    world = await limit(tenacious(RateLimited("wait"), Unavailable("down"), says()), usd=10 * CENT, calls=1)
    assert await world.drive() == "ended"
    assert (world.run.answer, world.run.retries) == ("done", 2)
    assert len(await events(world, BudgetReserved)) == 1
    await assert_settled(world, Amounts(4 * CENT, 30, 1))


async def test_a_further_try_is_granted_with_what_the_one_before_used_set_aside() -> None:
    world = await limit(tenacious(billed(7), says()), usd=20 * CENT)
    assert await world.drive() == "ended"
    assert [event.amounts.usd_nano for event in await events(world, BudgetReserved) if isinstance(event, BudgetReserved)] == [
        10 * CENT,
        7 * CENT,
    ]
    await assert_settled(world, Amounts(11 * CENT, 60, 2))


async def test_a_run_that_only_its_budget_keeps_from_another_try_waits_and_tries_again_when_it_is_raised() -> None:
    world = await limit(tenacious(billed(7), says()), usd=15 * CENT)
    assert await world.drive() == "waiting"
    assert (await world.story())[2:] == [
        "budget.reserved t1",
        "budget.refused t1",
        "step.retried t1 model_unavailable #2",
        "budget.settled",
        "run.waiting budget",
        "run.released waiting",
    ]
    (tried,) = await events(world, StepRetried)
    assert tried == StepRetried(StepId("t1"), 2, "model_unavailable", 0.0, "it broke off", billed(7).usage, 1)
    lacking = world.run.shortfall
    assert lacking is not None
    assert (lacking.needed, lacking.limit, lacking.reserved, lacking.settled) == (10 * CENT, 15 * CENT, 0, 7 * CENT)
    assert not lacking.is_passing
    await assert_settled(world, Amounts(7 * CENT, 30, 1))
    await limit(world, usd=17 * CENT)
    assert await world.resume() == "ended"
    assert (world.run.answer, world.run.retries) == ("done", 1)
    await assert_settled(world, Amounts(11 * CENT, 60, 2))


async def test_a_billed_try_is_a_call_and_the_next_one_waits_for_calls_too() -> None:
    world = await limit(tenacious(billed(0), says()), calls=1)
    assert await world.drive() == "waiting"
    assert world.run.shortfall is not None
    assert world.run.shortfall.row == "run/run:calls"


async def test_what_others_let_go_of_during_the_backoff_pays_for_the_next_try() -> None:
    world = await limit(tenacious(billed(7), says()), usd=20 * CENT)
    await world.begin()
    other = await begin(world.journal, OTHER, tenant=TENANT, run_id=RunId("other"))
    await other.append(RunClaimed(OTHER), ledger=[LedgerChange(f"{SCOPE}:usd", 10 * CENT)])
    letting_go = [LedgerChange(f"{SCOPE}:usd", -10 * CENT)]

    async def later() -> None:
        await asyncio.sleep(0.001)
        await other.append(RunClaimed(OTHER), ledger=letting_go)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(later())
        assert await world.executor.drive() == "ended"
    assert await events(world, BudgetRefused) == []
    assert (await kept(world))[1].usd_nano == 11 * CENT


async def test_the_wait_that_a_vendor_asks_for_is_over_before_a_run_waits_for_its_budget() -> None:
    limited = RateLimited("wait", retry_after_s=20.0)
    limited.usage = FAILED_USAGE
    world = await limit(tenacious(limited, says()), calls=1)
    began_s = world.clock.monotonic()
    assert await world.drive() == "waiting"
    assert 20.0 <= world.clock.monotonic() - began_s < 21.0


async def test_each_try_before_a_wait_is_one_of_the_run_s_retries_so_that_it_ends() -> None:
    world = await limit(tenacious(*(billed(10) for _ in range(9)), limits=Limits(max_retries=3)), usd=10 * CENT)
    assert await world.drive() == "waiting"
    for raised in (20, 30):
        await limit(world, usd=raised * CENT)
        assert await world.resume() == "waiting"
    await limit(world, usd=40 * CENT)
    assert await world.resume() == "ended"
    assert (world.run.state, world.run.retries) == ("failed", 3)
    assert world.run.failure is not None
    assert world.run.failure.code == "model_unavailable"
    await assert_settled(world, Amounts(40 * CENT, 120, 4))


async def test_no_other_model_is_asked_where_the_budget_refuses_another_try() -> None:
    world, second = tenacious(billed(7)), ScriptedModel([says()])
    assert world.model is not None
    world.model = FallbackModel([Candidate(world.model, "m"), Candidate(second, "n")], world.clock)
    await limit(world, usd=15 * CENT)
    assert await world.drive() == "waiting"
    assert second.requests == []
    assert len(await events(world, BudgetRefused)) == 1, "it is not asked twice"


async def test_what_may_not_be_tried_again_ends_the_run_however_small_its_budget() -> None:
    refused = AuthFailed("no")
    refused.usage = FAILED_USAGE
    world = await limit(tenacious(refused), calls=1)
    assert await world.drive() == "ended"
    assert world.run.state == "failed"


async def test_a_model_step_whose_next_try_is_not_granted_is_put_anew_and_what_was_finished_beside_it_is_kept() -> None:
    world = await limit(thinks("a", "b"), usd=20 * CENT)

    async def breaks(_request: ModelRequest) -> ModelReply:
        await asyncio.sleep(0.5)
        raise billed(9)

    script = ScriptedModel([slow(2.0), breaks, slow()])
    world.model = RetryingModel(script, RetryPolicy(), world.clock, world.random)
    assert await world.drive() == "waiting"
    story = await world.story()
    assert story.index("step.retried b model_unavailable #2") < story.index("step.finished a #1") < story.index("run.waiting budget")
    await limit(world, usd=25 * CENT)
    assert await world.resume() == "ended"
    assert world.run.answer == ["thought a", "thought b"]
    assert [request.id for request in script.requests] == ["a", "b", "b"]
    await assert_settled(world, Amounts(17 * CENT, 90, 3))


async def test_a_run_that_is_suspended_between_two_tries_pays_for_what_the_first_used_and_no_more() -> None:
    limited = RateLimited("wait", retry_after_s=20.0)
    limited.usage = FAILED_USAGE
    world = await limit(tenacious(limited, says()), calls=9)

    async def suspend() -> None:
        world.executor.interrupt("suspend")

    assert await at(world, 5.0, suspend) == "suspended"
    assert await kept(world) == (NOTHING, Amounts(CENT, 10, 1))
    assert await world.resume() == "ended"
    assert await kept(world) == (NOTHING, Amounts(5 * CENT, 40, 2))


@pytest.mark.parametrize("stop", ["cancel", "suspend", "expire"])
async def test_a_run_that_is_stopped_lets_go_of_all(stop: str) -> None:
    async def never(_request: ModelRequest) -> str:
        await hang()
        return "never"

    world = await limit(world_of([Call("look"), never], FakeTool("look"), deadline_s=5.0 if stop == "expire" else None), calls=9)

    async def act() -> None:
        if stop == "cancel":
            await world.put("cancel")
        elif stop == "suspend":
            world.executor.interrupt("suspend")

    await at(world, 1.0, act)
    reserved, settled = await kept(world)
    assert (reserved, settled.calls) == (NOTHING, 2), "a call that was cut off may be billed"
    assert (await world.folded()).purse == world.run.purse


async def test_a_reservation_whose_call_was_cancelled_is_let_go_of() -> None:
    world = await limit(world_of([says()], journal=CountingJournal(delay_s=1.0)), calls=9)
    outcome = await at(world, 1.5, lambda: world.put("cancel"))
    assert (outcome, world.run.state, world.asked) == ("ended", "cancelled", [])
    assert "budget.reserved t1" in await world.story()
    await assert_settled(world, NOTHING)


async def test_a_run_that_parks_lets_go_of_all() -> None:
    world = await limit(world_of([Call("ask"), says()], FakeTool("ask", need="it is dear")), calls=9)
    assert await world.drive() == "waiting"
    assert await world.state() == "waiting: approval"
    assert (await kept(world))[0] == NOTHING
    await world.slip("approve", {"step": "t1.1", "ruling": "approve"})
    assert await world.resume() == "ended"
    assert (await kept(world))[1].calls == 2


def thinks(*names: str) -> World:
    """Return a run with model steps side by side."""
    return world_of([], plan=plan(*(ModelStep(StepId(name), "Think.") for name in names), result=[ref(name) for name in names]))


def beside(tool: FakeTool) -> World:
    """Return a run with a step of this tool beside a model step."""
    return world_of([], tool, plan=plan(step("s", tool.name), ModelStep(StepId("m"), "Think."), result=[ref("s"), ref("m")]))


def slow(delay_s: float = 1.0) -> Callable[[ModelRequest], Coroutine[object, object, ModelReply]]:
    async def answer(request: ModelRequest) -> ModelReply:
        await asyncio.sleep(delay_s)
        return says(f"thought {request.id}")

    return answer


async def test_steps_side_by_side_share_what_is_granted_and_never_more() -> None:
    world = await limit(thinks("a", "b", "c"), calls=2)
    model = world.model = ScriptedModel([slow(), slow(2.0), slow(), slow()])
    assert await world.drive() == "waiting"
    assert len(model.requests) == 2
    assert await world.state() == "waiting: budget"
    assert (await kept(world)) == (NOTHING, Amounts(8 * CENT, 60, 2))
    await limit(world, calls=3)
    assert await world.resume() == "ended"
    assert world.run.answer == ["thought a", "thought b", "thought c"]
    assert [request.id for request in model.requests] == ["a", "b", "c"], "what was answered is not asked again"
    await assert_settled(world, Amounts(12 * CENT, 90, 3))


async def test_a_worst_case_that_does_not_come_true_is_enough_for_the_next() -> None:
    world = await limit(thinks("a", "b"), usd=15 * CENT)
    world.model = ScriptedModel([slow(), slow()])
    assert await world.drive() == "waiting"
    (waiting,) = await events(world, RunWaiting)
    assert isinstance(waiting, RunWaiting)
    assert waiting.steps == ("b",)
    assert waiting.shortfall is not None
    assert waiting.shortfall.is_passing
    assert (waiting.shortfall.needed, waiting.shortfall.reserved) == (10 * CENT, 10 * CENT)
    assert await world.resume() == "ended"
    await assert_settled(world, Amounts(8 * CENT, 60, 2))


async def test_a_timer_beside_a_spent_budget_still_rings() -> None:
    clock = FakeTool("clock", waits=Wait("timer", after_s=7.0))
    world = await limit(beside(clock), calls=0)
    assert await world.drive() == "waiting"
    row = await world.journal.row(TENANT, world.run.run_id)
    assert (row.reason, row.wake_at) == ("budget", world.run.graph.parked[StepId("s")].wake_at)


async def test_a_budget_that_is_raised_while_the_run_turns_to_waiting_is_not_missed() -> None:
    world = await limit(world_of([says()], journal=CountingJournal(delay_s=1.0)), calls=0)
    raised_at: list[int] = []

    async def raise_it() -> None:
        await limit(world, calls=5)
        await world.slip("wake", {"budget": True})
        raised_at.append(world.clock.now_us())

    assert await at(world, 2.5, raise_it) == "waiting"
    story = await world.story()
    assert story[-3:] == ["run.woken", "run.waiting budget", "run.released waiting"]
    row = await world.journal.row(TENANT, world.run.run_id)
    assert row.wake_at is not None
    assert row.wake_at <= world.clock.now_us(), "it is due at once"
    assert await world.resume() == "ended"


async def test_a_price_that_nobody_knows_is_waited_for_where_money_is_bounded() -> None:
    world = await limit(world_of([says()], meter=Fixed(is_known=False)), usd=100 * CENT)
    assert await world.drive() == "waiting"
    (waiting,) = await events(world, RunWaiting)
    assert isinstance(waiting, RunWaiting)
    assert waiting.shortfall is not None
    assert (waiting.shortfall.code, waiting.shortfall.message) == ("price_unknown", "no price of m is known; give one")
    assert await events(world, BudgetRefused) == []
    assert isinstance(world.meter, Fixed)
    world.meter.is_known = True
    assert await world.resume() == "ended"


async def test_a_price_that_nobody_knows_is_no_obstacle_where_tokens_alone_are_bounded() -> None:
    world = await limit(world_of([says(cents=0)], meter=Fixed(is_known=False)), tokens=1000)
    assert await world.drive() == "ended"
    await assert_settled(world, Amounts(0, 30, 1))


async def test_a_call_that_cost_more_than_was_thought_is_settled_in_full() -> None:
    world = await limit(world_of([Call("look"), says(cents=90, tokens=900), "never"], FakeTool("look", gives("x"))), tokens=300)
    assert await world.drive() == "ended"
    reserved, settled = await kept(world)
    assert reserved == NOTHING
    assert settled.tokens > 900
    (event,) = await events(world, BudgetSettled)
    assert isinstance(event, BudgetSettled)
    assert event.released.tokens == 0


async def test_a_retry_of_a_model_step_is_granted_like_any_call() -> None:
    world = await limit(world_of([says("  "), says()], plan=plan(ModelStep(StepId("m"), "Think."))), calls=1)
    assert await world.drive() == "waiting"
    assert (await world.story())[-3:] == ["budget.settled", "run.waiting budget", "run.released waiting"]
    await limit(world, calls=5)
    assert await world.resume() == "ended"
    await assert_settled(world, Amounts(8 * CENT, 60, 2))


async def test_what_is_under_way_ends_before_a_run_waits_for_its_budget() -> None:
    world = await limit(beside(FakeTool("nap", sleeper(3.0))), calls=0)
    assert await world.drive() == "waiting"
    story = await world.story()
    assert story.index("step.finished s #1") < story.index("run.waiting budget")
