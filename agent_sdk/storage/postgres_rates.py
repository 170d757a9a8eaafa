"""Rate limits and circuits that processes share, in a Postgres database: one statement a take, by the database's clock."""

from collections.abc import Sequence
from typing import Self

from agent_sdk.core.rates import LONGEST_PAUSE_S, Permit, RateLimit
from agent_sdk.storage.postgres.connect import parse_address
from agent_sdk.storage.postgres.database import PATIENCE_S, Database
from agent_sdk.storage.postgres.migrate import migrations, prepare

LEASE_S = 900.0
"""How long a call may be under way before its place counts as lost with its process: longer than an adapter lets one last."""
_QUEUE_S = 2.0
_LOOK_S = 0.05

_TAKE = """
SELECT agent_sdk.rate_take(
    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::bigint, $8::text, $9::text, $10::bigint, $11::bigint, $12::bigint
)
"""
_SETTLE = "SELECT agent_sdk.rate_settle($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text, $6::bigint, $7::boolean)"
_LEAVE = """
DELETE FROM agent_sdk.rate_waiting q USING unnest($1::text[], $2::text[]) AS of (tenant, name)
WHERE q.tenant = of.tenant AND q.name = of.name AND q.holder = $3
"""
_PAUSE = """
INSERT INTO agent_sdk.rates AS r (tenant, name, paused_until) VALUES ($1, $2, agent_sdk.now_us() + $3)
ON CONFLICT (tenant, name) DO UPDATE SET paused_until = greatest(r.paused_until, excluded.paused_until)
"""
_LOOK = "SELECT greatest(0, open_until - agent_sdk.now_us()) FROM agent_sdk.circuits WHERE name = $1"
_OPEN = """
WITH ended AS (DELETE FROM agent_sdk.circuit_probes WHERE name = $1)
INSERT INTO agent_sdk.circuits (name, open_until) VALUES ($1, agent_sdk.now_us() + $2)
ON CONFLICT (name) DO UPDATE SET open_until = excluded.open_until
"""
_PROBE = "SELECT agent_sdk.circuit_probe($1, $2, $3, $4)"
_LEAVE_PROBE = "DELETE FROM agent_sdk.circuit_probes WHERE name = $1 AND probe = $2"
_SHUT = "WITH ended AS (DELETE FROM agent_sdk.circuit_probes WHERE name = $1) DELETE FROM agent_sdk.circuits WHERE name = $1"


class PostgresRates:
    """The `RateStore` and the `CircuitStore` of a database. It belongs to the event loop that opened it.

    A place among the calls under way comes back after `lease_s` where its process died. The server's crash may lose the last half second.
    """

    def __init__(self, database: Database, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._lease_us = int(lease_s * 1_000_000)

    @classmethod
    async def open(cls, url: str, *, may_migrate: bool = False, patience_s: float = PATIENCE_S, lease_s: float = LEASE_S) -> Self:
        """Open the database with connections of its own; the schema is the journal's.

        Raises:
            ConfigError: the URL is malformed, nobody is let in this way, or the schema is behind and not `may_migrate`.
            JournalNewer, JournalCorrupt: the schema is not one that this version can use.
            StorageError: the server cannot be reached.
        """
        address = parse_address(url)
        await prepare(address, migrations(), may_migrate=may_migrate)
        return cls(await Database.open(address, patience_s=patience_s), lease_s=lease_s)

    async def take(self, permit: Permit, holder: str) -> float:
        limits = _ordered(permit.limits)
        ((wait_us,),) = await self._database.fetch(
            _TAKE,
            *_keys(limits),
            [limit.requests for limit in limits],
            [limit.tokens for limit in limits],
            [limit.concurrency for limit in limits],
            [limit.slot_us for limit in limits],
            permit.tokens, holder, permit.id, self._lease_us, int(_QUEUE_S * 1_000_000), int(_LOOK_S * 1_000_000),
        )  # fmt: skip
        return float(wait_us) / 1_000_000

    async def settle(self, permit: Permit, tokens: int | None, *, is_void: bool = False) -> None:
        limits = _ordered(permit.limits)
        caps, widths = [limit.tokens for limit in limits], [limit.slot_us for limit in limits]
        await self._database.fetch(_SETTLE, *_keys(limits), caps, widths, permit.id, tokens, is_void)

    async def leave(self, limits: Sequence[RateLimit], holder: str) -> None:
        await self._database.fetch(_LEAVE, *_keys(limits), holder)

    async def pause(self, limit: RateLimit, for_s: float) -> None:
        await self._database.fetch(_PAUSE, limit.tenant or "", limit.name, int(min(for_s, LONGEST_PAUSE_S) * 1_000_000))

    async def look(self, name: str) -> float | None:
        rows = await self._database.fetch(_LOOK, name)
        return float(rows[0][0]) / 1_000_000 if rows else None

    async def open_circuit(self, name: str, for_s: float) -> None:
        await self._database.fetch(_OPEN, name, int(for_s * 1_000_000))

    async def probe(self, name: str, probe: str, *, most: int, lease_s: float) -> bool:
        ((is_taken,),) = await self._database.fetch(_PROBE, name, probe, most, int(lease_s * 1_000_000))
        return bool(is_taken)

    async def leave_probe(self, name: str, probe: str) -> None:
        await self._database.fetch(_LEAVE_PROBE, name, probe)

    async def shut(self, name: str) -> None:
        await self._database.fetch(_SHUT, name)

    async def close(self) -> None:
        await self._database.close()


def _ordered(limits: Sequence[RateLimit]) -> list[RateLimit]:
    """Return the limits in the order in which everybody locks them."""
    return sorted(limits, key=lambda limit: (limit.tenant or "", limit.name))


def _keys(limits: Sequence[RateLimit]) -> tuple[list[str], list[str]]:
    return [limit.tenant or "" for limit in limits], [limit.name for limit in limits]
