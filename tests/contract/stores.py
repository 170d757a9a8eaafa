"""The journals that the contract is tried on, each with a hand that moves its time: one more is one more entry of `STORES`."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

import pytest

from agent_sdk.core.ports import Journal
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.storage.sqlite.journal import SqliteJournal
from agent_sdk.testing.postgres import PrivatePostgres
from tests.contract.batches import Clock
from tests.contract.postgres_store import postgres_store


class Store(Protocol):
    """A store with nothing in it, and one journal on it that is open."""

    @property
    def journal(self) -> Journal: ...

    @property
    def knows_the_dead(self) -> bool:
        """Say whether the runs of an owner whose journal was closed can be taken before its leases are over."""
        ...

    def now_us(self) -> int:
        """Return the store's own time."""
        ...

    async def pass_s(self, seconds: float) -> None:
        """Let so much time pass in the store: its clock goes on, or all that it knows becomes so much older."""
        ...

    async def beside(self) -> Journal:
        """Open another journal on the same store, as another process has it. To close it is to kill that process."""
        ...


@dataclass
class MemoryStore:
    clock: Clock = field(default_factory=Clock)
    knows_the_dead = False

    def __post_init__(self) -> None:
        self.journal = MemoryJournal(self.clock)

    def now_us(self) -> int:
        return self.clock.us

    async def pass_s(self, seconds: float) -> None:
        self.clock.pass_s(seconds)

    async def beside(self) -> Journal:
        return self.journal


@dataclass
class SqliteStore:
    journal: SqliteJournal
    clock: Clock
    opened: list[Journal] = field(default_factory=list[Journal])
    knows_the_dead = True

    def now_us(self) -> int:
        return self.clock.us

    async def pass_s(self, seconds: float) -> None:
        self.clock.pass_s(seconds)

    async def beside(self) -> Journal:
        other = await SqliteJournal.open(self.journal.path, clock=self.clock)
        self.opened.append(other)
        return other


@asynccontextmanager
async def memory(request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    yield MemoryStore()


@asynccontextmanager
async def sqlite(request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    directory: Path = request.getfixturevalue("tmp_path")
    clock = Clock()
    journal = await SqliteJournal.open(Path(mkdtemp(dir=directory)) / "agent.db", clock=clock)
    store = SqliteStore(journal, clock)
    try:
        yield store
    finally:
        for opened in (*store.opened, journal):
            await opened.close()


@asynccontextmanager
async def postgres(request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    server: PrivatePostgres = request.getfixturevalue("postgres")
    async with postgres_store(server.url()) as store:
        yield store


STORES: Mapping[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Store]]] = {
    "memory": memory,
    "sqlite": sqlite,
    "postgres": postgres,
}
"""What makes an empty store, by name, each time that it is entered; the fixtures that it needs are asked of the request."""
