"""Rate limits that processes share through a store: a queue in each process, whose head alone asks the store."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent_sdk.core.errors import ModelError, StorageError
from agent_sdk.core.rates import Permit, RateLimit, RateStore
from agent_sdk.llm.rate_limiter import MAX_WAIT_S, MAX_WAITERS, RateLimitFull, RateLimitUnknown

_log = logging.getLogger("agent_sdk.llm")
_SOONEST_S, _LATEST_S = 0.01, 0.5
"""How often the head of a queue asks again: others may have given something back that the store did not foresee."""
_GIVE_BACK_S = 5.0
_SILENT_S = 1.0
"""For how long a store that answers may take its time."""
_MOST_OWED = 10_000


@dataclass(slots=True)
class _Lane:
    """Those in this process who wait for the same limits, in order of arrival; `silent_since` the store owes them an answer."""

    names: frozenset[str]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    silent_since: float | None = None


class SharedLimiter:
    """Belongs to one event loop. Whoever comes first in a process is served first there, and the store serves the processes in turn.

    `max_waiters` of this process may wait for the same limits, for `max_wait_s` each.
    """

    def __init__(self, store: RateStore, *, max_waiters: int = MAX_WAITERS, max_wait_s: float = MAX_WAIT_S) -> None:
        self._store = store
        self._max_waiters = max_waiters
        self._max_wait_s = max_wait_s
        self._process = secrets.token_hex(8)
        self._lanes: dict[tuple[str, ...], _Lane] = {}
        self._owed: list[tuple[Permit, int | None, bool]] = []

    async def take(self, limits: tuple[RateLimit, ...], tokens: int) -> Permit:
        """Wait for room in all limits and take it at once from all of them.

        Raises:
            RateLimitFull: too many wait already, or the wait is too long.
            RateLimitUnknown: the store failed.
        """
        permit = Permit(limits, tokens, id=secrets.token_hex(12))
        async with self._lane(limits) as lane:
            try:
                async with asyncio.timeout(self._max_wait_s), lane.turn:
                    await self._ask(permit, lane)
            except TimeoutError:
                raise self._too_late(permit, lane) from None
            except StorageError as error:
                raise RateLimitUnknown(f"what is left of the rate limits is not known: {error}", hint=error.hint) from error
        return permit

    async def settle(self, permit: Permit, tokens: int | None) -> None:
        await self._end(permit, tokens)
        names = {limit.name for limit in permit.limits}
        for lane in self._lanes.values():
            if not lane.names.isdisjoint(names):
                lane.freed.set()

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        await self._tell(self._store.pause(limit, for_s))

    @asynccontextmanager
    async def _lane(self, limits: tuple[RateLimit, ...]) -> AsyncGenerator[_Lane]:
        key = tuple([limit.name for limit in limits])
        lane = self._lanes.setdefault(key, _Lane(frozenset(key)))
        if lane.waiting >= self._max_waiters:
            raise RateLimitFull(f"{lane.waiting:,} calls wait already for the rate limits {', '.join(key)}", retry_after_s=1.0)
        lane.waiting += 1
        try:
            yield lane
        finally:
            lane.waiting -= 1
            if not lane.waiting:
                del self._lanes[key]

    async def _ask(self, permit: Permit, lane: _Lane) -> None:
        holder = f"{self._process}/{'/'.join(sorted(lane.names))}"
        until = asyncio.get_running_loop().time() + self._max_wait_s
        was_refused = is_taken = False
        try:
            while True:
                lane.freed.clear()
                lane.silent_since = lane.silent_since or asyncio.get_running_loop().time()
                wait_s = await self._store.take(permit, holder)
                lane.silent_since = None
                await self._repay()
                if not wait_s:
                    is_taken = True
                    return
                was_refused = True
                if asyncio.get_running_loop().time() + wait_s > until:
                    raise RateLimitFull(self._too_long(permit), retry_after_s=wait_s)
                await _first(lane.freed, within_s=min(max(wait_s, _SOONEST_S), _LATEST_S))
        finally:
            if not is_taken:
                await self._withdraw(permit, holder, is_last=was_refused and lane.waiting == 1)

    async def _withdraw(self, permit: Permit, holder: str, *, is_last: bool) -> None:
        """Give back what may have been taken while we were called off; whoever is next in the lane inherits its place at the store."""
        await self._end(permit, None, is_void=True)
        if is_last:
            await self._tell(self._store.leave(permit.limits, holder))

    async def _end(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        """Tell the store that the permit ended; where it does not hear of it, or whoever tells it is called off, it is told later."""
        is_told = False
        try:
            is_told = await self._tell(self._store.settle(permit, tokens, is_void=is_void))
        finally:
            if not is_told:
                self._owed = [*self._owed, (permit, tokens, is_void)][-_MOST_OWED:]

    async def _repay(self) -> None:
        """Give back, once the store answers again, what it was not told; to be told twice does no harm."""
        owed, self._owed = self._owed, []
        try:
            while owed:
                permit, tokens, is_void = owed[-1]
                if not await self._tell(self._store.settle(permit, tokens, is_void=is_void)):
                    return
                owed.pop()
        finally:
            self._owed += owed

    async def _tell(self, word: Awaitable[None]) -> bool:
        """Give something back, soon; where that fails, a reply that was paid for is worth more, and it is given back later."""
        try:
            async with asyncio.timeout(_GIVE_BACK_S):
                await word
        except (StorageError, TimeoutError) as error:
            said = str(error) or f"the store gave no answer within {_GIVE_BACK_S:g} s"
            _log.warning("a rate limit's share could not be given back, and comes back by itself: %s", said)
            return False
        return True

    def _too_late(self, permit: Permit, lane: _Lane) -> ModelError:
        """Return the error for a wait that was too long: for room, or for a word of the store."""
        if lane.silent_since is not None and asyncio.get_running_loop().time() - lane.silent_since > _SILENT_S:
            return RateLimitUnknown(
                f"what is left of the rate limits is not known: their store gave no answer within {self._max_wait_s:g} s",
                hint="look whether the server that the setting `rate_store` names, or else the journal's, runs and can be reached",
            )
        return RateLimitFull(self._too_long(permit), retry_after_s=1.0)

    def _too_long(self, permit: Permit) -> str:
        return f"the rate limits {', '.join(limit.name for limit in permit.limits)} have no room within {self._max_wait_s:g} s"


async def _first(event: asyncio.Event, *, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return
