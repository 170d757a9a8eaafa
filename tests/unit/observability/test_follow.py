import asyncio
import logging
from collections.abc import Sequence

import pytest

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.errors import ConfigError, NotFound, StorageError
from agent_sdk.core.events import Fact, RunSucceeded, RunWoken, StepFinished
from agent_sdk.core.ids import ArtifactId, RunId, StepId, TenantId
from agent_sdk.core.labels import Label
from agent_sdk.core.ports import RunRow
from agent_sdk.observability import follow
from agent_sdk.observability.follow import BATCH, BATCH_BYTES, LONGEST_DELAY_S, Follower
from agent_sdk.storage.memory import MemoryJournal
from tests.unit.observability.fakes import Driver, ManualClock, MemorySink, new_journal, settle
from tests.unit.observability.samples import RUN, SECRET, TENANT

END = RunSucceeded(Label(), "42")


class SickJournal(MemoryJournal):
    """Refuses to be read and to be looked at, each as often as it is told to."""

    def __init__(self, *, reads: int = 0, looks: int = 0) -> None:
        super().__init__(ManualClock())
        self.sick_reads = reads
        self.sick_looks = looks

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        if self.sick_reads:
            self.sick_reads -= 1
            raise StorageError("the disk is gone")
        return await super().read(tenant, run_id, after=after, limit=limit)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        if self.sick_looks:
            self.sick_looks -= 1
            raise StorageError("the disk is gone")
        return await super().row(tenant, run_id)


class ForgetfulJournal(MemoryJournal):
    """Has erased every artifact."""

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        raise NotFound(f"no artifact {artifact}")


class StuckSink(MemorySink):
    """Never comes back."""

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        await asyncio.Event().wait()


async def test_a_sink_takes_every_fact_of_a_driven_run_in_order_while_it_is_driven() -> None:
    journal, sink = new_journal(), MemorySink()
    async with Follower.open(journal, [sink], clock=ManualClock()) as follower:
        driver = await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            for _ in range(3):
                await driver.append(RunWoken())
                await settle()
            assert sink.seqs == [1, 2, 3, 4]
            await driver.append(END)
        await settle()
        assert sink.seqs == [1, 2, 3, 4, 5]
        assert await journal.cursor(TENANT, sink.name, RUN) == 5


async def test_sinks_of_several_runs_and_names_do_not_mix() -> None:
    journal, sinks, other = new_journal(), [MemorySink("a"), MemorySink("b")], RunId("run-2")
    async with Follower.open(journal, sinks, clock=ManualClock()) as follower:
        for run_id in (RUN, other):
            await (await Driver.begin(journal, run_id)).append(END)
            with follower.follow(TENANT, run_id):
                pass
    for sink in sinks:
        assert sorted((run_id, fact.seq) for run_id, fact in sink.taken) == [(RUN, 1), (RUN, 2), (other, 1), (other, 2)]


async def test_a_follower_goes_on_where_the_one_before_it_stopped() -> None:
    journal, first, second = new_journal(), MemorySink(), MemorySink()
    driver = await Driver.begin(journal)
    for sink in (first, second):
        async with Follower.open(journal, [sink], clock=ManualClock()) as follower:
            with follower.follow(TENANT, RUN):
                await driver.append(RunWoken(), RunWoken())
    assert (first.seqs, second.seqs) == ([1, 2, 3], [4, 5])


async def test_facts_come_in_bounded_batches() -> None:
    journal, sink = new_journal(), MemorySink()
    driver = await Driver.begin(journal)
    await driver.append(*[RunWoken()] * (2 * BATCH))
    async with Follower.open(journal, [sink], clock=ManualClock()) as follower:
        with follower.follow(TENANT, RUN):
            pass
    assert sink.batches == [BATCH, BATCH, 1]
    assert sink.seqs == list(range(1, 2 * BATCH + 2))


async def test_a_failing_sink_holds_up_neither_the_run_nor_another_sink_and_loses_nothing() -> None:
    clock, sick, well = ManualClock(), MemorySink("sick", [ValueError("no"), SystemExit(3)]), MemorySink("well")
    journal = new_journal()
    async with Follower.open(journal, [sick, well], clock=clock) as follower:
        driver = await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await driver.append(END)
            await settle()
            assert (sick.seqs, well.seqs) == ([], [1, 2])
            assert await journal.cursor(TENANT, "sick", RUN) == 0
            clock.wake()
            await settle()
            clock.wake()
            await settle()
            assert sick.seqs == [1, 2]
        assert follower.failed == {"sick": 2}
        assert [failure.error for failure in follower.failures] == ["ValueError", "SystemExit"]
        assert clock.sleeps == [0.1, 0.2]


async def test_delays_double_up_to_a_bound_and_start_anew_after_a_success() -> None:
    clock, journal = ManualClock(), new_journal()
    sink = MemorySink(fails=[ValueError("no")] * 12)
    async with Follower.open(journal, [sink], clock=clock) as follower:
        driver = await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            for _ in range(12):
                await settle()
                clock.wake()
            await settle()
            assert clock.sleeps[-1] == LONGEST_DELAY_S
            sink.fails.append(ValueError("again"))
            await driver.append(RunWoken())
            await settle()
            assert clock.sleeps[-1] == 0.1


