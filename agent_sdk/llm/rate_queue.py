"""Who waits at one limit of this process, in order of arrival; cancelled waiters are left where they are until they come up."""

import asyncio
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from agent_sdk.core.rates import Permit, RateLimit
from agent_sdk.llm.rate_window import RateWindow


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits for room in all of `gates`; it stands in the queue of one that has none."""

    number: int
    gates: tuple["Gate", ...]
    limits: tuple[RateLimit, ...]
    tokens: int
    loop: asyncio.AbstractEventLoop
    turn: asyncio.Future[None]
    permit: Permit | None = None
    is_gone: bool = False
    at: "Gate | None" = None

    def __lt__(self, other: "Waiter") -> bool:
        return self.number < other.number

    def enter(self) -> None:
        """Keep all gates from being forgotten while this one waits."""
        for gate in self.gates:
            gate.wanted += 1

    def leave(self) -> None:
        for gate in self.gates:
            gate.wanted -= 1


class Gate:
    """One limit, with those who wait for it.

    `waiting` counts those in its queue, `wanted` those who need it, wherever they wait. `alarm` is when, and in whose loop, its head is
    looked at again.
    """

    __slots__ = ("_gone", "_queue", "alarm", "waiting", "wanted", "window")

    def __init__(self, limit: RateLimit) -> None:
        self.window = RateWindow(limit)
        self.waiting = 0
        self.wanted = 0
        self.alarm: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._queue: list[Waiter] = []
        self._gone = 0

    @property
    def is_idle(self) -> bool:
        return not self.wanted and self.window.is_idle

    def head(self) -> Waiter | None:
        queue = self._queue
        while queue and queue[0].is_gone:
            heappop(queue)
            self._gone -= 1
        return queue[0] if queue else None

    def push(self, waiter: Waiter) -> None:
        heappush(self._queue, waiter)
        self.waiting += 1
        waiter.at = self

    def pop(self) -> None:
        """Let the head go on."""
        heappop(self._queue).at = None
        self.waiting -= 1

    def forget(self, waiter: Waiter) -> None:
        waiter.is_gone, waiter.at = True, None
        self.waiting -= 1
        self._gone += 1
        if self._gone > 64 and self._gone > self.waiting:
            self._queue = [each for each in self._queue if not each.is_gone]
            heapify(self._queue)
            self._gone = 0
