"""A turn of the loop with the model in process: a question, a call, its result."""

from collections.abc import Sequence
from typing import Any

from agent_sdk import Agent, App, Runtime
from agent_sdk.tools import FunctionTool
from benchmarks import bare
from benchmarks.agents import AMPLE, GOAL, find, find_in_thread, find_inline
from benchmarks.measure import Case, Ceiling, Metric, Sample, Scale, cpu_us_of, sampled_by
from benchmarks.model import InProcess

KEY = "turn"
IN_PLACE = "110 us and 10 x bare"
IN_THREAD = "110 us + 1.2 bare hops"
WARM_UP = 20


def cases(scale: Scale) -> Sequence[Case]:
    """Return a case for each kind of tool and length of run; a run's start and end are shared out over its turns."""
    most = scale.pick(1000, 100)
    kinds: list[tuple[str, FunctionTool[..., Any], bare.Act, str, Ceiling]] = [
        ("async tool", find, bare.find, IN_PLACE, _in_place),
        ("inline sync tool", find_inline, bare.find_inline, IN_PLACE, _in_place),
        ("threaded sync tool", find_in_thread, bare.find_in_thread, IN_THREAD, _in_thread),
    ]
    return [
        Case(
            f"turn, {kind}, {turns:,} turns",
            [Metric(KEY, f"turn in process, {kind}, {turns:,} turns", "us CPU", target, ceiling)],
            _ours(used, turns, most // turns),
            _bare(act, turns, most // turns),
        )
        for kind, used, act, target, ceiling in kinds
        for turns in (10, 100, 1000)
        if turns <= most
    ]


def _in_place(bare_us: float) -> float:
    return min(110.0, 10 * bare_us)


def _in_thread(bare_us: float) -> float:
    return 110.0 + 1.2 * bare_us


def _ours(used: FunctionTool[..., Any], turns: int, runs: int) -> Sample:
    async def measure() -> float:
        agent = Agent(name="finder", model=InProcess(turns, used.name), tools=[used], limits=AMPLE)
        first = Agent(name="first", model=InProcess(WARM_UP, used.name), tools=[used], limits=AMPLE)
        async with Runtime.open(app=App([agent])) as runtime:
            await (await runtime.start(first, GOAL)).result()

            async def work() -> None:
                for _ in range(runs):
                    await (await runtime.start(agent, GOAL)).result()

            return await cpu_us_of(work(), turns * runs)

    return sampled_by(KEY, measure)


def _bare(act: bare.Act, turns: int, runs: int) -> Sample:
    async def measure() -> float:
        async def work(all_texts: list[list[str]]) -> None:
            for texts in all_texts:
                await bare.loop(bare.asked_of(iter(texts)), act)

        await work([list(bare.replies(WARM_UP))])
        return await cpu_us_of(work([list(bare.replies(turns)) for _ in range(runs)]), turns * runs)

    return sampled_by(KEY, measure)
