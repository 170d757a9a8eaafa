"""The runs of the journal in memory, and which of them can go on now: kept in lines, so that nothing is searched for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

from agent_sdk.core.envelope import Envelope
from agent_sdk.core.events import Fact, WaitReason
from agent_sdk.core.ids import ArtifactId, OwnerId, RunId, SessionId, TenantId
from agent_sdk.core.ports import InboxItem, RunRow, Wanted
from agent_sdk.core.run import ENDS, RunState
from agent_sdk.storage.follow import RunKey
from agent_sdk.storage.lanes import Lane, is_wanted


@dataclass(slots=True)
class Kept:
    """A run's row, facts and inbox. `envelopes` are the facts that somebody has read so far, in their stored form.

    `listed_at` is the time under which the run stands in a line now.
    """

    tenant: TenantId
    run_id: RunId
    agent: str
    agent_version: str
    session: SessionId | None
    parent: RunId | None
    queue: str
    priority: int
    behind: RunId | None
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
    artifacts: set[ArtifactId] = field(default_factory=set[ArtifactId])
    inbox: list[InboxItem] = field(default_factory=list[InboxItem])
    keys: dict[str, int] = field(default_factory=dict[str, int])
    listed_at: int | None = None

    @property
    def lane(self) -> Lane:
        return Lane(self.tenant, self.queue, self.agent, self.agent_version, self.priority)

    def due_at(self) -> int | None:
        """Return from when on the run may be claimed as due; None where nothing can be done for it."""
        if self.state in ENDS or self.behind is not None:
            return None
        if self.owner is not None:
            return self.lease_until
        if self.state == "waiting" and len(self.inbox) <= self.inbox_seen:
            return self.wake_at
        return self.updated_at if self.epoch else self.created_at

    def row(self) -> RunRow:
        return RunRow(
            tenant=self.tenant,
            run_id=self.run_id,
            agent=self.agent,
            agent_version=self.agent_version,
            state=self.state,
            reason=self.reason,
            head=len(self.facts),
            epoch=self.epoch,
            owner=self.owner,
            lease_until=self.lease_until,
            inbox_head=len(self.inbox),
            inbox_seen=self.inbox_seen,
            wake_at=self.wake_at,
            session=self.session,
            parent=self.parent,
            queue=self.queue,
            priority=self.priority,
            behind=self.behind,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


_Place = tuple[bool, int, int, RunId]
"""A run's place in its tenant's line: left by its owner or not, priority downwards, time, id."""


class Due:
    """Lines of runs by lane. Whoever changes what a run waits for calls `touch`; places are found at the next look, stale ones dropped."""

    def __init__(self, runs: Mapping[RunKey, Kept]) -> None:
        self._runs = runs
        self._touched: dict[RunKey, None] = {}
        self._later: list[tuple[int, TenantId, RunId]] = []
        self._lanes: dict[Lane, list[_Place]] = {}
        self._tenants: dict[TenantId, None] = {}

    def touch(self, key: RunKey) -> None:
        self._touched[key] = None

    def lines(self, wanted: Wanted, now: int) -> dict[TenantId, Iterator[Kept]]:
        """Return the line of each tenant that has runs to be claimed now."""
        self._settle(now)
        if wanted.runs is not None:
            return self._named(wanted, wanted.runs, now)
        lanes: dict[TenantId, list[Lane]] = {}
        for lane in self._lanes:
            if is_wanted(lane, wanted):
                lanes.setdefault(lane.tenant, []).append(lane)
        return {tenant: self._line(found) for tenant, found in lanes.items()}

    def next_at(self, wanted: Wanted, now: int) -> int | None:
        """Return when `lines` may have something, `now` where it has; None where nothing is in sight."""
        for line in self.lines(wanted, now).values():
            if next(line, None) is not None:
                return now
        return self._later[0][0] if self._later else None

    def _settle(self, now: int) -> None:
        for key in self._touched:
            self._tenants[key[0]] = None
            run = self._runs.get(key)
            if run is not None and run.due_at() != run.listed_at:
                self._list(run)
        self._touched.clear()
        while self._later and self._later[0][0] <= now:
            at, tenant, run_id = heappop(self._later)
            run = self._runs.get((tenant, run_id))
            if run is None or run.listed_at != at:
                continue
            if run.due_at() == at:
                heappush(self._lanes.setdefault(run.lane, []), _place(run, at))
            else:
                self._list(run)

    def _list(self, run: Kept) -> None:
        run.listed_at = run.due_at()
        if run.listed_at is not None:
            heappush(self._later, (run.listed_at, run.tenant, run.run_id))

    def _line(self, lanes: Iterable[Lane]) -> Iterator[Kept]:
        """Yield a tenant's runs in order; each has been claimed by the time that the next one is asked for."""
        while True:
            fronts = [(front, lane) for lane in lanes if (front := self._front(lane)) is not None]
            if not fronts:
                return
            (*_, run_id), lane = min(fronts)
            run = self._runs[lane.tenant, run_id]
            yield run
            heappop(self._lanes[lane])
            self._list(run)

    def _front(self, lane: Lane) -> _Place | None:
        """Return the first place of a lane that still holds; a renewed lease and a new version of the code move a run elsewhere."""
        places = self._lanes.get(lane)
        while places:
            _, _, at, run_id = places[0]
            run = self._runs.get((lane.tenant, run_id))
            if run is not None and run.listed_at == at:
                if run.due_at() == at and run.lane == lane:
                    return places[0]
                self._list(run)
            heappop(places)
        self._lanes.pop(lane, None)
        return None

    def _named(self, wanted: Wanted, run_ids: Iterable[RunId], now: int) -> dict[TenantId, Iterator[Kept]]:
        lines: dict[TenantId, list[tuple[_Place, Kept]]] = {}
        for tenant in self._tenants:
            for run_id in run_ids:
                run = self._runs.get((tenant, run_id))
                at = run.due_at() if run is not None else None
                if run is not None and at is not None and at <= now and is_wanted(run.lane, wanted):
                    lines.setdefault(tenant, []).append((_place(run, at), run))
        return {tenant: (run for _, run in sorted(line, key=lambda placed: placed[0])) for tenant, line in lines.items()}


def _place(run: Kept, at: int) -> _Place:
    return run.owner is None, -run.priority, at, run.run_id
