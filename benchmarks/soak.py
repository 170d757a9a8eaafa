"""`python -m benchmarks.soak`: many runs through one worker process, whose memory, file descriptors, tasks and threads must stay flat."""

import argparse
import asyncio
import gc
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from agent_sdk import App, Runtime
from benchmarks.memory import rss_mib
from benchmarks.peers.ours import agent_with
from benchmarks.peers.work import Goal

STEPS = 5
MOST_BYTES_A_RUN = 64
WHY = "whatever is kept of a run is more than that, its id alone takes over 80"
Batch = Callable[[int], Awaitable[None]]
"""Performs so many runs, and returns when all have ended."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds between two batches, after a collection of garbage."""

    runs: int
    rss_kib: float
    files: int
    tasks: int
    threads: int
    runs_a_second: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The growth over the second half of the samples, when all caches are full: memory by least squares."""

    bytes_a_run: float
    files: int
    tasks: int
    threads: int

    @property
    def findings(self) -> list[str]:
        found = [f"{what} grew by {growth}" for what in ("files", "tasks", "threads") if (growth := getattr(self, what)) > 0]
        if self.bytes_a_run > MOST_BYTES_A_RUN:
            found.append(f"memory grew by {self.bytes_a_run:.0f} bytes a run, and {MOST_BYTES_A_RUN} are allowed: {WHY}")
        return found


def judge(samples: Sequence[Sample]) -> Verdict:
    late = samples[len(samples) // 2 :]
    slope = linear_regression([each.runs for each in late], [each.rss_kib * 1024 for each in late]).slope
    first, last = late[0], late[-1]
    return Verdict(slope, last.files - first.files, last.tasks - first.tasks, last.threads - first.threads)


async def soak(batch: Batch, runs: int, every: int) -> list[Sample]:
    samples: list[Sample] = []
    for done in range(every, runs + 1, every):
        began = time.perf_counter()
        await batch(every)
        samples.append(_sample(done, every / (time.perf_counter() - began)))
        print(_line(samples[-1]), flush=True)
    return samples


@asynccontextmanager
async def batches(url: str, at_once: int) -> AsyncGenerator[Batch]:
    """Hand out what performs runs in this process, `at_once` side by side."""
    agent = agent_with("effect")
    async with Runtime.open(url, app=App([agent])) as runtime:

        async def one_run(gate: asyncio.Semaphore) -> None:
            async with gate:
                await (await runtime.start(agent, str(Goal(STEPS)))).result()

        async def batch(count: int) -> None:
            gate = asyncio.Semaphore(at_once)
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(one_run(gate))

        yield batch


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    print(f"{'runs':>8} {'RSS KiB':>10} {'files':>6} {'tasks':>6} {'threads':>8} {'runs/s':>8}")

    async def work(url: str) -> list[Sample]:
        async with batches(url, options.at_once) as batch:
            return await soak(batch, options.runs, options.every)

    with tempfile.TemporaryDirectory() as folder:
        verdict = judge(asyncio.run(work(options.on or f"sqlite:///{Path(folder, 'soak.db')}")))
    print(
        f"second half: {verdict.bytes_a_run:+.1f} bytes a run (at most {MOST_BYTES_A_RUN}), "
        f"files {verdict.files:+d}, tasks {verdict.tasks:+d}, threads {verdict.threads:+d}"
    )
    for finding in verdict.findings:
        print(f"not flat: {finding}")
    return 1 if verdict.findings else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="See that a worker process stays as small as it is.")
    parser.add_argument("--runs", type=int, default=10_000, help="perform so many (default 10,000)")
    parser.add_argument("--every", type=int, default=500, help="look after so many (default 500)")
    parser.add_argument("--at-once", type=int, default=32, help="so many side by side (default 32)")
    parser.add_argument("--on", metavar="URL", default="", help="the journal (default: a SQLite file of its own)")
    return parser.parse_args(argv)


def _sample(runs: int, runs_a_second: float) -> Sample:
    gc.collect()
    return Sample(
        runs, rss_mib() * 1024, len(list(Path("/dev/fd").iterdir())), len(asyncio.all_tasks()), threading.active_count(), runs_a_second
    )


def _line(each: Sample) -> str:
    return f"{each.runs:8,} {each.rss_kib:10,.0f} {each.files:6} {each.tasks:6} {each.threads:8} {each.runs_a_second:8.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
