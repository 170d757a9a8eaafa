"""A worker that is killed in the middle of a step: how soon the run goes on, and whether a finished step is performed again."""

import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Scale
from benchmarks.peers.case import Case, Measure, Reading, Readings
from benchmarks.peers.child import Child, Crew, crew_of
from benchmarks.peers.stores import Kind, Store
from benchmarks.peers.systems import DBOS, LANGGRAPH, OURS, System
from benchmarks.peers.work import HELD_STEP, Goal, as_order, new_goal
from benchmarks.peers.workers import enqueue, start_workers

STEPS = 5
PATIENCE_S = 30.0


def cases(scale: Scale, kinds: Sequence[Kind]) -> Iterator[Case]:
    for kind in kinds:
        measures = [
            Measure("other", f"from SIGKILL to resumption, {kind}, by another worker", "s"),
            Measure("again", f"from SIGKILL to resumption, {kind}, by itself started again", "s"),
            Measure("repeated", f"finished steps performed again, {kind}", "steps"),
        ]
        yield Case(f"kills {kind}", kind, measures, (OURS, LANGGRAPH, DBOS), _sample, rounds=scale.pick(None, 1))


def _sample(system: System, store: Store, peers: str) -> Readings:
    """Kill a worker beside another one, and then one that is alone and is started again at once."""
    repeated: list[int] = []
    other: Reading = "no workers"
    if system.has_queue:
        with crew_of(system, peers) as crew:
            workers = start_workers(crew, store, ("a", "b"))
            goal, killed_at = _killed(crew, workers, crew.start(store=store.url, role="client"))
            other = _resumed(crew, goal, killed_at, repeated)
    with crew_of(system, peers) as crew:
        workers = start_workers(crew, store, ("c",))
        caller = crew.start(store=store.url, role="client") if system.has_queue else workers[0]
        goal, killed_at = _killed(crew, workers, caller)
        (worker,) = start_workers(crew, store, ("c",))
        if not system.has_queue:
            worker.order(do="resume", goal=as_order(goal))
        again = _resumed(crew, goal, killed_at, repeated)
    return {"other": other, "again": again, "repeated": float(sum(repeated))}


def _killed(crew: Crew, workers: Sequence[Child], caller: Child) -> tuple[Goal, float]:
    """Kill whoever performs the step that is held, and say when; the step is held no more."""
    with _file() as hold:
        goal = new_goal(STEPS, hold=str(hold))
        enqueue(caller, [goal])
        *_, held = crew.hear("step", HELD_STEP)
        next(worker for worker in workers if worker.pid == held["pid"]).kill()
        return goal, time.time()


def _resumed(crew: Crew, goal: Goal, killed_at: float, repeated: list[int]) -> Reading:
    """Return the seconds until the run's next step, and count the steps before the held one that come again."""
    late: Reading = f"not in {PATIENCE_S:g} s"
    for report in crew.told("step", timeout_s=PATIENCE_S):
        if report["run"] == goal.name:
            late = report["at"] - killed_at if isinstance(late, str) else late
            repeated.append(int(report["step"] < HELD_STEP))
            if report["step"] == goal.steps:
                break
    return late


@contextmanager
def _file() -> Generator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hold")
        path.touch()
        yield path
