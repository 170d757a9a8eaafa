"""What is flushed when (rule J1), with the sequencer alone and with whole runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from agent_sdk.core.errors import Fenced, StorageError
from agent_sdk.core.events import (
    Event,
    MessageReceived,
    ModelCalled,
    PlanAccepted,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunReleased,
    RunSucceeded,
    StepFinished,
    StepStarted,
)
from agent_sdk.core.ids import OwnerId, StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Batch
from agent_sdk.core.usage import NO_USAGE
from agent_sdk.execution.proposals import shape_of
from agent_sdk.execution.sequencer import Sequencer
from agent_sdk.testing import Call, VirtualClock
from tests.unit.execution.fakes import CountingJournal, FakeTool, plan, ref, sleeper, step
from tests.unit.execution.world import World, no_stray_tasks

A = StepId("a")
NOTE = MessageReceived(refused="nothing")


@asynccontextmanager
async def sequencer(world: World) -> AsyncGenerator[Sequencer]:
    """Hand out the sequencer of a claimed run, with its writer at work."""
    await world.begin()
    made = Sequencer(world.journal, world.run, VirtualClock(), epoch=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.write())
        yield made
        made.close()


async def test_a_read_waits_50_ms_for_company() -> None:
    world = World()
    async with sequencer(world) as made:
        made.post(NOTE)
        await asyncio.sleep(0.04)
        made.post(NOTE)
        await asyncio.sleep(1)
        assert world.journal.appends == [(0.05, ["message.received nothing"] * 2)]


async def test_256_events_wait_for_nothing() -> None:
    world = World()
    async with sequencer(world) as made:
        for _ in range(255):
            made.post(NOTE)
        await asyncio.sleep(0.01)
        assert world.journal.appends == []
        made.post(NOTE)
        await asyncio.sleep(0.01)
        assert [(at, len(lines)) for at, lines in world.journal.appends] == [(0.01, 256)]


async def test_a_model_reply_is_written_at_once_and_awaited_by_nobody() -> None:
    world = World()
    async with sequencer(world) as made:
        made.post(NOTE)
        made.post(ModelCalled(StepId("t1"), "turn", "m", NO_USAGE, "end", ()))
        assert not made.must_flush
        assert world.journal.appends == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.journal.appends == [(0.0, ["message.received nothing", "model.called t1"])]


async def test_what_comes_during_an_append_forms_the_next_one() -> None:
    world = World(journal=CountingJournal(delay_s=0.2))
    async with sequencer(world) as made:
        made.post(NOTE)
        await made.flush()
        assert world.clock.monotonic() == 0.2
        made.post(RunCancelRequested())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(made.flush())
            await asyncio.sleep(0.1)
            made.post(NOTE)
            tasks.create_task(made.flush())
            made.post(NOTE)
            tasks.create_task(made.flush())
        assert [(round(at, 6), len(lines)) for at, lines in world.journal.appends] == [(0.2, 1), (0.4, 1), (0.6, 2)]


async def test_a_flush_of_what_is_durable_returns_at_once() -> None:
    world = World()
    async with sequencer(world) as made:
        await made.flush()
        assert world.journal.appends == []


@pytest.mark.parametrize(
    ("events", "must_flush"),
    [
        ([StepStarted(A, 1, "read")], False),
        ([StepStarted(A, 1, "idempotent", "k")], True),
        ([StepStarted(A, 1, "read"), StepFinished(A, 1, 0)], False),
        ([StepStarted(A, 1, "once", "k"), StepFinished(A, 1, 0)], True),
        ([RunCancelRequested()], True),
        ([RunClaimed(OwnerId("somebody"))], False),
    ],
)
async def test_effects_and_decisions_must_be_flushed(events: list[Event], must_flush: bool) -> None:
    world = World()
    async with sequencer(world) as made:
        shape = plan(step("a", "echo"))
        made.post(PlanAccepted(shape.digest, shape_of(shape), 1, shape))
        for event in events:
            made.must_flush = False
            made.post(event)
        assert made.must_flush is must_flush


async def test_what_gives_up_the_run_is_not_posted() -> None:
    world = World()
    async with sequencer(world) as made:
        with pytest.raises(AssertionError, match=r"run\.cancelled is appended by `release`"):
            made.post(RunCancelled())


async def test_a_release_goes_alone_behind_the_outbox() -> None:
    world = World(journal=CountingJournal(delay_s=0.2))
    async with sequencer(world) as made:
        made.post(NOTE)
        seen = [made.is_open]
        async with asyncio.TaskGroup() as tasks:
            released = tasks.create_task(made.release([RunReleased("suspended")], state="queued"))
            await asyncio.sleep(0.1)
            seen.append(made.is_open)
        assert released.result()
        assert world.journal.told == [["message.received nothing"], ["run.released suspended"]]
        assert [*seen, made.is_open] == [True, False, False]
    assert world.run.head == 3


async def test_a_release_over_unread_mail_writes_and_folds_nothing() -> None:
    world = World()
    async with sequencer(world) as made:
        await world.slip("message", "wait!")
        assert not await made.release([RunSucceeded(TRUSTED, 1)], state="succeeded")
        assert made.is_open
        assert not world.run.is_ended
        assert world.journal.appends == []


async def test_after_a_failed_append_everything_raises_its_error() -> None:
    journal = CountingJournal(delay_s=0.1)
    world = World(journal=journal)

    def refuse(_number: int, _batch: Batch) -> None:
        raise StorageError("the disk is on fire")

    journal.before = refuse
    await world.begin()
    made = Sequencer(journal, world.run, VirtualClock(), epoch=1)
    made.post(NOTE)
    with pytest.RaisesGroup(pytest.RaisesExc(StorageError, match="on fire"), pytest.RaisesExc(StorageError, match="on fire")):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(made.flush())
            tasks.create_task(made.write())
    assert not made.is_open
    for use in (made.flush, lambda: made.release([RunReleased("suspended")], state="queued")):
        with pytest.raises(StorageError, match="on fire"):
            await use()
    with pytest.raises(StorageError, match="on fire"):
        made.post(NOTE)
    assert journal.attempts == 1


async def test_who_waits_is_let_go_when_the_writer_is_cancelled() -> None:
    world = World(journal=CountingJournal(delay_s=10))
    await world.begin()
    made = Sequencer(world.journal, world.run, VirtualClock(), epoch=1)
    made.post(NOTE)

    async def flush() -> str:
        try:
            await made.flush()
        except asyncio.CancelledError:
            return "let go"
        return "durable"

    async with asyncio.TaskGroup() as tasks:
        writer, flushing = tasks.create_task(made.write()), tasks.create_task(flush())
        await asyncio.sleep(1)
        writer.cancel()
    assert flushing.result() == "let go"


async def test_a_flush_that_is_cancelled_leaves_the_append_alone() -> None:
    world = World(journal=CountingJournal(delay_s=0.2))
    async with sequencer(world) as made:
        made.post(NOTE)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await made.flush()
        await asyncio.sleep(0.2)
        assert len(world.journal.appends) == 1


async def test_an_effect_is_called_after_its_start_is_durable_and_its_end_goes_with_the_next_start() -> None:
    journal, seen = CountingJournal(delay_s=0.01), list[int]()
    pay = FakeTool("pay", lambda _args, _context: seen.append(len(journal.appends)), effect="once")
    world = World([pay], plan=plan(step("a", "pay"), step("b", "pay", after=("a",))), journal=journal)
    assert await world.drive() == "ended"
    assert journal.told == [
        ["run.claimed", "plan.accepted", "step.started a #1"],
        ["step.finished a #1", "step.started b #1"],
        ["step.finished b #1"],
        ["run.succeeded"],
    ]
    assert seen == [1, 2]


async def test_reads_go_with_the_next_append_and_a_reply_at_once() -> None:
    look, pay = FakeTool("look"), FakeTool("pay", effect="once")
    world = World([look, pay], [[Call("look"), Call("look")], Call("pay"), "done"])
    assert await world.drive() == "ended"
    assert world.journal.told == [
        ["run.claimed", "model.called t1", "step.started t1.1 #1", "step.started t1.2 #1"],
        ["step.finished t1.1 #1", "step.finished t1.2 #1", "model.called t2", "step.started t2.1 #1"],
        ["step.finished t2.1 #1"],
        ["model.called t3"],
        ["run.succeeded"],
    ]


async def test_the_end_of_an_effect_is_durable_while_a_slow_neighbour_goes_on() -> None:
    pay, slow = FakeTool("pay", sleeper(1), effect="once"), FakeTool("slow", sleeper(600), timeout_s=1000)
    world = World([pay, slow], plan=plan(step("a", "pay"), step("b", "slow")))
    assert await world.drive() == "ended"
    assert [(at, lines) for at, lines in world.journal.appends if "step.finished a #1" in lines] == [(1.0, ["step.finished a #1"])]


async def test_a_slow_journal_gets_fewer_and_larger_appends() -> None:
    tool = FakeTool("look", sleeper(0.02))
    world = World([tool], [*(Call("look", {"n": n}) for n in range(20)), "done"], journal=CountingJournal(delay_s=0.5))
    assert await world.drive() == "ended"
    assert len(world.journal.appends) < 8
    assert sum(len(lines) for _, lines in world.journal.appends) == world.run.head - 1


@pytest.mark.parametrize("error", [StorageError("the disk is full"), Fenced("another owner came first")])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_a_journal_that_fails_stops_the_run_and_nothing_more_is_written(error: StorageError, number: int) -> None:
    pay, slow = FakeTool("pay", sleeper(0.5), effect="once"), FakeTool("slow", sleeper(2))
    world = World([pay, slow], plan=plan(step("a", "pay"), step("b", "slow"), step("c", "pay", after=("a",)), result=ref("b")))

    def fail(count: int, _batch: Batch) -> None:
        if count >= number:
            raise error

    world.journal.before = fail
    with pytest.raises(StorageError) as caught:
        await world.drive()
    assert caught.value is error
    assert world.journal.attempts == number
    assert len(world.journal.appends) == number - 1
    assert no_stray_tasks()
