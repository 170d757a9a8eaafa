"""The token channel: live deltas of replies, fanned out to whoever follows a run. It alone among the observers is bounded and drops."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.model import AttemptStarted, ReplyDone
from agent_sdk.core.ports import TokenDelta

DEFAULT_CAPACITY = 1024


@frozen
class TokensDropped:
    """The subscriber was too slow, and `count` items were dropped: what was shown of replies that are not done is void.

    No piece with a hole before it follows: each such reply comes whole in its `ReplyDone`, or anew with its next attempt. One whose
    `ReplyDone` itself was dropped stands in the journal.
    """

    run_id: RunId
    count: int


StreamItem = TokenDelta | TokensDropped


class TokenStream(AsyncIterator[StreamItem]):
    """What one subscriber gets of one run, for one reader. It ends when the channel ends the run, after what is queued."""

    def __init__(self, run_id: RunId, capacity: int) -> None:
        self._run_id = run_id
        self._capacity = capacity
        self._queue: deque[StreamItem] = deque()
        self._news = asyncio.Event()
        self._open: dict[StepId, int] = {}
        self._broken: dict[StepId, int] = {}
        self._is_ended = False
        self.dropped = 0
        """How many deltas this subscriber missed because it was too slow."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamItem:
        while not self._queue:
            if self._is_ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._queue.popleft()

    def offer(self, item: TokenDelta) -> int:
        """Queue the delta without waiting, and return how many were dropped: itself, or on overflow all that was queued."""
        lost = 0
        if not self._has_hole(item) and len(self._queue) >= self._capacity:
            lost = self._overflow()
        if self._has_hole(item):
            lost += 1
        else:
            self._note(item)
            self._queue.append(item)
        self.dropped += lost
        self._news.set()
        return lost

    def lose(self, item: TokenDelta) -> None:
        """Tell the reader, once a reply, that pieces before this one never came: what was shown of it is void."""
        if self._broken.get(item.step) != item.attempt:
            self._broken[item.step] = item.attempt
            self._queue.append(TokensDropped(self._run_id, 1))
        self.dropped += 1
        self._news.set()

    def end(self) -> None:
        """Let the reader take what is queued, and no more."""
        self._is_ended = True
        self._news.set()

    def _has_hole(self, item: TokenDelta) -> bool:
        """Say whether a piece before this one was dropped; a first piece, a new attempt and the whole reply stand by themselves."""
        if not self._broken or item.index == 0 or isinstance(item.delta, ReplyDone | AttemptStarted):
            return False
        return item.attempt <= self._broken.get(item.step, -1)

    def _note(self, item: TokenDelta) -> None:
        self._broken.pop(item.step, None)
        if isinstance(item.delta, ReplyDone):
            self._open.pop(item.step, None)
        else:
            self._open[item.step] = item.attempt

    def _overflow(self) -> int:
        """Drop all that is queued and put one word of it there: what is under way has a hole from now on."""
        earlier = sum(item.count for item in self._queue if isinstance(item, TokensDropped))
        lost = sum(isinstance(item, TokenDelta) for item in self._queue)
        self._queue.clear()
        self._queue.append(TokensDropped(self._run_id, earlier + lost))
        self._broken.update(self._open)
        self._open.clear()
        return lost


class TokenChannel:
    """Fans deltas out to subscribers in this process, and never waits for one: a slow one loses deltas and is told.

    It belongs to one event loop. A subscriber that comes late gets what comes: its first delta of a reply may have an `index` above 0.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 2:
            raise ValueError(f"capacity is {capacity}, and must be at least 2: one delta, and the word that others were dropped")
        self._capacity = capacity
        self._streams: dict[RunId, list[TokenStream]] = {}
        self.dropped = 0
        """How many deltas were dropped so far, over all subscribers."""

    def wants(self, run_id: RunId) -> bool:
        return run_id in self._streams

    def publish(self, delta: TokenDelta) -> None:
        for stream in self._streams.get(delta.run_id, ()):
            self.dropped += stream.offer(delta)

    @asynccontextmanager
    async def subscribe(self, run_id: RunId) -> AsyncGenerator[TokenStream]:
        """Hand out a stream of the run's deltas from now on, until the block is left."""
        stream = TokenStream(run_id, self._capacity)
        self._streams.setdefault(run_id, []).append(stream)
        try:
            yield stream
        finally:
            streams = self._streams.get(run_id, [])
            if stream in streams:
                streams.remove(stream)
            if not streams:
                self._streams.pop(run_id, None)
            stream.end()

    def end(self, run_id: RunId) -> None:
        """End the run's streams: nothing more will be published of it."""
        for stream in self._streams.pop(run_id, ()):
            stream.end()
