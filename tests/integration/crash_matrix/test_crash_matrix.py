"""A worker is killed at every append, claim and effect of a run; another goes on, loses nothing, and does nothing twice."""

import asyncio
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
from tests.integration.deadly import Point

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


async def kill_and_go_on(place: Place, url: str, point: Point | None) -> bool:
    """Kill a worker at the point, let another go on, check all, and return whether the first was killed."""
    order = an_order(place, url, point)
    person = Person(place.counter)
    async with told_of(order), Runtime.open(url, app=NOBODY, tenant=order.tenant) as runtime:
        wreck = Wreck()
        async with asyncio.TaskGroup() as tasks:
            attending = tasks.create_task(person.attend(runtime))
            is_killed = await over(place.nursery, order) == -9
            if is_killed:
                wreck = await look_at_wreck(runtime, place.counter)
                assert await over(place.nursery, order.model_copy(update={"point": None})) == 0
            attending.cancel()
        await check_ended(runtime, person, wreck)
    return is_killed


async def kill_one_of_two(place: Place, url: str, point: Point, only: Only) -> bool:
    """Let one worker perform the run and another its child, kill one of them, and let a third take its place."""
    doomed = an_order(place, url, point).model_copy(update={"only": only})
    other = doomed.model_copy(update={"only": "helper" if only == "parent" else "parent", "point": None})
    person = Person(place.counter)
    async with told_of(doomed), Runtime.open(url, app=NOBODY, tenant=doomed.tenant) as runtime, asyncio.TaskGroup() as tasks:
        attending = tasks.create_task(person.attend(runtime))
        beside = tasks.create_task(over(place.other, other))
        is_killed = await over(place.nursery, doomed) == -9
        wreck = await look_at_wreck(runtime, place.counter)
        if is_killed:
            assert await over(place.nursery, doomed.model_copy(update={"point": None})) == 0
        assert await beside == 0
        attending.cancel()
        await check_ended(runtime, person, wreck)
    return is_killed


def an_order(place: Place, url: str, point: Point | None) -> Order:
    return Order(journal=url, tenant=f"t{next(_numbers)}", counter=place.counter, lease_s=LEASE_S, point=point)


@asynccontextmanager
async def told_of(order: Order) -> AsyncGenerator[None]:
    """Say of an error at which point it came."""
    try:
        yield
    except Exception as error:
        error.add_note(f"killed {order.point}, tenant {order.tenant}")
        raise


async def over(nursery: Nursery, order: Order) -> int:
    """Let a worker work, and return its exit code."""
    nursery.start(order)
    return await asyncio.to_thread(nursery.wait)


LEAST = {"append": 20, "claim": 3, "effect": 12}
"""So many points of each kind a run has at least."""
EVERY = (
    Point(kind="append", number=1, is_before=True),
    Point(kind="append", number=1),
    Point(kind="claim", number=1),
    Point(kind="effect", number=1, is_before=True),
    Point(kind="effect", number=1),
)
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
    assert not await kill_and_go_on(place, url, None)


@pytest.mark.slow
@pytest.mark.parametrize("point", SAMPLE, ids=str)
async def test_a_killed_run_goes_on_and_does_nothing_twice(place: Place, url: str, point: Point) -> None:
    assert await kill_and_go_on(place, url, point)


@pytest.mark.slow
@pytest.mark.parametrize(("only", "point"), OF_TWO, ids=str)
async def test_a_run_goes_on_when_another_s_child_or_parent_was_killed(place: Place, url: str, only: Only, point: Point) -> None:
    assert await kill_one_of_two(place, url, point, only)


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("first", EVERY, ids=str)
async def test_a_run_killed_at_any_point_goes_on_and_does_nothing_twice(place: Place, url: str, first: Point) -> None:
    point = first
    while await kill_and_go_on(place, url, point):
        point = point.model_copy(update={"number": point.number + 1})
    assert point.number > LEAST[point.kind]


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("only", ["parent", "helper"])
@pytest.mark.parametrize("first", EVERY, ids=str)
async def test_a_run_goes_on_wherever_another_s_child_or_parent_was_killed(place: Place, url: str, only: Only, first: Point) -> None:
    point = first
    while await kill_one_of_two(place, url, point, only):
        point = point.model_copy(update={"number": point.number + 1})
    assert point.number > 1
