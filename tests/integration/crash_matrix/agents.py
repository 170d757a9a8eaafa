"""The run that is killed: steps side by side, all four kinds of effect, an approval, a question, a timer, a signal and a subagent.

What is done outside is done by way of the counter of the benchmarks, a process of its own.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import JsonValue

from agent_sdk import Agent, Limits, Plan, RunInfo, StepId, ToolContext, ToolStep, ask_person, subagent, tool, wait_for, wait_for_signal
from agent_sdk.core.tools import Effect
from agent_sdk.runtime import AgentDeclaration
from tests.integration.deadly import Fuse

SIGNAL = "parcel"
ANSWER = "blue"
NAP_S = 0.1
WHOLE_S = 0.02
"""How long an effect takes: so those that stand side by side are under way together."""


@dataclass(frozen=True, slots=True)
class Deps:
    session: aiohttp.ClientSession
    counter: str
    fuse: Fuse


def key_of(context: ToolContext[Deps]) -> str:
    return context.idempotency_key or f"{context.run_id}/{context.step_id}"


async def effect(context: ToolContext[Deps], kind: Effect) -> str:
    """Have the counter take the effect; what the call returns says whose it was."""
    deps = context.deps
    await asyncio.sleep(WHOLE_S / 2)
    number = deps.fuse.before("effect")
    async with deps.session.post(f"{deps.counter}/effects/{kind}/{key_of(context)}") as reply:
        reply.raise_for_status()
    deps.fuse.behind("effect", number)
    await asyncio.sleep(WHOLE_S / 2)
    return done(context.step_id)


def done(step: StepId) -> str:
    return f"{step} done"


@tool(effect="read")
async def look(context: ToolContext[Deps]) -> str:
    """Look at something outside."""
    return await effect(context, "read")


@tool(effect="idempotent")
async def put(context: ToolContext[Deps]) -> str:
    """Put something in its place, under a key."""
    return await effect(context, "idempotent")


async def was_booked(key: str, context: ToolContext[Deps]) -> str | None:
    async with context.deps.session.get(f"{context.deps.counter}/effects/{key}") as reply:
        return done(context.step_id) if (await reply.json())["done"] else None


@tool(effect="verify", check=was_booked)
async def book(context: ToolContext[Deps]) -> str:
    """Book something that can be looked up."""
    return await effect(context, "verify")


@tool(effect="once")
async def send(context: ToolContext[Deps]) -> str:
    """Send something that cannot be taken back."""
    return await effect(context, "once")


@tool(effect="once", approval=True)
async def pay(context: ToolContext[Deps]) -> str:
    """Pay, if somebody allows it."""
    return await effect(context, "once")


EFFECTS: Mapping[str, Effect] = {"look": "read", "put": "idempotent", "book": "verify", "send": "once", "pay": "once"}


def step(name: str, *after: str, used: str | None = None, **args: JsonValue) -> ToolStep:
    return ToolStep(StepId(name), used if used is not None else name.rstrip("_12"), args, after=tuple(map(StepId, after)))


CHILD_PLAN = Plan(
    (step("look"), step("put"), step("send", "look"), step("pay", "put"), step("book", "send", "pay")), result={"$ref": "book"}
)
PLAN = Plan(
    (
        step("look_1"),
        step("put_1"),
        step("book_1"),
        step("send_1"),
        step("nap", "look_1", used="wait_for", seconds=NAP_S),
        step("hear", "put_1", used="wait_for_parcel"),
        step("ask", "book_1", used="ask_person", question="Which colour?"),
        step("helper", "look_1", used="helper", goal="help"),
        step("pay_1", "send_1"),
        step("book_2", "nap", "hear", "pay_1"),
        step("send_2", "ask", "helper", "pay_1"),
        step("put_2", "book_2", "send_2"),
    ),
    result=[{"$ref": name} for name in ("hear", "ask", "helper", "pay_1", "put_2")],
)
RESULT: JsonValue = ["brought", ANSWER, "book done", "pay_1 done", "put_2 done"]
PLANS = {"parent": PLAN, "helper": CHILD_PLAN}


def make_agents(counter: str, fuse: Fuse) -> tuple[AgentDeclaration[Any, Any], AgentDeclaration[Any, Any]]:
    """Return the agent whose run is killed, and its subagent."""

    @asynccontextmanager
    async def deps(_: RunInfo) -> AsyncGenerator[Deps]:
        async with aiohttp.ClientSession() as session:
            yield Deps(session, counter, fuse)

    tools, limits = (look, put, book, send, pay), Limits(max_crashes=20)
    helper = Agent(name="helper", strategy="fixed", plan=CHILD_PLAN, tools=tools, deps=deps, output=str, limits=limits)
    waits = (wait_for(), wait_for_signal(SIGNAL, payload=str), ask_person(), subagent(helper))
    return Agent(name="parent", strategy="fixed", plan=PLAN, tools=(*tools, *waits), deps=deps, output=list[str], limits=limits), helper
