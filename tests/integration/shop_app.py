"""The app that the commands' tests run, copied into a directory of its own for each."""

import asyncio
import sys
import time

from agent_sdk import Agent, App, Plan, ToolStep, tool
from agent_sdk.core.ids import StepId
from agent_sdk.core.ports import Tool
from agent_sdk.testing import Call, ScriptedModel


@tool(effect="read")
async def search(query: str, limit: int = 5) -> list[str]:
    """Search the catalogue.

    What follows is for the model.
    """
    print("searching", query)  # noqa: T201  (a tool that prints must not spoil the answer on stdout)
    return [f"{query}-{index}" for index in range(limit)]


@tool(effect="read")
async def price(name: str) -> int:
    """Look a price up."""
    return len(name)


@tool(effect="read")
def total(prices: list[int]) -> int:
    """Add prices."""
    return sum(prices)


@tool(effect="once")
async def send(to: str) -> str:
    """Send a letter."""
    if to == "nobody":
        raise RuntimeError("lost in the mail, password=hunter2")
    await asyncio.sleep(1.5)
    return f"sent to {to}"


@tool(effect="read")
async def nap(seconds: float) -> str:
    """Wait."""
    sys.stderr.write("napping\n")
    await asyncio.sleep(seconds)
    return "awake"


@tool(effect="read", inline=True)
def hog(seconds: float) -> str:
    """Keep the whole process busy."""
    sys.stderr.write("hogging\n")
    sys.stderr.flush()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


@tool(effect="read")
async def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


TOOLS: list[Tool] = [search, price, total, send, nap, hog, fail]
PRICES = Plan(
    steps=(
        ToolStep(id=StepId("find"), tool="search", args={"query": "pen", "limit": 4}),
        ToolStep(id=StepId("prices"), tool="price", for_each="find", args={"name": {"$ref": "item"}}),
        ToolStep(id=StepId("sum"), tool="total", args={"prices": {"$ref": "prices"}}),
    ),
    result={"total": {"$ref": "sum"}},
)


def single(name: str, used: str, **args: str | float) -> Agent[None, str]:
    """Return an agent whose plan is one call."""
    plan = Plan(steps=(ToolStep(id=StepId("first"), tool=used, args=dict(args)),), result={"answer": {"$ref": "first"}})
    return Agent(name=name, strategy="fixed", plan=plan, tools=TOOLS)


app = App(
    [
        Agent(name="prices", strategy="fixed", plan=PRICES, tools=TOOLS),
        Agent(name="talker", model=ScriptedModel([[Call("search", {"query": "ink"})], "Ink costs 3.\nNo more."]), tools=TOOLS),
        Agent(name="thinker", model=ScriptedModel(["In a while."], delay_s=30.0), tools=TOOLS),
        Agent(name="modelless", tools=TOOLS, instructions="Help."),
        single("letter", "send", to="nobody"),
        single("post", "send", to="somebody"),
        single("napper", "nap", seconds=30.0),
        single("hogger", "hog", seconds=30.0),
        single("failer", "fail", why="the disk is upside down"),
    ]
)
