"""The demo's run survives the death of its process at every append: another goes on at once, to the same answer, and repeats nothing."""

import asyncio
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_sdk.core.ids import StepId
from agent_sdk.core.run import Run
from agent_sdk.runtime import App, Runtime
from agent_sdk.testing.demo import standard_library
from tests.integration.demo_killed import Order
from tests.integration.demo_trees import make_tree

ROOT = Path(__file__).parents[2]
GOALS = (1, 2, 3)
AT_ONCE_S = 25.0
"""Below the lease of 30 s: nobody waited for it to run out. Most of it is two Pythons starting on a busy machine."""


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed."""

    answer: str
    appends: int


def process(order: Order) -> subprocess.CompletedProcess[str]:
    command = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    driver = str(ROOT / "tests/integration/demo_killed.py")
    words = [sys.executable, "-c", command, str(ROOT), driver, order.model_dump_json()]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def whole_run(order: Order) -> Whole:
    order.out.mkdir(parents=True)
    done = process(order)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Whole(found["answer"], found["appends"])


def stored(order: Order) -> Run | None:
    """Return the one run as its journal has it; None where the process died before there was one."""

    async def load() -> Run | None:
        async with Runtime.open(order.journal, app=App([])) as runtime:
            rows = await runtime.runs()
            assert len(rows) <= 1
            return await runtime.attach(rows[0].run_id).state() if rows else None

    return asyncio.run(load())


def finished(run: Run | None) -> set[StepId]:
    return {state.id for state in run.graph.steps.values() if state.status == "finished"} if run is not None else set()


def calls(order: Order) -> list[str]:
    file = order.out / "calls"
    return file.read_text().splitlines() if file.exists() else []


def check_survives(order: Order, whole: Whole) -> bool:
    """Kill one process, let another go on, and return whether the first was killed: it may have needed fewer appends this time."""
    order.out.mkdir(parents=True)
    first = process(order)
    if first.returncode == 0:
        assert json.loads(first.stdout)["answer"] == whole.answer
        return False
    assert first.returncode == -9, first.stderr
    before, called_before = stored(order), calls(order)
    if before is not None and before.is_ended:
        assert before.answer == whole.answer
        return True
    begun = time.monotonic()
    second = process(order.model_copy(update={"kill_at": 0}))
    assert second.returncode == 0, second.stderr
    assert time.monotonic() - begun < AT_ONCE_S
    assert json.loads(second.stdout)["answer"] == whole.answer
    called_after = calls(order)[len(called_before) :]
    assert not finished(before) & set(called_after)
    assert finished(before) <= finished(stored(order))
    assert len(called_after) == len(set(called_after))
    return True


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, Whole]]:
    """Return a small tree, and the run of each goal about it that nobody disturbed."""
    here = tmp_path_factory.mktemp("whole")
    root = make_tree(here / "tree")
    return root, {goal: whole_run(Order(root=root, out=here / f"goal{goal}", goal=goal)) for goal in GOALS}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_answer_and_repeats_nothing(small: tuple[Path, dict[int, Whole]], tmp_path: Path) -> None:
    root, wholes = small
    points = [(goal, number, is_durable) for goal in GOALS for number in range(1, wholes[goal].appends + 1) for is_durable in (True, False)]
    random.Random(2).shuffle(points)
    killed = 0
    for goal, number, is_durable in points:  # where appends are grouped, as on a slow machine, the last points of a run are never reached
        order = Order(root=root, out=tmp_path / f"{goal}-{number}-{is_durable}", goal=goal, kill_at=number, is_durable=is_durable)
        killed += check_survives(order, wholes[goal])
        if killed == 8:
            break
    assert killed == 8


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("goal", GOALS)
def test_a_run_killed_at_any_append_goes_on(small: tuple[Path, dict[int, Whole]], tmp_path: Path, goal: int, is_durable: bool) -> None:
    root, wholes = small
    for number in range(1, wholes[goal].appends + 1):
        check_survives(Order(root=root, out=tmp_path / str(number), goal=goal, kill_at=number, is_durable=is_durable), wholes[goal])


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("goal", GOALS)
def test_a_run_on_the_whole_library_killed_at_any_append_goes_on(tmp_path: Path, goal: int) -> None:
    root = standard_library()
    whole = whole_run(Order(root=root, out=tmp_path / "whole", goal=goal))
    for number in range(1, whole.appends + 1):
        check_survives(Order(root=root, out=tmp_path / str(number), goal=goal, kill_at=number), whole)
