"""Which runs can go on now, by the lanes of the index `runs_ready`: a look costs one seek a lane, however many runs wait in it."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain
from operator import attrgetter

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Wanted
from agent_sdk.storage.lanes import Lane, is_wanted

_FIRST = Lane(TenantId(""), "", "", "", -(2**63))
# The largest time stands for a lane's end: SQLite seeks to what is given, and would read the whole lane to get past its five columns.
_NEXT_LANE = """
SELECT tenant, queue, agent, agent_version, priority FROM runs INDEXED BY runs_ready
WHERE ready_at IS NOT NULL AND (tenant, queue, agent, agent_version, priority, ready_at) > (?, ?, ?, ?, ?, 9223372036854775807)
ORDER BY tenant, queue, agent, agent_version, priority, ready_at LIMIT 1
"""
_OF_LANE = "tenant = ? AND queue = ? AND agent = ? AND agent_version = ? AND priority = ?"
_IN_LANE = f"""
SELECT run_id, ready_at, epoch, head FROM runs INDEXED BY runs_ready
WHERE {_OF_LANE} AND ready_at <= ? ORDER BY ready_at, run_id
"""  # noqa: S608  (constants)
_LANE_NEXT_AT = f"SELECT min(ready_at) FROM runs INDEXED BY runs_ready WHERE {_OF_LANE} AND ready_at IS NOT NULL"  # noqa: S608  (constants)
_LEFT = """
SELECT tenant, queue, agent, agent_version, priority, run_id, lease_until, epoch, head FROM runs
WHERE owner IS NOT NULL AND (lease_until <= ? OR owner IN (SELECT value FROM json_each(?)))
ORDER BY priority DESC, lease_until, run_id
"""
_LEASES = """
SELECT tenant, queue, agent, agent_version, priority, owner, min(lease_until) FROM runs
WHERE owner IS NOT NULL GROUP BY tenant, queue, agent, agent_version, priority, owner
"""
_NEXT_TENANT = "SELECT tenant FROM runs WHERE tenant > ? ORDER BY tenant LIMIT 1"
_NAMED = """
SELECT tenant, queue, agent, agent_version, priority, run_id, coalesce(ready_at, lease_until), epoch, head, owner FROM runs
WHERE tenant = ? AND run_id IN (SELECT value FROM json_each(?)) AND (ready_at IS NOT NULL OR owner IS NOT NULL)
"""


@frozen
class DueRun:
    """A run that can be claimed from `at` on; `place` orders those of one tenant."""

    tenant: TenantId
    run_id: RunId
    at: int
    epoch: int
    head: int
    place: tuple[bool, int, int, RunId]


def lines(db: sqlite3.Connection, wanted: Wanted, now: int, dead: Collection[OwnerId]) -> dict[TenantId, Iterator[DueRun]]:
    """Return the line of each tenant that has runs to be claimed: those left by their owners first, then by priority and time."""
    found: dict[TenantId, list[Iterator[DueRun]]] = {}
    if wanted.runs is not None:
        named = sorted((run for run in _named(db, wanted, wanted.runs, dead) if run.at <= now), key=attrgetter("place"))
        for run in named:
            found.setdefault(run.tenant, []).append(iter([run]))
    else:
        for run in _left(db, wanted, now, dead):
            found.setdefault(run.tenant, []).append(iter([run]))
        fresh: dict[TenantId, list[Iterator[DueRun]]] = {}
        for lane in _lanes(db):
            if is_wanted(lane, wanted):
                fresh.setdefault(lane.tenant, []).append(_in_lane(db, lane, now))
        for tenant, lanes in fresh.items():
            found.setdefault(tenant, []).append(merge(*lanes, key=attrgetter("place")))
    return {tenant: chain.from_iterable(parts) for tenant, parts in found.items()}


def next_at(db: sqlite3.Connection, wanted: Wanted, dead: Collection[OwnerId]) -> int | None:
    """Return when `lines` may have something, 0 where an owner is dead; None where nothing is in sight."""
    if wanted.runs is not None:
        return min((run.at for run in _named(db, wanted, wanted.runs, dead)), default=None)
    times: list[int] = []
    for *lane, owner, until in db.execute(_LEASES):
        if is_wanted(Lane(*lane), wanted):
            times.append(0 if owner in dead else until)
    for lane in _lanes(db):
        if is_wanted(lane, wanted):
            times.extend(at for (at,) in db.execute(_LANE_NEXT_AT, lane) if at is not None)
    return min(times, default=None)


def holders(db: sqlite3.Connection) -> set[OwnerId]:
    """Return the owners of leases."""
    return {owner for (owner,) in db.execute("SELECT DISTINCT owner FROM runs WHERE owner IS NOT NULL")}


def _lanes(db: sqlite3.Connection) -> Iterator[Lane]:
    lane = _FIRST
    while (found := db.execute(_NEXT_LANE, lane).fetchone()) is not None:
        lane = Lane(*found)
        yield lane


def _in_lane(db: sqlite3.Connection, lane: Lane, now: int) -> Iterator[DueRun]:
    for run_id, at, epoch, head in db.execute(_IN_LANE, (*lane, now)):
        yield DueRun(lane.tenant, run_id, at, epoch, head, (True, -lane.priority, at, run_id))


def _left(db: sqlite3.Connection, wanted: Wanted, now: int, dead: Collection[OwnerId]) -> Iterator[DueRun]:
    for row in db.execute(_LEFT, (now, _json(dead))):
        lane, (run_id, at, epoch, head) = Lane(*row[:5]), row[5:]
        if is_wanted(lane, wanted):
            yield DueRun(lane.tenant, run_id, at, epoch, head, (False, -lane.priority, at, run_id))


def _named(db: sqlite3.Connection, wanted: Wanted, run_ids: Iterable[RunId], dead: Collection[OwnerId]) -> Iterator[DueRun]:
    names = _json(run_ids)
    for tenant in _tenants(db, wanted):
        for row in db.execute(_NAMED, (tenant, names)):
            lane, (run_id, until, epoch, head, owner) = Lane(*row[:5]), row[5:]
            if is_wanted(lane, wanted):
                at = 0 if owner in dead else until
                yield DueRun(tenant, run_id, at, epoch, head, (owner is None, -lane.priority, until, run_id))


def _tenants(db: sqlite3.Connection, wanted: Wanted) -> Sequence[TenantId]:
    if wanted.tenants is not None:
        return sorted(wanted.tenants)
    tenants: list[TenantId] = []
    while (found := db.execute(_NEXT_TENANT, (tenants[-1] if tenants else "",)).fetchone()) is not None:
        tenants.append(found[0])
    return tenants


def _json(names: Iterable[str]) -> str:
    return json.dumps(sorted(names))
