"""The relay: a process's own token channels joined with a line to the others, so that a run is followed wherever it is performed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import cast
from weakref import WeakValueDictionary

from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.model import AttemptStarted, ReplyDone
from agent_sdk.core.ports import TokenDelta, TokenLine
from agent_sdk.observability.tokens import TokenChannel, TokenStream


class TokenRelay:
    """Gives each tenant its tokens: those of another's run of the same id are never among them. Without a line it is this process alone."""

    def __init__(self, line: TokenLine | None = None) -> None:
        self._line = line
        self._tenants: WeakValueDictionary[TenantId, TenantTokens] = WeakValueDictionary()

    def of(self, tenant: TenantId) -> "TenantTokens":
        """Return the tenant's end of the relay, the same one for as long as anybody has it."""
        return self._tenants.setdefault(tenant, TenantTokens(tenant, TokenChannel(), self._line))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TenantTokens:
    """One tenant's tokens: a `TokenSink` for who performs its runs, and streams for who follows them.

    The line brings nothing back that went out from here, so that what is performed here arrives once.
    """

    tenant: TenantId
    channel: TokenChannel
    line: TokenLine | None = None

    def wants(self, run_id: RunId) -> bool:
        return self.channel.wants(run_id) or (self.line is not None and self.line.wanted(self.tenant, run_id))

    def publish(self, delta: TokenDelta) -> None:
        self.channel.publish(delta)
        if self.line is not None and self.line.wanted(self.tenant, delta.run_id):
            self.line.publish(self.tenant, delta)

    @asynccontextmanager
    async def subscribe(self, run_id: RunId, until: Callable[[], Awaitable[None]] | None = None) -> AsyncGenerator[TokenStream]:
        """Hand out a stream of the run's deltas from now on, from here and from elsewhere, until the block is left.

        Where `until` is given, the stream ends when that returns.
        """
        async with self.channel.subscribe(run_id) as stream:
            if self.line is None and until is None:
                yield stream
                return
            raised: BaseException | None = None
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self._pump(self.line, stream, run_id))] if self.line is not None else []
                if until is not None:
                    helpers.append(tasks.create_task(_end(stream, until)))
                try:
                    yield stream
                except BaseException as error:  # noqa: BLE001  (raised again outside of the group, which would wrap it)
                    raised = error
                for helper in helpers:
                    helper.cancel()
            if raised is not None:
                raise raised

    def end(self, run_id: RunId) -> None:
        """End the run's streams: nothing more will be published of it."""
        self.channel.end(run_id)

    async def _pump(self, line: TokenLine, stream: TokenStream, run_id: RunId) -> None:
        """Bring what comes over the line into the stream, but no piece with a hole before it."""
        seen = _Seen()
        async with aclosing(cast("AsyncGenerator[TokenDelta]", line.subscribe(self.tenant, run_id))) as deltas:
            async for delta in deltas:
                if seen.follows(delta):
                    stream.offer(delta)
                else:
                    stream.lose(delta)


async def _end(stream: TokenStream, until: Callable[[], Awaitable[None]]) -> None:
    await until()
    stream.end()


@dataclass(slots=True)
class _Seen:
    """The last piece of each step that came without a hole; one that comes late begins where it begins."""

    last: dict[StepId, tuple[int, int]] = field(default_factory=dict[StepId, tuple[int, int]])

    def follows(self, delta: TokenDelta) -> bool:
        """Say whether nothing is missing before the piece; a first piece, a new attempt and the whole reply stand by themselves."""
        attempt, index = self.last.get(delta.step, (delta.attempt, delta.index - 1))
        stands = delta.index == 0 or isinstance(delta.delta, ReplyDone | AttemptStarted)
        if not stands and (delta.attempt, delta.index) != (attempt, index + 1):
            return False
        if isinstance(delta.delta, ReplyDone):
            self.last.pop(delta.step, None)
        else:
            self.last[delta.step] = (delta.attempt, delta.index)
        return True
