"""Runs on many workers while workers are killed and stunned and the database falls: `make storm`, and gently `make scale-out`."""

import argparse
import asyncio
import contextlib
import logging
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from agent_sdk import RunFilter, RunId, Runtime, StepId
from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.ids import PrincipalId
from agent_sdk.core.run import RunState
from benchmarks.storm.app import agent, app
from benchmarks.storm.cluster import LEASE_S, Cluster
from benchmarks.storm.verdict import Verdict, all_rows, judge

LEFT: frozenset[RunState] = frozenset({"queued", "planning", "running", "waiting"})
UNDER_WAY: frozenset[RunState] = frozenset({"queued", "planning", "running"})
ENQUEUERS = 8


@dataclass(frozen=True, slots=True)
class Weather:
    """How much comes down, over about how many seconds."""

    runs: int
    workers: int
    kills: int
    stuns: int
    restarts: int
    step_ms: int
    spread_s: float
    limit_s: float
    seed: int


async def storm(weather: Weather, cluster: Cluster) -> tuple[Verdict, float, int]:
    """Enqueue the runs, let it storm, decide what nobody can know, and judge what is left."""
    chance = random.Random(weather.seed)
    async with _runtime(cluster) as runtime, asyncio.TaskGroup() as tasks:
        supervising = tasks.create_task(cluster.supervise())
        began = time.monotonic()
        enqueuing = tasks.create_task(_enqueue(runtime, weather.runs))
        blowing = tasks.create_task(_blow(runtime, weather, cluster, chance))
        decided = await _until_done(runtime, cluster, weather, enqueuing, blowing)
        took_s = time.monotonic() - began
        supervising.cancel()
        codes = await asyncio.to_thread(cluster.drain)
        verdict = await judge(runtime, weather.runs, cluster.counter_url)
        verdict.faults["workers that did not drain in order"] += sum(code != 0 for code in codes)
    return verdict, took_s, decided


@asynccontextmanager
async def _runtime(cluster: Cluster) -> AsyncGenerator[Runtime]:
    async with Runtime.open(cluster.journal, app=app, lease_s=LEASE_S) as runtime:
        yield runtime


async def _enqueue(runtime: Runtime, runs: int) -> None:
    """Enqueue all runs; where the database was away, its journal says how many are missing."""
    made = 0
    while made < runs:
        missing = iter(range(made, runs))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(ENQUEUERS):
                tasks.create_task(_enqueue_each(runtime, missing))
        made = await _count(runtime, made)


async def _enqueue_each(runtime: Runtime, numbers: Iterator[int]) -> None:
    for number in numbers:
        with contextlib.suppress(AgentSDKError):
            await runtime.enqueue(agent, f"storm {number}")


async def _count(runtime: Runtime, known: int) -> int:
    """Return how many runs there are; as many as were known while nobody can say."""
    try:
        return len([row async for row in all_rows(runtime)])
    except AgentSDKError:
        await asyncio.sleep(0.2)
        return known


async def _blow(runtime: Runtime, weather: Weather, cluster: Cluster, chance: random.Random) -> None:
    """Bring down what comes down, at random times, while all workers hold runs."""
    kinds = ["kill"] * weather.kills + ["stun"] * weather.stuns + ["restart"] * weather.restarts
    chance.shuffle(kinds)
    times = sorted(chance.uniform(0, weather.spread_s) for _ in kinds)
    while await _holders(runtime) < weather.workers:  # noqa: ASYNC110  (other processes hold them)
        await asyncio.sleep(0.1)
    began = time.monotonic()
    async with asyncio.TaskGroup() as stunning:
        for at_s, kind in zip(times, kinds, strict=True):
            await asyncio.sleep(max(0.0, began + at_s - time.monotonic()))
            match kind:
                case "kill":
                    cluster.kill(chance.randrange(100))
                case "stun":
                    stunning.create_task(cluster.stun(chance.randrange(100), LEASE_S * chance.uniform(1.1, 2)))
                case _:
                    await asyncio.to_thread(cluster.postgres.restart, "immediate")


