"""Rate limits within a process: windows without seams, queues in order, and what is given back."""

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings, strategies as st

from agent_sdk.core.rates import Permit, RateLimit
from agent_sdk.llm.rate_limiter import LocalLimiter, RateLimitFull
from agent_sdk.runtime.system import SystemClock
from agent_sdk.testing import VirtualClock, run_virtual

TEN = RateLimit("ten", requests=10)
TOKENS = RateLimit("tokens", tokens=100)
TWO = RateLimit("two", concurrency=2)


def limiter(max_waiters: int = 100_000, max_wait_s: float = 1e6) -> LocalLimiter:
    return LocalLimiter(VirtualClock(), max_waiters=max_waiters, max_wait_s=max_wait_s)


def most_in_a_window(taken: list[tuple[float, int]], period_s: float) -> int:
    """Return the largest sum of amounts in any window of the period, as (time, amount) were taken."""
    taken = sorted(taken)
    most = total = first = 0
    for at, amount in taken:
        total += amount
        while taken[first][0] <= at - period_s:
            total -= taken[first][1]
            first += 1
        most = max(most, total)
    return most


def test_what_fits_passes_at_once() -> None:
    async def scene() -> None:
        made = limiter()
        permits = [await made.take((TEN, TOKENS), 10) for _ in range(10)]
        assert asyncio.get_running_loop().time() == 0
        for permit in permits:
            await made.settle(permit, None)

    run_virtual(scene())


def test_the_next_one_waits_until_the_period_is_over_and_not_much_longer() -> None:
    async def scene() -> None:
        made = limiter()
        for _ in range(11):
            await made.take((TEN,), 0)
        assert 60 <= asyncio.get_running_loop().time() <= 61

    run_virtual(scene())


def test_tokens_that_were_not_used_come_back_and_those_used_beyond_are_taken() -> None:
    async def scene() -> None:
        made = limiter()
        first = await made.take((TOKENS,), 100)
        await made.settle(first, 40)
        second = await made.take((TOKENS,), 60)
        assert asyncio.get_running_loop().time() == 0
        await made.settle(second, 90)
        await asyncio.sleep(30)
        await made.take((TOKENS,), 1)
        assert asyncio.get_running_loop().time() >= 60

    run_virtual(scene())


def test_a_call_larger_than_the_limit_waits_for_all_of_it() -> None:
    async def scene() -> None:
        made = limiter()
        await made.take((TOKENS,), 1)
        await made.take((TOKENS,), 5000)
        assert 60 <= asyncio.get_running_loop().time() <= 61

    run_virtual(scene())


def test_a_place_is_free_when_a_call_ends() -> None:
    async def scene() -> None:
        made = limiter()
        one, _ = await made.take((TWO,), 0), await made.take((TWO,), 0)
        async with asyncio.TaskGroup() as tasks:
            third = tasks.create_task(made.take((TWO,), 0))
            await asyncio.sleep(5)
            assert not third.done()
            await made.settle(one, None)

    run_virtual(scene())


def test_nobody_is_overtaken_at_a_limit_however_large() -> None:
    async def scene() -> None:
        made = limiter()
        order: list[int] = []

        async def call(number: int, tokens: int) -> None:
            await made.take((TOKENS,), tokens)
            order.append(number)

        async with asyncio.TaskGroup() as tasks:
            for number, tokens in enumerate([90, 90, 1, 1, 50]):
                tasks.create_task(call(number, tokens))
        assert order == [0, 1, 2, 3, 4]

    run_virtual(scene())


def test_who_waits_for_a_limit_of_its_own_holds_up_nobody_else() -> None:
    mine, theirs = RateLimit("mine", concurrency=1), RateLimit("theirs", concurrency=1)

    async def scene() -> None:
        made = limiter()
        held = await made.take((mine, TEN), 0)
        async with asyncio.TaskGroup() as tasks:
            mine_again = tasks.create_task(made.take((mine, TEN), 0))
            await asyncio.sleep(1)
            await made.take((theirs, TEN), 0)
            assert asyncio.get_running_loop().time() == 1
            assert not mine_again.done()
            await made.settle(held, None)

    run_virtual(scene())


def test_who_moves_from_one_queue_to_another_keeps_its_age() -> None:
    place = RateLimit("place", concurrency=1)

    async def scene() -> None:
        made = limiter()
        order: list[str] = []

        async def call(name: str, limits: tuple[RateLimit, ...], tokens: int) -> None:
            await made.take(limits, tokens)
            order.append(name)

        held = await made.take((place, TOKENS), 50)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call("old", (place, TOKENS), 100))
            await asyncio.sleep(1)
            tasks.create_task(call("new", (TOKENS,), 60))
            await asyncio.sleep(1)
            await made.settle(held, None)
        assert order == ["old", "new"]

    run_virtual(scene())


