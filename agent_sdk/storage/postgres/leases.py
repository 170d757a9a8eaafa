"""Who may work on a run: claims, of one run or of those that are due, and renewals."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Claim, Wanted
from agent_sdk.core.run import ENDS
from agent_sdk.storage import refusals
from agent_sdk.storage.postgres.appends import Tip
from agent_sdk.storage.postgres.connect import Address, Connection, Row, connect
from agent_sdk.storage.postgres.database import Database
from agent_sdk.storage.postgres.failures import FAILURES, translated

_LEASED = "r.tenant, r.run_id, r.owner, r.epoch, r.head, r.lease_until, r.hash, r.inbox_head > r.inbox_seen"
_CLAIM = f"""
UPDATE agent_sdk.runs AS r SET
    epoch = epoch + 1, owner = $3, lease_until = agent_sdk.now_us() + $4::bigint, updated_at = agent_sdk.now_us()
WHERE tenant = $1 AND run_id = $2 AND state NOT IN ('succeeded', 'failed', 'cancelled', 'expired') AND behind IS NULL
    AND (owner IS NULL OR lease_until <= agent_sdk.now_us())
RETURNING {_LEASED}
"""  # noqa: S608  (constants)
_CARRIED = """
    AND ($1::text[] IS NULL OR (r.agent, r.agent_version) IN (SELECT * FROM unnest($1::text[], $2::text[])))
    AND ($3::text[] IS NULL OR r.queue = ANY ($3::text[]))
"""
_WANTED = f"""{_CARRIED}
    AND ($4::text[] IS NULL OR r.tenant = ANY ($4::text[]))
    AND ($5::text[] IS NULL OR r.run_id = ANY ($5::text[]))
"""
# The tenants that have something to claim are found by jumps from one to the next, so that 10,000 due runs of one cost what one run costs.
# Each gets an equal share of the limit, beginning behind the tenant that was served last.
_CLAIM_DUE = f"""
WITH RECURSIVE behind_last (tenant) AS (
    SELECT min(tenant) FROM agent_sdk.runs AS r WHERE due_at <= agent_sdk.now_us() AND tenant > $8 {_WANTED}
    UNION ALL
    SELECT (SELECT min(r.tenant) FROM agent_sdk.runs AS r WHERE due_at <= agent_sdk.now_us() AND r.tenant > b.tenant {_WANTED})
    FROM behind_last AS b WHERE b.tenant IS NOT NULL
), up_to_last (tenant) AS (
    SELECT min(tenant) FROM agent_sdk.runs AS r WHERE due_at <= agent_sdk.now_us() AND tenant <= $8 {_WANTED}
    UNION ALL
    SELECT (
        SELECT min(r.tenant) FROM agent_sdk.runs AS r
        WHERE due_at <= agent_sdk.now_us() AND r.tenant > u.tenant AND r.tenant <= $8 {_WANTED}
    )
    FROM up_to_last AS u WHERE u.tenant IS NOT NULL
), tenants AS MATERIALIZED (
    SELECT tenant, row_number() OVER () AS turn FROM (
        SELECT tenant FROM behind_last WHERE tenant IS NOT NULL UNION ALL SELECT tenant FROM up_to_last WHERE tenant IS NOT NULL LIMIT $9
    ) AS t
), share AS MATERIALIZED (
    SELECT ceil($9::numeric / greatest(count(*), 1))::bigint AS runs FROM tenants
), picked AS MATERIALIZED (
    SELECT t.turn, p.place, p.tenant, p.run_id FROM tenants AS t CROSS JOIN share AS s CROSS JOIN LATERAL (
        SELECT n.tenant, n.run_id, row_number() OVER () AS place FROM (
            SELECT r.tenant, r.run_id FROM agent_sdk.runs AS r
            WHERE r.tenant = t.tenant AND r.due_at <= agent_sdk.now_us() {_WANTED}
            ORDER BY (r.owner IS NULL), r.priority DESC, r.due_at, r.run_id LIMIT s.runs FOR NO KEY UPDATE SKIP LOCKED
        ) AS n
    ) AS p ORDER BY p.place, t.turn LIMIT $9
)
UPDATE agent_sdk.runs AS r SET
    epoch = epoch + 1, owner = $6, lease_until = agent_sdk.now_us() + $7::bigint, updated_at = agent_sdk.now_us()
