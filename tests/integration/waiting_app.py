"""The app of the tests that decide: its runs wait for people, and for one another; each is copied into a directory of its own."""

import asyncio
from itertools import repeat

from agent_sdk import Agent, App, Plan, ToolStep, ask_person, subagent, tool, wait_for, wait_for_signal
from agent_sdk.core.ids import StepId
from agent_sdk.core.ports import Tool
from agent_sdk.testing import ScriptedModel


@tool(effect="once", approval="it costs money, password=hunter2")
async def pay(amount: int) -> str:
    """Pay an amount."""
    return f"paid {amount}"


@tool(effect="once")
async def send(to: str) -> str:
    """Send a letter that is lost."""
    raise ConnectionError(f"lost on the way to {to}")


@tool(effect="read")
async def nap(seconds: float) -> str:
    """Rest."""
    await asyncio.sleep(seconds)
    return "awake"


def single(name: str, used: Tool, **args: str | float) -> Agent[None, str]:
    """Return an agent whose plan is one call."""
    plan = Plan(steps=(ToolStep(id=StepId("first"), tool=used.spec.name, args=dict(args)),), result={"$ref": "first"})
    return Agent(name=name, strategy="fixed", plan=plan, tools=[used])


payer = single("payer", pay, amount=500)
app = App(
    [
        payer,
        single("asker", ask_person("ask", answer=int), question="how many?"),
        single("listener", wait_for_signal("paid", int)),
        single("sender", send, to="ann"),
        single("quick", nap, seconds=0.05),
        single("napper", nap, seconds=2.0),
        single("sleeper", nap, seconds=60.0),
        single("waiter", wait_for("wait"), seconds=0.3),
        single("boss", subagent(payer), goal="pay"),
        Agent(name="talker", model=ScriptedModel(repeat("hello"))),
    ]
)
