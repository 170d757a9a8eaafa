"""The app of the tests that attack the command, copied into a directory of its own for each."""

import asyncio
import os
import subprocess
import sys
import threading
import time

from agent_sdk import Agent, App, Plan, StepId, ToolError, ToolStep, tool
from agent_sdk.core.ports import Tool
from agent_sdk.testing import Call, ScriptedModel

EVIL = "\x1b]0;owned\x07\x1b[31m[red]bold[/red]\r\x9b2J\u202e\x00end"


@tool(effect="read")
def loud() -> str:
    """Write to every way that leads to stdout, and go on with it."""
    print("printed")  # noqa: T201  (the point of it)
    print("to the old one", file=sys.__stdout__, flush=True)
    sys.stdout.buffer.write(f"{sys.stdout.encoding}\n".encode())
    sys.stdout.buffer.flush()
    os.write(1, b"to the descriptor\n")
    subprocess.run(["echo", "from a child"], check=True)
    threading.Thread(target=_chatter, daemon=True).start()
    time.sleep(0.01)
    return "answer"


def _chatter() -> None:
    while True:
        print("chatter")  # noqa: T201  (the same)
        time.sleep(0.0005)


@tool(effect="read")
def echo() -> str:
    """Return what steers terminals."""
    return EVIL


@tool(effect="read")
def fail() -> str:
    """Fail with it."""
    raise ToolError(EVIL, hint=EVIL)


@tool(effect="once")
def lose() -> str:
    """Lose it."""
    raise ValueError(EVIL)


@tool(effect="read")
async def interrupt() -> str:
    """Raise what a person's Ctrl-C raises."""
    raise KeyboardInterrupt


@tool(effect="read")
def fill() -> str:
    """Return much."""
    return os.urandom(200_000).hex()


@tool(effect="read")
async def hang() -> str:
    """Wait."""
    await asyncio.sleep(60)
    return "awake"


TOOLS: list[Tool] = [loud, echo, fail, lose, interrupt, fill, hang]


def single(used: str) -> Agent[None, str]:
    """Return an agent whose plan is one call."""
    return Agent(name=used, strategy="fixed", plan=Plan((ToolStep(StepId("s"), used),), result={"$ref": "s"}), tools=TOOLS)


app = App(
    [
        *(single(each) for each in ("loud", "echo", "fail", "lose", "interrupt", "fill", "hang")),
        Agent(name="talker", model=ScriptedModel([[Call(EVIL, {"x": EVIL})], [Call("echo", EVIL)], EVIL]), tools=TOOLS),
        Agent(name="asker", model="openai:small", tools=TOOLS),
    ]
)
