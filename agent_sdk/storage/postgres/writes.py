"""The statements that write to runs: each takes part in a transaction that somebody else opens, or is one by itself."""

import json
from collections.abc import Sequence
from uuid import uuid4

from agent_sdk.core.envelope import GENESIS
from agent_sdk.core.errors import AgentSDKError, RunExists
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Batch, InboxDraft, LedgerChange, LedgerRow, SessionMove
from agent_sdk.core.run import ENDS
from agent_sdk.storage import refusals
from agent_sdk.storage.postgres.connect import Connection
from agent_sdk.storage.postgres.encoding import Written, tail, tail_args, written
from agent_sdk.storage.postgres.failures import FAILURES, is_duplicate

_APPEND = """
WITH moved AS (
    UPDATE agent_sdk.runs AS r SET
        head = b.tip_seq, hash = b.tip, state = b.state, reason = b.reason, wake_at = b.wake_at, inbox_seen = b.inbox_seen,
        updated_at = agent_sdk.now_us(), agent_version = coalesce(b.agent_version, r.agent_version),
        owner = CASE WHEN b.releases THEN NULL ELSE r.owner END, lease_until = CASE WHEN b.releases THEN NULL ELSE r.lease_until END
    FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[], $8::text[], $9::bigint[], $10::bigint[],
        $11::boolean[], $12::text[]
    ) WITH ORDINALITY AS b (
        tenant, run_id, epoch, head, tip_seq, tip, state, reason, wake_at, inbox_seen, releases, agent_version, ix
    )
    WHERE r.tenant = b.tenant AND r.run_id = b.run_id AND r.epoch = b.epoch AND r.head = b.head AND r.owner IS NOT NULL
        AND (NOT b.releases OR r.inbox_head = b.inbox_seen)
    RETURNING r.tenant, r.run_id, r.state, r.session, b.ix
)"""
_APPENDED = """
SELECT ix, CASE
    WHEN session IS NOT NULL AND state IN ('succeeded', 'failed', 'cancelled', 'expired') THEN agent_sdk.let_go(tenant, run_id)
    ELSE 0
END FROM moved
"""
_CREATE = """
WITH moved AS (
    INSERT INTO agent_sdk.runs (
        tenant, run_id, agent, agent_version, queue, priority, session, parent, behind, head, hash, state, created_at, updated_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', agent_sdk.now_us(), agent_sdk.now_us())
    ON CONFLICT DO NOTHING RETURNING tenant, run_id, 1::bigint AS ix
)"""
_APPEND_STATEMENTS = tuple(_APPEND + tail(13, with_artifacts=it_has) + _APPENDED for it_has in (False, True))
_CREATED = " SELECT ix FROM moved"
_CREATE_STATEMENTS = tuple(_CREATE + tail(12, with_artifacts=it_has) + _CREATED for it_has in (False, True))
_PUT = """
WITH counted AS (
    UPDATE agent_sdk.runs SET inbox_head = inbox_head + 1, updated_at = agent_sdk.now_us()
    WHERE tenant = $1 AND run_id = $2 AND state NOT IN ('succeeded', 'failed', 'cancelled', 'expired')
        AND NOT EXISTS (SELECT FROM agent_sdk.inbox WHERE tenant = $1 AND run_id = $2 AND key = $6)
    RETURNING inbox_head
)
INSERT INTO agent_sdk.inbox (tenant, run_id, number, kind, body, sent_by, sent_at, key)
SELECT $1, $2, inbox_head, $3, $4, $5, agent_sdk.now_us(), $6 FROM counted RETURNING number
"""
_CHANGE_LEDGER = """
INSERT INTO agent_sdk.ledger AS l (tenant, scope, reserved, settled) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, scope) DO UPDATE SET reserved = l.reserved + $3, settled = l.settled + $4
WHERE $3 <= 0 OR l.cap IS NULL OR l.reserved + l.settled + $3 + $4 <= l.cap RETURNING 1
"""