def test_a_cancelled_waiter_gives_up_its_place_and_loses_nothing() -> None:
    async def scene() -> None:
        made = limiter()
        await made.take((TOKENS,), 50)
        async with asyncio.TaskGroup() as tasks:
            large = tasks.create_task(made.take((TOKENS,), 100))
            await asyncio.sleep(0)
            small = tasks.create_task(made.take((TOKENS,), 50))
            await asyncio.sleep(0)
            large.cancel()
            await small
        assert asyncio.get_running_loop().time() == 0

    run_virtual(scene())


def test_a_waiter_that_is_cancelled_as_its_turn_comes_gives_it_back() -> None:
    async def scene() -> None:
        made = limiter()
        held, _ = await made.take((TWO,), 0), await made.take((TWO,), 0)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(made.take((TWO,), 0))
            await asyncio.sleep(0)
            await made.settle(held, None)
            waiting.cancel()
        await made.take((TWO,), 0)

    run_virtual(scene())


def test_too_many_waiters_are_told_at_once() -> None:
    async def scene() -> None:
        made = limiter(max_waiters=1)
        await made.take((TWO,), 0)
        held = await made.take((TWO,), 0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(made.take((TWO,), 0))
            await asyncio.sleep(0)
            with pytest.raises(RateLimitFull, match="1 calls wait already for the rate limit two") as caught:
                await made.take((TWO,), 0)
            assert (caught.value.code, caught.value.retryable, caught.value.retry_after_s) == ("rate_limit_full", False, 1.0)
            await made.settle(held, None)

    run_virtual(scene())


def test_too_long_a_wait_ends_with_an_error_or_is_not_begun() -> None:
    async def scene() -> None:
        made = limiter(max_wait_s=30)
        loop = asyncio.get_running_loop()
        await made.take((TWO,), 0)
        await made.take((TWO,), 0)
        with pytest.raises(RateLimitFull, match="within 30 s"):
            await made.take((TWO,), 0)
        assert loop.time() == 30
        for _ in range(10):
            await made.take((TEN,), 0)
        with pytest.raises(RateLimitFull) as caught:
            await made.take((TEN,), 0)
        assert loop.time() == 30
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s >= 60

    run_virtual(scene())


def test_a_pause_holds_everybody_for_as_long() -> None:
    async def scene() -> None:
        made = limiter()
        await made.pause(TEN, 7)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(made.take((TEN,), 0))
        assert asyncio.get_running_loop().time() == 7

    run_virtual(scene())


def test_a_limit_may_be_changed_while_it_is_used() -> None:
    async def scene() -> None:
        made = limiter()
        for _ in range(10):
            await made.take((TEN,), 0)
        await made.take((RateLimit("ten", requests=11),), 0)
        assert asyncio.get_running_loop().time() == 0
        await made.take((RateLimit("ten", requests=11, period_s=1),), 0)
        assert 1 <= asyncio.get_running_loop().time() <= 2.1

    run_virtual(scene())


def test_limits_that_are_used_no_more_are_forgotten() -> None:
    async def scene() -> None:
        made = limiter()
        for number in range(3000):
            await made.settle(await made.take((RateLimit(f"tenant-{number}", concurrency=1),), 0), None)
            await asyncio.sleep(1)
        assert len(made._gates) <= 1100  # noqa: SLF001 - nothing else shows it  # pyright: ignore[reportPrivateUsage]  (the same)

    run_virtual(scene())


def test_a_clock_that_goes_back_lets_nothing_through_twice() -> None:
    class Jumping(SystemClock):
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    async def scene() -> None:
        clock = Jumping()
        made = LocalLimiter(clock, max_wait_s=1)
        for _ in range(10):
            await made.take((TEN,), 0)
        clock.now = 0.0
        with pytest.raises(RateLimitFull):
            await made.take((TEN,), 0)
        clock.now = 1061.0
        await made.take((TEN,), 0)

    run_virtual(scene())


def test_ten_thousand_waiters_cost_little_and_keep_their_order() -> None:
    async def scene() -> None:
        made = limiter()
        order: list[int] = []
        held = await made.take((RateLimit("one", concurrency=1),), 0)

        async def call(number: int) -> None:
            permit = await made.take((RateLimit("one", concurrency=1),), 0)
            order.append(number)
            await made.settle(permit, None)

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(call(number)) for number in range(10_000)]
            await asyncio.sleep(0)
            for number in range(0, 10_000, 2):
                running[number].cancel()
            await made.settle(held, None)
        assert order == list(range(1, 10_000, 2))

    began = time.process_time()
    run_virtual(scene())
    assert time.process_time() - began < 10  # a quarter of a second; polling would take minutes


