"""Following a journal: readers that sleep until a bell rings. Who rings, and when, is known by the journals."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Hashable, Iterable, Mapping
from contextlib import contextmanager, suppress

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Clock, Journal
from agent_sdk.core.run import ENDS

RunKey = tuple[TenantId, RunId]
MAIL = "mail"
"""The key of the bell that rings when an inbox may have become unread."""
DUE = "due"
"""The key of the bell that rings when a run may have become due."""

_LAST = frozenset(f"run.{state}" for state in ENDS)
_SHORTEST_S = 0.001


class Bells:
    """Wakes those who wait for a key. It belongs to one event loop, and rings in its thread alone."""

    def __init__(self) -> None:
        self._listeners: dict[Hashable, list[asyncio.Event]] = {}

    def __bool__(self) -> bool:
        return bool(self._listeners)

    @contextmanager
    def listen(self, key: Hashable) -> Generator[asyncio.Event]:
        """Hand out an event that is set at each ring: clear it before you look, and nothing is missed."""
        bell = asyncio.Event()
        self._listeners.setdefault(key, []).append(bell)
        try:
            yield bell
        finally:
            listeners = self._listeners[key]
            listeners.remove(bell)
            if not listeners:
                del self._listeners[key]

    def keys(self) -> list[Hashable]:
        """Return what somebody listens to. This alone may be called from another thread."""
        return list(self._listeners)

    def ring(self, key: Hashable) -> None:
        for bell in self._listeners.get(key, ()):
            bell.set()

    def ring_each(self, keys: Iterable[Hashable]) -> None:
        for key in keys:
            self.ring(key)

    def ring_all(self) -> None:
        self.ring_each(self._listeners)


async def follow(journal: Journal, bells: Bells, key: RunKey, after: int) -> AsyncIterator[Envelope]:
    """Yield the events behind `after` as they come, up to and with the terminal one."""
    with bells.listen(key) as bell:
        row = await journal.row(*key)
        if row.state in ENDS and row.head <= after:
            return
        while True:
            bell.clear()
            page = await journal.read(*key, after=after)
            for envelope in page:
                yield envelope
                after = envelope.seq
                if envelope.type in _LAST:
                    return
            if not page:
                await bell.wait()


async def follow_mail(unread: Callable[[], Awaitable[Mapping[RunKey, int]]], bells: Bells) -> AsyncIterator[RunKey]:
    """Yield each run that `unread` names whenever the mark beside it, its inbox's head, is another than before."""
    told: Mapping[RunKey, int] = {}
    with bells.listen(MAIL) as bell:
        while True:
            bell.clear()
            found = await unread()
            for key, head in found.items():
                if told.get(key) != head:
                    yield key
            told = found
            await bell.wait()


@frozen
class Patience:
    """How long one waits for a due run, and how often one looks though no bell rang."""

    timeout_s: float
    look_s: float = float("inf")


async def await_due(next_at: Callable[[], Awaitable[int | None]], bells: Bells, clock: Clock, patience: Patience) -> None:
    """Return once the time that `next_at` names has come; it is asked anew at every ring."""
    with bells.listen(DUE) as bell, suppress(TimeoutError):
        async with asyncio.timeout(patience.timeout_s):
            while True:
                bell.clear()
                at = await next_at()
                until_s = (at - clock.now_us()) / 1e6 if at is not None else float("inf")
                if until_s <= 0:
                    return
                await _rung(bell, max(_SHORTEST_S, min(until_s, patience.look_s)))


async def _rung(bell: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s if timeout_s < float("inf") else None):
            await bell.wait()
