"""Long-term memory by its URL: joins the store and the embedder, and opens both where they are first used."""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from agent_sdk.core.ids import TenantId
from agent_sdk.core.memory import Embedder, Found, Memory, MemoryId, Owner, Page, Scope
from agent_sdk.core.ports import Clock
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memories import KeptMemory, open_memory_rows

DEFAULT_URL = "sqlite:///memory.db"


class LongTermMemory:
    """The memory at a URL: `sqlite:///memory.db`, `postgresql://...` (the journal's database may be it) or `memory://` for tests.

    It opens with the first use, so that an app's module can make one and hand it to its agents' tools. Close it, or use it as a context.
    Connections to Postgres belong to an event loop: there each loop opens its own, and closes its own. Without an `embedder` it goes by
    words alone. The embedder stays the caller's, who closes it.

    Raises:
        ConfigError: at the first use, the URL names no memory, or none that can be opened.
        StorageError: the file or the database cannot be used.
    """

    def __init__(self, url: str = DEFAULT_URL, *, embedder: Embedder | None = None, clock: Clock | None = None) -> None:
        self._url = url
        self._embedder = embedder
        self._clock = clock if clock is not None else SystemClock()
        self._has_loops = url.startswith("postgres")
        self._opening: dict[AbstractEventLoop, asyncio.Lock] = {}
        self._memories: dict[AbstractEventLoop | None, Memory] = {}

    async def __aenter__(self) -> Self:
        await self._opened()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def remember(
        self, scope: Scope, text: str, *, kind: str = "note", metadata: Mapping[str, JsonValue] | None = None, key: str | None = None
    ) -> MemoryId:
        return await (await self._opened()).remember(scope, text, kind=kind, metadata=metadata, key=key)

    async def search(self, scope: Scope, query: str, limit: int = 10) -> Found:
        return await (await self._opened()).search(scope, query, limit)

    async def forget(self, owner: Owner, memory: MemoryId) -> bool:
        return await (await self._opened()).forget(owner, memory)

    async def list(self, owner: Owner, *, after: str | None = None, limit: int = 100) -> Page:
        return await (await self._opened()).list(owner, after=after, limit=limit)

    async def erase(self, owner: Owner) -> int:
        return await (await self._opened()).erase(owner)

    async def reindex(self, tenant: TenantId) -> int:
        return await (await self._opened()).reindex(tenant)

    async def close(self) -> None:
        self._drop_ended()
        memory = self._memories.pop(self._home, None)
        if memory is not None:
            await memory.close()

    @property
    def _home(self) -> AbstractEventLoop | None:
        """The loop to which what is opened here belongs; None where all loops share it."""
        return asyncio.get_running_loop() if self._has_loops else None

    async def _opened(self) -> Memory:
        home = self._home
        if (memory := self._memories.get(home)) is not None:
            return memory
        self._drop_ended()
        async with self._opening.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if (memory := self._memories.get(home)) is None:
                rows = await open_memory_rows(self._url, clock=self._clock, with_vectors=self._embedder is not None)
                made = KeptMemory(rows, self._embedder)
                memory = self._memories.setdefault(home, made)
                if memory is not made:  # a loop of another thread was faster
                    await made.close()
            return memory

    def _drop_ended(self) -> None:
        """Let go of what belongs to loops that ended: nobody can close it any more, and its connections go with the last reference."""
        for loop in [*self._memories, *self._opening]:
            if loop is not None and loop.is_closed():
                self._memories.pop(loop, None)
                self._opening.pop(loop, None)
