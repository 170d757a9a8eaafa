"""Runs that two workers share on one Postgres: how many a second, and how soon an enqueued one begins."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from random import Random
from statistics import quantiles

from benchmarks.measure import Scale
from benchmarks.peers.case import Case, Measure, Readings
from benchmarks.peers.child import Child, Crew, crew_of
from benchmarks.peers.stores import Kind, Store
from benchmarks.peers.systems import DBOS, DBOS_EAGER, LANGGRAPH, OURS, System
from benchmarks.peers.work import Goal, as_order, new_goal

STEPS_A_RUN = 5
WARM_UP = 8


def cases(scale: Scale, kinds: Sequence[Kind]) -> Iterator[Case]:
    if "Postgres" not in kinds:
        return
    runs, probes = scale.pick(300, 6), scale.pick(40, 3)
    systems = (OURS, LANGGRAPH, DBOS, DBOS_EAGER)
    throughput = Measure("runs", f"{STEPS_A_RUN}-step runs by two processes", "runs/s", is_more_better=True)
    latency = [Measure(f"p{share}", f"from enqueue to start, p{share}", "ms") for share in (50, 95)]
    yield Case("workers: runs a second", "Postgres", [throughput], systems, partial(_throughput, runs))
    yield Case("workers: latency", "Postgres", latency, systems, partial(_latency, probes))


def start_workers(crew: Crew, store: Store, names: Sequence[str]) -> list[Child]:
    return [crew.start(store=store.url, role="worker", name=name) for name in names]


def enqueue(caller: Child, goals: Sequence[Goal]) -> None:
    caller.order(do="enqueue", goals=[as_order(goal) for goal in goals])


def _throughput(runs: int, system: System, store: Store, peers: str) -> Readings:
    """Count from the first enqueueing to the last answer; where nothing can be enqueued, each process performs its half."""
    with crew_of(system, peers) as crew:
        workers = start_workers(crew, store, ("a", "b"))
        callers = [crew.start(store=store.url, role="client")] if system.has_queue else workers

        def seconds(count: int) -> float:
            goals = [new_goal(STEPS_A_RUN) for _ in range(count)]
            began = time.time()
            for number, caller in enumerate(callers):
                enqueue(caller, goals[number :: len(callers)])
            return float(max(report["at"] for report in crew.hear("answered", count))) - began

        seconds(WARM_UP)
        return {"runs": runs / seconds(runs)}


def _latency(probes: int, system: System, store: Store, peers: str) -> Readings:
    """Enqueue one run after another to idle workers, at odd times."""
    if not system.has_queue:
        return {"p50": "no queue", "p95": "no queue"}
    random, late_ms = Random(7), list[float]()
    with crew_of(system, peers) as crew:
        start_workers(crew, store, ("a", "b"))
        caller = crew.start(store=store.url, role="client")
        for _ in range(probes + 1):
            time.sleep(random.uniform(0.05, 0.25))
            enqueue(caller, [new_goal(1)])
            (began,) = crew.hear("began")
            late_ms.append(began["late_s"] * 1e3)
    shares = quantiles(late_ms[1:], n=20, method="inclusive")
    return {"p50": shares[9], "p95": shares[18]}
