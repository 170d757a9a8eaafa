"""Runs whose budgets have room for one try of a call, against a model that fails: they wait, spend what was granted, and end."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from agent_sdk import Agent, App, Budget, Runtime, StartOptions
from agent_sdk.core.budget import NOTHING
from agent_sdk.core.events import BudgetRefused, Event, StepRetried
from agent_sdk.core.model import ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.run import Run
from agent_sdk.runtime import RunHandle, World
from agent_sdk.storage import verify_chain
from agent_sdk.testing import CountingIds, FaultKind, Faults, Sim, SimModel, VirtualClock, run_virtual
from tests.integration.budget_scene import CATALOG, TURNS, bill, five_turns, look, totals, watched
from tests.integration.rest import NoJitter, journal_in, settings

KINDS: tuple[FaultKind, ...] = ("closed", "rate_limited", "overloaded", "server_error", "timeout", "stall")
"""What is tried again; `closed` and `stall` are billed as far as the reply came."""
STEP = Decimal("0.0004")
"""Less than a call may cost: a run is short of its next call, or of another try, again and again."""


async def paid(runtime: Runtime, handle: RunHandle[str]) -> Run:
    """Bring the run to its end, with a little more to spend whenever it waits for that."""
    for steps in range(2, 500):
        run = await handle.settled()
        if run.is_ended:
            return run
        assert run.shortfall is not None
        assert run.shortfall.code == "budget_exceeded"
        await runtime.set_budget(Budget(usd=STEP * steps), run=run.run_id)
    raise AssertionError("so much does no run cost")


class Streamed(SimModel):
    """The simulated model, asked for its reply piece by piece: one that breaks off in its midst was billed up to there."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        (reply,) = [delta.reply async for delta in self.stream(request) if isinstance(delta, ReplyDone)]
        return reply


async def spend_little_by_little(url: str, folder: Path, model: Streamed, runs: int, world: World, *, pause_s: float) -> None:
    (folder / "models.yaml").write_text(CATALOG.replace("SimModel", "Streamed"))
    loaded = settings(
        folder,
        {
            "catalog": str(folder / "models.yaml"),
            "model_call.max_output_tokens": 60,
            "model_call.max_attempts": 20,
            "breaker.failures": None,
        },
    )
    agent = Agent(name="clerk", model=model, tools=[look])
    async with Runtime.open(url, app=App([agent]), settings=loaded, world=world) as runtime:
        await runtime.set_budget(Budget(usd=Decimal(1)))
        async with watched(runtime, pause_s=pause_s) as watch:
            handles = [await runtime.start(agent, f"goal {n}", options=StartOptions(budget=Budget(usd=STEP))) for n in range(runs)]
            ended = [await paid(runtime, handle) for handle in handles]
        assert watch.breaches == []
        assert {(run.state, run.turn) for run in ended} == {("succeeded", TURNS)}
        assert await totals(runtime) == (NOTHING, bill(model.sim))
        told = [[fact.event async for fact in handle.facts()] for handle in handles]
        assert sum(waits_between_tries(events) for events in told) >= 3
        for handle in handles:
            state = await runtime.budget(run=handle.run_id)
            assert state.limit.usd is not None
            assert state.settled.usd is not None
            assert state.settled.usd <= state.limit.usd
            assert await verify_chain(runtime.journal, runtime.tenant, handle.run_id) is None


def waits_between_tries(events: Sequence[Event]) -> int:
    """Return how often a question was tried, and not again until the budget was raised."""
    return sum(
        isinstance(before, BudgetRefused) and isinstance(after, StepRetried) and before.step == after.step
        for before, after in pairwise(events)
    )


def test_runs_with_room_for_one_try_in_memory(tmp_path: Path) -> None:
    async def main() -> None:
        clock = VirtualClock()
        sim = Sim(script=five_turns, seed=7, faults=Faults(0.4, 7, KINDS, weights={"closed": 5}))
        model = Streamed(sim, clock=clock)
        await spend_little_by_little("memory://", tmp_path, model, 8, World(clock, CountingIds(), NoJitter()), pause_s=1.0)

    run_virtual(main())


async def test_runs_with_room_for_one_try_on_sqlite(tmp_path: Path) -> None:
    sim = Sim(script=five_turns, seed=7, faults=Faults(0.4, 7, KINDS, weights={"closed": 5}, retry_after_s=0))
    async with asyncio.timeout(60):
        model, world = Streamed(sim, patience_s=0.01), World(random=NoJitter())
        await spend_little_by_little(journal_in(tmp_path), tmp_path, model, 4, world, pause_s=0.01)
