"""What scenes of waiting runs are made of: tools that ask, wait and act, and a world in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from agent_sdk import Agent, App, RunHandle, Runtime, ask_person, subagent, tool, wait_for, wait_for_signal
from agent_sdk.core.ports import Tool
from agent_sdk.runtime import World
from agent_sdk.testing import Call, CountingIds, ScriptedModel, ScriptItem, SeededRandom, VirtualClock, run_virtual


def world() -> World:
    return World(VirtualClock(), CountingIds(), SeededRandom())


class Shop:
    """Acts outside, and counts how often it was called with what."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.booked: list[str] = []
        self.undone: list[str] = []

    @tool(effect="once", approval="it costs money")
    async def pay(self, amount: int) -> str:
        """Pay an amount."""
        self.paid.append(amount)
        return f"paid {amount}"

    @tool(effect="once", approval=True, approval_s=60)
    async def pay_soon(self, amount: int) -> str:
        """Pay an amount, if that is allowed soon."""
        self.paid.append(amount)
        return f"paid {amount}"

    async def _cancel_booking(self, output: str) -> None:
        self.undone.append(output)

    @tool(effect="idempotent", compensate=_cancel_booking)
    async def book(self, what: str) -> str:
        """Book something."""
        self.booked.append(what)
        return f"booked {what}"


@tool(effect="read", timeout_s=1_000_000)
async def rest(seconds: float) -> str:
    """Rest."""
    await asyncio.sleep(seconds)
    return "rested"


ASK = ask_person("ask", answer=int, expires_s=120)
PAID = wait_for_signal("paid", int)
WAIT = wait_for("wait")


def agent(*script: ScriptItem, name: str = "agent", tools: Sequence[Tool] = ()) -> Agent[None, str]:
    return Agent(name=name, model=ScriptedModel(script), tools=[ASK, PAID, WAIT, rest, *tools])


def parent_of(child: Agent[None, str], *, name: str = "parent") -> Agent[None, str]:
    """Return an agent that leaves its goal to `child`, and answers what came of it."""
    return Agent(name=name, model=ScriptedModel([Call(child.name, {"goal": "do it"}), "done"]), tools=[subagent(child)])


def play(scene: Callable[[Runtime], Coroutine[None, None, None]], *agents: Agent[None, str]) -> None:
    """Play a scene on a runtime with a journal in memory, in virtual time."""

    async def opened() -> None:
        async with Runtime.open(app=App(agents), world=world()) as runtime:
            await scene(runtime)

    run_virtual(opened())


async def kinds(run: RunHandle[str]) -> list[str]:
    """Return the types of the run's facts."""
    return [fact.event.type async for fact in run.facts()]
