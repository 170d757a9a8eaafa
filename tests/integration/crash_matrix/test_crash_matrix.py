"""A worker is killed at every append, claim and effect of a run; another goes on, loses nothing, and does nothing twice."""

import asyncio
import random
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from agent_sdk import Runtime
from tests.integration.crash_matrix.person import NOBODY, Person
from tests.integration.crash_matrix.process import Only, Order
from tests.integration.crash_matrix.verdict import Wreck, check_ended, look_at_wreck
from tests.integration.crash_matrix.workers import Nursery, counting
from tests.integration.deadly import Point, PointKind

pytestmark = pytest.mark.slow

LEASE_S = 1.0
"""What a killed worker's runs wait for on PostgreSQL; on SQLite the owner's lock tells at once."""
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test takes its workers from, and the counter."""

    nursery: Nursery
    other: Nursery
    counter: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    errors = tmp_path_factory.mktemp("errors")
    with counting() as counter, Nursery(errors / "one") as nursery, Nursery(errors / "other") as other:
        yield Place(nursery, other, counter)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'agent.db'}" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def kill_and_go_on(place: Place, url: str, *points: Point) -> int:
    """Kill a worker at each of the points, let another go on, check all, and return how many were killed."""
    order, person, wrecks = an_order(place, url), Person(place.counter), list[Wreck]()
    async with told_of(order, *points), Runtime.open(url, app=NOBODY, tenant=order.tenant) as runtime, asyncio.TaskGroup() as tasks:
        attending = tasks.create_task(person.attend(runtime))
        for point in (*points, None):
            if await over(place.nursery, order.model_copy(update={"point": point})) == 0:
                break
            wrecks.append(await look_at_wreck(runtime, place.counter))
        attending.cancel()
        await check_ended(runtime, person, wrecks)
    return len(wrecks)


async def kill_one_of_two(place: Place, url: str, point: Point, only: Only) -> bool:
    """Let one worker perform the run and another its child, kill one of them, and let a third take its place."""
    order, person, wrecks = an_order(place, url), Person(place.counter), list[Wreck]()
    mine, others = [order.model_copy(update={"only": each}) for each in (only, "helper" if only == "parent" else "parent")]
    async with told_of(order, point), Runtime.open(url, app=NOBODY, tenant=order.tenant) as runtime, asyncio.TaskGroup() as tasks:
        attending = tasks.create_task(person.attend(runtime))
        beside = tasks.create_task(over(place.other, others))
        if await over(place.nursery, mine.model_copy(update={"point": point})) != 0:
            wrecks.append(await look_at_wreck(runtime, place.counter))
            assert await over(place.nursery, mine) == 0
        assert await beside == 0
        attending.cancel()
        await check_ended(runtime, person, wrecks)
    return bool(wrecks)


def an_order(place: Place, url: str) -> Order:
    return Order(journal=url, tenant=f"t{next(_numbers)}", counter=place.counter, lease_s=LEASE_S)


@asynccontextmanager
async def told_of(order: Order, *points: Point) -> AsyncGenerator[None]:
    """Say of an error at which points it came."""
    try:
        yield
    except Exception as error:
        error.add_note(f"killed {', '.join(map(str, points))}; tenant {order.tenant}")
        raise


async def over(nursery: Nursery, order: Order) -> int:
    """Let a worker work, and return its exit code."""
    nursery.start(order)
    return await asyncio.to_thread(nursery.wait)


KINDS: Sequence[PointKind] = ("append", "effect")
LEAST = {"append": 20, "claim": 3, "effect": 12}
"""So many points of each kind a run has at least."""
EVERY = (
    Point(kind="append", number=1, is_before=True),
    Point(kind="append", number=1),
    Point(kind="claim", number=1),
    Point(kind="effect", number=1, is_before=True),
    Point(kind="effect", number=1),
)
SOON = [Point(kind=kind, number=number, is_before=is_before) for kind in KINDS for number in (2, 3, 4) for is_before in (True, False)]
SAMPLE: Sequence[Point] = (
    Point(kind="append", number=1),
    Point(kind="append", number=3, is_before=True),
    Point(kind="effect", number=4),
    Point(kind="effect", number=6, is_before=True),
    Point(kind="append", number=9),
    Point(kind="claim", number=2),
    Point(kind="effect", number=9),
    Point(kind="append", number=20, is_before=True),
)


OF_TWO: Sequence[tuple[Only, Point]] = (
    ("helper", Point(kind="effect", number=3)),
    ("helper", Point(kind="append", number=2)),
    ("parent", Point(kind="append", number=5)),
    ("parent", Point(kind="effect", number=5)),
)


async def test_a_run_that_nobody_disturbs_does_everything_once(place: Place, url: str) -> None:
    assert await kill_and_go_on(place, url) == 0


@pytest.mark.parametrize("point", SAMPLE, ids=str)
async def test_a_killed_run_goes_on_and_does_nothing_twice(place: Place, url: str, point: Point) -> None:
    assert await kill_and_go_on(place, url, point) == 1


@pytest.mark.parametrize(("only", "point"), OF_TWO, ids=str)
async def test_a_run_goes_on_when_another_s_child_or_parent_was_killed(place: Place, url: str, only: Only, point: Point) -> None:
    assert await kill_one_of_two(place, url, point, only)


async def test_a_run_that_is_killed_again_and_again_goes_on_and_does_nothing_twice(place: Place, url: str) -> None:
    assert await kill_and_go_on(place, url, *some_points(1)) > 2


@pytest.mark.full
@pytest.mark.parametrize("seed", range(2, 22))
async def test_a_run_is_killed_again_and_again_at_any_points(place: Place, url: str, seed: int) -> None:
    assert await kill_and_go_on(place, url, *some_points(seed)) > 0


def some_points(seed: int) -> list[Point]:
    """Return points that each worker comes to soon, so that most of them die."""
    chance = random.Random(seed)
    return [chance.choice([*EVERY, *SOON]) for _ in range(8)]


@pytest.mark.full
@pytest.mark.parametrize("first", EVERY, ids=str)
async def test_a_run_killed_at_any_point_goes_on_and_does_nothing_twice(place: Place, url: str, first: Point) -> None:
    point = first
    while await kill_and_go_on(place, url, point):
        point = point.model_copy(update={"number": point.number + 1})
    assert point.number > LEAST[point.kind]


@pytest.mark.full
@pytest.mark.parametrize("only", ["parent", "helper"])
@pytest.mark.parametrize("first", EVERY, ids=str)
async def test_a_run_goes_on_wherever_another_s_child_or_parent_was_killed(place: Place, url: str, only: Only, first: Point) -> None:
    point = first
    while await kill_one_of_two(place, url, point, only):
        point = point.model_copy(update={"number": point.number + 1})
    assert point.number > 1
