"""Runs in a storm of failing models: each ends in a named state, keeps what was finished, and pays what was billed (`-k llm_chaos`)."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import JsonValue

from agent_sdk import Agent, App, Budget, Limits, Runtime, ToolContext, tool
from agent_sdk.config import load_settings
from agent_sdk.core.events import StepFinished
from agent_sdk.core.ports import Model
from agent_sdk.core.run import ENDS, Run
from agent_sdk.runtime import RunHandle, World
from agent_sdk.runtime.budgets import BudgetState, Spending
from agent_sdk.storage import verify_chain
from agent_sdk.testing import Faults, Sim, SimModel, SimPrice, SimServer, VirtualClock, run_virtual
from tests.integration.rest import NoJitter, journal_in

T = TypeVar("T")
PRICE = SimPrice(Decimal("2.50"), Decimal("10.00"), cached_input=Decimal("0.25"))
CALLED = "object:SimModel"
"""The name under which a model that is an object is asked."""
QUICK: dict[str, JsonValue] = {
    "model_call.total_timeout_s": 10.0,
    "model_call.first_token_timeout_s": 0.6,
    "model_call.idle_timeout_s": 0.6,
    "breaker.failures": None,
}
"""Long enough for a machine that is busy: who hangs up too early has not heard yet what was billed."""
KEYS = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k"}
CATALOG = """\
as_of: 2026-11-24
models:
  - {vendor: openai, name: m, prices: {input: "2.50", cached: "0.25", output: "10"}}
  - {vendor: openai-responses, name: m, prices: {input: "2.50", cached: "0.25", output: "10"}}
  - {vendor: anthropic, name: m, prices: {input: "2.50", cached: "0.25", output: "10"}}
  - {vendor: gemini, name: m, prices: {input: "2.50", cached: "0.25", output: "10"}}
"""
ENOUGH = Budget(calls=1_000_000)
"""It stops nobody, and has all counted in the ledger."""
SIDE_BY_SIDE = 50
PATIENCE_S = 3600.0
"""On the storm's own clock: whoever takes longer hangs."""


@dataclass(slots=True)
class Storm:
    """Tools that note which of their calls came to an end, and what became of the runs."""

    returned: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    runs: list[Run] = field(default_factory=list[Run])
    budget: BudgetState | None = None

    @tool(effect="read")
    async def look(self, ctx: ToolContext[None], what: str, near: int = 1) -> str:
        """Look something up."""
        return self._done(ctx, f"{what} at {near}")

    @tool(effect="idempotent")
    async def note(self, ctx: ToolContext[None], text: str, tags: list[str] | None = None) -> int:
        """Note something."""
        return self._done(ctx, len(text) + len(tags or ()))

    def _done(self, ctx: ToolContext[None], output: T) -> T:
        self.returned[ctx.run_id, ctx.step_id] += 1
        return output

    def agent(self, model: str | Model) -> Agent[None, str]:
        return Agent(name="weathered", model=model, tools=[self.look, self.note], limits=Limits(max_turns=12, max_retries=30))

    @property
    def states(self) -> Counter[str]:
        return Counter(run.state for run in self.runs)


async def blow(storm: Storm, agent: Agent[None, str], runtime: Runtime, runs: int) -> None:
    """Perform so many runs, some side by side and every other one streamed, and hold each to what every run promises."""
    await runtime.set_budget(ENOUGH)
    for start in range(0, runs, SIDE_BY_SIDE):
        async with asyncio.TaskGroup() as tasks:
            handles: list[RunHandle[str]] = []
            for n in range(start, min(runs, start + SIDE_BY_SIDE)):
                handles.append(await runtime.start(agent, f"goal {n}"))
                if n % 2:
                    tasks.create_task(streamed(handles[-1]))
            for handle in handles:
                async with asyncio.timeout(PATIENCE_S):
                    await handle.settled()
        for handle in handles:
            storm.runs.append(await promised(storm, handle, runtime))
    storm.budget = await runtime.budget()


async def streamed(handle: RunHandle[str]) -> None:
    async for _ in handle.stream():
        pass


async def promised(storm: Storm, handle: RunHandle[str], runtime: Runtime) -> Run:
    """Return the run as its journal has it: ended once or waiting for a reason, and with every finished step in it, once."""
    run = await handle.state()
    facts = [fact async for fact in handle.facts()]
    ends = [fact for fact in facts if fact.event.type in {f"run.{state}" for state in ENDS}]
    assert len(ends) == (1 if run.state in ENDS else 0)
    assert run.state in ENDS or (run.state == "waiting" and run.reason)
    finished = Counter(fact.event.step for fact in facts if isinstance(fact.event, StepFinished))
    returned = Counter({step: times for (run_id, step), times in storm.returned.items() if run_id == run.run_id})
    assert finished == returned
    assert set(finished.values()) <= {1}
    assert await verify_chain(runtime.journal, runtime.tenant, run.run_id) is None
    return run


