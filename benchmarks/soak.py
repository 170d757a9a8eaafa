"""`python -m benchmarks.soak`: many runs through one worker process, whose memory, file descriptors, tasks and threads must stay flat."""

import argparse
import asyncio
import gc
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from agent_sdk import App, Runtime
from agent_sdk.runtime.worker import Worker, WorkerOptions
from benchmarks.memory import rss_mib
from benchmarks.peers.ours import agent_with
from benchmarks.peers.work import Goal

STEPS = 5
MOST_BYTES = 4096
WHY_BYTES = "the database's page caches fill and empty by some MiB, which tilts the line by up to 2 KiB; a run's fold takes over 5 KiB"
MOST_BLOCKS = 0.25
WHY_BLOCKS = "whatever is kept of each run, its id alone, is at least one"
MOST_FILES = 4
WHY_FILES = "the last connections of a pool may open late; one that leaks in a hundred runs would make 50"
Batch = Callable[[int], Awaitable[None]]
"""Performs so many runs, and returns when all have ended."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds between two batches, after a collection of garbage."""

    runs: int
    rss_kib: float
    blocks: int
    files: int
    tasks: int
    threads: int
    runs_a_second: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The growth over the second half of the samples: of memory, and of the blocks that Python has allocated in it, by least squares."""

    bytes_a_run: float
    blocks_a_run: float
    files: int
    tasks: int
    threads: int

    @property
    def findings(self) -> list[str]:
        bounds = [
            ("bytes a run", self.bytes_a_run, MOST_BYTES, WHY_BYTES),
            ("blocks a run", self.blocks_a_run, MOST_BLOCKS, WHY_BLOCKS),
            ("files", self.files, MOST_FILES, WHY_FILES),
            ("tasks", self.tasks, 0, "nothing is performed when they are counted"),
            ("threads", self.threads, 0, "all were started in the first half"),
        ]
        return [f"{grown:+.4g} {what}, and {most:+} are allowed: {why}" for what, grown, most, why in bounds if grown > most]


def judge(samples: Sequence[Sample]) -> Verdict:
    late = samples[len(samples) // 2 :]
    runs, first, last = [each.runs for each in late], late[0], late[-1]
    bytes_a_run = linear_regression(runs, [each.rss_kib * 1024 for each in late]).slope
    blocks_a_run = linear_regression(runs, [each.blocks for each in late]).slope
    return Verdict(bytes_a_run, blocks_a_run, last.files - first.files, last.tasks - first.tasks, last.threads - first.threads)


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
    """Hand out what enqueues runs for this process's worker, which performs `at_once` side by side, and waits for their ends."""
    agent = agent_with("effect")
    async with Runtime.open(url, app=App([agent])) as runtime, asyncio.TaskGroup() as tasks:
        worker = Worker(runtime, WorkerOptions(concurrency=at_once))
        working = tasks.create_task(worker.run())

        async def one_run(gate: asyncio.Semaphore) -> None:
            async with gate:
                await (await runtime.enqueue(agent, str(Goal(STEPS)))).result()

        async def batch(count: int) -> None:
            gate = asyncio.Semaphore(2 * at_once)
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(one_run(gate))

        yield batch
        worker.drain()
        await working


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    print(f"{'runs':>8} {'RSS KiB':>10} {'blocks':>9} {'files':>6} {'tasks':>6} {'threads':>8} {'runs/s':>8}")

    async def work(url: str) -> list[Sample]:
        async with batches(url, options.at_once) as batch:
            return await soak(batch, options.runs, options.every)

    with tempfile.TemporaryDirectory() as folder:
        verdict = judge(asyncio.run(work(options.on or f"sqlite:///{Path(folder, 'soak.db')}")))
    print(
        f"second half: {verdict.bytes_a_run:+.0f} bytes and {verdict.blocks_a_run:+.3f} blocks a run, "
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
        runs,
        rss_mib() * 1024,
        sys.getallocatedblocks(),
        len(list(Path("/dev/fd").iterdir())),
        len(asyncio.all_tasks()),
        threading.active_count(),
        runs_a_second,
    )


def _line(each: Sample) -> str:
    return f"{each.runs:8,} {each.rss_kib:10,.0f} {each.blocks:9,} {each.files:6} {each.tasks:6} {each.threads:8} {each.runs_a_second:8.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
