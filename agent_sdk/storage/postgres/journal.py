"""The journal in a Postgres database: durable on return, shared by the processes of many machines."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Self

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.errors import RunExists
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import (
    Batch,
    Claim,
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
from agent_sdk.core.run import ENDS
from agent_sdk.storage import refusals
from agent_sdk.storage.follow import DUE, MAIL, Bells, RunKey, follow, follow_mail
from agent_sdk.storage.postgres import leases, upkeep, writes
from agent_sdk.storage.postgres.appends import Appends
from agent_sdk.storage.postgres.connect import Connection, parse_address
from agent_sdk.storage.postgres.crew import Crew
from agent_sdk.storage.postgres.database import PATIENCE_S, Database
from agent_sdk.storage.postgres.migrate import migrations, prepare
from agent_sdk.storage.postgres.reads import Reads
from agent_sdk.storage.postgres.wire import Wire


class PostgresJournal:
    """Belongs to the event loop that opened it. Time is the database's: no clock of this machine stands in a lease, a wake-up or an inbox.

    What a batch holds must not change before its append returns. An append whose caller is cancelled may be written all the same: read the
    run before going on with it. A lost connection is made anew, within `PATIENCE_S`; what was under way is looked up, or is harmless to
    repeat. A claim is neither: one that was lost is over when its lease is.
    """

    def __init__(self, database: Database, crew: Crew) -> None:
        self._database = database
        self._crew = crew
        self._bells = Bells()
        self._reads = Reads(database)
        self._due = leases.DueRuns(database)
        self._appends = Appends(database, crew)
        self._wire = Wire(database.address, self._bells, self._reads.heads)
        database.when_crowded = self._wire.give_way

    @classmethod
    async def open(cls, url: str, *, may_migrate: bool = False, patience_s: float = PATIENCE_S) -> Self:
        """Open the database, and make the journal's schema in it if it has none; `?pool=10` in the URL bounds the connections.

        Raises:
            ConfigError: the URL is malformed, nobody is let in this way, or the schema is behind and not `may_migrate`.
            JournalNewer, JournalCorrupt: the schema is not one that this version can use.
            StorageError: the server cannot be reached, or takes no writes.
        """
        address = parse_address(url)
        await prepare(address, migrations(), may_migrate=may_migrate)
        database = await Database.open(address, patience_s=patience_s)
        crew = Crew()
        await crew.open()
        journal = cls(database, crew)
        journal._wire.start(crew)
        return journal

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        refusals.check_numbers(run_id, facts, behind=0)

        async def work(connection: Connection, tries: int) -> None:
            try:
                if session is None:
                    await writes.create(connection, tenant, run_id, facts, None)
                else:
                    async with connection.transaction():
                        await writes.create(connection, tenant, run_id, facts, session)
            except RunExists as refused:
                if not tries:
                    raise
                await writes.require_same(connection, tenant, run_id, facts, refused)

        await self._database.perform(work)
        self._wire.tell((tenant, run_id), DUE)

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        leased = await self._database.perform(lambda connection, _: leases.claim(connection, tenant, run_id, owner, _us(lease_s)))
        return self._leased([leased])[0]

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        return self._leased(await self._due.claim(wanted, owner, _us(lease_s)))

    async def wait_due(self, wanted: Wanted, *, timeout_s: float) -> None:
        with self._bells.listen(DUE) as bell, suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    bell.clear()
                    due_in_us = await self._due.due_in_us(wanted)
                    if due_in_us is not None and due_in_us <= 0:
                        return
                    with suppress(TimeoutError):
                        async with asyncio.timeout(None if due_in_us is None else due_in_us / 1e6):
                            await bell.wait()

    def lease_line(self) -> LeaseLine:
        return leases.PostgresLeaseLine(self._database.address)

    async def renew(self, claim: Claim, *, lease_s: float) -> Claim:
        renewed = await self._database.perform(lambda connection, _: leases.renew(connection, [claim], _us(lease_s)))
        if not renewed:
            raise refusals.not_held(claim.run_id, claim.epoch)
        return renewed[0]

    async def append(self, batch: Batch) -> None:
        refusals.check_numbers(batch.run_id, batch.facts, behind=batch.head)
        freed = await self._appends.append(batch)
        marks = [DUE] if freed or batch.mail or (batch.releases and batch.state not in ENDS) else []
        self._wire.tell((batch.tenant, batch.run_id), *marks, *([MAIL] if batch.mail else []))

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        return await self._reads.events(tenant, run_id, after, limit)

    def watch(self, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Envelope]:
        return follow(self, self._bells, (tenant, run_id), after)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        return await self._reads.row(tenant, run_id)

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        return await self._reads.rows(tenant, which)

    async def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        key = writes.key_of(item)

        async def work(connection: Connection, _: int) -> int:
            number = await writes.put_alone(connection, tenant, run_id, item, key)
            return number if number is not None else await writes.put_before(connection, tenant, run_id, key)

        number = await self._database.perform(work)
        self._wire.tell(None, MAIL, DUE)
        return number

    async def inbox(self, tenant: TenantId, run_id: RunId, *, after: int) -> list[InboxItem]:
        return await self._reads.inbox(tenant, run_id, after)

    def mail(self, owner: OwnerId) -> AsyncIterator[RunKey]:
        async def unread() -> Mapping[RunKey, int]:
            return await self._reads.unread(owner)

        return follow_mail(unread, self._bells)

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        return await self._reads.artifact(tenant, artifact)

    async def set_limit(self, tenant: TenantId, scope: str, limit: int | None) -> None:
        await self._database.fetch(
            "INSERT INTO agent_sdk.ledger (tenant, scope, cap) VALUES ($1, $2, $3) "
            "ON CONFLICT (tenant, scope) DO UPDATE SET cap = excluded.cap",
            tenant, scope, limit,
        )  # fmt: skip

    async def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None:
        return await self._reads.ledger(tenant, scope)

    async def cursor(self, tenant: TenantId, sink: str, run_id: RunId) -> int:
        return await self._reads.cursor(tenant, sink, run_id)

    async def move_cursor(self, tenant: TenantId, sink: str, run_id: RunId, seq: int) -> None:
        await self._database.fetch(
            "INSERT INTO agent_sdk.cursors AS c (tenant, run_id, sink, seq) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT (tenant, run_id, sink) DO UPDATE SET seq = excluded.seq WHERE c.seq < excluded.seq",
            tenant, run_id, sink, seq,
        )  # fmt: skip

    async def session_head(self, tenant: TenantId, session: SessionId) -> RunId | None:
        return await self._reads.session_head(tenant, session)

    async def purge(self, tenant: TenantId, which: Expired) -> list[RunId]:
        return await self._database.perform(lambda connection, _: upkeep.purge(connection, tenant, which))

    async def sweep_artifacts(self, tenant: TenantId, *, before_us: int) -> int:
        return await upkeep.sweep(self._database, tenant, before_us)

    async def check_integrity(self) -> list[str]:
        return await upkeep.problems(self._database)

    async def close(self) -> None:
        """Write what waits and let go of all connections; whoever still follows a run gets a `StorageError`."""
        await self._appends.close()
        await self._crew.close()
        await self._database.close()
        self._bells.ring_all()

    def _leased(self, found: Sequence[leases.Leased]) -> list[Claim]:
        for claim, tip, _ in found:
            self._appends.claimed(claim.tenant, claim.run_id, tip)
        if any(each.has_mail for each in found):
            self._bells.ring(MAIL)
        return [each.claim for each in found]


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
