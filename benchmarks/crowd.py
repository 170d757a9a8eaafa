"""Many at once: 1,000 runs in one process, and ten slow tools in one turn."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agent_sdk import Agent, App, Runtime
from agent_sdk.core.model import ModelRequest
from agent_sdk.testing import Call, ScriptedModel
from agent_sdk.tools import FunctionTool
from benchmarks import bare
from benchmarks.agents import AMPLE, GOAL, find, wait, wait_in_thread
from benchmarks.measure import Case, Metric, Readings, Sample, Scale, at_most, sampled_by, wall_s_of
from benchmarks.memory import peak_kib
from benchmarks.model import InProcess

TURNS = 6
DELAY_S = 0.1
SIDE_BY_SIDE = 10
WARM_UP = 10


def cases(scale: Scale) -> Sequence[Case]:
    runs = scale.pick(1000, 50)
    side_by_side: list[tuple[str, FunctionTool[..., Any], Sample]] = [
        ("async", wait, _bare(_sleep)),
        ("sync", wait_in_thread, _bare(_sleep_in_thread)),
    ]
    return [
        *(
            Case(
                f"{runs:,} runs at once, {kind}",
                [
                    Metric("s", f"{runs:,} runs of six model calls of 100 ms at once, {kind}", "s", f"{limit_s} s", at_most(limit_s)),
                    Metric("kib", f"{runs:,} runs at once, {kind}: memory a run", "KiB", "24 KiB", at_most(24.0)),
                ],
                _in_child(kind, runs),
                _in_child("bare", runs),
            )
            for kind, limit_s in (("memory", 0.9), ("sqlite", 1.3))
        ),
        *(
            Case(
                f"ten {kind} tools",
                [Metric("s", f"ten {kind} tools of 100 ms side by side", "s", "0.11 s", at_most(0.11))],
                _ours(used),
                beside,
            )
            for kind, used, beside in side_by_side
        ),
    ]


def _ours(used: FunctionTool[..., Any]) -> Sample:
    """Measure the second run, as the bare sample's threads are started by its first."""

    def reply(request: ModelRequest) -> str | list[Call]:
        return [Call(used.name, {"number": number}) for number in range(SIDE_BY_SIDE)] if request.id == "t1" else "Done."

    async def measure() -> float:
        agent = Agent(name="waiter", model=ScriptedModel(reply for _ in range(4)), tools=[used], limits=AMPLE)
        async with Runtime.open(app=App([agent])) as runtime:

            async def work() -> None:
                await (await runtime.start(agent, GOAL)).result()

            await work()
            return await wall_s_of(work())

    return sampled_by("s", measure)


def _bare(sleep: Callable[[Executor], Coroutine[Any, Any, None]]) -> Sample:
    async def measure() -> float:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:

            async def work() -> None:
                async with asyncio.TaskGroup() as group:
                    for _ in range(SIDE_BY_SIDE):
                        group.create_task(sleep(pool))

            await work()
            return await wall_s_of(work())

    return sampled_by("s", measure)


async def _sleep(_: Executor) -> None:
    await asyncio.sleep(DELAY_S)


async def _sleep_in_thread(pool: Executor) -> None:
    await asyncio.get_running_loop().run_in_executor(pool, time.sleep, DELAY_S)


def _in_child(kind: str, runs: int) -> Sample:
    """Take the sample in a process of its own, whose memory tells of nothing else."""

    def sample() -> Readings:
        command = [sys.executable, "-m", "benchmarks.crowd", kind, str(runs)]
        readings: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return readings

    return sample


async def _measured(runs: int, one_run: Callable[[], Coroutine[Any, Any, object]]) -> Readings:
    async def work(count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one_run())

    await work(WARM_UP)
    before = peak_kib()
    seconds = await wall_s_of(work(runs))
    return {"s": seconds, "kib": (peak_kib() - before) / runs}


async def _measure_runtime(url: str, runs: int) -> Readings:
    agent = Agent(name="finder", model=InProcess(TURNS, find.name, delay_s=DELAY_S), tools=[find], limits=AMPLE)
    async with Runtime.open(url, app=App([agent])) as runtime:

        async def one_run() -> None:
            await (await runtime.start(agent, GOAL)).result()

        return await _measured(runs, one_run)


async def _measure_bare(runs: int) -> Readings:
    async def one_run() -> None:
        answer = bare.asked_of(bare.replies(TURNS))

        async def ask(messages: list[bare.Reply]) -> bare.Reply:
            await asyncio.sleep(DELAY_S)
            return await answer(messages)

        await bare.loop(ask, bare.find)

    return await _measured(runs, one_run)


def main(kind: str, runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        match kind:
            case "memory":
                readings = asyncio.run(_measure_runtime("memory://", runs))
            case "sqlite":
                readings = asyncio.run(_measure_runtime(f"sqlite:///{Path(folder, 'crowd.db')}", runs))
            case _:
                readings = asyncio.run(_measure_bare(runs))
    print(json.dumps(readings))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
