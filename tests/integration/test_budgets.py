"""What runs may spend, from end to end: many on one budget, whatever the journal, and none of them spends what was not granted."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from agent_sdk import Agent, App, Budget, RunFilter, Runtime, RunWaits, StartOptions, subagent
from agent_sdk.core.budget import NOTHING, Amounts, run_scope, session_scope, to_nano
from agent_sdk.core.errors import Unavailable
from agent_sdk.core.ids import SessionId
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.run import Run
from agent_sdk.core.usage import Usage
from agent_sdk.runtime import World
from agent_sdk.runtime.fork import fork_run
from agent_sdk.runtime.handle import SOON_US
from agent_sdk.testing import Call, CountingIds, Fault, FaultKind, Sim, SimModel, SimReply, SimRequest, VirtualClock, run_virtual
from agent_sdk.testing.sim.said import SimSaid
from tests.integration.budget_scene import (
    TURNS,
    bill,
    clerk,
    five_turns,
    opened,
    rested,
    spent,
    totals,
    until,
    watched,
)
from tests.integration.rest import NoJitter, journal_in, settings
from tests.integration.terminal import ROOT, surroundings

RUNS = 200
SMALL, LARGE = Budget(usd=Decimal("0.20")), Budget(usd=Decimal(5))


async def two_hundred_on_one_budget(url: str, folder: Path, world: World | None = None, *, pause_s: float = 0.0) -> None:
    """Let so many runs spend from one budget, too small for all, and then from a larger one."""
    sim = Sim(script=five_turns)
    async with opened(url, folder, agent := clerk(sim), world=world) as runtime:
        await runtime.set_budget(SMALL)
        async with watched(runtime, pause_s=pause_s) as watch:
            handles = [await runtime.start(agent, f"goal {n}") for n in range(RUNS)]
            runs = await rested(handles)
            states = Counter((run.state, run.reason) for run in runs)
            assert set(states) == {("succeeded", None), ("waiting", "budget")}
            assert states["waiting", "budget"] > RUNS / 10
            waiting = next(run for run in runs if run.state == "waiting")
            assert waiting.shortfall is not None
            assert waiting.shortfall.row == "tenant:usd"
            await runtime.set_budget(LARGE)
            runs = await rested(handles)
        assert watch.breaches == []
        assert watch.looks > 50
        assert Counter(run.state for run in runs) == {"succeeded": RUNS}
        assert {run.turn for run in runs} == {TURNS}
        reserved, settled = await totals(runtime)
        assert reserved == NOTHING
        assert settled == bill(sim)
        assert settled.calls == RUNS * TURNS
        assert settled.usd_nano == sum(to_nano(run.usage.cost_usd or Decimal(0)) for run in runs)
        by_journal = [await spent(handle) for handle in handles]
        assert sum((each.settled for each in by_journal), NOTHING) == sum((each.used for each in by_journal), NOTHING) == settled
        assert all(each.reserved == each.settled + each.released for each in by_journal)


def test_two_hundred_runs_never_overspend_one_budget_in_memory(tmp_path: Path) -> None:
    async def main() -> None:
        await two_hundred_on_one_budget("memory://", tmp_path, World(VirtualClock(), CountingIds(), NoJitter()), pause_s=0.01)

    run_virtual(main())


@pytest.mark.slow
async def test_two_hundred_runs_never_overspend_one_budget_on_sqlite(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        await two_hundred_on_one_budget(journal_in(tmp_path), tmp_path)


PROCESS = "tests.integration.budget_process"
Scene = Callable[[Runtime], Coroutine[None, None, None]]


@contextmanager
def begun(url: str, folder: Path, runs: int, call_s: float) -> Generator["subprocess.Popen[str]"]:
    """Hand out a process that has begun to perform so many runs; it is gone when the block is left."""
    words = [sys.executable, "-m", PROCESS, url, str(folder), str(runs), str(call_s)]
    with subprocess.Popen(words, cwd=ROOT, env=surroundings(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            yield process
        finally:
            process.kill()


@pytest.mark.slow
async def test_two_processes_never_overspend_one_budget_on_postgres(postgres_url: str, tmp_path: Path) -> None:
    async with asyncio.timeout(60), opened(postgres_url, tmp_path) as runtime:
        await runtime.set_budget(SMALL)

        async def are_at_rest() -> bool:
            rows = await runtime.runs(RunFilter(limit=RUNS))
            pauses = [(row.wake_at or 0) - row.updated_at for row in rows if row.reason == "budget"]
            return all(pause > SOON_US for pause in pauses) and len(pauses) + sum(row.state == "succeeded" for row in rows) == RUNS

        async with watched(runtime, pause_s=0.02) as watch:
            with begun(postgres_url, tmp_path, RUNS // 2, 0.0) as one, begun(postgres_url, tmp_path, RUNS // 2, 0.0) as other:
                await until(are_at_rest, 0.1)
                assert await runtime.runs(RunFilter(reason="budget"))
                await runtime.set_budget(LARGE)
                said = [(await asyncio.to_thread(process.communicate))[0] for process in (one, other)]
        billed = sum((Amounts(**json.loads(told)) for told in said), NOTHING)
        assert watch.breaches == []
        assert await totals(runtime) == (NOTHING, billed)
        assert billed.calls == RUNS * TURNS


@pytest.mark.slow
async def test_what_a_killed_process_had_reserved_is_settled_or_released_by_who_takes_over(tmp_path: Path) -> None:
    url = journal_in(tmp_path)
    async with asyncio.timeout(60), opened(url, tmp_path, agent := clerk(sim := Sim(script=five_turns))) as runtime:
        await runtime.set_budget(LARGE)

        async def is_under_way() -> bool:
            return (await totals(runtime))[0] != NOTHING and any(run.turn > 1 for run in await folded(runtime))

        with begun(url, tmp_path, 20, 0.1):
            await until(is_under_way, 0.02)
        assert (await totals(runtime))[0] != NOTHING
        before = await folded(runtime)
        assert not any(run.is_ended for run in before)
        handles = [await runtime.resume(run.run_id, agent=agent) for run in before]
        assert {run.state for run in await rested(handles)} == {"succeeded"}
        used = sum([(await spent(handle)).used for handle in handles], NOTHING)
        assert await totals(runtime) == (NOTHING, used)
        assert used.calls == len(before) * TURNS
        assert bill(sim).calls == sum(TURNS - run.questions for run in before)


async def folded(runtime: Runtime) -> list[Run]:
    return [await runtime.attach(row.run_id).state() for row in await runtime.runs()]


def scene(folder: Path, act: Callable[[Runtime, Agent[None, str]], Coroutine[None, None, None]], agent: Agent[None, str]) -> None:
    """Act on a journal in memory, in virtual time, with the agent."""

    async def main() -> None:
        world = World(VirtualClock(), CountingIds(), NoJitter())
        async with opened("memory://", folder, agent, world=world) as runtime:
            await act(runtime, agent)

    run_virtual(main())


def by_goal(request: SimRequest) -> SimSaid:
    """Leave the goal to two others, one after the other; they need five turns each."""
    if request.goal != "both":
        return five_turns(request)
    said: list[SimSaid] = [Call("first", {"goal": "one"}), Call("second", {"goal": "two"}), "done"]
    return said[request.turn]


def test_a_tree_of_runs_spends_from_the_budget_of_its_root(tmp_path: Path) -> None:
    sim = Sim(script=by_goal)
    below = [subagent(clerk(sim, name=name)) for name in ("first", "second")]
    root = Agent(name="root", model=SimModel(sim), tools=below, budget=Budget(calls=9))

    async def act(runtime: Runtime, root: Agent[None, str]) -> None:
        run = await runtime.start(root, "both")
        async with watched(runtime, scope=(scope := run_scope(run.run_id)), pause_s=0.01) as watch:
            with pytest.raises(RunWaits, match="child"):
                await run.result()
            (child,) = await runtime.runs(RunFilter(parent=run.run_id, reason="budget"))
            state = await runtime.attach(child.run_id).state()
            assert state.shortfall is not None
            assert state.shortfall.row == f"{scope}:calls"
            await runtime.set_budget(Budget(calls=13, usd=Decimal(1)), run=run.run_id)
            assert await run.result() == "done"
        assert watch.breaches == []
        assert watch.peaks["calls"] == 13
        assert await totals(runtime, scope) == (NOTHING, bill(sim))
        assert bill(sim).calls == 3 + 2 * TURNS

    scene(tmp_path, act, root)


def test_a_child_with_a_budget_of_its_own_spends_from_both(tmp_path: Path) -> None:
    sim = Sim(script=by_goal)
    below = [subagent(clerk(sim, name="first", budget=Budget(calls=3))), subagent(clerk(sim, name="second"))]

    async def act(runtime: Runtime, root: Agent[None, str]) -> None:
        run = await runtime.start(root, "both")
        with pytest.raises(RunWaits):
            await run.result()
        (child,) = await runtime.runs(RunFilter(parent=run.run_id))
        assert (await totals(runtime, run_scope(child.run_id)))[1].calls == 3
        assert (await totals(runtime, run_scope(run.run_id)))[1].calls == 4
        await runtime.set_budget(Budget(calls=TURNS), run=child.run_id)
        assert await run.result() == "done"
        assert (await totals(runtime, run_scope(child.run_id))) == (NOTHING, (await spent(runtime.attach(child.run_id))).used)
        assert await totals(runtime, run_scope(run.run_id)) == (NOTHING, bill(sim))

    scene(tmp_path, act, Agent(name="root", model=SimModel(sim), tools=below, budget=Budget(calls=50)))


def test_the_turns_of_a_session_spend_from_its_budget_and_other_sessions_do_not(tmp_path: Path) -> None:
    sim = Sim(script=five_turns)

    async def act(runtime: Runtime, agent: Agent[None, str]) -> None:
        await runtime.set_budget(Budget(calls=2 * TURNS + 2), session="talk")
        for place in range(2):
            await (await runtime.start(agent, f"goal {place}", options=StartOptions(session="talk"))).result()
        third = await runtime.start(agent, "goal 3", options=StartOptions(session="talk"))
        with pytest.raises(RunWaits, match="session/talk is 12 calls, of which 12 calls are spent"):
            await third.result()
        await (await runtime.start(agent, "goal 3", options=StartOptions(session="other"))).result()
        await runtime.set_budget(Budget(calls=100), session="talk")
        assert await third.result() == "that is all"
        scope = session_scope(SessionId("talk"))
        assert (await totals(runtime, scope))[0] == NOTHING
        assert (await totals(runtime, scope))[1].calls == 3 * TURNS

    scene(tmp_path, act, clerk(sim))


def test_a_fork_has_as_much_to_spend_as_its_source_began_with_and_pays_for_what_it_asks_anew(tmp_path: Path) -> None:
    sim = Sim(script=five_turns)

    async def act(runtime: Runtime, agent: Agent[None, str]) -> None:
        run = await runtime.start(agent, "go")
        await run.result()
        facts = [fact async for fact in run.facts()]
        second = [fact.seq for fact in facts if fact.event.type == "model.called"][1]
        fork = await (await fork_run(runtime, run.run_id, second)).create()
        assert await (await runtime.resume(fork)).result() == "that is all"
        assert (await runtime.budget(run=fork)).limit == Budget(calls=TURNS)
        assert (await totals(runtime, run_scope(run.run_id)))[1].calls == TURNS
        reserved, settled = await totals(runtime, run_scope(fork))
        assert (reserved, settled.calls) == (NOTHING, TURNS - 2)
        assert (await runtime.attach(fork).state()).turn == TURNS

    scene(tmp_path, act, clerk(sim, budget=Budget(calls=TURNS)))


def test_a_fork_of_a_run_from_before_the_tenants_budget_spends_from_that_too(tmp_path: Path) -> None:
    sim = Sim(script=five_turns)

    async def act(runtime: Runtime, agent: Agent[None, str]) -> None:
        run = await runtime.start(agent, "go")
        await run.result()
        assert (await run.state()).purse.scopes == (run_scope(run.run_id),)
        await runtime.set_budget(Budget(calls=1))
        fork = await runtime.resume(await (await fork_run(runtime, run.run_id, 1)).create())
        with pytest.raises(RunWaits, match="the budget of tenant is 1 calls"):
            await fork.result()
        assert (await fork.state()).purse.scopes == ("tenant", run_scope(fork.run_id))
        again = await (await fork_run(runtime, fork.run_id, 1)).create()
        assert (await runtime.attach(again).state()).purse.scopes == ("tenant", run_scope(again))

    scene(tmp_path, act, clerk(sim, budget=Budget(calls=TURNS)))


def test_a_budget_lowered_below_what_is_reserved_grants_nothing_new(tmp_path: Path) -> None:
    lowered: list[Amounts] = []

    async def act(runtime: Runtime, agent: Agent[None, str]) -> None:
        await runtime.set_budget(Budget(calls=100))
        run = await runtime.start(agent, "go")

        async def is_reserved() -> bool:
            return (await totals(runtime))[0] != NOTHING

        await until(is_reserved)
        held, _ = await totals(runtime)
        lowered.append(held)
        await runtime.set_budget(Budget(calls=1))
        with pytest.raises(RunWaits, match="the budget of tenant is 1 calls"):
            await run.result()
        reserved, settled = await totals(runtime)
        assert reserved == NOTHING
        assert settled.calls == held.calls < TURNS
        await runtime.set_budget(Budget())
        assert await run.result() == "that is all"
        assert (await totals(runtime))[1].calls == TURNS

    scene(tmp_path, act, clerk(Sim(script=five_turns)))
    assert lowered[0].calls == 4


def test_a_model_without_a_price_spends_no_money_that_is_bounded_and_runs_where_tokens_are(tmp_path: Path) -> None:
    sim = Sim(script=five_turns)

    async def main() -> None:
        loaded = settings(tmp_path, {})
        async with Runtime.open("memory://", app=App([agent := clerk(sim)]), settings=loaded, world=World(VirtualClock())) as runtime:
            refused = await runtime.start(agent, "go", options=StartOptions(budget=Budget(usd=Decimal(1))))
            with pytest.raises(RunWaits, match="what object:SimModel costs is not known"):
                await refused.result()
            state = await refused.state()
            assert state.shortfall is not None
            assert state.shortfall.code == "price_unknown"
            assert sim.requests == []
            granted = await runtime.start(agent, "go", options=StartOptions(budget=Budget(tokens=500_000)))
            assert await granted.result() == "that is all"
            await runtime.set_budget(Budget(tokens=500_000), run=refused.run_id)
            assert await refused.result() == "that is all"

    run_virtual(main())


def test_a_model_without_a_price_is_free_where_the_operator_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        loaded = settings(tmp_path, {"allow_unpriced": True})
        agent = clerk(Sim(script=five_turns), budget=Budget(usd=Decimal("0.01")))
        async with Runtime.open("memory://", app=App([agent]), settings=loaded, world=World(VirtualClock())) as runtime:
            run = await runtime.start(agent, "go")
            assert await run.result() == "that is all"
            assert (await runtime.budget(run=run.run_id)).settled.usd == 0

    run_virtual(main())


ODD: dict[str, SimReply | FaultKind] = {
    "missing": "usage_missing",
    "zero": "usage_zero",
    "negative": "usage_negative",
    "negative in parts": SimReply("done", usage=Usage(-1000, 50)),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_usage_that_was_not_told_settles_the_call_and_no_money_and_never_gives_any_back(tmp_path: Path, odd: SimReply | FaultKind) -> None:
    """What a reply does not tell cannot be billed: such a call counts as one call and nothing else, so bound calls as well."""
    sim = Sim(script=lambda _: odd if isinstance(odd, SimReply) else Fault(odd), turns=0)

    async def act(runtime: Runtime, agent: Agent[None, str]) -> None:
        await runtime.set_budget(LARGE)
        run = await runtime.start(agent, "go")
        await run.settled()
        reserved, settled = await totals(runtime)
        assert reserved == NOTHING
        assert settled == Amounts(0, 0, 1)

    scene(tmp_path, act, clerk(sim))


class Breaking:
    """A model that breaks off its first reply, and does not tell what the second one used."""

    def __init__(self) -> None:
        self.asked = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked += 1
        if self.asked == 1:
            error = Unavailable("it broke off")
            error.usage = Usage(100, 10)
            raise error
        return ModelReply(Message("assistant", (TextPart("done"),)), Usage())

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta]:
        yield ReplyDone(await self.complete(request))


def test_what_a_broken_try_cost_is_settled_though_nobody_knows_what_the_next_one_did(tmp_path: Path) -> None:
    async def act(runtime: Runtime, agent: Agent[None, str]) -> None:
        await runtime.set_budget(LARGE)
        assert await (await runtime.start(agent, "go")).result() == "done"
        assert await totals(runtime) == (NOTHING, Amounts(100 * 2500 + 10 * 10_000, 110, 2))

    scene(tmp_path, act, Agent(name="clerk", model=Breaking()))


class Wandering(VirtualClock):
    """A clock that somebody sets while it runs."""

    ahead_s = 0.0

    def now_us(self) -> int:
        return super().now_us() + int(self.ahead_s * 1e6)


@pytest.mark.parametrize("jump_s", [86_400.0, -86_400.0], ids=["forwards", "backwards"])
def test_a_clock_that_jumps_holds_up_no_run_for_which_the_budget_was_raised(tmp_path: Path, jump_s: float) -> None:
    async def main() -> None:
        clock = Wandering()
        agent = clerk(Sim(script=five_turns))
        async with opened("memory://", tmp_path, agent, world=World(clock, CountingIds(), NoJitter())) as runtime:
            await runtime.set_budget(Budget(calls=7))
            handles = [await runtime.start(agent, f"goal {n}") for n in range(4)]
            await rested(handles)
            clock.ahead_s = jump_s
            await runtime.set_budget(Budget(calls=100))
            async with asyncio.timeout(120):
                assert {run.state for run in await rested(handles)} == {"succeeded"}
            assert (await totals(runtime))[1].calls == 4 * TURNS

    run_virtual(main())
