"""Laws of every journal, tried on whatever owners, senders and time may do to a run."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.ids import OwnerId
from agent_sdk.core.ports import Claim, InboxDraft, Journal, LedgerChange
from agent_sdk.storage.chain import verify_chain
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import RUN, START_US, TENANT, Clock, Hand, created, finished

Outcome = object
SCOPE = "run"
NOBODY = Claim(TENANT, RUN, OwnerId("nobody"), 0, 1, 0)


@dataclass(frozen=True)
class Refusal:
    kind: type[AgentSDKError]
    message: str


class World:
    """A journal with one run, two owners who each go on from what they last knew, and a clock."""

    def __init__(self, make: Callable[[Clock], Journal]) -> None:
        self.clock = Clock()
        self.journal = make(self.clock)
        self.hands = {name: Hand(self.journal, NOBODY, 1) for name in ("alice", "bob")}

    async def claim(self, name: str) -> Outcome:
        claim = await self.journal.claim(TENANT, RUN, OwnerId(name), lease_s=10)
        self.hands[name] = Hand(self.journal, claim, claim.head, inbox_seen=self.hands[name].inbox_seen)
        return claim.epoch, claim.head, claim.lease_until

    async def renew(self, name: str) -> Outcome:
        return (await self.journal.renew(self.hands[name].claim, lease_s=10)).lease_until

    async def append(self, name: str) -> None:
        await self.hands[name].append(finished(name), finished())

    async def reserve(self, name: str) -> None:
        await self.hands[name].append(finished(name), ledger=[LedgerChange(SCOPE, reserve=2)])

    async def wait(self, name: str) -> None:
        await self.journal.append(self.hands[name].waiting(wake_at=START_US))
        self.hands[name].head += 1

    async def end(self, name: str) -> None:
        await self.hands[name].end()

    async def read_inbox(self, name: str) -> Outcome:
        items = await self.journal.inbox(TENANT, RUN, after=0)
        self.hands[name].inbox_seen = len(items)
        return items

    async def put(self, name: str) -> Outcome:
        return await self.journal.put(TENANT, RUN, InboxDraft("message", name))

    async def put_once(self, name: str) -> Outcome:
        return await self.journal.put(TENANT, RUN, InboxDraft("message", name, key=name))

    async def limit(self, name: str) -> None:
        await self.journal.set_limit(TENANT, SCOPE, 3 if name == "bob" else None)

    async def sleep(self, name: str) -> None:
        self.clock.pass_s(6)

    async def perform(self, act: str, name: str) -> Outcome:
        """Return what came of the act: its result, or the refusal."""
        acts: dict[str, Callable[[str], Awaitable[Outcome]]] = {act: getattr(self, act)}
        try:
            return await acts[act](name)
        except AgentSDKError as refused:
            return Refusal(type(refused), refused.message)

    async def state(self) -> Outcome:
        return (
            await self.journal.row(TENANT, RUN),
            await self.journal.read(TENANT, RUN),
            await self.journal.inbox(TENANT, RUN, after=0),
            await self.journal.ledger(TENANT, SCOPE),
            await verify_chain(self.journal, TENANT, RUN),
        )


ACTS = ["claim", "renew", "append", "append", "reserve", "wait", "end", "read_inbox", "put", "put_once", "limit", "sleep", "sleep"]
stories = st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(["alice", "bob"])), max_size=40)


@given(stories)
def test_events_are_the_current_owner_s_alone_and_without_gaps(story: Sequence[tuple[str, str]]) -> None:
    async def tell() -> None:
        world = World(MemoryJournal)
        await world.journal.create(TENANT, RUN, [created()])
        row = await world.journal.row(TENANT, RUN)
        for act, name in story:
            before = row
            outcome = await world.perform(act, name)
            row = await world.journal.row(TENANT, RUN)
            is_claimed = act == "claim" and not isinstance(outcome, Refusal)
            assert row.epoch == before.epoch + is_claimed
            assert row.head == before.head or world.hands[name].claim.epoch == row.epoch
            assert row.owner is None or row.state not in {"waiting", "succeeded"}
        stored = await world.journal.read(TENANT, RUN)
        assert [envelope.seq for envelope in stored] == list(range(1, row.head + 1))
        assert [envelope.epoch for envelope in stored] == sorted(envelope.epoch for envelope in stored)

    asyncio.run(tell())


@pytest.mark.slow
@settings(max_examples=60)
@given(stories)
def test_a_sqlite_journal_does_what_the_journal_in_memory_does(story: Sequence[tuple[str, str]]) -> None:
    async def tell(directory: Path) -> None:
        in_memory = World(MemoryJournal)
        clock = Clock()
        journal = await SqliteJournal.open(directory / "agent.db", clock=clock)
        on_disk = World(lambda _: journal)
        on_disk.clock = clock
        for world in (in_memory, on_disk):
            await world.journal.create(TENANT, RUN, [created()])
        for act, name in story:
            assert await on_disk.perform(act, name) == await in_memory.perform(act, name)
        assert await on_disk.state() == await in_memory.state()
        await journal.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(tell(Path(directory)))
