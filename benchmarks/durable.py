"""A durable step: a chain of steps on SQLite, synced in full, beside bare rows in the same mode."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from agent_sdk import Agent, App, Plan, Runtime, ToolStep
from agent_sdk.core.ids import StepId
from agent_sdk.tools import FunctionTool
from benchmarks import bare
from benchmarks.agents import AMPLE, GOAL, change, find
from benchmarks.measure import Case, Metric, Readings, Sample, Scale, at_most, wall_s_of

MOST = 1.5


def cases(scale: Scale) -> Sequence[Case]:
    """Return a case for each effect and length of chain; sizes are what the file grows by, after a checkpoint."""
    kinds: list[tuple[str, FunctionTool[..., Any], float]] = [("read", find, 0.2), ("effect", change, 2.0)]
    return [
        Case(
            f"durable {kind}, {steps:,} steps",
            [
                Metric("ms", f"durable step, {kind}, {steps:,} steps", "ms wall", f"{limit_ms:g} ms", at_most(limit_ms)),
                Metric("kib", f"durable step, {kind}, {steps:,} steps: size", "KiB", f"{MOST} KiB", at_most(MOST)),
            ],
            _in_folder(partial(_ours, used=used, steps=steps)),
            _in_folder(partial(_bare, steps=steps)),
        )
        for kind, used, limit_ms in kinds
        for steps in scale.pick([20, 400, 1000], [20])
    ]


def _in_folder(measure: Callable[[Path], Awaitable[Readings]]) -> Sample:
    async def inside() -> Readings:
        with tempfile.TemporaryDirectory() as folder:
            return await measure(Path(folder, "steps.db"))

    return lambda: asyncio.run(inside())


async def _ours(path: Path, used: FunctionTool[..., Any], steps: int) -> Readings:
    """Measure the second run: the first makes the file and the encoders."""
    url, first, agent = f"sqlite:///{path}", _agent(used, 2), _agent(used, steps)
    async with Runtime.open(url, app=App([first])) as runtime:
        await (await runtime.start(first, GOAL)).result()
    before = _size_kib(path)
    async with Runtime.open(url, app=App([agent])) as runtime:

        async def work() -> None:
            await (await runtime.start(agent, GOAL)).result()

        seconds = await wall_s_of(work())
    return {"ms": seconds / steps * 1e3, "kib": (_size_kib(path) - before) / steps}


def _agent(used: FunctionTool[..., Any], steps: int) -> Agent[None, str]:
    return Agent(name="chain", tools=[used], strategy="fixed", plan=chain(used.name, steps), limits=AMPLE)


def chain(tool: str, steps: int) -> Plan:
    """Return a plan whose every step waits for the one before."""
    ids = [StepId(f"s{number}") for number in range(steps)]
    return Plan(
        steps=tuple(ToolStep(each, tool, {"number": number}, after=tuple(ids[number - 1 : number])) for number, each in enumerate(ids)),
        result={"$ref": ids[-1]},
    )


async def _bare(path: Path, steps: int) -> Readings:
    db = _connect(path)
    db.execute("CREATE TABLE steps (number INTEGER PRIMARY KEY, output TEXT NOT NULL)")
    empty = _size_kib(path)

    async def work() -> None:
        for number in range(steps):
            db.execute("INSERT INTO steps VALUES (?, ?)", (number, await bare.find(number)))

    seconds = await wall_s_of(work())
    db.close()
    return {"ms": seconds / steps * 1e3, "kib": (_size_kib(path) - empty) / steps}


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _size_kib(path: Path) -> float:
    db = _connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path.stat().st_size / 1024
