"""The statements that delete: ended runs with all that is theirs, and artifacts that no run names."""

import json
import sqlite3
from collections.abc import Sequence

from agent_sdk.core.budget import ledger_rows, run_scope
from agent_sdk.core.ids import RunId, SessionId, TenantId
from agent_sdk.core.ports import Expired
from agent_sdk.core.run import ENDS

_EXPIRED = """
SELECT run_id FROM runs WHERE tenant = ? AND state IN (SELECT value FROM json_each(?)) AND updated_at < ?
ORDER BY updated_at, run_id LIMIT ?
"""
_THESE = "tenant = ? AND run_id IN (SELECT value FROM json_each(?))"
_SESSION_HEAD = """
SELECT 1 FROM sessions JOIN runs ON runs.tenant = sessions.tenant AND runs.run_id = sessions.head_run
WHERE sessions.tenant = ? AND sessions.session = ?
"""
_NEWEST = "SELECT run_id FROM runs WHERE tenant = ? AND session = ? ORDER BY created_at DESC, run_id DESC LIMIT 1"
# `created_at` lies behind the bytes of an artifact, so it is looked at last, and for what nothing names alone.
_SWEEP = """
DELETE FROM artifacts WHERE tenant = ? AND artifact IN (
    SELECT artifact FROM artifacts WHERE tenant = ? EXCEPT SELECT artifact FROM artifact_refs WHERE tenant = ?
) AND created_at < ?
"""


def expired(db: sqlite3.Connection, tenant: TenantId, which: Expired) -> list[RunId]:
    """Return the ended runs that may be deleted, those that ended first before the others."""
    values = tenant, json.dumps(sorted(which.states & ENDS)), which.before_us, which.limit
    return [run_id for (run_id,) in db.execute(_EXPIRED, values)]


def purge(db: sqlite3.Connection, tenant: TenantId, run_ids: Sequence[RunId]) -> list[RunId]:
    """Delete runs that have ended, and return those that were still there."""
    values = tenant, json.dumps(run_ids)
    found: dict[RunId, SessionId | None] = dict(db.execute(f"SELECT run_id, session FROM runs WHERE {_THESE}", values).fetchall())  # noqa: S608  (constants)
    for table in ("events", "inbox", "cursors", "artifact_refs", "runs"):
        db.execute(f"DELETE FROM {table} WHERE {_THESE}", values)  # noqa: S608  (constants)
    budgets = [row for row, _ in ledger_rows(map(run_scope, found))]
    db.execute("DELETE FROM ledger WHERE tenant = ? AND scope IN (SELECT value FROM json_each(?))", (tenant, json.dumps(budgets)))
    for session in {session for session in found.values() if session is not None}:
        _mend_session(db, tenant, session)
    return [run_id for run_id in run_ids if run_id in found]


def sweep(db: sqlite3.Connection, tenant: TenantId, before_us: int) -> int:
    """Delete artifacts that nothing names. An append that names one again comes before this transaction or behind it."""
    return db.execute(_SWEEP, (tenant, tenant, tenant, before_us)).rowcount


def _mend_session(db: sqlite3.Connection, tenant: TenantId, session: SessionId) -> None:
    """Let the session stand at the newest run that is left of it."""
    if db.execute(_SESSION_HEAD, (tenant, session)).fetchone() is not None:
        return
    left = db.execute(_NEWEST, (tenant, session)).fetchone()
    if left is None:
        db.execute("DELETE FROM sessions WHERE tenant = ? AND session = ?", (tenant, session))
    else:
        db.execute("UPDATE sessions SET head_run = ? WHERE tenant = ? AND session = ?", (left[0], tenant, session))
