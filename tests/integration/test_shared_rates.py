"""Several real processes under the same limits, through Postgres and through Redis."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agent_sdk.core.errors import StorageError
from agent_sdk.core.rates import Permit, RateLimit
from agent_sdk.llm.circuit import BreakerPolicy, Circuit
from agent_sdk.llm.failures import CircuitOpen
from agent_sdk.llm.shared_limiter import SharedLimiter
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.postgres_rates import PostgresRates
from agent_sdk.storage.redis_rates import RedisRates
from tests.contract.postgres_store import connected
from tests.contract.rate_stores import fresh_redis
from tests.integration.rate_hammer import PERIOD_S, PLACES, REQUESTS, TOKENS

pytestmark = [pytest.mark.slow, pytest.mark.alone]
_PROGRAM = Path(__file__).with_name("rate_hammer.py")
_ROOT = Path(__file__).parents[2]


def hammer(url: str, processes: int, calls: int) -> list[tuple[float, float, int]]:
    """Let processes ask side by side; return of each call when it was let through, at the earliest and at the latest, and its tokens."""
    command = [sys.executable, str(_PROGRAM), url, str(calls)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, env={"PYTHONPATH": str(_ROOT)}) for _ in range(processes)]
    told = [json.loads(each.communicate(timeout=60)[0]) for each in running]
    assert [each.returncode for each in running] == [0] * processes
    held: list[tuple[float, float]] = [(began, ended) for each in told for began, ended in each["held"]]
    assert max(sum(began <= at < ended for began, ended in held) for at, _ in held) <= PLACES
    return [(began, ended, tokens) for each in told for began, ended, tokens in each["granted"]]


def most_surely_within(granted: list[tuple[float, float, int]], period_s: float) -> tuple[int, int]:
    """Return how many requests and tokens, at the most, were let through within one window of the period, whenever it begins."""
    requests = tokens = 0
    for start, _, _ in granted:
        within = [amount for began, ended, amount in granted if began >= start and ended < start + period_s]
        requests, tokens = max(requests, len(within)), max(tokens, sum(within))
    return requests, tokens


def check(url: str) -> None:
    granted = hammer(url, processes=4, calls=15)
    assert len(granted) == 60
    requests, tokens = most_surely_within(granted, PERIOD_S)
    assert requests <= REQUESTS
    assert tokens <= TOKENS
    span_s = max(ended for _, ended, _ in granted) - min(began for began, _, _ in granted)
    assert span_s < 10 * PERIOD_S  # five periods are needed; nobody starves, and little is left unused


async def test_rate_limit_linearizable_over_processes_through_postgres(postgres_url: str) -> None:
    store = await PostgresRates.open(postgres_url)
    await store.close()
    check(postgres_url)


@pytest.mark.redis
def test_rate_limit_linearizable_over_processes_through_redis() -> None:
    with fresh_redis() as server:
        check(server.url)


@pytest.fixture
async def rates(postgres_url: str) -> AsyncGenerator[PostgresRates]:
    store = await PostgresRates.open(postgres_url, patience_s=0.2)
    yield store
    await store.close()


async def test_a_clock_that_was_put_back_neither_blocks_for_ever_nor_lets_more_through(postgres_url: str, rates: PostgresRates) -> None:
    limit = RateLimit("minute", requests=2)
    assert await rates.take(Permit((limit,), 0, id="a"), "me") == 0
    async with connected(postgres_url) as connection:
        await connection.execute("UPDATE agent_sdk.rate_used SET slot = slot + 3600")
        await connection.execute("UPDATE agent_sdk.rates SET paused_until = agent_sdk.now_us() + 86400000000")
    assert await rates.take(Permit((limit,), 0, id="b"), "me") <= 3600
    async with connected(postgres_url) as connection:
        await connection.execute("UPDATE agent_sdk.rates SET paused_until = 0")
    assert await rates.take(Permit((limit,), 0, id="b"), "me") == 0
    assert 58 <= await rates.take(Permit((limit,), 0, id="c"), "me") <= 61


async def test_a_waiter_that_is_cancelled_while_the_store_is_asked_loses_nothing(rates: PostgresRates) -> None:
    limiter = SharedLimiter(rates)
    one = (RateLimit("one", concurrency=1),)
    for delay_s in (0.0, 0.0005, 0.001, 0.002, 0.004):
        try:
            async with asyncio.timeout(delay_s):
                permit = await limiter.take(one, 0)
        except TimeoutError:
            continue
        await limiter.settle(permit, None)
    async with asyncio.timeout(1):
        await limiter.settle(await limiter.take(one, 0), None)


async def test_a_circuit_that_one_process_opens_is_open_in_all(rates: PostgresRates, postgres_url: str) -> None:
    other = await PostgresRates.open(postgres_url)
    policy = BreakerPolicy(failures=1, open_s=0.3)
    mine, theirs = Circuit("m at x", policy, SystemClock(), rates), Circuit("m at x", policy, SystemClock(), other)
    await mine.leave(await mine.enter(), is_up=False)
    with pytest.raises(CircuitOpen):
        await theirs.enter()
    await asyncio.sleep(0.31)
    probe = await theirs.enter()
    assert probe is not None
    with pytest.raises(CircuitOpen):
        await mine.enter()
    await theirs.leave(probe, is_up=None)
    probe = await mine.enter()
    await mine.leave(probe, is_up=False)
    await asyncio.sleep(0.31)
    probe = await mine.enter()
    await mine.leave(probe, is_up=True)
    assert await rates.look("m at x") is None
    await other.close()


async def test_redis_that_is_not_there_is_said_without_its_password() -> None:
    with pytest.raises(StorageError) as caught:
        await RedisRates.open("redis://me:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)
    assert "redis://127.0.0.1:1/0" in str(caught.value)


async def test_many_waiters_ask_the_store_through_one(rates: PostgresRates) -> None:
    limiter = SharedLimiter(rates, max_wait_s=20)
    one = (RateLimit("one", concurrency=1),)
    began = time.process_time()
    held = await limiter.take(one, 0)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(limiter.take(one, 0)) for _ in range(5000)]
        await asyncio.sleep(1)
        for each in waiting:
            each.cancel()
        await limiter.settle(held, None)
    await limiter.settle(await limiter.take(one, 0), None)
    assert time.process_time() - began < 20  # half a second; a statement for each waiter would take minutes
