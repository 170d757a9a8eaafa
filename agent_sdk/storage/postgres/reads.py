"""The statements that read, each in a snapshot of its own."""

from collections.abc import Iterable, Mapping, Sequence

from agent_sdk.core.envelope import Envelope, artifact_id
from agent_sdk.core.errors import JournalCorrupt
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import InboxItem, LedgerRow, RunFilter, RunRow
from agent_sdk.storage import refusals
from agent_sdk.storage.follow import RunKey
from agent_sdk.storage.mail import inbox_body
from agent_sdk.storage.postgres.database import Database

_ROW = """
SELECT tenant, run_id, agent, agent_version, state, reason, head, epoch, owner, lease_until, inbox_head, inbox_seen, wake_at, session,
    parent, queue, priority, behind, created_at, updated_at
FROM agent_sdk.runs WHERE tenant = $1
"""
_ONE = _ROW + "AND run_id = $2"
_EVENTS = """
SELECT tenant, run_id, seq, epoch, type, v, at, cause, meta, body, hash
FROM agent_sdk.events WHERE tenant = $1 AND run_id = $2 AND seq > $3 ORDER BY seq LIMIT $4
"""
_INBOX = """
SELECT number, kind, body, sent_by, sent_at FROM agent_sdk.inbox WHERE tenant = $1 AND run_id = $2 AND number > $3 ORDER BY number
"""
_HEADS = """
SELECT tenant, run_id, head FROM agent_sdk.runs JOIN unnest($1::text[], $2::text[]) AS wanted (tenant, run_id) USING (tenant, run_id)
"""


class Reads:
    """What is read of runs, inboxes, artifacts, budgets, cursors and sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self, tenant: TenantId, run_id: RunId, after: int, limit: int) -> list[Envelope]:
        found = [Envelope(*values) for values in await self._database.fetch(_EVENTS, tenant, run_id, after, limit)]
        if not found:
            await self.row(tenant, run_id)
        return found

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        found = await self._database.fetch(_ONE, tenant, run_id)
        if not found:
            raise refusals.no_run(run_id)
        return RunRow(*found[0])

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        conditions: list[str] = []
        args: list[object] = [tenant, which.limit]
        for column, value in (("agent", which.agent), ("reason", which.reason), ("session", which.session), ("parent", which.parent)):
            if value is not None:
                args.append(value)
                conditions.append(f"AND {column} = ${len(args)}")
        if which.states:
            args.append(sorted(which.states))
            conditions.append(f"AND state = ANY (${len(args)}::text[])")
        if which.before is not None:
            args += [(await self.row(tenant, which.before)).created_at, which.before]
            conditions.append(f"AND (created_at, run_id) < (${len(args) - 1}, ${len(args)})")
        query = f"{_ROW} AND created_at > 0 {' '.join(conditions)} ORDER BY created_at DESC, run_id DESC LIMIT $2"
        return [RunRow(*values) for values in await self._database.fetch(query, *args)]

    async def heads(self, keys: Iterable[RunKey]) -> Mapping[RunKey, int]:
        """Return how far each of these runs has come, of those that exist."""
        wanted: Sequence[RunKey] = list(keys)
        found = await self._database.fetch(_HEADS, [tenant for tenant, _ in wanted], [run_id for _, run_id in wanted])
        return {(tenant, run_id): head for tenant, run_id, head in found}

    async def inbox(self, tenant: TenantId, run_id: RunId, after: int) -> list[InboxItem]:
        found = await self._database.fetch(_INBOX, tenant, run_id, after)
        if not found:
            await self.row(tenant, run_id)
        return [InboxItem(number, kind, inbox_body(body), by, at) for number, kind, body, by, at in found]

    async def unread(self, owner: OwnerId) -> Mapping[RunKey, int]:
        """Return the runs that the owner holds whose inbox has news, with the number of the newest item; of every tenant."""
        query = "SELECT tenant, run_id, inbox_head FROM agent_sdk.runs WHERE owner = $1 AND inbox_head > inbox_seen"
        return {(tenant, run_id): head for tenant, run_id, head in await self._database.fetch(query, owner)}

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        query = "SELECT data FROM agent_sdk.artifacts WHERE tenant = $1 AND artifact = $2"
        found = await self._database.fetch(query, tenant, artifact)
        if not found:
            raise refusals.no_artifact(artifact)
        data: bytes = found[0][0]
        if artifact_id(data) != artifact:
            raise JournalCorrupt(f"artifact {artifact} holds other bytes than were written", hint="restore the journal from a backup")
        return data

    async def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None:
        query = "SELECT scope, cap, reserved, settled FROM agent_sdk.ledger WHERE tenant = $1 AND scope = $2"
        found = await self._database.fetch(query, tenant, scope)
        return LedgerRow(*found[0]) if found else None

    async def cursor(self, tenant: TenantId, sink: str, run_id: RunId) -> int:
        query = "SELECT seq FROM agent_sdk.cursors WHERE tenant = $1 AND run_id = $2 AND sink = $3"
        found = await self._database.fetch(query, tenant, run_id, sink)
        return int(found[0][0]) if found else 0

    async def session_head(self, tenant: TenantId, session: SessionId) -> RunId | None:
        found = await self._database.fetch("SELECT head_run FROM agent_sdk.sessions WHERE tenant = $1 AND session = $2", tenant, session)
        return RunId(found[0][0]) if found else None
