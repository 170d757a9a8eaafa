"""What a journal has to do, in the plainest words: the reference that the stateful laws hold every journal against. It knows no store."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agent_sdk.core.errors import AgentSDKError, Fenced, InboxPending, NotFound, RunBusy, RunEnded, RunExists
from agent_sdk.core.ids import OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import Batch, Claim, RunRow, SessionMove, Wanted
from agent_sdk.core.run import ENDS, RunState
from agent_sdk.storage.follow import RunKey

Refusal = type[AgentSDKError] | None


@dataclass
class Told:
    """A run as the story so far tells it; times in seconds since the story began."""

    session: SessionId | None
    queue: str
    priority: int
    behind: RunId | None
    state: RunState = "queued"
    epoch: int = 0
    head: int = 1
    owner: OwnerId | None = None
    lease_until: float = 0
    wake_at: float | None = None
    seen: int = 0
    inbox: list[str | None] = field(default_factory=list[str | None])

    @property
    def has_ended(self) -> bool:
        return self.state in ENDS


@dataclass
class Reference:
    """All runs, the dead, and what time it is. What writes returns the error that a journal must raise, or None where it must write."""

    knows_the_dead: bool
    time: float = 0
    runs: dict[RunKey, Told] = field(default_factory=dict[RunKey, Told])
    sessions: dict[tuple[TenantId, SessionId], RunId] = field(default_factory=dict[tuple[TenantId, SessionId], RunId])
    dead: set[OwnerId] = field(default_factory=set[OwnerId])

    def create(self, key: RunKey, move: SessionMove | None, queue: str, priority: int) -> Refusal:
        tenant, run_id = key
        if key in self.runs:
            return RunExists
        behind = None
        if move is not None:
            head = self.sessions.get((tenant, move.session))
            if head != move.expected:
                return RunBusy
            if head is not None and not self.runs[tenant, head].has_ended:
                if not move.queues:
                    return RunBusy
                behind = head
            self.sessions[tenant, move.session] = run_id
        self.runs[key] = Told(move.session if move is not None else None, queue, priority, behind)
        return None

    def claim(self, key: RunKey, owner: OwnerId, lease_s: float) -> Refusal:
        run = self.runs.get(key)
        if run is None:
            return NotFound
        if run.has_ended:
            return RunEnded
        if run.behind is not None or (run.owner is not None and not self.is_left(run)):
            return RunBusy
        self.lease(key, owner, lease_s)
        return None

    def lease(self, key: RunKey, owner: OwnerId, lease_s: float) -> None:
        run = self.runs[key]
        run.epoch += 1
        run.owner, run.lease_until = owner, self.time + lease_s

    def renew(self, claim: Claim, lease_s: float) -> Refusal:
        run = self.runs.get((claim.tenant, claim.run_id))
        if run is None or run.epoch != claim.epoch or run.owner is None:
            return Fenced
        run.lease_until = self.time + lease_s
        return None

    def append(self, batch: Batch, wake_at: float | None) -> Refusal:
        run = self.runs.get((batch.tenant, batch.run_id))
        if run is None:
            return NotFound
        if (run.epoch, run.head) != (batch.epoch, batch.head) or run.owner is None:
            return Fenced
        if batch.releases and len(run.inbox) != batch.inbox_seen:
            return InboxPending
        run.head += len(batch.facts)
        run.state, run.seen, run.wake_at = batch.state, batch.inbox_seen, wake_at
        for mail in batch.mail:
            self.put((batch.tenant, mail.run_id), mail.item.key)
        if batch.releases:
            run.owner = None
        if run.has_ended:
            for (tenant, _), other in self.runs.items():
                if (tenant, other.behind) == (batch.tenant, batch.run_id):
                    other.behind = None
        return None

    def put(self, key: RunKey, item_key: str | None) -> Refusal:
        run = self.runs.get(key)
        if run is None:
            return NotFound
        if item_key is not None and item_key in run.inbox:
            return None
        if run.has_ended:
            return RunEnded
        run.inbox.append(item_key)
        return None

    def crash(self, owner: OwnerId) -> None:
        self.dead.add(owner)

    def purge(self, tenant: TenantId) -> set[RunId]:
        gone = {run_id for (of, run_id), run in self.runs.items() if of == tenant and run.has_ended}
        for run_id in gone:
            del self.runs[tenant, run_id]
        return gone

    def is_left(self, run: Told) -> bool:
        """Say whether the run's owner lost it."""
        return run.owner is not None and (run.lease_until <= self.time or (self.knows_the_dead and run.owner in self.dead))

    def is_due(self, run: Told) -> bool:
        if run.has_ended or run.behind is not None:
            return False
        if run.owner is not None:
            return self.is_left(run)
        if run.state == "waiting" and len(run.inbox) <= run.seen:
            return run.wake_at is not None and run.wake_at <= self.time
        return True

    def check_taken(self, wanted: Wanted, taken: Sequence[RunKey]) -> None:
        """Check that `claim_due` took what it may, as much as it can, shared out among tenants, and the first of each one's line."""
        due = {key: run for key, run in self.runs.items() if self.is_due(run) and _is_wanted(key, run, wanted)}
        assert len(set(taken)) == len(taken), "a run was taken twice"
        assert due.keys() >= set(taken), "a run was taken that is not due"
        assert len(taken) == min(wanted.limit, len(due)), "a run was left over"
        _check_shares(Counter(tenant for tenant, _ in due), Counter(tenant for tenant, _ in taken))
        for tenant in {tenant for tenant, _ in taken}:
            ranks = [self._rank(due[key]) for key in taken if key[0] == tenant]
            rest = [self._rank(run) for key, run in due.items() if key[0] == tenant and key not in taken]
            assert ranks == sorted(ranks), "a run was taken before a more urgent one"
            assert not rest or max(ranks) <= min(rest), "a more urgent run was left over"

    def _rank(self, run: Told) -> tuple[bool, int]:
        return not self.is_left(run), -run.priority

    def check_rows(self, tenant: TenantId, rows: Iterable[RunRow]) -> None:
        """Check that a journal's rows say what the story says."""
        told = {run_id: _told(run) for (of, run_id), run in self.runs.items() if of == tenant}
        assert {row.run_id: _seen(row) for row in rows} == told


def _told(run: Told) -> tuple[object, ...]:
    return (
        run.state, run.epoch, run.head, run.owner, run.owner is not None, run.behind, len(run.inbox), run.seen, run.session, run.queue,
        run.priority, run.wake_at is not None,
    )  # fmt: skip


def _seen(row: RunRow) -> tuple[object, ...]:
    return (
        row.state, row.epoch, row.head, row.owner, row.lease_until is not None, row.behind, row.inbox_head, row.inbox_seen, row.session,
        row.queue, row.priority, row.wake_at is not None,
    )  # fmt: skip


def _is_wanted(key: RunKey, run: Told, wanted: Wanted) -> bool:
    def fits(value: object, given: Collection[object] | None) -> bool:
        return given is None or value in given

    return fits(key[0], wanted.tenants) and fits(key[1], wanted.runs) and fits(run.queue, wanted.queues)


def _check_shares(due: Mapping[TenantId, int], taken: Mapping[TenantId, int]) -> None:
    for tenant, has in due.items():
        gets = taken.get(tenant, 0)
        if gets < has:
            assert all(other <= gets + 1 for other in taken.values()), "a tenant got less than its share"