async def append(connection: Connection, batches: Sequence[Batch], items: Sequence[Written]) -> dict[int, int]:
    """Append what is still at its place; return, by the batch's place, how many runs its end let go. A refused batch is missing."""
    columns = [
        [batch.tenant for batch in batches],
        [batch.run_id for batch in batches],
        [batch.epoch for batch in batches],
        [batch.head for batch in batches],
        [batch.head + len(item.envelopes) for batch, item in zip(batches, items, strict=True)],
        [item.tip for item in items],
        [batch.state for batch in batches],
        [batch.reason for batch in batches],
        [batch.wake_at for batch in batches],
        [batch.inbox_seen for batch in batches],
        [batch.releases for batch in batches],
        [batch.agent_version for batch in batches],
    ]
    events = tail_args(items)
    statement = _APPEND_STATEMENTS[any(item.artifacts for item in items)]
    return {ix - 1: freed for ix, freed in await connection.fetch(statement, *columns, *events)}


async def refusal(connection: Connection, batch: Batch) -> AgentSDKError:
    """Say why the batch was not appended."""
    query = "SELECT epoch, head, owner, inbox_head FROM agent_sdk.runs WHERE tenant = $1 AND run_id = $2"
    found = await connection.fetchrow(query, batch.tenant, batch.run_id)
    if found is None:
        return refusals.no_run(batch.run_id)
    epoch, head, owner, inbox_head = found
    if (epoch, head) == (batch.epoch, batch.head) and owner is not None:
        return refusals.inbox_pending(batch, inbox_head)
    return refusals.fenced(batch, epoch, head, owner)


async def create(connection: Connection, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], session: SessionMove | None) -> None:
    """Make a run. One that has a session is made in a transaction of the caller's.

    Raises:
        RunExists: the id is taken. RunBusy: the session does not stand where it was expected.
    """
    created = refusals.created_by(run_id, facts)
    item = written(tenant, run_id, facts, GENESIS)
    behind = await _move_session(connection, tenant, run_id, session) if session is not None else None
    name = session.session if session is not None else created.session
    columns = (*_columns(created), name, created.parent, behind, len(facts), item.tip)
    if not await connection.fetch(_CREATE_STATEMENTS[bool(item.artifacts)], tenant, run_id, *columns, *tail_args([item])):
        raise refusals.run_exists(run_id)


async def require_same(connection: Connection, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], refused: RunExists) -> None:
    """Raise `refused` unless the run begins with just these facts: then it was made by the try whose outcome was not known."""
    tip = written(tenant, run_id, facts, GENESIS).tip
    query = "SELECT hash FROM agent_sdk.events WHERE tenant = $1 AND run_id = $2 AND seq = $3"
    found = await connection.fetchrow(query, tenant, run_id, len(facts))
    if found is None or found[0] != tip:
        raise refused


