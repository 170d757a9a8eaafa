"""Rate limits within one process, exact under its threads, event loops and tasks, and first come, first served at every limit.

No library does this: aiolimiter belongs to one event loop and takes nothing back; pyrate-limiter and limits let each waiter try again by
itself, in no order, and know neither tokens that are settled later nor calls under way.
"""

import asyncio
from itertools import count
from threading import RLock
from typing import ClassVar

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ports import Clock
from agent_sdk.core.rates import Permit, RateLimit
from agent_sdk.llm.rate_queue import Gate, Waiter
from agent_sdk.llm.rate_window import FOR_A_PLACE

MAX_WAITERS = 10_000
MAX_WAIT_S = 120.0


class RateLimitFull(ModelError):
    """A rate limit of our own has no room, and too many wait for it or the wait is too long. Nothing was sent."""

    code = "rate_limit_full"
    default_hint: ClassVar[str | None] = "raise the limit, ask less at once, or add a fallback model"


class RateLimitUnknown(ModelError):
    """The store that keeps the rate limits is away, so nobody knows whether there is room. Nothing was sent."""

    code = "rate_limit_unknown"
    retryable = True


class LocalLimiter:
    """Keeps all limits of this process, and lets a call through when every one of its limits has room.

    A call waits in the queue of one limit that has no room, and stands in nobody's way elsewhere: a tenant that has used up its own share
    holds up no other tenant. At a limit nobody overtakes, so a large call is not starved by small ones. `max_waiters` may wait at a limit,
    for `max_wait_s` each.
    """

    def __init__(self, clock: Clock, *, max_waiters: int = MAX_WAITERS, max_wait_s: float = MAX_WAIT_S) -> None:
        self._clock = clock
        self._max_waiters = max_waiters
        self._max_wait_s = max_wait_s
        self._lock = RLock()  # what a dropped coroutine gives back may come while the same thread holds it
        self._gates: dict[str, Gate] = {}
        self._sweep_at = 1024
        self._numbers = count()
        self._now = 0

    async def take(self, limits: tuple[RateLimit, ...], tokens: int) -> Permit:
        """Wait for room in all limits and take it at once from all of them.

        Raises:
            RateLimitFull: too many wait already, or the wait is too long.
        """
        with self._lock:
            now = self._time()
            gates = tuple([self._gate(limit) for limit in limits])
            blocked = _blocked(gates, now, tokens, None)
            if blocked is None:
                return _grant(gates, limits, now, tokens)
            waiter = self._park(limits, tokens, gates, blocked)
        return await self._wait(waiter)

    async def settle(self, permit: Permit, tokens: int | None) -> None:
        limits, taken, taken_at, _ = permit
        with self._lock:
            now = self._time()
            for limit in limits:
                gate = self._gates[limit.name]
                gate.window.settle(now, taken_at, taken, tokens)
                if gate.waiting:
                    self._serve(gate, now)

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        with self._lock:
            self._gate(limit).window.pause(self._time(), for_s)

    def _time(self) -> int:
        """Return microseconds that never go back, whatever the clock does."""
        now = int(self._clock.monotonic() * 1_000_000)
        self._now = max(self._now, now)
        return self._now

    def _gate(self, limit: RateLimit) -> Gate:
        gate = self._gates.get(limit.name)
        if gate is None:
            if len(self._gates) >= self._sweep_at:
                self._sweep()
            gate = self._gates[limit.name] = Gate(limit)
        elif gate.window.limit is not limit and gate.window.limit != limit:
            gate.window.resize(limit)
        return gate

    def _sweep(self) -> None:
        """Forget limits, as of tenants that came once, that hold nothing any more."""
        for name, gate in list(self._gates.items()):
            gate.window.wait_us(self._now, 0)
            if gate.is_idle:
                del self._gates[name]
        self._sweep_at = max(1024, 2 * len(self._gates))

    def _park(self, limits: tuple[RateLimit, ...], tokens: int, gates: tuple[Gate, ...], blocked: tuple[Gate, int]) -> Waiter:
        gate, wait_us = blocked
        if gate.waiting >= self._max_waiters:
            raise _full(f"{gate.waiting:,} calls wait already for the rate limit {gate.window.limit.name}", wait_us)
        if wait_us > self._max_wait_s * 1_000_000:
            raise _full(self._too_long(gate), wait_us)
        loop = asyncio.get_running_loop()
        waiter = Waiter(next(self._numbers), gates, limits, tokens, loop, loop.create_future())
        waiter.enter()
        gate.push(waiter)
        if gate.head() is waiter:
            self._set_alarm(gate, waiter, wait_us)
        return waiter

    async def _wait(self, waiter: Waiter) -> Permit:
        gate = waiter.at or waiter.gates[0]
        permit: Permit | None = None
        try:
            async with asyncio.timeout(self._max_wait_s):
                await waiter.turn
            permit = waiter.permit
        except TimeoutError:
            gate, permit = waiter.at or gate, waiter.permit  # it may have come at the last moment
        finally:
            if permit is None:
                self._abandon(waiter)
        if permit is None:
            raise _full(self._too_long(gate))
        return permit

    def _abandon(self, waiter: Waiter) -> None:
        """Give up the waiter's place, or what it was given in the meantime, and let those behind it go on."""
        with self._lock:
            now = self._time()
            if waiter.at is not None:
                gate = waiter.at
                gate.forget(waiter)
                waiter.leave()
                self._serve(gate, now)
            elif waiter.permit is not None:
                for gate in waiter.gates:
                    gate.window.void(waiter.permit.at_us, waiter.tokens)
                for gate in waiter.gates:
                    self._serve(gate, now)

    def _serve(self, gate: Gate, now: int) -> None:
        """Let through whoever may go on, from the head of the queue; who has to wait elsewhere waits there, by age."""
        while (waiter := gate.head()) is not None:
            blocked = _blocked(waiter.gates, now, waiter.tokens, waiter)
            if blocked is not None and blocked[0] is gate:
                self._set_alarm(gate, waiter, blocked[1])
                return
            gate.pop()
            if waiter.loop.is_closed():
                waiter.leave()
                continue
            if blocked is None:
                waiter.leave()
                waiter.permit = _grant(waiter.gates, waiter.limits, now, waiter.tokens)
                self._call(waiter)
                continue
            other, wait_us = blocked
            other.push(waiter)
            if other.head() is waiter:
                self._set_alarm(other, waiter, wait_us)

    def _call(self, waiter: Waiter) -> None:
        if waiter.loop is _running():
            _wake(waiter.turn)
        else:
            waiter.loop.call_soon_threadsafe(_wake, waiter.turn)

    def _set_alarm(self, gate: Gate, head: Waiter, wait_us: int) -> None:
        """See to it that the queue is looked at again when its head may go on; one timer serves all who wait behind it."""
        if wait_us == FOR_A_PLACE:
            return
        at = self._now + wait_us
        if gate.alarm is not None and gate.alarm[0] <= at and gate.alarm[1] is head.loop:
            return
        gate.alarm = (at, head.loop)
        if head.loop is _running():
            head.loop.call_later(wait_us / 1_000_000, self._ring, gate, gate.alarm)
        else:
            head.loop.call_soon_threadsafe(head.loop.call_later, wait_us / 1_000_000, self._ring, gate, gate.alarm)

    def _ring(self, gate: Gate, alarm: tuple[int, asyncio.AbstractEventLoop]) -> None:
        with self._lock:
            if gate.alarm == alarm:
                gate.alarm = None
            self._serve(gate, self._time())

    def _too_long(self, gate: Gate) -> str:
        return f"the rate limit {gate.window.limit.name} has no room within {self._max_wait_s:g} s"


def _blocked(gates: tuple[Gate, ...], now: int, tokens: int, waiter: Waiter | None) -> tuple[Gate, int] | None:
    """Return the first gate where the call must wait, for room or behind somebody, and for how long at least; None where all are open."""
    for gate in gates:
        wait_us = gate.window.wait_us(now, tokens)
        if wait_us:
            return gate, wait_us
        if gate.waiting and (head := gate.head()) is not None and head is not waiter and (waiter is None or head < waiter):
            return gate, FOR_A_PLACE
    return None


def _grant(gates: tuple[Gate, ...], limits: tuple[RateLimit, ...], now: int, tokens: int) -> Permit:
    for gate in gates:
        gate.window.take(now, tokens)
    return Permit(limits, tokens, now)


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _full(why: str, wait_us: int = 0) -> RateLimitFull:
    return RateLimitFull(why, retry_after_s=max(1.0, wait_us / 1_000_000))


def _running() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of this thread; None where a coroutine is dropped outside of any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
