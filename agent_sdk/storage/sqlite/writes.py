"""The statements that write. Each method is one change, made in a transaction that the writer opens, commits or takes back."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain
from operator import attrgetter

from agent_sdk.core.envelope import GENESIS, Envelope, encode
from agent_sdk.core.errors import Fenced, InboxPending
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, TenantId
from agent_sdk.core.ports import Batch, Claim, Clock, InboxDraft, LedgerChange, LedgerRow, Mail, SessionMove, Wanted
from agent_sdk.core.run import ENDS, RunState
from agent_sdk.storage import refusals
from agent_sdk.storage.lanes import Turns
from agent_sdk.storage.sqlite import due
from agent_sdk.storage.sqlite.guard import Guard
from agent_sdk.storage.sqlite.lease import lengthen
from agent_sdk.storage.sqlite.owners import Owners

_ENVELOPE = ("tenant", "run_id", "seq", "epoch", "type", "v", "at", "cause", "meta", "body", "hash")
_to_row = attrgetter(*_ENVELOPE)
_ROWS_A_STATEMENT = 32
_INSERT_EVENTS = [
    f"INSERT INTO events ({', '.join(_ENVELOPE)}) VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'] * rows)}"  # noqa: S608  (constants)
    for rows in range(_ROWS_A_STATEMENT + 1)
]
_ADVANCE = """
UPDATE runs SET
    head = ?, hash = ?, state = ?, reason = ?, wake_at = ?, inbox_seen = ?, agent_version = coalesce(?, agent_version), updated_at = ?
WHERE tenant = ? AND run_id = ? AND epoch = ? AND head = ? AND owner IS NOT NULL
"""
_RELEASE = """
UPDATE runs SET
    head = ?, hash = ?, state = ?, reason = ?, wake_at = ?, inbox_seen = ?, agent_version = coalesce(?, agent_version), updated_at = ?,
    owner = NULL, lease_until = NULL
WHERE tenant = ? AND run_id = ? AND epoch = ? AND head = ? AND owner IS NOT NULL AND inbox_head = ?
"""
_CHANGE_LEDGER = """
UPDATE ledger SET reserved = reserved + ?, settled = settled + ?
WHERE tenant = ? AND scope = ? AND (? <= 0 OR cap IS NULL OR reserved + settled + ? <= cap)
"""
_CREATE = """
INSERT INTO runs (
    tenant, run_id, agent, agent_version, session, parent, queue, priority, behind, state, head, hash, created_at, updated_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?)