async def put(connection: Connection, tenant: TenantId, run_id: RunId, item: InboxDraft, key: str) -> int | None:
    """Add an inbox item, which the run's row counts, so that no release passes it by; None where there is one of this key, or no run."""
    body = json.dumps(item.body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    found = await connection.fetchrow(_PUT, tenant, run_id, item.kind, body, item.by, key)
    return None if found is None else int(found[0])


async def put_alone(connection: Connection, tenant: TenantId, run_id: RunId, item: InboxDraft, key: str) -> int | None:
    """Do as `put`, outside of a transaction: there, another put of the same key may come between its look and its insert."""
    try:
        return await put(connection, tenant, run_id, item, key)
    except FAILURES as error:
        if not is_duplicate(error):
            raise
        return None


async def put_before(connection: Connection, tenant: TenantId, run_id: RunId, key: str) -> int:
    """Return the number of the item that was put with this key.

    Raises:
        NotFound: no such run. RunEnded: it has ended, and there is no such item.
    """
    query = (
        "SELECT r.state, i.number FROM agent_sdk.runs AS r LEFT JOIN agent_sdk.inbox AS i "
        "ON i.tenant = r.tenant AND i.run_id = r.run_id AND i.key = $3 WHERE r.tenant = $1 AND r.run_id = $2"
    )
    found = await connection.fetchrow(query, tenant, run_id, key)
    if found is None:
        raise refusals.no_run(run_id)
    state, number = found
    if number is None:
        raise refusals.run_ended(run_id, state)
    return int(number)


def key_of(item: InboxDraft) -> str:
    """Return what the item is put under: its own key, or a new one, so that it can be put again when a connection was lost."""
    return item.key if item.key is not None else uuid4().hex


async def deliver(connection: Connection, batch: Batch, keys: Sequence[str]) -> None:
    """Put the batch's mail, each item under its key, into the inboxes of those runs that are there and have not ended."""
    for mail, key in sorted(zip(batch.mail, keys, strict=True), key=lambda addressed: addressed[0].run_id):
        await put(connection, batch.tenant, mail.run_id, mail.item, key)


async def lock(connection: Connection, batch: Batch) -> None:
    """Lock the batch's run and those that it sends mail to, in an order that all keep to: two runs may write to each other at once."""
    query = "SELECT FROM agent_sdk.runs WHERE tenant = $1 AND run_id = ANY ($2::text[]) ORDER BY tenant, run_id FOR NO KEY UPDATE"
    await connection.execute(query, batch.tenant, [batch.run_id, *(mail.run_id for mail in batch.mail)])


async def change_ledgers(connection: Connection, tenant: TenantId, changes: Sequence[LedgerChange]) -> None:
    """Reserve and settle.

    Raises:
        LedgerRefused: a budget would be exceeded.
    """
    for change in sorted(changes, key=lambda change: change.scope):
        if not await connection.fetch(_CHANGE_LEDGER, tenant, change.scope, change.reserve, change.settle):
            query = "SELECT scope, cap, reserved, settled FROM agent_sdk.ledger WHERE tenant = $1 AND scope = $2"
            (row,) = await connection.fetch(query, tenant, change.scope)
            raise refusals.ledger_refused(change, LedgerRow(*row))


async def _move_session(connection: Connection, tenant: TenantId, run_id: RunId, move: SessionMove) -> RunId | None:
    """Make the run its session's head, and return the one that it stands behind.

    The head's row is locked, so that it ends before this is looked at, or after the new run can be seen by what lets it go.
    """
    if await connection.fetch("SELECT FROM agent_sdk.runs WHERE tenant = $1 AND run_id = $2", tenant, run_id):
        raise refusals.run_exists(run_id)
    if move.expected is None:
        query = "INSERT INTO agent_sdk.sessions (tenant, session, head_run) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1"
        moved = await connection.fetch(query, tenant, move.session, run_id)
    else:
        query = "UPDATE agent_sdk.sessions SET head_run = $3 WHERE tenant = $1 AND session = $2 AND head_run = $4 RETURNING 1"
        moved = await connection.fetch(query, tenant, move.session, run_id, move.expected)
    if not moved:
        query = "SELECT head_run FROM agent_sdk.sessions WHERE tenant = $1 AND session = $2"
        found = await connection.fetchrow(query, tenant, move.session)
        raise refusals.session_moved(move, found[0] if found is not None else None)
    if move.expected is None:
        return None
    query = "SELECT state FROM agent_sdk.runs WHERE tenant = $1 AND run_id = $2 FOR SHARE"
    found = await connection.fetchrow(query, tenant, move.expected)
    if found is None or found[0] in ENDS:
        return None
    if not move.queues:
        raise refusals.session_busy(move, move.expected)
    return move.expected


def _columns(created: RunCreated) -> tuple[str, str, str, int]:
    return created.agent, created.agent_version, created.queue, created.priority
