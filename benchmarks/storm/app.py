"""The agent that the storm blows at: eight steps over all four kinds of effect, two by two where nothing holds them back.

`STORM_COUNTER` names the counter's URL, `STORM_STEP_MS` how long a step takes.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from pydantic import JsonValue

from agent_sdk import Agent, App, Limits, Plan, RunInfo, StepId, ToolContext, ToolStep, tool

COUNTER = os.environ.get("STORM_COUNTER", "")
STEP_S = float(os.environ.get("STORM_STEP_MS", "50")) / 1000


@dataclass(frozen=True, slots=True)
class Deps:
    session: aiohttp.ClientSession


@asynccontextmanager
async def deps(_: RunInfo) -> AsyncGenerator[Deps]:
    async with aiohttp.ClientSession() as session:
        yield Deps(session)


async def effect(context: ToolContext[Deps], kind: str, after: str) -> str:
    """Do an effect outside, half a step's time after it was asked for; `after` is what came before, and goes into the answer."""
    await asyncio.sleep(STEP_S / 2)
    key = context.idempotency_key or f"{context.run_id}/{context.step_id}"
    async with context.deps.session.post(f"{COUNTER}/effects/{kind}/{key}") as reply:
        reply.raise_for_status()
    await asyncio.sleep(STEP_S / 2)
    return f"{context.step_id} done" + (f" after {len(after)} characters" if after else "")


@tool(effect="read")
async def look(context: ToolContext[Deps], after: str = "") -> str:
    """Look at something outside."""
    return await effect(context, "read", after)


@tool(effect="idempotent")
async def put(context: ToolContext[Deps], after: str = "") -> str:
    """Put something in its place, under a key."""
    return await effect(context, "idempotent", after)


async def was_booked(key: str, context: ToolContext[Deps]) -> str | None:
    async with context.deps.session.get(f"{COUNTER}/effects/{key}") as reply:
        return "booked before" if (await reply.json())["done"] else None


@tool(effect="verify", check=was_booked)
async def book(context: ToolContext[Deps], after: str = "") -> str:
    """Book something that can be looked up."""
    return await effect(context, "verify", after)


@tool(effect="once")
async def send(context: ToolContext[Deps], after: str = "") -> str:
    """Send something that cannot be taken back."""
    return await effect(context, "once", after)


def step(name: str, tool_name: str, *sources: str) -> ToolStep:
    args: dict[str, JsonValue] = {"after": {"$ref": sources[0]}} if sources else {}
    return ToolStep(StepId(name), tool_name, args, after=tuple(map(StepId, sources[1:])))


PLAN = Plan(
    (
        step("look_1", "look"),
        step("put_1", "put"),
        step("book_1", "book", "look_1"),
        step("send_1", "send", "put_1"),
        step("look_2", "look", "book_1", "send_1"),
        step("put_2", "put", "look_2"),
        step("send_2", "send", "look_2"),
        step("book_2", "book", "put_2", "send_2"),
    ),
    result={"$ref": "book_2"},
)
agent = Agent(name="storm", strategy="fixed", plan=PLAN, tools=[look, put, book, send], deps=deps, limits=Limits(max_crashes=100))
app = App([agent])
