"""The statements that read, each in a snapshot of its own."""

import json
import sqlite3
from collections.abc import Mapping

from agent_sdk.core.envelope import Envelope, artifact_id
from agent_sdk.core.errors import JournalCorrupt
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import InboxItem, LedgerRow, RunFilter, RunRow, Wanted
from agent_sdk.storage import refusals
from agent_sdk.storage.follow import RunKey
from agent_sdk.storage.mail import inbox_body
from agent_sdk.storage.sqlite import due
from agent_sdk.storage.sqlite.owners import Owners

_ROW = """
SELECT tenant, run_id, agent, agent_version, state, reason, head, epoch, owner, lease_until, inbox_head, inbox_seen, wake_at, session,
    parent, queue, priority, behind, created_at, updated_at
FROM runs WHERE tenant = :tenant
"""
_PAGE = """
AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
AND (:before IS NULL OR (created_at, run_id) < (:before_at, :before))
ORDER BY created_at DESC, run_id DESC LIMIT :limit
"""
_EVENTS = """
SELECT tenant, run_id, seq, epoch, type, v, at, cause, CAST(meta AS BLOB), CAST(body AS BLOB), CAST(hash AS BLOB)
FROM events WHERE tenant = ? AND run_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_MISFITS = (
    """
SELECT 'run ' || run_id || ' of ' || tenant || ' stands at event ' || head || ', and ' || stored || ' are stored' FROM (
    SELECT *, (SELECT count(*) FROM events WHERE events.tenant = runs.tenant AND events.run_id = runs.run_id) AS stored FROM runs
) WHERE stored <> head LIMIT 100
""",
    """
SELECT 'run ' || run_id || ' of ' || tenant || ' counts ' || inbox_head || ' inbox items, and ' || stored || ' are stored' FROM (
    SELECT *, (SELECT count(*) FROM inbox WHERE inbox.tenant = runs.tenant AND inbox.run_id = runs.run_id) AS stored FROM runs
) WHERE stored <> inbox_head LIMIT 100
""",
    """
SELECT 'artifact ' || artifact || ' of ' || tenant || ', which run ' || run_id || ' names, is not stored' FROM artifact_refs
WHERE NOT EXISTS (SELECT 1 FROM artifacts WHERE artifacts.tenant = artifact_refs.tenant AND artifacts.artifact = artifact_refs.artifact)
LIMIT 100
""",
    """
SELECT 'the events of run ' || run_id || ' of ' || tenant || ' belong to no run' FROM (SELECT DISTINCT tenant, run_id FROM events)
WHERE (tenant, run_id) NOT IN (SELECT tenant, run_id FROM runs) LIMIT 100
""",
)


class Reads:
    """A connection that only reads."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def events(self, tenant: TenantId, run_id: RunId, after: int, limit: int) -> list[Envelope]:
        found = [Envelope(*values) for values in self.db.execute(_EVENTS, (tenant, run_id, after, limit))]
        if not found:
            self.row(tenant, run_id)
        return found

    def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        found = self.db.execute(_ROW + "AND run_id = :run_id", {"tenant": tenant, "run_id": run_id}).fetchone()
        if found is None:
            raise refusals.no_run(run_id)
        return RunRow(*found)

    def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        before_at = self.row(tenant, which.before).created_at if which.before is not None else None
        asked = {"agent": which.agent, "reason": which.reason, "session": which.session, "parent": which.parent}
        given = "".join(f"AND {column} = :{column}\n" for column, value in asked.items() if value is not None)
        values = asked | {
            "tenant": tenant,
            "states": json.dumps(sorted(which.states)),
            "before": which.before,
            "before_at": before_at,
            "limit": which.limit,
        }
        return [RunRow(*found) for found in self.db.execute(_ROW + given + _PAGE, values)]

    def inbox(self, tenant: TenantId, run_id: RunId, after: int) -> list[InboxItem]:
        query = "SELECT number, kind, body, sent_by, sent_at FROM inbox WHERE tenant = ? AND run_id = ? AND number > ? ORDER BY number"
        found = self.db.execute(query, (tenant, run_id, after)).fetchall()
        if not found:
            self.row(tenant, run_id)
        return [InboxItem(number, kind, inbox_body(body), by, at) for number, kind, body, by, at in found]

    def unread(self, owner: OwnerId) -> Mapping[RunKey, int]:
        """Return the runs that the owner holds whose inbox has news, with the number of the newest item; of every tenant."""
        query = "SELECT tenant, run_id, inbox_head FROM runs WHERE owner = ? AND inbox_head > inbox_seen"
        return {(TenantId(tenant), RunId(run_id)): head for tenant, run_id, head in self.db.execute(query, (owner,))}

    def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        found = self.db.execute("SELECT data FROM artifacts WHERE tenant = ? AND artifact = ?", (tenant, artifact)).fetchone()
        if found is None:
            raise refusals.no_artifact(artifact)
        data: bytes = found[0]
        if artifact_id(data) != artifact:
            raise JournalCorrupt(f"artifact {artifact} holds other bytes than were written", hint="restore the journal from a backup")
        return data

    def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None:
        query = "SELECT scope, cap, reserved, settled FROM ledger WHERE tenant = ? AND scope = ?"
        found = self.db.execute(query, (tenant, scope)).fetchone()
        return LedgerRow(*found) if found is not None else None

    def cursor(self, tenant: TenantId, sink: str, run_id: RunId) -> int:
        query = "SELECT seq FROM cursors WHERE tenant = ? AND sink = ? AND run_id = ?"
        found: tuple[int] | None = self.db.execute(query, (tenant, sink, run_id)).fetchone()
        return found[0] if found is not None else 0

    def session_head(self, tenant: TenantId, session: SessionId) -> RunId | None:
        query = "SELECT head_run FROM sessions WHERE tenant = ? AND session = ?"
        found: tuple[RunId] | None = self.db.execute(query, (tenant, session)).fetchone()
        return found[0] if found is not None else None

    def next_due(self, wanted: Wanted, owners: Owners) -> int | None:
        """Return when a run can be claimed as due; None where none is in sight."""
        return due.next_at(self.db, wanted, {owner for owner in due.holders(self.db) if owners.is_dead(owner)})

    def problems(self) -> list[str]:
        """Return what SQLite's own check finds wrong, and which rows do not fit one another."""
        found: list[str] = []
        for query in ("PRAGMA integrity_check", *_MISFITS):
            try:
                found += [problem for (problem,) in self.db.execute(query)]
            except sqlite3.DatabaseError as error:
                found.append(str(error))
        return [problem for problem in found if problem != "ok"]
