# ruff: noqa: ARG001  (a tool that is measured does nothing with what it takes)
"""What the measurements share: tools that do next to nothing, and scripts of so many turns."""

import asyncio
import time
from collections.abc import Iterator
from itertools import repeat

from agent_sdk import Limits, tool
from agent_sdk.core.model import ModelRequest
from agent_sdk.testing import Call, ScriptedModel

GOAL = "Find what is asked for."
FOUND = "item 7: a small thing, in stock"
AMPLE = Limits(max_turns=2000, max_steps=20_000, max_parallel=32)


@tool(effect="read")
async def find(number: int) -> str:
    """Find an item."""
    return FOUND


@tool(effect="read", inline=True)
def find_inline(number: int) -> str:
    """Find an item."""
    return FOUND


@tool(effect="read")
def find_in_thread(number: int) -> str:
    """Find an item."""
    return FOUND


@tool(effect="idempotent")
async def change(number: int) -> str:
    """Change an item."""
    return FOUND


@tool(effect="read")
async def wait(number: int, seconds: float = 0.1) -> int:
    """Wait a little."""
    await asyncio.sleep(seconds)
    return number


@tool(effect="read")
def wait_in_thread(number: int, seconds: float = 0.1) -> int:
    """Wait a little."""
    time.sleep(seconds)
    return number


def scripted(turns: int, runs: int, name: str) -> ScriptedModel:
    """Return a model that plays the same turns for each of so many runs, one after the other."""
    return ScriptedModel(reply for _ in range(runs) for reply in _replies(turns, name))


def scripted_at_once(turns: int, name: str, *, delay_s: float) -> ScriptedModel:
    """Return a model that plays the same turns for any number of runs side by side: it goes by the question's id."""
    replies = list(_replies(turns, name))

    def reply(request: ModelRequest) -> str | Call:
        return replies[int(request.id.removeprefix("t")) - 1]

    return ScriptedModel(repeat(reply), delay_s=delay_s)


def _replies(turns: int, name: str) -> Iterator[str | Call]:
    """Yield a call in each turn but the last, with arguments in text, as a vendor sends them."""
    yield from (Call(name, f'{{"number": {number}}}') for number in range(turns - 1))
    yield "Found."
