"""The work that every system does: a run of so many steps, each a turn of a scripted model and a call of one tool.

Standard library alone: peers have environments of their own, without this package.
"""

import asyncio
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.peers.talk import say

VALUE = "item 7: a small thing, in stock; " * 6
"""What the tool returns: 198 bytes."""
ANSWER = "Done."
HELD_STEP = 3
POLL_S = 0.01
performed = Counter[str]()
"""How many steps this process has performed, by the run's name."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A run's goal. Where it has a name, the run says when it begins and answers; `sent` is the time of its enqueueing.

    Where there is a file `hold`, it also says which steps it performs, and step `HELD_STEP` lasts as long as the file is there.
    """

    steps: int
    name: str = ""
    sent: float = 0.0
    hold: str = ""

    def __str__(self) -> str:
        return json.dumps(asdict(self))


def new_goal(steps: int, *, hold: str = "") -> Goal:
    """Return a goal that says what becomes of it."""
    return Goal(steps, uuid4().hex, hold=hold)


def as_order(goal: Goal) -> dict[str, Any]:
    return asdict(goal)


def parse_goal(text: str) -> Goal:
    return Goal(**json.loads(text))


def call_of(goal: Goal, turn: int) -> dict[str, Any] | None:
    """Return the arguments of the call that the model asks for in a turn (from 1 on), or None where it answers."""
    if goal.name and turn == 1:
        say(began=goal.name, late_s=time.time() - goal.sent)
    if turn <= goal.steps:
        return {"number": turn, "run": goal.name if goal.hold else "", "hold": goal.hold if turn == HELD_STEP else ""}
    if goal.name:
        say(answered=goal.name, at=time.time())
    return None


async def perform(number: int, run: str, hold: str) -> str:
    """Do what the tool does: nothing, unless it shall be seen or held."""
    performed[run] += 1
    if run:
        say(step=number, run=run, at=time.time(), pid=os.getpid())
    while hold and Path(hold).exists():  # noqa: ASYNC110, ASYNC240  (the process is killed while it looks)
        await asyncio.sleep(POLL_S)
    return VALUE
