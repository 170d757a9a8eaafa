"""The journal in one SQLite file: durable on return, shared by the processes of one machine."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import (
    Batch,
    Claim,
    Clock,
    Expired,
    InboxDraft,
    InboxItem,
    LeaseLine,
    LedgerRow,
    RunFilter,
    RunRow,
    SessionMove,
    Wanted,
)
from agent_sdk.storage import refusals
from agent_sdk.storage.follow import DUE, MAIL, Bells, Patience, RunKey, await_due, follow, follow_mail
from agent_sdk.storage.sqlite import retention
from agent_sdk.storage.sqlite.connect import connect_lease_line, connect_writer
from agent_sdk.storage.sqlite.guard import Guard
from agent_sdk.storage.sqlite.lease import SqliteLeaseLine
from agent_sdk.storage.sqlite.owners import Owners
from agent_sdk.storage.sqlite.place import prepared
from agent_sdk.storage.sqlite.readers import Readers
from agent_sdk.storage.sqlite.writer import Writer
from agent_sdk.storage.sqlite.writes import Writes

POLL_S = 0.025
"""How often one looks whether another process has committed."""
_LOOK_FOR_DEAD_S = 1.0
_PURGED_A_COMMIT = 50


class SqliteJournal:
    """One writer thread commits in groups, two threads read; it belongs to the event loop that opened it.

    What a batch holds must not change before its append returns. An append whose caller is cancelled may be written all the same: read the
    run before going on with it.
    Child processes are spawned or exec'd, never forked: a forked child would keep the file's locks.
    """

    def __init__(self, path: Path, clock: Clock, connect: Callable[[], Writes], *, busy_timeout_s: float) -> None:
        self.path = path
        self._clock = clock
        self._busy_timeout_s = busy_timeout_s
        self._bells = Bells()
        self._writer = Writer(path, connect, self._bells, poll_s=POLL_S)
        self._readers = Readers(path, busy_timeout_s=busy_timeout_s)
        self._owners = Owners(path)

    @classmethod
    async def open(cls, path: Path, *, clock: Clock, busy_timeout_s: float = 10.0, max_bytes: int | None = None) -> Self:
        """Open the file, or make it; it grows to `max_bytes` at most, if that is given.

        Raises:
            ConfigError: no database can lie there, or another program's does.
            StorageReadOnly, StorageFull: the place cannot be written.
            JournalCorrupt, JournalNewer: the file holds no journal that this version can use.
            StorageBusy: another process kept the file locked for longer than `busy_timeout_s`.
        """
        path = prepared(path)

        def connect() -> Writes:
            db = connect_writer(path, now_us=clock.now_us(), busy_timeout_s=busy_timeout_s, max_bytes=max_bytes)
            return Writes(db, clock, Owners(path), Guard(path))

        journal = cls(path, clock, connect, busy_timeout_s=busy_timeout_s)
        await journal._writer.open()
        return journal

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        refusals.check_numbers(run_id, facts, behind=0)
        await self._writer.do(lambda writes: writes.create(tenant, run_id, facts, session), (tenant, run_id), DUE)

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        return await self._writer.do(lambda writes: writes.claim(tenant, run_id, owner, _us(lease_s)), MAIL)

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        return await self._writer.do(lambda writes: writes.claim_due(wanted, owner, _us(lease_s)), MAIL)

    async def wait_due(self, wanted: Wanted, *, timeout_s: float) -> None:
        async def next_at() -> int | None:
            return await self._readers.do(lambda reads: reads.next_due(wanted, self._owners))

        await await_due(next_at, self._bells, self._clock, Patience(timeout_s, _LOOK_FOR_DEAD_S))

    def lease_line(self) -> LeaseLine:
        return SqliteLeaseLine(self.path, lambda: connect_lease_line(self.path, busy_timeout_s=self._busy_timeout_s), self._clock)

    async def renew(self, claim: Claim, *, lease_s: float) -> Claim:
        return await self._writer.do(lambda writes: writes.renew(claim, _us(lease_s)))

    async def append(self, batch: Batch) -> None:
        refusals.check_numbers(batch.run_id, batch.facts, behind=batch.head)
        rings = (MAIL, DUE) if batch.mail else (DUE,) if batch.releases else ()
        await self._writer.do(lambda writes: writes.append(batch), (batch.tenant, batch.run_id), *rings)

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        return await self._readers.do(lambda reads: reads.events(tenant, run_id, after, limit))

    def watch(self, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Envelope]:
        return follow(self, self._bells, (tenant, run_id), after)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        return await self._readers.do(lambda reads: reads.row(tenant, run_id))

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        return await self._readers.do(lambda reads: reads.rows(tenant, which))

    async def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        return await self._writer.do(lambda writes: writes.put(tenant, run_id, item), MAIL, DUE)

    async def inbox(self, tenant: TenantId, run_id: RunId, *, after: int) -> list[InboxItem]:
        return await self._readers.do(lambda reads: reads.inbox(tenant, run_id, after))

    def mail(self, owner: OwnerId) -> AsyncIterator[RunKey]:
        async def unread() -> Mapping[RunKey, int]:
            return await self._readers.do(lambda reads: reads.unread(owner))

        return follow_mail(unread, self._bells)

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        return await self._readers.do(lambda reads: reads.artifact(tenant, artifact))

    async def set_limit(self, tenant: TenantId, scope: str, limit: int | None) -> None:
        await self._writer.do(lambda writes: writes.set_limit(tenant, scope, limit))

    async def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None:
        return await self._readers.do(lambda reads: reads.ledger(tenant, scope))

    async def cursor(self, tenant: TenantId, sink: str, run_id: RunId) -> int:
        return await self._readers.do(lambda reads: reads.cursor(tenant, sink, run_id))

    async def move_cursor(self, tenant: TenantId, sink: str, run_id: RunId, seq: int) -> None:
        await self._writer.do(lambda writes: writes.move_cursor(tenant, sink, run_id, seq))

    async def session_head(self, tenant: TenantId, session: SessionId) -> RunId | None:
        return await self._readers.do(lambda reads: reads.session_head(tenant, session))

    async def purge(self, tenant: TenantId, which: Expired) -> list[RunId]:
        """Delete some runs a transaction, so that appends get their turn in between: what has ended stays so."""
        expired = await self._readers.do(lambda reads: retention.expired(reads.db, tenant, which))
        gone: list[RunId] = []
        for first in range(0, len(expired), _PURGED_A_COMMIT):
            run_ids = expired[first : first + _PURGED_A_COMMIT]
            gone += await self._writer.do(partial(_purge, tenant=tenant, run_ids=run_ids))
        return gone

    async def sweep_artifacts(self, tenant: TenantId, *, before_us: int) -> int:
        return await self._writer.do(lambda writes: retention.sweep(writes.db, tenant, before_us))

    async def check_integrity(self) -> list[str]:
        return await self._readers.do(lambda reads: reads.problems())

    async def close(self) -> None:
        """Make the changes that wait, let go of the locks and end the threads; whoever still follows a run gets a `StorageError`."""
        await self._readers.close()
        await self._writer.close()
        self._bells.ring_all()


def _purge(writes: Writes, tenant: TenantId, run_ids: Sequence[RunId]) -> list[RunId]:
    return retention.purge(writes.db, tenant, run_ids)


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
