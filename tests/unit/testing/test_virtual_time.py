import asyncio
import threading
import time

import pytest

from agent_sdk.testing.virtual_time import START_US, CountingIds, Deadlock, SeededRandom, VirtualClock, run_virtual


def test_an_hour_of_sleep_takes_no_time() -> None:
    began_at = time.monotonic()

    async def sleep() -> tuple[int, float]:
        clock = VirtualClock()
        await clock.sleep(3600)
        return clock.now_us(), clock.monotonic()

    assert run_virtual(sleep()) == (START_US + 3_600_000_000, 3600.0)
    assert time.monotonic() - began_at < 5


def test_timers_fire_in_their_order() -> None:
    async def collect() -> list[tuple[float, str]]:
        clock, seen = VirtualClock(), list[tuple[float, str]]()

        async def note(name: str, delay_s: float) -> None:
            await clock.sleep(delay_s)
            seen.append((clock.monotonic(), name))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(note("late", 0.3))
            tasks.create_task(note("early", 0.1))
            tasks.create_task(note("middle", 0.2))
        return seen

    assert run_virtual(collect()) == [(0.1, "early"), (0.2, "middle"), (0.3, "late")]


def test_a_time_limit_passes_in_virtual_time() -> None:
    async def wait() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return VirtualClock().monotonic()

    assert run_virtual(wait()) == 60.0


def test_code_that_computes_lets_time_pass_without_a_suspension() -> None:
    async def compute() -> list[float]:
        clock, fired = VirtualClock(), list[float]()
        asyncio.get_running_loop().call_later(1, lambda: fired.append(clock.monotonic()))
        clock.advance(5)
        assert not fired
        await clock.sleep(0)
        return fired

    assert run_virtual(compute()) == [5.0]


def test_what_waits_for_nothing_is_a_deadlock_that_says_where() -> None:
    async def wait_forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"after 0 s nothing is ready.*\n- Task-\d+ at .*wait_forever, line \d+"):
        run_virtual(wait_forever())


def test_what_another_thread_brings_is_taken_before_time_passes() -> None:
    async def wait() -> float:
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        loop.call_soon_threadsafe(came.set)
        async with asyncio.timeout(1):
            await came.wait()
        return loop.time()

    assert run_virtual(wait()) == 0.0


async def test_a_virtual_clock_refuses_a_real_loop() -> None:
    with pytest.raises(TypeError, match="run_virtual"):
        VirtualClock().now_us()


def test_chance_is_the_same_for_the_same_seed() -> None:
    first, again = SeededRandom(7), SeededRandom(7)
    drawn = [first.uniform(1, 2) for _ in range(10)]
    assert drawn == [again.uniform(1, 2) for _ in range(10)]
    assert all(1 <= each <= 2 for each in drawn)


def test_names_are_counted() -> None:
    ids = CountingIds()
    assert [ids.run_id(), ids.run_id()] == ["run_1", "run_2"]


def test_another_thread_is_told_the_time_of_the_loop_that_asked_last() -> None:
    clock = VirtualClock()
    with pytest.raises(RuntimeError):
        clock.monotonic()

    async def main() -> float:
        await clock.sleep(7)
        return clock.monotonic()

    told: list[float] = []
    assert run_virtual(main()) == 7
    thread = threading.Thread(target=lambda: told.append(clock.monotonic()))
    thread.start()
    thread.join()
    assert told == [7]
