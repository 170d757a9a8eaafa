"""A clock that stands until a test moves it, sinks that remember, and a journal with one run in it."""

import asyncio
from collections.abc import Sequence

from agent_sdk.core.events import Event, Fact, RunCreated, RunSucceeded
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Batch, Claim, Journal
from agent_sdk.core.run import RunState
from agent_sdk.storage.memory import MemoryJournal
from tests.unit.observability.samples import AT, RUN, TENANT

OWNER = OwnerId("here")


class ManualClock:
    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self._wakings: list[asyncio.Event] = []

    def now_us(self) -> int:
        return AT

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        self.sleeps.append(delay_s)
        waking = asyncio.Event()
        self._wakings.append(waking)
        await waking.wait()

    def wake(self) -> None:
        for waking in self._wakings:
            waking.set()
        self._wakings.clear()


class MemorySink:
    """Remembers what it took; `fails` errors come first, one a call."""

    def __init__(self, name: str = "memory", fails: Sequence[BaseException] = ()) -> None:
        self.name = name
        self.taken: list[tuple[RunId, Fact]] = []
        self.batches: list[int] = []
        self.fails = list(fails)

    async def take(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact]) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.taken.extend((run_id, fact) for fact in facts)
        self.batches.append(len(facts))

    @property
    def seqs(self) -> list[int]:
        return [fact.seq for _, fact in self.taken]


class Driver:
    """Appends to one run as its owner would."""

    def __init__(self, journal: Journal, claim: Claim) -> None:
        self._journal = journal
        self._claim = claim
        self.head = claim.head

    @classmethod
    async def begin(cls, journal: Journal, run_id: RunId = RUN) -> "Driver":
        await journal.create(TENANT, run_id, [Fact(1, 0, AT, RunCreated("analyst", "1", {}, goal="count"))])
        return cls(journal, await journal.claim(TENANT, run_id, OWNER, lease_s=60))

    async def append(self, *events: Event) -> None:
        facts = [Fact(self.head + place, self._claim.epoch, AT, event) for place, event in enumerate(events, start=1)]
        is_end = any(isinstance(event, RunSucceeded) for event in events)
        state: RunState = "succeeded" if is_end else "running"
        await self._journal.append(Batch(TENANT, self._claim.run_id, self._claim.epoch, self.head, facts, state, releases=is_end))
        self.head += len(facts)


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(100):
        await asyncio.sleep(0)


def new_journal() -> MemoryJournal:
    return MemoryJournal(ManualClock())