call = st.tuples(st.integers(1, 120), st.floats(0, 3), st.integers(0, 120))


@settings(max_examples=60)
@given(st.lists(call, min_size=1, max_size=60))
def test_rate_limit_linearizable_under_tasks_no_window_of_any_beginning_holds_more_than_the_limit(
    calls: list[tuple[int, float, int]],
) -> None:
    limits = (RateLimit("t", tokens=150, period_s=5), RateLimit("r", requests=7, concurrency=3, period_s=2))
    taken: list[tuple[float, int]] = []
    under_way: list[int] = [0]

    async def ask(made: LocalLimiter, tokens: int, lasts_s: float, used: int) -> None:
        permit = await made.take(limits, tokens)
        taken.append((asyncio.get_running_loop().time(), tokens))
        under_way[0] += 1
        assert under_way[0] <= 3
        await asyncio.sleep(lasts_s)
        under_way[0] -= 1
        await made.settle(permit, max(tokens, used))

    async def scene() -> None:
        made = limiter()
        async with asyncio.TaskGroup() as tasks:
            for tokens, lasts_s, used in calls:
                tasks.create_task(ask(made, tokens, lasts_s, used))
                await asyncio.sleep(lasts_s / 10)

    run_virtual(scene())
    assert len(taken) == len(calls)
    assert most_in_a_window(taken, 5) <= 150
    assert most_in_a_window([(at, 1) for at, _ in taken], 2) <= 7


def hammer(work: Callable[[], Awaitable[None]], threads: int) -> None:
    """Run `work` in so many threads, each with an event loop of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        async def all_of_it() -> None:
            await work()

        try:
            asyncio.run(all_of_it())
        except BaseException as error:  # noqa: BLE001 - it is shown by the test's own thread
            failures.append(error)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert failures == []


def test_rate_limit_threads_never_pass_more_than_the_limit_in_any_window() -> None:
    made = LocalLimiter(SystemClock())
    limits = (RateLimit("r", requests=40, concurrency=5, period_s=0.1), RateLimit("t", tokens=900, period_s=0.1))
    taken: list[Permit] = []
    under_way: list[int] = []

    async def work() -> None:
        async def ask(number: int) -> None:
            permit = await made.take(limits, 10 + number % 40)
            taken.append(permit)
            under_way.append(1)
            assert len(under_way) <= 5
            await asyncio.sleep(0)
            under_way.pop()
            await made.settle(permit, None)

        async with asyncio.TaskGroup() as tasks:
            for number in range(25):
                tasks.create_task(ask(number))

    hammer(work, threads=8)
    assert len(taken) == 200
    assert most_in_a_window([(permit.at_us, 1) for permit in taken], 100_000) <= 40
    assert most_in_a_window([(permit.at_us, permit.tokens) for permit in taken], 100_000) <= 900


def test_rate_limit_threads_are_served_in_turn_and_cancelled_ones_lose_nothing() -> None:
    made = LocalLimiter(SystemClock())
    one = (RateLimit("one", concurrency=1),)
    ends: Counter[str] = Counter()

    async def work() -> None:
        async def ask(number: int) -> None:
            try:
                async with asyncio.timeout(0.001 if number % 3 == 0 else None):
                    permit = await made.take(one, 0)
            except TimeoutError:
                ends["cancelled"] += 1
                return
            await asyncio.sleep(0)
            ends["done"] += 1
            await made.settle(permit, None)

        async with asyncio.TaskGroup() as tasks:
            for number in range(60):
                tasks.create_task(ask(number))

    hammer(work, threads=4)
    assert ends.total() == 240
    asyncio.run(made.take(one, 0))


def test_rate_limit_threads_go_on_when_the_loop_of_a_waiter_is_gone() -> None:
    made = LocalLimiter(SystemClock())
    one = (RateLimit("one", concurrency=1),)
    held = asyncio.run(made.take(one, 0))
    loop = asyncio.new_event_loop()
    left = made.take(one, 0)
    waiting = loop.create_task(left)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    async def scene() -> None:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            mine = tasks.create_task(made.take(one, 0))
            await asyncio.sleep(0)
            await made.settle(held, None)
            await mine

    asyncio.run(scene())
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  (the point is a task that nobody ends)  # noqa: SLF001
    del waiting, left
    gc.collect()
