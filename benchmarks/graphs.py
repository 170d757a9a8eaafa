"""Plans as graphs: how close the makespan comes to the critical path, and what the check of a large plan costs."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from statistics import median

from agent_sdk import Agent, App, Plan, Runtime, ToolStep, tool
from agent_sdk.core.ids import DEFAULT_TENANT, StepId
from agent_sdk.core.run import Run
from agent_sdk.planning import AnswerType, PlanChecker
from agent_sdk.testing import CountingIds
from benchmarks.agents import AMPLE, GOAL, wait
from benchmarks.measure import Case, Metric, Readings, Scale, at_most, cpu_us

DAGS = 1000
SLOWEST_MS = 12
TOOLS, STEPS = 200, 100


@dataclass(frozen=True, slots=True)
class Node:
    """A step of a random graph: how long it takes, and what it waits for."""

    seconds: float
    needs: tuple[int, ...]


Graph = Sequence[Node]


def cases(scale: Scale) -> Sequence[Case]:
    dags, checks = scale.pick(DAGS, 10), scale.pick(20, 2)
    makespan = Metric("x", f"makespan of {dags:,} random DAGs, median", "x critical", "1.05 x bare tasks", lambda bare: 1.05 * bare)
    check = Metric("ms", f"check of a {STEPS}-step plan over {TOOLS} tools", "ms CPU", "10 ms", at_most(10.0))
    return [
        Case("makespan", [makespan], lambda: asyncio.run(_ours(dags)), lambda: asyncio.run(_bare(dags)), rounds=1),
        Case("plan check", [check], lambda: _check(checks)),
    ]


def random_graph(seed: int) -> Graph:
    """Return 8 to 24 nodes of 2 to 12 ms, each behind up to three of those before it."""
    random = Random(seed)
    return [
        Node(random.randint(2, SLOWEST_MS) / 1e3, tuple(sorted(random.sample(range(index), k=min(index, random.randint(0, 3))))))
        for index in range(random.randint(8, 24))
    ]


def critical_path_s(graph: Graph) -> float:
    ends: list[float] = []
    for node in graph:
        ends.append(node.seconds + max((ends[need] for need in node.needs), default=0.0))
    return max(ends)


async def _ours(dags: int) -> Readings:
    """Take the steps' own times: from the start of the first to the end of the last, as the journal has them."""
    stretches: list[float] = []
    async with Runtime.open(app=App([])) as runtime:
        for seed in range(dags):
            graph = random_graph(seed)
            agent = Agent(name="graph", tools=[wait], strategy="fixed", plan=_plan_of(graph), limits=AMPLE)
            handle = await runtime.start(agent, GOAL)
            steps = (await handle.settled()).graph.steps.values()
            began, ended = min(step.started_at or 0 for step in steps), max(step.ended_at or 0 for step in steps)
            stretches.append((ended - began) / 1e6 / critical_path_s(graph))
    return {"x": median(stretches)}


def _plan_of(graph: Graph) -> Plan:
    ids = [StepId(f"s{index}") for index in range(len(graph))]
    steps = [
        ToolStep(ids[index], wait.name, {"number": index, "seconds": node.seconds}, after=tuple(ids[need] for need in node.needs))
        for index, node in enumerate(graph)
    ]
    return Plan(steps=tuple(steps), result=[{"$ref": each} for each in ids])


async def _bare(dags: int) -> Readings:
    stretches: list[float] = []
    for seed in range(dags):
        graph = random_graph(seed)
        began = time.perf_counter()
        await _walk(graph)
        stretches.append((time.perf_counter() - began) / critical_path_s(graph))
    return {"x": median(stretches)}


async def _walk(graph: Graph) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def perform(node: Node) -> None:
        for need in node.needs:
            await asyncio.shield(tasks[need])
        await asyncio.sleep(node.seconds)

    async with asyncio.TaskGroup() as group:
        tasks.extend(group.create_task(perform(node)) for node in graph)


def _check(times: int) -> Readings:
    checker, plan, run = _checked_things()

    def work() -> None:
        for _ in range(times):
            checker.plan(plan, run)

    return {"ms": cpu_us(work, times) / 1e3}


@cache
def _checked_things() -> tuple[PlanChecker, Plan, Run]:
    """Return a checker over many tools, and a plan of many steps that it has nothing to say against."""

    def look_up(name: str, limit: int = 5, sources: list[str] | None = None) -> list[str]:
        """Look something up."""
        return [name, *(sources or ())][:limit]

    tools = [tool(effect="read", inline=True, name=f"look_up_{number}")(look_up) for number in range(TOOLS)]
    agent = Agent(name="planner", model="openai:any", strategy="plan", tools=tools)
    ids = [StepId(f"s{number}") for number in range(STEPS)]
    steps = [ToolStep(ids[0], tools[0].name, {"name": "a"})]
    steps += [
        ToolStep(
            each,
            tools[2 * number].name,
            {"name": {"$ref": f"{ids[number // 2]}.0"}, "limit": number + 1, "sources": {"$ref": ids[number - 1]}},
        )
        for number, each in enumerate(ids)
        if number
    ]
    plan = Plan(steps=tuple(steps), result={"$ref": ids[-1]})
    checker = PlanChecker(agent.spec, {each.name: each for each in tools}, AnswerType())
    run = Run(DEFAULT_TENANT, CountingIds().run_id())
    if checker.plan(plan, run):
        raise AssertionError(checker.plan(plan, run))
    return checker, plan, run