"""
_LEASE = "UPDATE runs SET epoch = ?, owner = ?, lease_until = ?, updated_at = ? WHERE tenant = ? AND run_id = ?"
_INBOX_OF = "SELECT state, inbox_head FROM runs WHERE tenant = ? AND run_id = ?"
_SESSION_HEAD = """
SELECT runs.run_id, runs.state FROM sessions JOIN runs ON runs.tenant = sessions.tenant AND runs.run_id = sessions.head_run
WHERE sessions.tenant = ? AND sessions.session = ?
"""
_KEEP_ARTIFACT = """
INSERT INTO artifacts (tenant, artifact, data, created_at) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET created_at = excluded.created_at WHERE created_at < excluded.created_at
"""


class Writes:
    """The writing connection, and the store's own time: `now` is the same throughout a transaction."""

    def __init__(self, db: sqlite3.Connection, clock: Clock, owners: Owners, guard: Guard) -> None:
        self.db = db
        self.now = 0
        self._clock = clock
        self._owners = owners
        self._guard = guard
        self._turns = Turns()
        guard.hold()

    def begin(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        self.now = self._clock.now_us()

    def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], session: SessionMove | None) -> None:
        if self.db.execute("SELECT 1 FROM runs WHERE tenant = ? AND run_id = ?", (tenant, run_id)).fetchone():
            raise refusals.run_exists(run_id)
        created = refusals.created_by(run_id, facts)
        behind = self._move_session(tenant, run_id, session) if session is not None else None
        envelopes, artifacts = _encoded(tenant, run_id, facts, GENESIS)
        self._insert(tenant, run_id, envelopes, artifacts)
        name = session.session if session is not None else created.session
        asked = created.agent, created.agent_version, name, created.parent, created.queue, created.priority
        self.db.execute(_CREATE, (tenant, run_id, *asked, behind, len(facts), envelopes[-1].hash, self.now, self.now))

    def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, lease_us: int) -> Claim:
        """Take the lease; the owner's lock is held before anybody sees its claim."""
        query = "SELECT state, owner, lease_until, epoch, head, behind FROM runs WHERE tenant = ? AND run_id = ?"
        found = self.db.execute(query, (tenant, run_id)).fetchone()
        if found is None:
            raise refusals.no_run(run_id)
        state, holder, held_until, epoch, head, behind = found
        if state in ENDS:
            raise refusals.run_ended(run_id, state)
        if behind is not None:
            raise refusals.run_behind(run_id, behind)
        if holder is not None and held_until > self.now and not self._owners.is_dead(holder):
            raise refusals.run_busy(run_id, holder)
        self._hold(owner)
        return self._lease(Claim(tenant, run_id, owner, epoch + 1, head, self.now + lease_us))

    def claim_due(self, wanted: Wanted, owner: OwnerId, lease_us: int) -> list[Claim]:
        """Take the leases of runs that are due, tenants in turn."""
        dead = {holder for holder in due.holders(self.db) if self._owners.is_dead(holder)}
        found = list(self._turns.share(due.lines(self.db, wanted, self.now, dead), wanted.limit))
        if found:
            self._hold(owner)
        until = self.now + lease_us
        return [self._lease(Claim(run.tenant, run.run_id, owner, run.epoch + 1, run.head, until)) for run in found]

    def renew(self, claim: Claim, lease_us: int) -> Claim:
        renewed = lengthen(self.db, claim, self.now + lease_us)
        if renewed is None:
            raise refusals.not_held(claim.run_id, claim.epoch)
        return renewed

    def append(self, batch: Batch) -> None:
        """Move the run's tip if it still stands where the batch was made, and write what belongs to the move."""
        found = self.db.execute("SELECT hash FROM runs WHERE tenant = ? AND run_id = ?", (batch.tenant, batch.run_id)).fetchone()
        if found is None:
            raise refusals.no_run(batch.run_id)
        envelopes, artifacts = _encoded(batch.tenant, batch.run_id, batch.facts, found[0])
        tip = envelopes[-1].hash if envelopes else found[0]
        head = batch.head + len(envelopes)
        values = head, tip, batch.state, batch.reason, batch.wake_at, batch.inbox_seen, batch.agent_version, self.now
        fence = batch.tenant, batch.run_id, batch.epoch, batch.head
        if batch.releases:
            moved = self.db.execute(_RELEASE, (*values, *fence, batch.inbox_seen))
        else:
            moved = self.db.execute(_ADVANCE, (*values, *fence))
        if not moved.rowcount:
            raise self._refusal(batch)
        for change in batch.ledger:
            self._change_ledger(batch.tenant, change)
        self._insert(batch.tenant, batch.run_id, envelopes, artifacts)
        for mail in batch.mail:
            self._deliver(batch.tenant, mail)
        if batch.state in ENDS:
            self.db.execute("UPDATE runs SET behind = NULL WHERE tenant = ? AND behind = ?", (batch.tenant, batch.run_id))

    def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        known = self._number(tenant, run_id, item)
        if known is not None:
            return known
        found = self.db.execute(_INBOX_OF, (tenant, run_id)).fetchone()
        if found is None:
            raise refusals.no_run(run_id)
        state, head = found
        if state in ENDS:
            raise refusals.run_ended(run_id, state)
        number: int = head + 1
        self._keep(tenant, run_id, item, number)
        return number

    def set_limit(self, tenant: TenantId, scope: str, limit: int | None) -> None:
        self.db.execute(
            "INSERT INTO ledger (tenant, scope, cap) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET cap = excluded.cap", (tenant, scope, limit)
        )

    def move_cursor(self, tenant: TenantId, sink: str, run_id: RunId, seq: int) -> None:
        self.db.execute(
            "INSERT INTO cursors (tenant, sink, run_id, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
            (tenant, sink, run_id, seq),
        )

    def close(self) -> None:
        """Let go of the owners' locks, and of the connection."""
        with closing(self._guard), closing(self.db):
            self._guard.release()
            self._owners.close()
            self._owners.clean(due.holders(self.db))

    def _insert(self, tenant: TenantId, run_id: RunId, envelopes: Sequence[Envelope], artifacts: Mapping[ArtifactId, bytes]) -> None:
        """Insert many events a statement: after each one, SQLite's caller queues for the interpreter's lock."""
        for start in range(0, len(envelopes), _ROWS_A_STATEMENT):
            rows = [_to_row(envelope) for envelope in envelopes[start : start + _ROWS_A_STATEMENT]]
            self.db.execute(_INSERT_EVENTS[len(rows)], list(chain.from_iterable(rows)))
        for identity, data in artifacts.items():
            self.db.execute(_KEEP_ARTIFACT, (tenant, identity, data, self.now))
            self.db.execute("INSERT OR IGNORE INTO artifact_refs (tenant, run_id, artifact) VALUES (?, ?, ?)", (tenant, run_id, identity))

    def _hold(self, owner: OwnerId) -> None:
        """Lock the owner's file, before anybody sees its claim."""
        if not self._owners.holds(owner):
            self._owners.clean(due.holders(self.db))
            self._owners.hold(owner)

    def _lease(self, claim: Claim) -> Claim:
        self.db.execute(_LEASE, (claim.epoch, claim.owner, claim.lease_until, self.now, claim.tenant, claim.run_id))
        return claim

    def _deliver(self, tenant: TenantId, mail: Mail) -> None:
        """Put the item into the run's inbox, unless it lies there already, or the run is gone or has ended."""
        found = self.db.execute(_INBOX_OF, (tenant, mail.run_id)).fetchone()
        if found is not None and found[0] not in ENDS and self._number(tenant, mail.run_id, mail.item) is None:
            self._keep(tenant, mail.run_id, mail.item, found[1] + 1)

    def _number(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int | None:
        """Return the number of the item that was put under the same key."""
        query = "SELECT number FROM inbox WHERE tenant = ? AND run_id = ? AND key = ?"
        known: tuple[int] | None = self.db.execute(query, (tenant, run_id, item.key)).fetchone()
        return known[0] if known is not None else None

    def _keep(self, tenant: TenantId, run_id: RunId, item: InboxDraft, number: int) -> None:
        """Add an inbox item; the run's row counts it, so that no release passes it by."""
        body = json.dumps(item.body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        self.db.execute(
            "INSERT INTO inbox (tenant, run_id, number, kind, body, sent_by, sent_at, key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (tenant, run_id, number, item.kind, body, item.by, self.now, item.key),
        )
        self.db.execute(
            "UPDATE runs SET inbox_head = ?, updated_at = ? WHERE tenant = ? AND run_id = ?", (number, self.now, tenant, run_id)
        )

    def _move_session(self, tenant: TenantId, run_id: RunId, move: SessionMove) -> RunId | None:
        """Make the run its session's head, and return the one that it stands behind."""
        found: tuple[RunId, RunState] | None = self.db.execute(_SESSION_HEAD, (tenant, move.session)).fetchone()
        head, state = found if found is not None else (None, None)
        if head != move.expected:
            raise refusals.session_moved(move, head)
        behind = head if state not in ENDS else None
        if behind is not None and not move.queues:
            raise refusals.session_busy(move, behind)
        self.db.execute(
            "INSERT INTO sessions (tenant, session, head_run) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET head_run = excluded.head_run",
            (tenant, move.session, run_id),
        )
        return behind

    def _change_ledger(self, tenant: TenantId, change: LedgerChange) -> None:
        self.db.execute("INSERT OR IGNORE INTO ledger (tenant, scope) VALUES (?, ?)", (tenant, change.scope))
        taken = change.reserve + change.settle
        changed = self.db.execute(_CHANGE_LEDGER, (change.reserve, change.settle, tenant, change.scope, change.reserve, taken))
        if not changed.rowcount:
            query = "SELECT scope, cap, reserved, settled FROM ledger WHERE tenant = ? AND scope = ?"
            raise refusals.ledger_refused(change, LedgerRow(*self.db.execute(query, (tenant, change.scope)).fetchone()))

    def _refusal(self, batch: Batch) -> Fenced | InboxPending:
        query = "SELECT epoch, head, owner, inbox_head FROM runs WHERE tenant = ? AND run_id = ?"
        epoch, head, owner, inbox_head = self.db.execute(query, (batch.tenant, batch.run_id)).fetchone()
        if (epoch, head) == (batch.epoch, batch.head) and owner is not None:
            return refusals.inbox_pending(batch, inbox_head)
        return refusals.fenced(batch, epoch, head, owner)


def _encoded(tenant: TenantId, run_id: RunId, facts: Iterable[Fact], previous: bytes) -> tuple[list[Envelope], dict[ArtifactId, bytes]]:
    envelopes: list[Envelope] = []
    artifacts: dict[ArtifactId, bytes] = {}
    for fact in facts:
        encoded = encode(fact, tenant=tenant, run_id=run_id, previous=previous)
        envelopes.append(encoded.envelope)
        artifacts.update(encoded.artifacts)
        previous = encoded.envelope.hash
    return envelopes, artifacts
