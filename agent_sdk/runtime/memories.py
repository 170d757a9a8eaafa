"""Long-term memory by its URL: joins the store and the embedder, and opens both where they are first used."""

import asyncio
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

    It opens with the first use, so that an app's module can make one and hand it to its agents' tools; in another event loop it is opened
    anew where its connections belong to one. Close it, or use it as a context. Without an `embedder` it goes by words alone. The embedder
    stays the caller's, who closes it.

    Raises:
        ConfigError: at the first use, the URL names no memory, or none that can be opened.
        StorageError: the file or the database cannot be used.
    """

    def __init__(self, url: str = DEFAULT_URL, *, embedder: Embedder | None = None, clock: Clock | None = None) -> None:
        self._url = url
        self._embedder = embedder
        self._clock = clock if clock is not None else SystemClock()
        self._opening: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._memory: Memory | None = None

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
        memory, self._memory, self._loop = self._memory, None, None
        if memory is not None:
            await memory.close()

    async def _opened(self) -> Memory:
        loop = asyncio.get_running_loop()
        if self._opening is None or self._loop is not loop:
            self._opening, self._loop = asyncio.Lock(), loop
            if self._url.startswith("postgres"):  # its connections belong to a loop
                self._memory = None
        async with self._opening:
            if self._memory is None:
                rows = await open_memory_rows(self._url, clock=self._clock, with_vectors=self._embedder is not None)
                self._memory = KeptMemory(rows, self._embedder)
            return self._memory
