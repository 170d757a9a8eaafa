"""What the journals' contract is tried with: facts, batches and a clock that stands still."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agent_sdk.core.envelope import GENESIS, Envelope, encode
from agent_sdk.core.events import Event, Fact, RunClaimed, RunCreated, RunSucceeded, RunWaiting, StepFinished
from agent_sdk.core.ids import OwnerId, RunId, SessionId, StepId, TenantId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Batch, Claim, Journal, LedgerChange

TENANT, OTHER_TENANT = TenantId("acme"), TenantId("globex")
RUN = RunId("run-1")
ALICE, BOB = OwnerId("alice"), OwnerId("bob")
START_US = 1_700_000_000_000_000


@dataclass
class Clock:
    """A clock that only the test moves."""

    us: int = START_US

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6

    async def sleep(self, delay_s: float) -> None:
        self.pass_s(delay_s)
        await asyncio.sleep(0)

    def pass_s(self, seconds: float) -> None:
        self.us += int(seconds * 1e6)


def created(
    *,
    agent: str = "clerk",
    version: str = "1",
    session: SessionId | None = None,
    parent: RunId | None = None,
    queue: str = "default",
    priority: int = 0,
    seq: int = 1,
) -> Fact:
    event = RunCreated(agent, version, {"tools": "d1"}, goal="count to ten", session=session, parent=parent, queue=queue, priority=priority)
    return Fact(seq, 0, START_US, event)


def finished(output: JsonValue = 1) -> StepFinished:
    return StepFinished(StepId("s"), 1, 1000, TRUSTED, output)


@dataclass
class Hand:
    """A run's owner in short: claims it and appends to it, and keeps count."""

    journal: Journal
    claim: Claim
    head: int
    inbox_seen: int = 0

    async def append(self, *events: Event, cause: str | None = None, ledger: Sequence[LedgerChange] = ()) -> None:
        await self.journal.append(self.batch(*events, cause=cause, ledger=ledger))
        self.head += len(events)

    async def end(self) -> None:
        await self.journal.append(self.ending())
        self.head += 1

    def batch(self, *events: Event, cause: str | None = None, ledger: Sequence[LedgerChange] = ()) -> Batch:
        return Batch(
            self.claim.tenant, self.claim.run_id, self.claim.epoch, self.head, self.facts(events, cause), "running",
            inbox_seen=self.inbox_seen, ledger=ledger,
        )  # fmt: skip

    def ending(self) -> Batch:
        facts = self.facts([RunSucceeded(TRUSTED, "ten")])
        return Batch(
            self.claim.tenant, self.claim.run_id, self.claim.epoch, self.head, facts, "succeeded", inbox_seen=self.inbox_seen, releases=True
        )

    def waiting(self, *, wake_at: int | None = None) -> Batch:
        facts = self.facts([RunWaiting("timer", wake_at=wake_at)])
        return Batch(
            self.claim.tenant, self.claim.run_id, self.claim.epoch, self.head, facts, "waiting",
            reason="timer", wake_at=wake_at, inbox_seen=self.inbox_seen, releases=True,
        )  # fmt: skip

    def facts(self, events: Sequence[Event], cause: str | None = None) -> list[Fact]:
        return [Fact(self.head + place, self.claim.epoch, START_US, event, cause) for place, event in enumerate(events, 1)]


async def take(journal: Journal, owner: OwnerId = ALICE, *, tenant: TenantId = TENANT, run_id: RunId = RUN, lease_s: float = 30) -> Hand:
    """Claim a run and append that it was claimed."""
    claim = await journal.claim(tenant, run_id, owner, lease_s=lease_s)
    hand = Hand(journal, claim, claim.head)
    await hand.append(RunClaimed(owner))
    return hand


async def end(journal: Journal, run_id: RunId = RUN, *, tenant: TenantId = TENANT) -> None:
    """Take a run and end it, whatever lies in its inbox."""
    hand = await take(journal, tenant=tenant, run_id=run_id)
    hand.inbox_seen = (await journal.row(tenant, run_id)).inbox_head
    await hand.end()


async def begin(journal: Journal, owner: OwnerId = ALICE, *, tenant: TenantId = TENANT, run_id: RunId = RUN) -> Hand:
    """Create a run and take it."""
    await journal.create(tenant, run_id, [created()])
    return await take(journal, owner, tenant=tenant, run_id=run_id)


def envelopes(facts: Sequence[Fact]) -> list[Envelope]:
    """Return what a journal stores of a run's facts."""
    previous, stored = GENESIS, list[Envelope]()
    for fact in facts:
        stored.append(encode(fact, tenant=TENANT, run_id=RUN, previous=previous).envelope)
        previous = stored[-1].hash
    return stored