def storm_in_memory(runs: int, seed: int) -> tuple[Storm, Sim]:
    """Blow in virtual time, where every wait and every silence has its full length and takes none."""

    async def main() -> None:
        clock = VirtualClock()
        agent = storm.agent(SimModel(sim, clock=clock))
        async with Runtime.open("memory://", app=App([agent]), world=World(clock, random=NoJitter())) as runtime:
            await blow(storm, agent, runtime, runs)

    storm, sim = Storm(), Sim(seed=seed, faults=Faults(0.2, seed), prices={CALLED: PRICE})
    run_virtual(main())
    return storm, sim


async def storm_on_sqlite(runs: int, folder: Path, seed: int) -> tuple[Storm, Sim]:
    storm, sim = Storm(), Sim(seed=seed, faults=Faults(0.2, seed, retry_after_s=0, slow_s=0.01), prices={CALLED: PRICE})
    agent = storm.agent(SimModel(sim, patience_s=0.02))
    async with Runtime.open(journal_in(folder), app=App([agent]), world=World(random=NoJitter())) as runtime:
        await blow(storm, agent, runtime, runs)
    return storm, sim


async def storm_over_http(runs: int, folder: Path, seed: int, vendor: str) -> tuple[Storm, Sim]:
    """Blow through a vendor's protocol, with patience that is short in real time."""
    storm, sim = Storm(), Sim(seed=seed, faults=Faults(0.2, seed, retry_after_s=0), prices={"m": PRICE})
    (folder / "models.yaml").write_text(CATALOG)
    async with SimServer(sim) as server:
        agent = storm.agent(f"{vendor}:m")
        urls = {"openai.base_url": server.openai_url, "anthropic.base_url": server.url, "gemini.base_url": f"{server.url}/v1beta"}
        loaded = load_settings(overrides={**QUICK, **urls, "catalog": "models.yaml"}, environ=KEYS, cwd=folder)
        async with Runtime.open(journal_in(folder), app=App([agent]), settings=loaded, world=World(random=NoJitter())) as runtime:
            await blow(storm, agent, runtime, runs)
        assert server.refused == []
    return storm, sim


Weather = tuple[Storm, Sim, int]

STORMS = [
    pytest.param(("memory", 100, 1), id="memory"),
    pytest.param(("sqlite", 100, 2), id="sqlite"),
    pytest.param(("openai", 100, 3), id="http", marks=pytest.mark.slow),
    *[pytest.param(("memory", 1000, seed), id=f"memory-full-{seed}", marks=pytest.mark.full) for seed in range(4, 8)],
    *[pytest.param(("sqlite", 1000, seed), id=f"sqlite-full-{seed}", marks=pytest.mark.full) for seed in range(8, 12)],
    *[
        pytest.param((vendor, 1000, seed), id=f"{vendor}-full", marks=pytest.mark.full)
        for seed, vendor in enumerate(("openai", "openai-responses", "anthropic", "gemini"), 12)
    ],
]


@pytest.fixture(scope="module", params=STORMS)
def weather(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Weather:
    """A storm that has blown over, in one of several places."""
    place: str = request.param[0]
    runs: int = request.param[1]
    seed: int = request.param[2]
    folder = tmp_path_factory.mktemp(place)
    match place:
        case "memory":
            return (*storm_in_memory(runs, seed), runs)
        case "sqlite":
            return (*asyncio.run(storm_on_sqlite(runs, folder, seed)), runs)
        case _:
            return (*asyncio.run(storm_over_http(runs, folder, seed, place)), runs)


def test_llm_chaos_ends_every_run_in_a_named_state(weather: Weather) -> None:
    storm, _, runs = weather
    assert len(storm.runs) == runs
    assert set(storm.states) <= ENDS | {"waiting"}
    assert storm.states["succeeded"] > runs * 0.6
    assert storm.states["failed"] > 0


def test_llm_chaos_had_faults_of_all_kinds(weather: Weather) -> None:
    _, sim, _ = weather
    asked = len(sim.requests)
    assert 0.15 * asked < sim.faulted.total() < 0.25 * asked
    assert len(sim.faulted) > 15


def test_llm_chaos_settles_what_was_billed_to_the_cent(weather: Weather) -> None:
    storm, sim, _ = weather
    assert storm.budget is not None
    assert storm.budget.settled.usd == sim.billed > 0
    assert storm.budget.settled.calls >= sum(run.questions for run in storm.runs)
    assert storm.budget.reserved == Spending()
    known = [run.usage.cost_usd for run in storm.runs if run.usage.cost_usd is not None]  # it is not where a reply told no usage
    assert sum(known) <= sim.billed