FROM picked AS p WHERE r.tenant = p.tenant AND r.run_id = p.run_id
RETURNING p.place, p.turn, (SELECT runs FROM share), {_LEASED}
"""  # noqa: S608  (constants)
_DUE_IN = f"""
SELECT due_at - agent_sdk.now_us() FROM agent_sdk.runs AS r WHERE due_at IS NOT NULL {_WANTED} ORDER BY due_at LIMIT 1
"""  # noqa: S608  (constants)
# Runs that are asked for by name are found by it, however many others are due: `IS TRUE` keeps the planner from the indexes of those.
_CLAIM_NAMED = f"""
WITH named AS MATERIALIZED (
    SELECT r.tenant, r.run_id,
        row_number() OVER (PARTITION BY r.tenant ORDER BY (r.owner IS NULL), r.priority DESC, r.due_at, r.run_id) AS place
    FROM agent_sdk.runs AS r
    WHERE r.tenant = ANY ($4::text[]) AND r.run_id = ANY ($5::text[]) AND (r.due_at <= agent_sdk.now_us()) IS TRUE {_CARRIED}
), picked AS MATERIALIZED (
    SELECT n.place, r.tenant, r.run_id FROM named AS n JOIN agent_sdk.runs AS r USING (tenant, run_id)
    WHERE (r.due_at <= agent_sdk.now_us()) IS TRUE ORDER BY n.place, n.tenant LIMIT $8 FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE agent_sdk.runs AS r SET
    epoch = epoch + 1, owner = $6, lease_until = agent_sdk.now_us() + $7::bigint, updated_at = agent_sdk.now_us()
FROM picked AS p WHERE r.tenant = p.tenant AND r.run_id = p.run_id
RETURNING p.place, {_LEASED}
"""  # noqa: S608  (constants)
_NAMED_DUE_IN = f"""
SELECT min(due_at) - agent_sdk.now_us() FROM agent_sdk.runs AS r
WHERE r.tenant = ANY ($4::text[]) AND r.run_id = ANY ($5::text[]) {_CARRIED}
"""  # noqa: S608  (constants)
# Who waits for a row holds no other meanwhile: an append of many runs may have them locked in another order.
_RENEW_FREE = """
WITH free AS (
    SELECT r.tenant, r.run_id FROM agent_sdk.runs AS r
    JOIN unnest($1::text[], $2::text[], $3::bigint[]) AS c (tenant, run_id, epoch) USING (tenant, run_id)
    WHERE r.epoch = c.epoch AND r.owner IS NOT NULL FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE agent_sdk.runs AS r SET lease_until = agent_sdk.now_us() + $4::bigint
FROM free AS f WHERE r.tenant = f.tenant AND r.run_id = f.run_id RETURNING r.tenant, r.run_id, r.epoch, r.head, r.lease_until
"""
_RENEW = """
UPDATE agent_sdk.runs SET lease_until = agent_sdk.now_us() + $4::bigint
WHERE tenant = $1 AND run_id = $2 AND epoch = $3 AND owner IS NOT NULL RETURNING tenant, run_id, epoch, head, lease_until
"""


class Leased(NamedTuple):
    """A claim, where the run's chain ends, and whether its inbox holds something unread."""

    claim: Claim
    tip: Tip
    has_mail: bool


async def claim(connection: Connection, tenant: TenantId, run_id: RunId, owner: OwnerId, lease_us: int) -> Leased:
    """Take the run's lease.

    Raises:
        NotFound, RunEnded, RunBusy: it is not to be had.
    """
    while True:
        found = await connection.fetchrow(_CLAIM, tenant, run_id, owner, lease_us)
        if found is not None:
            return _leased(found)
        query = "SELECT state, behind, owner, lease_until <= agent_sdk.now_us() FROM agent_sdk.runs WHERE tenant = $1 AND run_id = $2"
        row = await connection.fetchrow(query, tenant, run_id)
        if row is None:
            raise refusals.no_run(run_id)
        state, behind, holder, is_over = row
        if state in ENDS:
            raise refusals.run_ended(run_id, state)
        if behind is not None:
            raise refusals.run_behind(run_id, behind)
        if holder is not None and not is_over:
            raise refusals.run_busy(run_id, holder)


class DueRuns:
    """Claims runs that can go on now, tenant by tenant, and remembers who was served last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last = TenantId("")

    async def claim(self, wanted: Wanted, owner: OwnerId, lease_us: int) -> list[Leased]:
        """Claim up to `wanted.limit` runs: a share of each tenant, and what shares are left over from those who have more."""
        if wanted.runs is not None and wanted.tenants is not None:
            found = await self._database.fetch(_CLAIM_NAMED, *_filter(wanted), owner, lease_us, wanted.limit)
            return [_leased(row[1:]) for row in sorted(found, key=lambda row: (row[0], row[1]))]
        claimed: list[Leased] = []
        while (limit := wanted.limit - len(claimed)) > 0:
            found = await self._database.fetch(_CLAIM_DUE, *_filter(wanted), owner, lease_us, self._last, limit)
            if not found:
                break
            found.sort(key=lambda row: (row[0], row[1]))
            claimed += [_leased(row[3:]) for row in found]
            self._last = claimed[-1].claim.tenant
            place, _, share, *_ = found[-1]
            if place < share:
                break
        return claimed

    async def due_in_us(self, wanted: Wanted) -> int | None:
        """Return how long it is until a run is due, 0 or less where one is; None where nothing is in sight."""
        is_named = wanted.runs is not None and wanted.tenants is not None
        found = await self._database.fetch(_NAMED_DUE_IN if is_named else _DUE_IN, *_filter(wanted))
        return int(found[0][0]) if found and found[0][0] is not None else None


async def renew(connection: Connection, claims: Sequence[Claim], lease_us: int) -> list[Claim]:
    """Lengthen leases, and return those that still stand, in order."""
    columns = [claim.tenant for claim in claims], [claim.run_id for claim in claims], [claim.epoch for claim in claims]
    rows = await connection.fetch(_RENEW_FREE, *columns, lease_us) if len(claims) > 1 else []
    renewed = {(tenant, run_id, epoch): (head, until) for tenant, run_id, epoch, head, until in rows}
    for key in dict.fromkeys((claim.tenant, claim.run_id, claim.epoch) for claim in claims):
        if key not in renewed:
            row = await connection.fetchrow(_RENEW, *key, lease_us)
            if row is not None:
                renewed[key] = row[3], row[4]
    return [
        replace(claim, head=found[0], lease_until=found[1])
        for claim in claims
        if (found := renewed.get((claim.tenant, claim.run_id, claim.epoch))) is not None
    ]


class PostgresLeaseLine:
    """Renews over a connection and an event loop of its own, in the thread that uses it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._runner: asyncio.Runner | None = None
        self._connection: Connection | None = None

    def renew(self, claims: Sequence[Claim], *, lease_s: float) -> Sequence[Claim]:
        if not claims:
            return []
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(self._renew(claims, lease_s))
        except FAILURES as error:
            raise translated(error, self._address.name) from error

    def close(self) -> None:
        if self._runner is not None:
            self._runner.run(self._drop())
            self._runner.close()
            self._runner = None

    async def _renew(self, claims: Sequence[Claim], lease_s: float) -> Sequence[Claim]:
        """Renew, in a third of the lease's time at most: then the next try comes before its end."""
        try:
            async with asyncio.timeout(lease_s / 3):
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._address)
                return await renew(self._connection, claims, int(lease_s * 1e6))
        except BaseException:
            await self._drop()
            raise

    async def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
            await asyncio.sleep(0)


def _leased(row: Row) -> Leased:
    tenant, run_id, owner, epoch, head, until, tip, has_mail = row
    return Leased(Claim(tenant, run_id, owner, epoch, head, until), Tip(epoch, head, tip), has_mail)


def _filter(wanted: Wanted) -> tuple[list[str] | None, ...]:
    agents = None if wanted.agents is None else sorted(wanted.agents)
    return (
        None if agents is None else [agent for agent, _ in agents],
        None if agents is None else [version for _, version in agents],
        None if wanted.queues is None else list(wanted.queues),
        None if wanted.tenants is None else list(wanted.tenants),
        None if wanted.runs is None else list(wanted.runs),
    )
