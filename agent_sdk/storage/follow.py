"""Following a journal: readers that sleep until a bell rings. Who rings, and when, is known by the journals."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Hashable, Mapping
from contextlib import contextmanager

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal
from agent_sdk.core.run import ENDS

RunKey = tuple[TenantId, RunId]
MAIL = "mail"
"""The key of the bell that rings when an inbox may have become unread."""

_LAST = frozenset(f"run.{state}" for state in ENDS)


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

    def ring(self, key: Hashable) -> None:
        for bell in self._listeners.get(key, ()):
            bell.set()

    def ring_all(self) -> None:
        for listeners in self._listeners.values():
            for bell in listeners:
                bell.set()


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
