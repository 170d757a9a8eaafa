"""The token line: streamed tokens between processes, sent only where somebody is known to want them. What carries them is a wire."""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent_sdk.core.errors import OutsideError
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Clock, TokenDelta
from agent_sdk.dispatch.pieces import decode_pieces, encode_pieces, topic_of
from agent_sdk.dispatch.wire import Wire

INTEREST = "interest"
"""The topic on which each process says what it follows; an empty list asks the others to say it now."""
BEAT_S = 2.0
FORGET_S = 3 * BEAT_S
"""Interest that was not said again for so long is over."""
CAPACITY = 4096
"""Deltas that wait to be sent, or to be read by one reader; the oldest are dropped for newer ones."""
LAST_WORDS_S = 1.0
"""How long closing may take to send what waits."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Reader:
    deltas: deque[TokenDelta] = field(default_factory=lambda: deque[TokenDelta](maxlen=CAPACITY))
    news: asyncio.Event = field(default_factory=asyncio.Event)


class WireTokenLine:
    """The port `TokenLine` over a wire, made by `open`. It belongs to one event loop; a process has one, whatever it follows or performs.

    What is lost on the way, or dropped where a reader is slow, shows as a gap in the `index` of a step's deltas.
    """

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        self._wanted: dict[str, float] = {}
        self._outbox: deque[tuple[str, TokenDelta]] = deque(maxlen=CAPACITY)
        self._readers: dict[str, list[_Reader]] = {}
        self._listened: set[str] = set()
        self._news = asyncio.Event()
        self._beat_now = asyncio.Event()
        self._is_down = False
        self._is_closing = False
        self.dropped = 0
        """How many deltas were not sent, because the wire was down or too slow."""

    @classmethod
    @asynccontextmanager
    async def open(cls, wire: Wire, clock: Clock) -> AsyncGenerator["WireTokenLine"]:
        """Hand out a line over `wire`, and close both when the block is left."""
        line, raised = cls(wire, clock), None
        async with asyncio.TaskGroup() as tasks:
            upkeep = [tasks.create_task(line._send_on()), tasks.create_task(line._beat_on())]
            try:
                yield line
            except BaseException as error:  # noqa: BLE001  (raised again outside of the group, which would wrap it)
                raised = error
            for task in upkeep:
                task.cancel()
            await line.close()
        if raised is not None:
            raise raised

    def wanted(self, tenant: TenantId, run_id: RunId) -> bool:
        return bool(self._wanted) and self._wanted.get(topic_of(tenant, run_id), 0.0) > self._clock.monotonic()

    def publish(self, tenant: TenantId, delta: TokenDelta) -> None:
        if self._is_closing:
            return
        self.dropped += len(self._outbox) == CAPACITY
        self._outbox.append((topic_of(tenant, delta.run_id), delta))
        self._news.set()

    async def subscribe(self, tenant: TenantId, run_id: RunId) -> AsyncIterator[TokenDelta]:
        topic, reader = topic_of(tenant, run_id), _Reader()
        self._readers.setdefault(topic, []).append(reader)
        self._beat_now.set()
        try:
            while True:
                while reader.deltas:
                    yield reader.deltas.popleft()
                reader.news.clear()
                await reader.news.wait()
        finally:
            self._readers[topic].remove(reader)
            if not self._readers[topic]:
                del self._readers[topic]

    async def close(self) -> None:
        """Send what waits, for a moment, and close the wire."""
        if self._is_closing:
            return
        self._is_closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._send()
        await self._wire.close()

    async def _send_on(self) -> None:
        while not self._is_closing:
            await self._news.wait()
            await self._clock.sleep(self._wire.pause_s)
            self._news.clear()
            await self._send()

    async def _send(self) -> None:
        waiting: dict[str, list[TokenDelta]] = {}
        for topic, delta in self._outbox:
            waiting.setdefault(topic, []).append(delta)
        count = len(self._outbox)
        self._outbox.clear()
        messages = [(topic, data) for topic, deltas in waiting.items() for data in encode_pieces(deltas)]
        if messages and not await self._tried(self._wire.send(messages)):
            self.dropped += count

    async def _beat_on(self) -> None:
        await self._tried(self._wire.listen(INTEREST, self._heard))
        await self._tried(self._wire.send([(INTEREST, b"[]")]))
        while not self._is_closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._beat_now.wait()
            self._beat_now.clear()
            now = self._clock.monotonic()
            self._wanted = {topic: until for topic, until in self._wanted.items() if until > now}
            if self._readers or self._listened:
                await self._tried(self._beat())

    async def _beat(self) -> None:
        """Listen to what is followed and to nothing else, and say it to all."""
        for topic in self._listened - self._readers.keys():
            await self._wire.ignore(topic)
            self._listened.discard(topic)
        for topic in self._readers.keys() - self._listened:
            await self._wire.listen(topic, self._arrived)
            self._listened.add(topic)
        if self._readers:
            await self._wire.send([(INTEREST, json.dumps(list(self._readers)).encode())])

    async def _tried(self, act: Awaitable[None]) -> bool:
        """Await something of the wire, and say whether it went well; that it went down is told once."""
        try:
            await act
        except OutsideError as error:
            if not self._is_down:
                _log.warning("streamed tokens do not reach other processes for now: %s", error)
            self._is_down = True
            return False
        self._is_down = False
        return True

    def _heard(self, _: str, data: bytes) -> None:
        try:
            topics = [str(topic) for topic in json.loads(data)]
        except (TypeError, ValueError):
            return
        if not topics:
            self._beat_now.set()
        until = self._clock.monotonic() + FORGET_S
        self._wanted.update(dict.fromkeys(topics, until))

    def _arrived(self, topic: str, data: bytes) -> None:
        try:
            deltas = decode_pieces(data)
        except ValueError as error:
            _log.debug("passed over a message: %s", error)
            return
        for reader in self._readers.get(topic, ()):
            reader.deltas.extend(deltas)
            reader.news.set()
