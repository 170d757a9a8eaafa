# ruff: noqa: ARG001  (a tool that is measured does nothing with what it takes)
"""What the measurements share: tools that do next to nothing."""

import asyncio
import time

from agent_sdk import Limits, tool

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
