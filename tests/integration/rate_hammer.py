"""A process that asks again and again under shared limits: `python rate_hammer.py URL CALLS`; prints when each call was let through at the
earliest and at the latest, and how many of this process were under way."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from agent_sdk.core.rates import Permit, RateLimit, RateStore
from agent_sdk.llm.shared_limiter import SharedLimiter

PERIOD_S = 0.6
REQUESTS, TOKENS, PLACES = 12, 500, 4
LIMITS = (
    RateLimit("model=m/requests", requests=REQUESTS, period_s=PERIOD_S),
    RateLimit("key=k/tokens", tokens=TOKENS, concurrency=PLACES, period_s=PERIOD_S),
)


class Watched:
    """A store that notes when a take began and ended that was granted."""

    def __init__(self, store: RateStore) -> None:
        self._store = store
        self.granted: list[tuple[float, float, int]] = []
        self.settled: list[tuple[float, float]] = []

    async def take(self, permit: Permit, holder: str) -> float:
        began = time.monotonic()
        wait_s = await self._store.take(permit, holder)
        if not wait_s:
            self.granted.append((began, time.monotonic(), permit.tokens))
        return wait_s

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        await self._store.settle(permit, tokens, is_void=is_void)

    async def leave(self, limits: Sequence[RateLimit], holder: str) -> None:
        await self._store.leave(limits, holder)

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        await self._store.pause(limit, for_s)

    async def close(self) -> None:
        await self._store.close()


async def open_store(url: str) -> RateStore:
    if url.startswith("redis"):
        from agent_sdk.storage.redis_rates import RedisRates  # noqa: PLC0415 - the other store's package is not needed

        return await RedisRates.open(url)
    from agent_sdk.storage.postgres_rates import PostgresRates  # noqa: PLC0415 - the same

    return await PostgresRates.open(url)


async def main(url: str, calls: int) -> None:
    store = Watched(await open_store(url))
    limiter = SharedLimiter(store)
    held: list[tuple[float, float]] = []

    async def call(number: int) -> None:
        permit = await limiter.take(LIMITS, 20 + number * 7 % 60)
        began = time.monotonic()
        await asyncio.sleep(0.01)
        held.append((began, time.monotonic()))
        await limiter.settle(permit, None)

    async with asyncio.TaskGroup() as tasks:
        for number in range(calls):
            tasks.create_task(call(number))
    await store.close()
    sys.stdout.write(json.dumps({"granted": store.granted, "held": held}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
