"""The journal in memory: all rules of the port, for one process and as long as it lives."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent_sdk.core.envelope import GENESIS, Envelope, encode
from agent_sdk.core.events import Fact, WaitReason
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import Batch, Claim, Clock, InboxDraft, InboxItem, LedgerChange, LedgerRow, RunFilter, RunRow, SessionMove
from agent_sdk.core.run import ENDS, RunState
from agent_sdk.storage import refusals
from agent_sdk.storage.follow import MAIL, Bells, RunKey, follow, follow_mail


@dataclass(slots=True)
class _Kept:
    """A run's row, facts and inbox. `envelopes` are the facts that somebody has read so far, in their stored form."""

    tenant: TenantId
    run_id: RunId
    agent: str
    session: SessionId | None
    created_at: int
    updated_at: int
    facts: list[Fact]
    state: RunState = "queued"
    reason: WaitReason | None = None
    epoch: int = 0
    owner: OwnerId | None = None
    lease_until: int | None = None
    inbox_seen: int = 0
    wake_at: int | None = None
    envelopes: list[Envelope] = field(default_factory=list[Envelope])
    inbox: list[InboxItem] = field(default_factory=list[InboxItem])
    keys: dict[str, int] = field(default_factory=dict[str, int])


class MemoryJournal:
    """Keeps facts as they are and encodes them when they are read, so that an append costs next to nothing and never suspends.

    What an event holds must therefore not change after the append, and a value that JSON cannot hold is found at the first read only.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[RunKey, _Kept] = {}
        self._sessions: dict[tuple[TenantId, SessionId], RunId] = {}
        self._ledgers: dict[tuple[TenantId, str], LedgerRow] = {}
        self._artifacts: dict[tuple[TenantId, ArtifactId], bytes] = {}
        self._cursors: dict[tuple[TenantId, str, RunId], int] = {}
        self._unread: dict[RunKey, None] = {}
        self._bells = Bells()

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        if (tenant, run_id) in self._runs:
            raise refusals.run_exists(run_id)
        refusals.check_numbers(run_id, facts, behind=0)
        created = refusals.created_by(run_id, facts)
        if session is not None:
            head = self._sessions.get((tenant, session.session))
            if head != session.expected:
                raise refusals.session_moved(session, head)
            self._sessions[tenant, session.session] = run_id
        now = self._clock.now_us()
        self._runs[tenant, run_id] = _Kept(
            tenant, run_id, created.agent, session.session if session is not None else created.session, now, now, list(facts)
        )

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        run, now = self._run(tenant, run_id), self._clock.now_us()
        if run.state in ENDS:
            raise refusals.run_ended(run_id, run.state)
        if run.lease_until is not None and run.lease_until > now:
            raise refusals.run_busy(run_id, run.owner)
        run.epoch += 1
        run.owner, run.lease_until, run.updated_at = owner, now + int(lease_s * 1e6), now
        self._bells.ring(MAIL)
        return Claim(tenant, run_id, owner, run.epoch, len(run.facts), run.lease_until)

    async def renew(self, claim: Claim, *, lease_s: float) -> Claim:
        run = self._run(claim.tenant, claim.run_id)
        if run.epoch != claim.epoch or run.owner is None:
            raise refusals.not_held(claim.run_id, claim.epoch)
        run.lease_until = self._clock.now_us() + int(lease_s * 1e6)
        return replace(claim, head=len(run.facts), lease_until=run.lease_until)

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
        if batch.releases:
            run.owner = run.lease_until = None
        if self._bells:
            self._bells.ring(key)

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        run = self._run(tenant, run_id)
        self._encode(run, after + limit)
        return run.envelopes[after : after + limit]

    def watch(self, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Envelope]:
        return follow(self, self._bells, (tenant, run_id), after)

    async def row(self, tenant: TenantId, run_id: RunId) -> RunRow:
        return _row(self._run(tenant, run_id))

    async def rows(self, tenant: TenantId, which: RunFilter) -> list[RunRow]:
        last = self._run(tenant, which.before) if which.before is not None else None
        found = [
            run
            for run in self._runs.values()
            if run.tenant == tenant
            and (not which.states or run.state in which.states)
            and (which.agent is None or run.agent == which.agent)
            and (last is None or _place(run) < _place(last))
        ]
        return [_row(run) for run in sorted(found, key=_place, reverse=True)[: which.limit]]

    async def put(self, tenant: TenantId, run_id: RunId, item: InboxDraft) -> int:
        run = self._run(tenant, run_id)
        if item.key is not None and item.key in run.keys:
            return run.keys[item.key]
        if run.state in ENDS:
            raise refusals.run_ended(run_id, run.state)
        number, run.updated_at = len(run.inbox) + 1, self._clock.now_us()
        run.inbox.append(InboxItem(number, item.kind, item.body, item.by, run.updated_at))
        if item.key is not None:
            run.keys[item.key] = number
        self._unread[tenant, run_id] = None
        self._bells.ring(MAIL)
        return number

    async def inbox(self, tenant: TenantId, run_id: RunId, *, after: int) -> list[InboxItem]:
        return self._run(tenant, run_id).inbox[after:]

    def mail(self, owner: OwnerId) -> AsyncIterator[RunKey]:
        async def unread() -> Mapping[RunKey, int]:
            runs = {key: self._runs[key] for key in self._unread}
            self._unread = {key: None for key, run in runs.items() if len(run.inbox) > run.inbox_seen}
            return {key: len(runs[key].inbox) for key in self._unread if runs[key].owner == owner}

        return follow_mail(unread, self._bells)

    async def artifact(self, tenant: TenantId, artifact: ArtifactId) -> bytes:
        data = self._artifacts.get((tenant, artifact))
        if data is None:
            raise refusals.no_artifact(artifact)
        return data

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

    async def close(self) -> None:
        """Do nothing: what is in memory goes with the journal."""

    def _run(self, tenant: TenantId, run_id: RunId) -> _Kept:
        run = self._runs.get((tenant, run_id))
        if run is None:
            raise refusals.no_run(run_id)
        return run

    def _change_ledgers(self, tenant: TenantId, changes: Sequence[LedgerChange]) -> None:
        rows: dict[str, LedgerRow] = {}
        for change in changes:
            row = rows.get(change.scope) or self._ledgers.get((tenant, change.scope)) or LedgerRow(change.scope, None, 0, 0)
            after = replace(row, reserved=row.reserved + change.reserve, settled=row.settled + change.settle)
            if change.reserve > 0 and after.limit is not None and after.reserved + after.settled > after.limit:
                raise refusals.ledger_refused(change, row)
            rows[change.scope] = after
        self._ledgers.update({(tenant, scope): row for scope, row in rows.items()})

    def _encode(self, run: _Kept, upto: int) -> None:
        envelopes = run.envelopes
        previous = envelopes[-1].hash if envelopes else GENESIS
        for fact in run.facts[len(envelopes) : upto]:
            encoded = encode(fact, tenant=run.tenant, run_id=run.run_id, previous=previous)
            self._artifacts.update({(run.tenant, identity): data for identity, data in encoded.artifacts.items()})
            envelopes.append(encoded.envelope)
            previous = encoded.envelope.hash


def _row(run: _Kept) -> RunRow:
    return RunRow(
        tenant=run.tenant,
        run_id=run.run_id,
        agent=run.agent,
        state=run.state,
        reason=run.reason,
        head=len(run.facts),
        epoch=run.epoch,
        owner=run.owner,
        lease_until=run.lease_until,
        inbox_head=len(run.inbox),
        inbox_seen=run.inbox_seen,
        wake_at=run.wake_at,
        session=run.session,
        created_at=run.created_at,
        updated_at=run.updated_at,
    )


def _place(run: _Kept) -> tuple[int, RunId]:
    return run.created_at, run.run_id