async def test_a_failure_is_logged_with_its_traceback_once_and_recorded_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    clock, journal = ManualClock(), new_journal()
    sink = MemorySink(fails=[ValueError(f"refused {SECRET}")] * 2)
    with caplog.at_level(logging.WARNING, logger=follow.__name__):
        async with Follower.open(journal, [sink], clock=clock) as follower:
            await Driver.begin(journal)
            with follower.follow(TENANT, RUN):
                await settle()
                clock.wake()
                await settle()
            failure = follower.failures[-1]
    assert (failure.observer, failure.run_id, failure.seq, failure.message) == ("memory", RUN, 1, "refused [redacted]")
    assert SECRET not in failure.traceback
    logged = [record for record in caplog.records if "failed" in record.message]
    assert [bool(record.exc_info) for record in logged] == [True, False]


async def test_a_cancellation_that_nobody_asked_for_is_a_failure_like_any_other() -> None:
    clock, journal, sink = ManualClock(), new_journal(), MemorySink(fails=[asyncio.CancelledError()])
    async with Follower.open(journal, [sink], clock=clock) as follower:
        await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await settle()
            assert follower.failed["memory"] == 1
            clock.wake()
            await settle()
            assert sink.seqs == [1]


async def test_a_journal_that_cannot_be_read_for_a_while_costs_no_fact() -> None:
    clock, journal, sink = ManualClock(), SickJournal(reads=1, looks=1), MemorySink()
    async with Follower.open(journal, [sink], clock=clock) as follower:
        driver = await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await settle()
            assert sink.seqs == []
            clock.wake()
            await settle()
            await driver.append(END)
            await settle()
            assert sink.seqs == [1, 2]


async def test_large_values_come_whole() -> None:
    journal, sink = new_journal(), MemorySink()
    driver = await Driver.begin(journal)
    output = "x" * (BATCH_BYTES + 1)
    await driver.append(StepFinished(StepId("a"), 1, 5, output=output), END)
    async with Follower.open(journal, [sink], clock=ManualClock()) as follower:
        with follower.follow(TENANT, RUN):
            pass
    event = sink.taken[1][1].event
    assert isinstance(event, StepFinished)
    assert event.output == output
    assert sink.batches == [2, 1]


async def test_a_large_value_that_was_erased_is_none() -> None:
    journal, sink = ForgetfulJournal(ManualClock()), MemorySink()
    driver = await Driver.begin(journal)
    await driver.append(StepFinished(StepId("a"), 1, 5, output="x" * 50_000))
    async with Follower.open(journal, [sink], clock=ManualClock()) as follower:
        with follower.follow(TENANT, RUN):
            pass
    event = sink.taken[1][1].event
    assert isinstance(event, StepFinished)
    assert event.output is None


async def test_a_run_may_be_driven_twice_at_once_and_again_before_its_sinks_are_done() -> None:
    clock, journal, sink = ManualClock(), new_journal(), MemorySink(fails=[ValueError("no")])
    async with Follower.open(journal, [sink], clock=clock) as follower:
        driver = await Driver.begin(journal)
        with follower.follow(TENANT, RUN), follower.follow(TENANT, RUN):
            await settle()
        with follower.follow(TENANT, RUN):
            await driver.append(RunWoken())
            clock.wake()
            await settle()
            await driver.append(END)
            await settle()
            assert sink.seqs == [1, 2, 3]


async def test_draining_gives_a_failing_sink_no_more_tries_and_says_who_is_behind() -> None:
    clock, journal = ManualClock(), new_journal()
    sinks = [MemorySink("late", [ValueError("no")] * 9), MemorySink("well")]
    async with Follower.open(journal, sinks, clock=clock) as follower:
        await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await settle()
        assert await follower.drain(60) == 1
        assert sinks[1].seqs == [1]
        with follower.follow(TENANT, RUN):
            await settle()
    assert follower.failed == {"late": 1}


async def test_a_sink_that_fails_first_while_draining_is_given_up_at_once() -> None:
    journal = new_journal()
    async with Follower.open(journal, [MemorySink(fails=[ValueError("no")])], clock=ManualClock()) as follower:
        await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            assert await follower.drain(60) == 1


async def test_a_stuck_sink_holds_up_the_exit_no_longer_than_it_may() -> None:
    journal, well = new_journal(), MemorySink("well")
    async with Follower.open(journal, [StuckSink("stuck"), well], clock=ManualClock(), drain_s=0) as follower:
        await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await settle()
    assert well.seqs == [1]
    assert await journal.cursor(TENANT, "stuck", RUN) == 0


async def test_leaving_by_an_error_raises_that_very_error() -> None:
    mine = RuntimeError("mine")
    with pytest.raises(RuntimeError) as caught:
        async with Follower.open(new_journal(), [MemorySink()], clock=ManualClock()):
            raise mine
    assert caught.value is mine


async def test_two_sinks_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two sinks are named 'a'"):
        async with Follower.open(new_journal(), [MemorySink("a"), MemorySink("b"), MemorySink("a")], clock=ManualClock()):
            pass


async def test_following_without_sinks_costs_nothing() -> None:
    before = asyncio.all_tasks()
    async with Follower.open(new_journal(), [], clock=ManualClock()) as follower:
        with follower.follow(TENANT, RUN):
            assert asyncio.all_tasks() == before


async def test_nothing_is_left_of_a_run_whose_sinks_are_done() -> None:
    journal, before = new_journal(), len(asyncio.all_tasks())
    async with Follower.open(journal, [MemorySink()], clock=ManualClock()) as follower:
        await Driver.begin(journal)
        with follower.follow(TENANT, RUN):
            await settle()
        await settle()
        assert len(asyncio.all_tasks()) == before
