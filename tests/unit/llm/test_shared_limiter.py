"""The queue of one process before a store that many share."""

import asyncio
import logging

import pytest

from agent_sdk.core.errors import StorageError
from agent_sdk.core.rates import Permit, RateLimit
from agent_sdk.llm.rate_limiter import RateLimitFull, RateLimitUnknown
from agent_sdk.llm.shared_limiter import SharedLimiter
from agent_sdk.testing import VirtualClock, run_virtual
from tests.contract.memory_rates import MemoryRates

ONE = (RateLimit("one", concurrency=1),)
FEW = (RateLimit("few", requests=3),)


def made(max_waiters: int = 100_000, max_wait_s: float = 1e6) -> tuple[SharedLimiter, MemoryRates]:
    store = MemoryRates(VirtualClock(), lease_s=1e9)
    return SharedLimiter(store, max_waiters=max_waiters, max_wait_s=max_wait_s), store


def test_who_comes_first_is_served_first() -> None:
    async def scene() -> None:
        limiter, _ = made()
        order: list[int] = []

        async def call(number: int) -> None:
            permit = await limiter.take(ONE, 0)
            order.append(number)
            await asyncio.sleep(1)
            await limiter.settle(permit, None)

        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(call(number))
        assert order == list(range(10))
        assert asyncio.get_running_loop().time() == pytest.approx(10)

    run_virtual(scene())


def test_only_the_head_of_a_queue_asks_the_store() -> None:
    async def scene() -> None:
        limiter, store = made()
        held = await limiter.take(ONE, 0)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(limiter.take(ONE, 0)) for _ in range(10_000)]
            await asyncio.sleep(10)
            assert store.asked < 250
            for each in waiting:
                each.cancel()
        await limiter.settle(held, None)
        await limiter.take(ONE, 0)

    run_virtual(scene())


def test_a_head_that_is_cancelled_leaves_its_place_to_the_next_or_to_other_processes() -> None:
    async def scene() -> None:
        limiter, store = made()
        held = await limiter.take(ONE, 0)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(limiter.take(ONE, 0))
            await asyncio.sleep(1)
            assert store.queues["one"]
            waiting.cancel()
        assert not store.queues["one"]
        await limiter.settle(held, None)

    run_virtual(scene())


def test_too_many_and_too_long_are_told() -> None:
    async def scene() -> None:
        limiter, _ = made(max_waiters=2, max_wait_s=30)
        for _ in range(3):
            await limiter.take(FEW, 0)
        with pytest.raises(RateLimitFull, match="within 30 s") as caught:
            await limiter.take(FEW, 0)
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s > 59
        await limiter.take(ONE, 0)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(limiter.take(ONE, 0)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(RateLimitFull, match="2 calls wait already"):
                await limiter.take(ONE, 0)
            for each in waiting:
                each.cancel()
        with pytest.raises(RateLimitFull, match="within 30 s"):
            await limiter.take(ONE, 0)

    run_virtual(scene())


def test_a_pause_is_for_all_processes() -> None:
    async def scene() -> None:
        limiter, store = made()
        await SharedLimiter(store).pause(FEW[0], 7)
        await limiter.take(FEW, 0)
        assert asyncio.get_running_loop().time() >= 7

    run_virtual(scene())


class Broken(MemoryRates):
    """A store that cannot be reached any more."""

    async def take(self, permit: Permit, holder: str) -> float:
        raise StorageError("away")

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        raise StorageError("away")


async def test_a_store_that_is_away_is_an_error_before_a_call_and_a_line_in_the_log_after_it(caplog: pytest.LogCaptureFixture) -> None:
    limiter = SharedLimiter(Broken(VirtualClock()))
    with pytest.raises(RateLimitUnknown, match="not known: away"), caplog.at_level(logging.WARNING):
        await limiter.take(FEW, 0)
    await limiter.settle(Permit(FEW, 0, id="a"), 5)
    assert "comes back by itself: away" in caplog.text


class Silent(MemoryRates):
    """A store that nobody hears of any more."""

    async def take(self, permit: Permit, holder: str) -> float:
        return float(await asyncio.Event().wait())


def test_a_store_that_gives_no_answer_is_not_taken_for_a_limit_without_room() -> None:
    async def scene() -> None:
        limiter = SharedLimiter(Silent(VirtualClock(), lease_s=1e9), max_wait_s=10)

        async def refused() -> None:
            with pytest.raises(RateLimitUnknown, match="no answer within 10 s") as caught:
                await limiter.take(ONE, 0)
            assert "rate_store" in (caught.value.hint or "")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(refused())

    run_virtual(scene())


class Flaky(MemoryRates):
    """A store that is away for a while."""

    is_away = False

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        if self.is_away:
            raise StorageError("away")
        await super().settle(permit, tokens, is_void=is_void)


def test_what_a_store_was_not_told_while_it_was_away_is_told_once_it_answers() -> None:
    async def scene() -> None:
        store = Flaky(VirtualClock(), lease_s=1e9)
        limiter = SharedLimiter(store, max_wait_s=10)
        permit = await limiter.take(ONE, 0)
        store.is_away = True
        await limiter.settle(permit, 0)
        store.is_away = False
        await limiter.settle(await limiter.take(ONE, 0), 0)

    run_virtual(scene())


class Deaf(MemoryRates):
    """Hears no word that something ended, while `is_deaf`."""

    is_deaf = False

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        if self.is_deaf:
            await asyncio.Event().wait()
        await super().settle(permit, tokens, is_void=is_void)


def test_a_call_that_is_cancelled_while_it_gives_back_still_does() -> None:
    async def scene() -> None:
        store = Deaf(VirtualClock(), lease_s=1e9)
        limiter = SharedLimiter(store, max_wait_s=60)
        held = await limiter.take(ONE, 0)
        store.is_deaf = True
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(limiter.settle(held, None))
            waiting = tasks.create_task(limiter.take(ONE, 0))
            for each in (ending, waiting):
                await asyncio.sleep(1)
                each.cancel()
            await asyncio.sleep(1)
            waiting.cancel()
        store.is_deaf = False
        await limiter.settle(await limiter.take(ONE, 0), None)
        assert asyncio.get_running_loop().time() < 10
        assert store.taken == {}

    run_virtual(scene())
