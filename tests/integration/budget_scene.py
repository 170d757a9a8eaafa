"""Runs that spend from shared budgets, what they may cost, and what must hold of the ledger while they do."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from agent_sdk import Agent, App, Budget, Runtime, tool
from agent_sdk.config import LoadedSettings
from agent_sdk.core.budget import NO_BUDGET, NOTHING, Amounts, Unit, ledger_rows, to_nano
from agent_sdk.core.events import BudgetReserved, BudgetSettled, ModelCalled
from agent_sdk.core.ports import LedgerRow
from agent_sdk.core.run import Run
from agent_sdk.runtime import RunHandle, World
from agent_sdk.testing import Call, Sim, SimModel, SimRequest
from agent_sdk.testing.sim.said import SimSaid
from tests.integration.rest import NoJitter, settings

TURNS = 5
CATALOG = """\
as_of: 2026-11-24
models:
  - {vendor: object, name: SimModel, max_output_tokens: 200, prices: {input: "2.50", cached: "0.25", output: "10"}}
  - {vendor: object, name: Breaking, max_output_tokens: 200, prices: {input: "2.50", output: "10"}}
"""


@tool(effect="read", inline=True)
def look(what: str) -> str:
    """Look something up."""
    return f"{what}: {'found ' * 20}"


def five_turns(request: SimRequest) -> SimSaid:
    """Answer in the fifth turn."""
    return Call("look", {"what": f"thing {request.turn}"}) if request.turn < TURNS - 1 else "that is all"


def clerk(sim: Sim, *, budget: Budget = NO_BUDGET, name: str = "clerk") -> Agent[None, str]:
    return Agent(name=name, model=SimModel(sim), tools=[look], budget=budget)


def priced(folder: Path) -> LoadedSettings:
    """Return settings whose catalog has a price for the simulated model."""
    (folder / "models.yaml").write_text(CATALOG)
    return settings(folder, {"catalog": str(folder / "models.yaml"), "model_call.max_output_tokens": 60})


def opened(url: str, folder: Path, *agents: Agent[None, str], world: World | None = None) -> AbstractAsyncContextManager[Runtime]:
    return Runtime.open(url, app=App(agents), settings=priced(folder), world=world if world is not None else World(random=NoJitter()))


@dataclass(slots=True)
class Watch:
    """The most that a scope's ledger was seen to hold, and whether that was ever more than the limit at that moment."""

    runtime: Runtime
    scope: str = "tenant"
    pause_s: float = 0.0
    looks: int = 0
    peaks: dict[Unit, int] = field(default_factory=dict[Unit, int])
    breaches: list[LedgerRow] = field(default_factory=list[LedgerRow])

    async def look(self) -> None:
        self.looks += 1
        for row, unit in ledger_rows([self.scope]):
            kept = await self.runtime.journal.ledger(self.runtime.tenant, row)
            if kept is not None:
                self.peaks[unit] = max(self.peaks.get(unit, 0), kept.reserved + kept.settled)
                if kept.limit is not None and kept.reserved + kept.settled > kept.limit:
                    self.breaches.append(kept)

    async def keep_looking(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self.pause_s)


@asynccontextmanager
async def watched(runtime: Runtime, *, scope: str = "tenant", pause_s: float = 0.0) -> AsyncGenerator[Watch]:
    """Look at the ledger again and again as long as the block lasts."""
    watch = Watch(runtime, scope, pause_s)
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(watch.keep_looking())
        yield watch
        looking.cancel()
    await watch.look()


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run's journal says of money: reserved and let go again, used by calls, and settled."""

    reserved: Amounts
    settled: Amounts
    released: Amounts
    used: Amounts

    @classmethod
    def of(cls, events: Sequence[object]) -> "Spent":
        reserved, settled, released, used = NOTHING, NOTHING, NOTHING, NOTHING
        for event in events:
            match event:
                case BudgetReserved(amounts=amounts):
                    reserved += amounts
                case BudgetSettled():
                    settled, released = settled + event.spent, released + event.released
                case ModelCalled():
                    tries = [Amounts.of(attempt.usage) - Amounts(calls=1) for attempt in event.attempts if attempt.usage is not None]
                    used += sum(tries, Amounts.of(event.usage))
                case _:
                    pass
        return cls(reserved, settled, released, used)


async def spent(handle: RunHandle[str]) -> Spent:
    return Spent.of([fact.event async for fact in handle.facts()])


async def rested(handles: Sequence[RunHandle[str]]) -> list[Run]:
    """Return the runs once each has ended, or waits for what does not come by itself."""
    return [await handle.settled() for handle in handles]


async def totals(runtime: Runtime, scope: str = "tenant") -> tuple[Amounts, Amounts]:
    """Return what of a scope is reserved and settled."""
    rows = [await runtime.journal.ledger(runtime.tenant, row) for row, _ in ledger_rows([scope])]
    reserved, settled = ([0 if row is None else getattr(row, part) for row in rows] for part in ("reserved", "settled"))
    return Amounts(*reserved), Amounts(*settled)


async def until(holds: Callable[[], Awaitable[bool]], pause_s: float = 0.0) -> None:
    """Return when it holds."""
    while not await holds():  # noqa: ASYNC110  (what it waits for is another process's doing, or many steps away)
        await asyncio.sleep(pause_s)


def bill(sim: Sim) -> Amounts:
    """Return what the simulated model would ask, by the prices of the catalog."""
    rates = Decimal("2.50"), Decimal("0.25"), Decimal(10)
    total = NOTHING
    for charge in sim.charges:
        usage = charge.usage
        cost = (usage.input_tokens - usage.cached_tokens) * rates[0] + usage.cached_tokens * rates[1] + usage.output_tokens * rates[2]
        total += Amounts(to_nano(cost.scaleb(-6)), usage.input_tokens + usage.output_tokens, 1)
    return total
