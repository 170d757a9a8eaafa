"""The memories that the contract is tried on: each store by words alone, and with vectors of a toy embedder."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import pytest

from agent_sdk.core.memory import Memory
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memories import KeptMemory, open_memory_rows

TOPICS = (("tea", "coffee", "drink"), ("train", "plane", "travel"), ("cat", "dog", "pet"))
"""What the toy embedder knows: words of one topic mean the like."""


@dataclass
class TopicEmbedder:
    """Counts topics. `fails` is what it raises instead; `size` another size than the declared one."""

    name: str = "topics"
    dimensions: int | None = len(TOPICS) + 1
    fails: Exception | None = None
    size: int = len(TOPICS) + 1
    asked: int = 0

    async def embed(self, texts: Sequence[str], purpose: Literal["document", "query"]) -> Sequence[Sequence[float]]:
        self.asked += len(texts)
        if self.fails is not None:
            raise self.fails
        return [[*(float(sum(text.lower().count(word) for word in topic)) for topic in TOPICS), 0.01][: self.size] for text in texts]


@dataclass
class MemoryStore:
    """One memory that is open, and the way to more on the same store."""

    memory: Memory
    url: str
    embedder: TopicEmbedder | None

    async def beside(self) -> Memory:
        """Open another, as another process has it; one in memory has no beside."""
        if self.url == "memory://":
            return self.memory
        return await opened(self.url, self.embedder)


async def opened(url: str, embedder: TopicEmbedder | None) -> Memory:
    return KeptMemory(await open_memory_rows(url, clock=SystemClock(), with_vectors=embedder is not None), embedder)


@asynccontextmanager
async def _store(url: str, embedder: TopicEmbedder | None) -> AsyncGenerator[MemoryStore]:
    memory = await opened(url, embedder)
    try:
        yield MemoryStore(memory, url, embedder)
    finally:
        await memory.close()


def _in_process(request: pytest.FixtureRequest) -> str:
    return "memory://"


def _sqlite(request: pytest.FixtureRequest) -> str:
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/memory.db"


def _postgres(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("postgres").url()
    return url


def _pgvector(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("pgvector").url()
    return url


MakeStore = Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[MemoryStore]]
STORES: Mapping[str, MakeStore] = {
    "memory": lambda request: _store(_in_process(request), None),
    "sqlite": lambda request: _store(_sqlite(request), None),
    "postgres": lambda request: _store(_postgres(request), None),
    "memory-vectors": lambda request: _store(_in_process(request), TopicEmbedder()),
    "sqlite-vectors": lambda request: _store(_sqlite(request), TopicEmbedder()),
    "postgres-vectors": lambda request: _store(_pgvector(request), TopicEmbedder()),
}
"""What opens each; stores on a server are shared by all tests, each of which has a tenant of its own."""
