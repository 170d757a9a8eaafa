"""The database as the other parts use it: connections from a pool, and patience while it is away."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Self, TypeVar

from agent_sdk.storage.postgres.connect import Address, Connection, Pool, Row, open_pool
from agent_sdk.storage.postgres.failures import FAILURES, closed, is_crowded, is_refused, passes, translated

T = TypeVar("T")

PATIENCE_S = 20.0
"""For how long one tries again: a server that restarts is back before that."""
_CLOSE_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


class Database:
    """A pool of connections to one address."""

    def __init__(self, address: Address, pool: Pool, *, patience_s: float = PATIENCE_S) -> None:
        self.address = address
        self._pool = pool
        self._patience_s = patience_s
        self._is_closed = False
        self.when_crowded: Callable[[], None] = lambda: None
        """Called where no connection was free: whoever holds one that can be spared lets go of it."""

    @classmethod
    async def open(cls, address: Address, *, patience_s: float = PATIENCE_S) -> Self:
        """Connect once; only a server that says that it is starting is waited for.

        Raises:
            StorageError: it cannot be reached. ConfigError: it lets nobody in this way.
        """
        pool = await patient(lambda _: open_pool(address), address, patience_s=patience_s, is_over=is_refused)
        return cls(address, pool, patience_s=patience_s)

    async def perform(self, work: Callable[[Connection, int], Awaitable[T]]) -> T:
        """Do `work` on a connection; where that is lost, on another. The second argument counts the tries before this one.

        Raises:
            StorageError: the database failed, or stayed away for longer than one waits.
        """

        async def attempt(tries: int) -> T:
            if self._is_closed:
                raise closed(self.address.name)
            try:
                async with self._pool.acquire() as connection:
                    return await work(connection, tries)
            except FAILURES as error:
                if is_crowded(error):
                    self.when_crowded()
                raise

        return await patient(attempt, self.address, patience_s=self._patience_s, is_over=lambda _: self._is_closed)

    async def fetch(self, query: str, *args: object) -> list[Row]:
        """Return a statement's rows. It may be performed twice, so it must be one that may."""
        return await self.perform(lambda connection, _: connection.fetch(query, *args))

    async def close(self) -> None:
        """Let what is under way end, for a while, and close all connections."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._pool.close()
        except FAILURES:
            with suppress(*FAILURES):
                self._pool.terminate()


async def patient(
    attempt: Callable[[int], Awaitable[T]], address: Address, *, patience_s: float, is_over: Callable[[Exception], bool]
) -> T:
    """Try until it succeeds, fails for good, `is_over` says so, or `patience_s` have passed; errors come out as ours."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    for tries in count():
        try:
            return await attempt(tries)
        except FAILURES as error:
            if not passes(error) or is_over(error) or loop.time() > deadline:
                raise translated(error, address.name) from error
        await asyncio.sleep(min(_FIRST_PAUSE_S * 2**tries, _LONGEST_PAUSE_S))
    raise closed(address.name)
