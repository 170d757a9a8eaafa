"""The journal in one SQLite file: durable on return, shared by the processes of one machine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, TenantId
from agent_sdk.core.ports import Batch, Claim, Clock, InboxDraft, InboxItem, LedgerRow, RunFilter, RunRow, SessionMove
from agent_sdk.storage import refusals
from agent_sdk.storage.follow import MAIL, Bells, RunKey, follow, follow_mail
from agent_sdk.storage.sqlite.connect import connect_writer
from agent_sdk.storage.sqlite.failures import corrupt
from agent_sdk.storage.sqlite.guard import Guard
from agent_sdk.storage.sqlite.owners import Owners
from agent_sdk.storage.sqlite.place import prepared
from agent_sdk.storage.sqlite.readers import Readers
from agent_sdk.storage.sqlite.writer import Writer
from agent_sdk.storage.sqlite.writes import Writes

POLL_S = 0.05
"""How often one looks whether another process has committed."""


class SqliteJournal:
    """One writer thread commits in groups, two threads read; it belongs to the event loop that opened it.

    What a batch holds must not change before its append returns. An append whose caller is cancelled may be written all the same: read the
    run before going on with it.
    Child processes are spawned or exec'd, never forked: a forked child would keep the file's locks.
    """

    def __init__(self, path: Path, writer: Writer, readers: Readers, bells: Bells) -> None:
        self.path = path
        self._writer = writer
        self._readers = readers
        self._bells = bells

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

        bells = Bells()
        writer = Writer(path, connect, bells, poll_s=POLL_S)
        await writer.open()
        return cls(path, writer, Readers(path, busy_timeout_s=busy_timeout_s), bells)

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        refusals.check_numbers(run_id, facts, behind=0)
        await self._writer.do(lambda writes: writes.create(tenant, run_id, facts, session), (tenant, run_id))

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        return await self._writer.do(lambda writes: writes.claim(tenant, run_id, owner, _us(lease_s)), MAIL)

    async def renew(self, claim: Claim, *, lease_s: float) -> Claim:
        return await self._writer.do(lambda writes: writes.renew(claim, _us(lease_s)))

    async def append(self, batch: Batch) -> None:
        refusals.check_numbers(batch.run_id, batch.facts, behind=batch.head)
        await self._writer.do(lambda writes: writes.append(batch), (batch.tenant, batch.run_id))

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        return await self._readers.do(lambda reads: reads.events(tenant, run_id, after, limit))

    def watch(self, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Envelope]:
        return follow(self, self._bells, (tenant, run_id), after)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        return await self._readers.do(lambda reads: reads.row(tenant, run_id))

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        return await self._readers.do(lambda reads: reads.rows(tenant, which))

    async def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        return await self._writer.do(lambda writes: writes.put(tenant, run_id, item), MAIL)

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

    async def check_integrity(self) -> None:
        """Have SQLite look at every page of the file.

        Raises:
            JournalCorrupt: it finds what it did not write.
        """
        if problems := await self._readers.do(lambda reads: reads.problems()):
            raise corrupt(self.path, "; ".join(problems[:3]))

    async def close(self) -> None:
        """Make the changes that wait, let go of the locks and end the threads; whoever still follows a run gets a `StorageError`."""
        await self._readers.close()
        await self._writer.close()
        self._bells.ring_all()


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
