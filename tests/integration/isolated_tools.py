"""Tools that run in processes of their own, as test_process_tools.py calls them."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from pydantic import BaseModel

from agent_sdk.core.errors import NotDone
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import tool

MIB = 1024 * 1024
HERE: list[int] = []
"""What a forked process would find filled."""


class Spot(BaseModel):
    x: int


@tool(effect="read", isolation="process")
def move(spot: Spot, by: int = 1) -> Spot:
    return Spot(x=spot.x + by)


@tool(effect="read", isolation="process")
async def look_around(ctx: ToolContext[None]) -> dict[str, object]:
    names = [ctx.tenant, ctx.run_id, ctx.step_id, ctx.attempt, ctx.idempotency_key]
    return {"context": names, "pid": os.getpid(), "here": HERE, "threads": [each.name for each in threading.enumerate()]}


@tool(isolation="process", memory_mb=None if sys.platform == "darwin" else 800)
def fill(mib: int) -> int:
    return len(bytearray(mib * MIB))


@tool(isolation="process", cpu_s=0.5)
def spin() -> None:
    while True:
        pass


@tool(isolation="process")
def hang(pids: str) -> None:
    """Start another process, and wait with it; SIGTERM is not heard."""
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        Path(pids).write_text(f"{os.getpid()} {sleeping.pid}")
        time.sleep(60)


@tool(isolation="process")
def die() -> None:
    os._exit(3)


@tool(isolation="process")
def refuse() -> None:
    raise NotDone("nothing was sent")
