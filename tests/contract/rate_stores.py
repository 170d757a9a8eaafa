"""The stores of rate limits that the contract is tried on: one more is one more entry of `STORES`."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache

import pytest

from agent_sdk.core.rates import RateStore
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.postgres_rates import PostgresRates
from agent_sdk.storage.redis_rates import RedisRates
from agent_sdk.testing.postgres import PrivatePostgres
from agent_sdk.testing.redis import PrivateRedis, RedisMissing
from tests.contract.memory_rates import MemoryRates
from tests.contract.postgres_store import connected, empty_database

OpenStore = Callable[..., AbstractAsyncContextManager[RateStore]]


@asynccontextmanager
async def memory_rates(request: pytest.FixtureRequest, lease_s: float) -> AsyncGenerator[RateStore]:
    yield MemoryRates(SystemClock(), lease_s)


@asynccontextmanager
async def postgres_rates(request: pytest.FixtureRequest, lease_s: float) -> AsyncGenerator[PostgresRates]:
    server: PrivatePostgres = request.getfixturevalue("postgres")
    async with empty_database(server.url()) as url:
        store = await PostgresRates.open(url, lease_s=lease_s)
        try:
            yield store
        finally:
            await store.close()


@asynccontextmanager
async def redis_rates(request: pytest.FixtureRequest, lease_s: float) -> AsyncGenerator[RateStore]:
    with fresh_redis() as server:
        store = await RedisRates.open(server.url, lease_s=lease_s)
        try:
            yield store
        finally:
            await store.close()


def fresh_redis() -> PrivateRedis:
    """Return a server that is not started yet; the test is skipped where there is none to start."""
    server = PrivateRedis()
    if not _has_redis():
        pytest.skip("there is no redis-server on the path")
    return server


@lru_cache
def _has_redis() -> bool:
    try:
        with PrivateRedis():
            return True
    except RedisMissing:
        return False


STORES = [
    memory_rates,
    pytest.param(postgres_rates, marks=pytest.mark.slow),
    pytest.param(redis_rates, marks=[pytest.mark.slow, pytest.mark.redis]),
]

__all__ = ["STORES", "OpenStore", "connected", "empty_database", "fresh_redis"]
