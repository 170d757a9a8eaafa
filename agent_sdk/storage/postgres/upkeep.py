"""What keeps the store small and sound: deletion of ended runs, the sweep of artifacts, and what the store finds wrong with itself."""

from agent_sdk.core.budget import ledger_rows, run_scope
from agent_sdk.core.errors import JournalCorrupt
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Expired
from agent_sdk.core.run import ENDS
from agent_sdk.storage.postgres.connect import Connection
from agent_sdk.storage.postgres.database import Database

_PURGED = """
WITH old AS (
    SELECT tenant, run_id FROM agent_sdk.runs WHERE tenant = $1 AND state = ANY ($2::text[]) AND updated_at < $3
    ORDER BY updated_at, run_id LIMIT $4 FOR UPDATE SKIP LOCKED
)
DELETE FROM agent_sdk.runs AS r USING old AS o WHERE r.tenant = o.tenant AND r.run_id = o.run_id
RETURNING r.run_id, r.session, r.updated_at
"""
_BELONGINGS = ("events", "inbox", "cursors", "artifact_refs")
_DROP_BUDGETS = "DELETE FROM agent_sdk.ledger WHERE tenant = $1 AND scope = ANY ($2::text[])"
_MEND_SESSIONS = """
UPDATE agent_sdk.sessions AS s SET head_run = left_over.run_id FROM unnest($2::text[]) AS gone (session) CROSS JOIN LATERAL (
    SELECT run_id FROM agent_sdk.runs AS r WHERE r.tenant = $1 AND r.session = gone.session ORDER BY created_at DESC, run_id DESC LIMIT 1
) AS left_over
WHERE s.tenant = $1 AND s.session = gone.session AND s.head_run = ANY ($3::text[])
"""
_DROP_SESSIONS = "DELETE FROM agent_sdk.sessions WHERE tenant = $1 AND session = ANY ($2::text[]) AND head_run = ANY ($3::text[])"
# An append that names an artifact again writes its time anew in the same transaction: this waits for it, and then finds it too young.
_SWEEP = """
DELETE FROM agent_sdk.artifacts AS a WHERE tenant = $1 AND created_at < $2
    AND NOT EXISTS (SELECT FROM agent_sdk.artifact_refs AS r WHERE r.tenant = a.tenant AND r.artifact = a.artifact)
RETURNING 1
"""
_PROBLEMS = (
    """
    SELECT format('run %s of tenant %s stands at event %s, and has %s events up to number %s', r.run_id, r.tenant, r.head, e.events, e.last)
    FROM agent_sdk.runs AS r CROSS JOIN LATERAL (
        SELECT count(*) AS events, coalesce(max(seq), 0) AS last FROM agent_sdk.events AS e
        WHERE e.tenant = r.tenant AND e.run_id = r.run_id
    ) AS e
    WHERE r.head <> e.events OR r.head <> e.last
    """,
    """
    SELECT format('the last hash of run %s of tenant %s is not that of its event %s', r.run_id, r.tenant, r.head)
    FROM agent_sdk.runs AS r JOIN agent_sdk.events AS e ON e.tenant = r.tenant AND e.run_id = r.run_id AND e.seq = r.head
    WHERE e.hash <> r.hash
    """,
    """
    SELECT format('run %s of tenant %s names artifact %s, which is missing', f.run_id, f.tenant, f.artifact)
    FROM agent_sdk.artifact_refs AS f LEFT JOIN agent_sdk.artifacts AS a USING (tenant, artifact) WHERE a.artifact IS NULL
    """,
    """
    SELECT format('artifact %s of tenant %s holds other bytes than were written', artifact, tenant)
    FROM agent_sdk.artifacts WHERE encode(sha256(data), 'hex') <> artifact
    """,
    """
    SELECT format('inbox of run %s of tenant %s counts %s items, and has %s', r.run_id, r.tenant, r.inbox_head, i.items)
    FROM agent_sdk.runs AS r CROSS JOIN LATERAL (
        SELECT count(*) AS items FROM agent_sdk.inbox AS i WHERE i.tenant = r.tenant AND i.run_id = r.run_id
    ) AS i
    WHERE r.inbox_head <> i.items
    """,
)
_CHECKER = """
SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'
"""
_INDEXES = """
SELECT c.oid::bigint FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam
WHERE c.relnamespace = 'agent_sdk'::regnamespace AND m.amname = 'btree' AND i.indisvalid
"""


async def purge(connection: Connection, tenant: TenantId, which: Expired) -> list[RunId]:
    """Delete ended runs with what belongs to them; a session whose newest run goes stands at the newest that is left, if one is."""
    async with connection.transaction():
        rows = await connection.fetch(_PURGED, tenant, sorted(which.states & ENDS), which.before_us, which.limit)
        run_ids = [run_id for run_id, _, _ in sorted(rows, key=lambda row: (row[2], row[0]))]
        sessions = sorted({session for _, session, _ in rows if session is not None})
        for table in _BELONGINGS:
            query = f"DELETE FROM agent_sdk.{table} WHERE tenant = $1 AND run_id = ANY ($2::text[])"  # noqa: S608  (constants)
            await connection.execute(query, tenant, run_ids)
        budgets = [row for row, _ in ledger_rows(map(run_scope, run_ids))]
        await connection.execute(_DROP_BUDGETS, tenant, budgets)
        if sessions:
            await connection.execute(_MEND_SESSIONS, tenant, sessions, run_ids)
            await connection.execute(_DROP_SESSIONS, tenant, sessions, run_ids)
    return run_ids


async def sweep(database: Database, tenant: TenantId, before_us: int) -> int:
    """Delete the artifacts that no run names."""
    return len(await database.fetch(_SWEEP, tenant, before_us))


async def problems(database: Database) -> list[str]:
    """Return which rows contradict one another, and what the extension amcheck, where it is installed, finds in the indexes."""
    found: list[str] = []
    for query in _PROBLEMS:
        found += [problem for (problem,) in await database.fetch(query)]
    for (schema,) in await database.fetch(_CHECKER):
        for (index,) in await database.fetch(_INDEXES):
            found += await _index_problems(database, f"SELECT {schema}.bt_index_check($1::bigint::regclass)", index)
    return found


async def _index_problems(database: Database, check: str, index: int) -> list[str]:
    try:
        await database.fetch(check, index)
    except JournalCorrupt as error:
        return [error.message]
    return []
