"""The journal in memory: all rules of the port, for one process and as long as it lives."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock

from agent_sdk.core.budget import ledger_rows, run_scope
from agent_sdk.core.envelope import GENESIS, Envelope, encode
from agent_sdk.core.events import Fact
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import (
    Batch,
    Claim,
    Clock,
    Expired,
    InboxDraft,
    InboxItem,
    LeaseLine,
    LedgerChange,
    LedgerRow,
    RunFilter,
    RunRow,
    SessionMove,
    Wanted,
)
from agent_sdk.core.run import ENDS
from agent_sdk.storage import refusals
from agent_sdk.storage.due import Due, Kept
from agent_sdk.storage.follow import DUE, MAIL, Bells, Patience, RunKey, await_due, follow, follow_mail
from agent_sdk.storage.lanes import Turns


@frozen
class _Artifact:
    data: bytes
    written_at: int


class MemoryJournal:
    """Keeps facts as they are and encodes them when they are read, so that an append costs next to nothing and never suspends.

    What an event holds must therefore not change after the append, and a value that JSON cannot hold is found at the first read only.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[RunKey, Kept] = {}
        self._sessions: dict[tuple[TenantId, SessionId], RunId] = {}
        self._ledgers: dict[tuple[TenantId, str], LedgerRow] = {}
        self._artifacts: dict[tuple[TenantId, ArtifactId], _Artifact] = {}
        self._cursors: dict[tuple[TenantId, str, RunId], int] = {}
        self._unread: dict[RunKey, None] = {}
        self._following: dict[RunKey, RunKey] = {}
        self._due = Due(self._runs)
        self._turns = Turns()
        self._bells = Bells()
        self._lock = Lock()

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        if (tenant, run_id) in self._runs:
            raise refusals.run_exists(run_id)
        refusals.check_numbers(run_id, facts, behind=0)
        created = refusals.created_by(run_id, facts)
        behind = self._move_session(tenant, run_id, session) if session is not None else None
        now = self._clock.now_us()
        self._runs[tenant, run_id] = Kept(
            tenant=tenant,
            run_id=run_id,
            agent=created.agent,
            agent_version=created.agent_version,
            session=session.session if session is not None else created.session,
            parent=created.parent,
            queue=created.queue,
            priority=created.priority,
            behind=behind,
            created_at=now,
            updated_at=now,
            facts=list(facts),
        )
        self._ring_due((tenant, run_id))

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        run, now = self._run(tenant, run_id), self._clock.now_us()
        if run.state in ENDS:
            raise refusals.run_ended(run_id, run.state)
        if run.behind is not None:
            raise refusals.run_behind(run_id, run.behind)
        if run.lease_until is not None and run.lease_until > now:
            raise refusals.run_busy(run_id, run.owner)
        claim = self._lease(run, owner, now, lease_s)
        self._bells.ring(MAIL)
        return claim

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        now = self._clock.now_us()
        found = self._turns.share(self._due.lines(wanted, now), wanted.limit)
        claims = [self._lease(run, owner, now, lease_s) for run in found]
        if claims:
            self._bells.ring(MAIL)
        return claims

    async def wait_due(self, wanted: Wanted, *, timeout_s: float) -> None:
        async def next_at() -> int | None:
            return self._due.next_at(wanted, self._clock.now_us())

        await await_due(next_at, self._bells, self._clock, Patience(timeout_s))

    def lease_line(self) -> LeaseLine:
        return _MemoryLeaseLine(self._renewed)

    async def renew(self, claim: Claim, *, lease_s: float) -> Claim:
        renewed = self._renewed(claim, lease_s)
        if renewed is None:
            raise refusals.not_held(claim.run_id, claim.epoch)
        return renewed

    async def append(self, batch: Batch) -> None:
        key = batch.tenant, batch.run_id
        run = self._runs.get(key)
        if run is None:
            raise refusals.no_run(batch.run_id)
        facts = run.facts
        if run.epoch != batch.epoch or len(facts) != batch.head or run.owner is None:
            raise refusals.fenced(batch, run.epoch, len(facts), run.owner)
        if batch.releases and len(run.inbox) != batch.inbox_seen:
            raise refusals.inbox_pending(batch, len(run.inbox))
        refusals.check_numbers(batch.run_id, batch.facts, behind=batch.head)
        if batch.ledger:
            self._change_ledgers(batch.tenant, batch.ledger)
        facts.extend(batch.facts)
        run.state, run.reason, run.wake_at, run.inbox_seen = batch.state, batch.reason, batch.wake_at, batch.inbox_seen
        run.updated_at = self._clock.now_us()
        if batch.agent_version is not None:
            run.agent_version = batch.agent_version
        if batch.mail:
            self._deliver(batch)
        if batch.releases:
            self._release(key, run)
        if self._bells:
            self._bells.ring(key)

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        run = self._run(tenant, run_id)
        self._encode(run, after + limit)
        return run.envelopes[after : after + limit]

    def watch(self, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Envelope]:
        return follow(self, self._bells, (tenant, run_id), after)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        return self._run(tenant, run_id).row()

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        last = self._run(tenant, which.before) if which.before is not None else None
        found = [
            run
            for run in self._runs.values()
            if run.tenant == tenant
            and (not which.states or run.state in which.states)
            and (which.agent is None or run.agent == which.agent)
            and (which.reason is None or run.reason == which.reason)
            and (which.session is None or run.session == which.session)
            and (which.parent is None or run.parent == which.parent)
            and (last is None or _place(run) < _place(last))
        ]
        return [run.row() for run in sorted(found, key=_place, reverse=True)[: which.limit]]

    async def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        run = self._run(tenant, run_id)
        if item.key is not None and item.key in run.keys:
            return run.keys[item.key]
        if run.state in ENDS:
            raise refusals.run_ended(run_id, run.state)
        return self._keep(run, item)

    async def inbox(self, tenant: TenantId, run_id: RunId, *, after: int) -> list[InboxItem]:
        return self._run(tenant, run_id).inbox[after:]

    def mail(self, owner: OwnerId) -> AsyncIterator[RunKey]:
        async def unread() -> Mapping[RunKey, int]:
            runs = {key: self._runs[key] for key in self._unread}
            self._unread = {key: None for key, run in runs.items() if len(run.inbox) > run.inbox_seen}
            return {key: len(runs[key].inbox) for key in self._unread if runs[key].owner == owner}

        return follow_mail(unread, self._bells)

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        kept = self._artifacts.get((tenant, artifact))
        if kept is None:
            raise refusals.no_artifact(artifact)
        return kept.data

    async def set_limit(self, tenant: TenantId, scope: str, limit: int | None) -> None:
        row = self._ledgers.get((tenant, scope))
        self._ledgers[tenant, scope] = replace(row, limit=limit) if row is not None else LedgerRow(scope, limit, 0, 0)

    async def ledger(self, tenant: TenantId, scope: str) -> LedgerRow | None:
        return self._ledgers.get((tenant, scope))

    async def cursor(self, tenant: TenantId, sink: str, run_id: RunId) -> int:
        return self._cursors.get((tenant, sink, run_id), 0)

    async def move_cursor(self, tenant: TenantId, sink: str, run_id: RunId, seq: int) -> None:
        key = tenant, sink, run_id
        self._cursors[key] = max(seq, self._cursors.get(key, 0))

    async def session_head(self, tenant: TenantId, session: SessionId) -> RunId | None:
        return self._sessions.get((tenant, session))

    async def purge(self, tenant: TenantId, which: Expired) -> list[RunId]:
        found = [
            run
            for run in self._runs.values()
            if run.tenant == tenant and run.state in which.states & ENDS and run.updated_at < which.before_us
        ]
        gone = sorted(found, key=lambda run: (run.updated_at, run.run_id))[: which.limit]
        for run in gone:
            del self._runs[tenant, run.run_id]
            self._unread.pop((tenant, run.run_id), None)
        run_ids = {run.run_id for run in gone}
        self._cursors = {key: seq for key, seq in self._cursors.items() if key[0] != tenant or key[2] not in run_ids}
        for row, _ in ledger_rows(map(run_scope, run_ids)):
            self._ledgers.pop((tenant, row), None)
        for session in {run.session for run in gone if run.session is not None}:
            self._mend_session(tenant, session)
        return [run.run_id for run in gone]

    async def sweep_artifacts(self, tenant: TenantId, *, before_us: int) -> int:
        named = {artifact for run in self._runs.values() if run.tenant == tenant for artifact in run.artifacts}
        swept = [key for key, kept in self._artifacts.items() if key[0] == tenant and key[1] not in named and kept.written_at < before_us]
        for key in swept:
            del self._artifacts[key]
        return len(swept)

    async def check_integrity(self) -> list[str]:
        """Return nothing: what is in memory is checked by nobody but its owner."""
        return []

    async def close(self) -> None:
        """Do nothing: what is in memory goes with the journal."""

    def _run(self, tenant: TenantId, run_id: RunId) -> Kept:
        run = self._runs.get((tenant, run_id))
        if run is None:
            raise refusals.no_run(run_id)
        return run

    def _move_session(self, tenant: TenantId, run_id: RunId, move: SessionMove) -> RunId | None:
        """Make the run its session's head, and return the one that it stands behind."""
        head = self._sessions.get((tenant, move.session))
        if head != move.expected:
            raise refusals.session_moved(move, head)
        behind = head if head is not None and self._runs[tenant, head].state not in ENDS else None
        if behind is not None:
            if not move.queues:
                raise refusals.session_busy(move, behind)
            self._following[tenant, behind] = tenant, run_id
        self._sessions[tenant, move.session] = run_id
        return behind

    def _mend_session(self, tenant: TenantId, session: SessionId) -> None:
        """Let the session stand at the newest run that is left of it."""
        if (tenant, self._sessions.get((tenant, session))) not in self._runs:
            left = [run for run in self._runs.values() if run.tenant == tenant and run.session == session]
            if left:
                self._sessions[tenant, session] = max(left, key=_place).run_id
            else:
                self._sessions.pop((tenant, session), None)

    def _lease(self, run: Kept, owner: OwnerId, now: int, lease_s: float) -> Claim:
        until = now + int(lease_s * 1e6)
        with self._lock:
            run.epoch += 1
            run.owner, run.lease_until, run.updated_at = owner, until, now
        self._due.touch((run.tenant, run.run_id))
        return Claim(run.tenant, run.run_id, owner, run.epoch, len(run.facts), until)

    def _renewed(self, claim: Claim, lease_s: float) -> Claim | None:
        """Lengthen a lease, from whatever thread; None where it does not stand."""
        until = self._clock.now_us() + int(lease_s * 1e6)
        with self._lock:
            run = self._runs.get((claim.tenant, claim.run_id))
            if run is None or run.epoch != claim.epoch or run.owner is None:
                return None
            run.lease_until = until
            return replace(claim, head=len(run.facts), lease_until=until)

    def _release(self, key: RunKey, run: Kept) -> None:
        with self._lock:
            run.owner = run.lease_until = None
        if run.state in ENDS and (follower := self._following.pop(key, None)) is not None:
            self._runs[follower].behind = None
            self._due.touch(follower)
        self._ring_due(key)

    def _deliver(self, batch: Batch) -> None:
        """Put the batch's mail into the inboxes of those runs that are there and have not ended."""
        for mail in batch.mail:
            run = self._runs.get((batch.tenant, mail.run_id))
            if run is not None and run.state not in ENDS and (mail.item.key is None or mail.item.key not in run.keys):
                self._keep(run, mail.item)

    def _keep(self, run: Kept, item: InboxDraft) -> int:
        number, run.updated_at = len(run.inbox) + 1, self._clock.now_us()
        run.inbox.append(InboxItem(number, item.kind, item.body, item.by, run.updated_at))
        if item.key is not None:
            run.keys[item.key] = number
        key = run.tenant, run.run_id
        self._unread[key] = None
        self._bells.ring(MAIL)
        self._ring_due(key)
        return number

    def _ring_due(self, key: RunKey) -> None:
        self._due.touch(key)
        self._bells.ring(DUE)

    def _change_ledgers(self, tenant: TenantId, changes: Sequence[LedgerChange]) -> None:
        rows: dict[str, LedgerRow] = {}
        for change in changes:
            row = rows.get(change.scope) or self._ledgers.get((tenant, change.scope)) or LedgerRow(change.scope, None, 0, 0)
            after = replace(row, reserved=row.reserved + change.reserve, settled=row.settled + change.settle)
            if change.reserve > 0 and after.limit is not None and after.reserved + after.settled > after.limit:
                raise refusals.ledger_refused(change, row)
            rows[change.scope] = after
        self._ledgers.update({(tenant, scope): row for scope, row in rows.items()})

    def _encode(self, run: Kept, upto: int) -> None:
        envelopes = run.envelopes
        previous = envelopes[-1].hash if envelopes else GENESIS
        for fact in run.facts[len(envelopes) : upto]:
            encoded = encode(fact, tenant=run.tenant, run_id=run.run_id, previous=previous)
            for identity, data in encoded.artifacts.items():
                run.artifacts.add(identity)
                known = self._artifacts.get((run.tenant, identity))
                self._artifacts[run.tenant, identity] = _Artifact(data, max(run.updated_at, known.written_at if known is not None else 0))
            envelopes.append(encoded.envelope)
            previous = encoded.envelope.hash


def _place(run: Kept) -> tuple[int, RunId]:
    return run.created_at, run.run_id


@frozen
class _MemoryLeaseLine:
    """Renews under the lock that claims and releases take too; an append that releases nothing takes none."""

    _renewed: Callable[[Claim, float], Claim | None]

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[Claim]:
        return [renewed for claim in claims if (renewed := self._renewed(claim, lease_s)) is not None]

    def close(self) -> None:
        """Do nothing: there is no connection."""