async def _holders(runtime: Runtime) -> int:
    """Return how many workers hold runs, as far as a look tells."""
    with contextlib.suppress(AgentSDKError):
        return len({row.owner for row in await runtime.runs(RunFilter(states=UNDER_WAY, limit=1000))} - {None})
    return 0


async def _until_done(runtime: Runtime, cluster: Cluster, weather: Weather, *acts: "asyncio.Task[None]") -> int:
    """Return when all runs have ended, or time is up; whoever waits for a decision gets the one that the counter knows."""
    until, decided = time.monotonic() + weather.limit_s, 0
    while time.monotonic() < until:
        await asyncio.sleep(0.5)
        try:
            left = await runtime.runs(RunFilter(states=LEFT, limit=1000))
            for row in left:
                if row.reason == "unknown_effect" and row.inbox_head == row.inbox_seen:
                    decided += await _decide(runtime, cluster.counter_url, row.run_id)
            if not left and all(act.done() for act in acts) and await _count(runtime, 0) >= weather.runs:
                return decided
        except AgentSDKError:
            continue
    return decided


async def _decide(runtime: Runtime, counter_url: str, run_id: RunId) -> int:
    """Do what a person would: look outside whether each effect was done, and say so."""
    run = await runtime.attach(run_id).state()
    async with aiohttp.ClientSession() as session:
        for step in run.graph.unknown:
            async with session.get(f"{counter_url}/effects/{run_id}/{step}") as reply:
                is_done = (await reply.json())["done"]
            output = f"{step} done" if is_done else None
            await runtime.decide(run_id, StepId(step), "done" if is_done else "retry", output=output, by=PrincipalId("storm"))
    return len(run.graph.unknown)


def _print(weather: Weather, verdict: Verdict, took_s: float, decided: int, started: int) -> None:
    rows = [
        ("runs", f"{weather.runs} of 8 steps, on {weather.workers} workers"),
        ("came down", f"{weather.kills} SIGKILL, {weather.stuns} SIGSTOP/SIGCONT, {weather.restarts} immediate restarts of PostgreSQL"),
        ("took", f"{took_s:.1f} s ({weather.runs / took_s:.1f} runs a second)"),
        ("ended", ", ".join(f"{count} {state}" for state, count in sorted(verdict.ends.items()))),
        ("workers started", str(started)),
        ("claims", f"{verdict.claims} ({verdict.claims - weather.runs} more than runs)"),
        ("effects outside", f"{verdict.done} done, asked for {verdict.asked} times"),
        ("unknown effects", f"{decided}, each decided by looking outside whether it was done"),
        *((name, str(count)) for name, count in verdict.faults.items()),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    for name, default in {"runs": 500, "workers": 3, "kills": 20, "stuns": 8, "restarts": 2, "step-ms": 400, "seed": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--spread", type=float, default=60.0, help="over how many seconds it comes down")
    parser.add_argument("--limit", type=float, default=600.0, help="after how many seconds it is a failure")
    parser.add_argument("--concurrency", type=int, default=8, help="runs at once on each worker")
    given = parser.parse_args(argv)
    weather = Weather(
        given.runs, given.workers, given.kills, given.stuns, given.restarts, given.step_ms, given.spread, given.limit, given.seed
    )
    print(f"seed {weather.seed}", flush=True)
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # it tells at length of each connection that the storm takes
    log = Path(tempfile.mkstemp(prefix="storm-", suffix=".log")[1])
    with Cluster(weather.workers, weather.step_ms, given.concurrency, log) as cluster:
        verdict, took_s, decided = asyncio.run(storm(weather, cluster))
        _print(weather, verdict, took_s, decided, cluster.started)
    if verdict.is_clean and verdict.ends["succeeded"] == weather.runs:
        log.unlink()
        return 0
    print(f"the workers' log: {log}")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
