"""The app of the workers that tests stop, drain and outdate: what its tools do outside, they do by way of the counter.

`TEST_COUNTER` names the counter's URL. `TEST_VERSION` is the version of the code: the second one's `pay` takes a note.
"""

import asyncio
import os
import time

import aiohttp

from agent_sdk import Agent, App, Plan, StepId, ToolContext, ToolStep, tool
from agent_sdk.core.tools import Effect

COUNTER = os.environ.get("TEST_COUNTER", "")  # noqa: TID251  (a worker's process hears of the counter by its environment)
VERSION = os.environ.get("TEST_VERSION", "1")  # noqa: TID251  (the same)
LONG_S = 0.5


async def effect(context: ToolContext[None], kind: Effect, lasts_s: float = 0.0) -> str:
    """Have the counter take the effect in the middle of what the call does."""
    await asyncio.sleep(lasts_s / 2)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{COUNTER}/effects/{kind}/{context.idempotency_key or f'{context.run_id}/{context.step_id}'}") as reply,
    ):
        reply.raise_for_status()
    await asyncio.sleep(lasts_s / 2)
    return f"{context.step_id} done"


@tool(effect="once")
async def send(context: ToolContext[None]) -> str:
    """Send something, which takes a while."""
    return await effect(context, "once", LONG_S)


@tool(effect="once", inline=True)
def block(seconds: float) -> str:
    """Hold the event loop up."""
    time.sleep(seconds)
    return "blocked"


@tool(effect="once", approval=True, name="pay")
async def pay_plainly(context: ToolContext[None]) -> str:
    """Pay, if somebody allows it."""
    return await effect(context, "once")


@tool(effect="once", approval=True, name="pay")
async def pay_with_a_note(context: ToolContext[None], note: str = "") -> str:
    """Pay, if somebody allows it."""
    return await effect(context, "once")


def step(name: str, used: str, *after: str, **args: float) -> ToolStep:
    return ToolStep(StepId(name), used, dict(args), after=tuple(map(StepId, after)))


LETTERS = tuple(step(f"send_{number}", "send", *([f"send_{number - 1}"] if number else [])) for number in range(6))
sender = Agent(name="sender", strategy="fixed", plan=Plan(LETTERS, result={"$ref": "send_5"}), tools=[send])
pair = Agent(name="pair", strategy="fixed", plan=Plan(LETTERS[:2], result={"$ref": "send_1"}), tools=[send])
blocker = Agent(
    name="blocker",
    strategy="fixed",
    plan=Plan((step("block", "block", seconds=3.0), step("send", "send", "block")), result={"$ref": "send"}),
    tools=[block, send],
)
payer = Agent(
    name="payer",
    version=VERSION,
    strategy="fixed",
    plan=Plan((step("pay", "pay"),), result={"$ref": "pay"}),
    tools=[pay_plainly if VERSION == "1" else pay_with_a_note],
)
app = App([sender, pair, blocker, payer])
