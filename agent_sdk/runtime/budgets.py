"""The budgets of a tenant, a session or a run, as the journal's ledger keeps them: which there are, how they stand, and how they change."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from agent_sdk.core.budget import TENANT_SCOPE, UNITS, Budget, Unit, row_name, run_scope, session_scope, to_usd
from agent_sdk.core.errors import RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, SessionId, TenantId
from agent_sdk.core.ports import Clock, Journal, LedgerRow

KNOWN_S = 5.0
"""How long it may take until runs are created under a budget that another process set where there was none."""
_MAX_KNOWN = 10_000
_MAX_LIMIT = 2**63 - 1


@frozen
class Spending:
    """An amount in each unit."""

    usd: Decimal = Decimal(0)
    tokens: int = 0
    calls: int = 0


@frozen
class BudgetState:
    """How a budget stands: what was `settled` is spent, what is `reserved` may still be. A limit may have been lowered below these.

    What is spent is counted only under a limit, of whichever unit: `is_counted` is False where there never was one, and nothing is known.
    """

    scope: str
    limit: Budget
    reserved: Spending
    settled: Spending
    is_counted: bool = True


@dataclass(slots=True)
class BudgetBook:
    """Knows which tenants and sessions have a budget, without asking the journal for each run."""

    journal: Journal
    clock: Clock
    _known: dict[tuple[TenantId, str], tuple[float, bool]] = field(default_factory=dict[tuple[TenantId, str], tuple[float, bool]])

    async def scopes(self, tenant: TenantId, session: str | None) -> tuple[str, ...]:
        """Return the scopes with a limit that a run of its own spends from: of the tenant's and the session's."""
        asked = [TENANT_SCOPE] if session is None else [TENANT_SCOPE, session_scope(SessionId(session))]
        return tuple([scope for scope in asked if await self._has_limit(tenant, scope)])

    def forget(self, tenant: TenantId, scope: str) -> None:
        """Ask the journal the next time: this scope's budget has changed."""
        self._known.pop((tenant, scope), None)

    async def _has_limit(self, tenant: TenantId, scope: str) -> bool:
        now = self.clock.monotonic()
        known = self._known.get((tenant, scope))
        if known is not None and now < known[0]:
            return known[1]
        has_limit = any([await _limit(self.journal, tenant, scope, unit) is not None for unit in UNITS])
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[tenant, scope] = now + KNOWN_S, has_limit
        return has_limit


def scope_of(session: str | None, run: RunId | None) -> str:
    """Return the scope that is meant: the session's, the run's, or where none is named the tenant's.

    Raises:
        RequestError: both are named, or a name is empty.
    """
    if session is not None and run is not None:
        raise RequestError("a budget is that of a session or that of a run", hint="name one of them; neither for the whole tenant's")
    if session == "" or run == "":
        raise RequestError("the session's or the run's name is empty", hint="give its name; leave it out for the whole tenant's budget")
    return session_scope(SessionId(session)) if session is not None else run_scope(run) if run is not None else TENANT_SCOPE


async def read_budget(journal: Journal, tenant: TenantId, scope: str) -> BudgetState:
    """Return how a scope's budget stands; where none was ever set, nothing is limited and nothing counted."""
    found = [await journal.ledger(tenant, row_name(scope, unit)) for unit in UNITS]
    rows = [row or LedgerRow(scope, None, 0, 0) for row in found]
    usd, tokens, calls = (row.limit for row in rows)
    limit = Budget(None if usd is None else to_usd(usd), tokens, calls)
    return BudgetState(scope, limit, _spending(row.reserved for row in rows), _spending(row.settled for row in rows), any(found))


async def write_budget(journal: Journal, tenant: TenantId, scope: str, budget: Budget) -> None:
    """Set a scope's limits, all three; what is reserved and settled stays, though it be more: then nothing new is granted.

    Raises:
        RequestError: a limit is larger than any ledger can keep.
    """
    _require_possible(budget)
    for unit, limit in budget.limits:
        await journal.set_limit(tenant, row_name(scope, unit), limit)


async def begin_budget(journal: Journal, tenant: TenantId, run_id: RunId, budget: Budget | None) -> None:
    """Set the limits that a run begins with, before it is created; one that somebody set already stays.

    Raises:
        RequestError: a limit is larger than any ledger can keep.
    """
    if budget is None:
        return
    _require_possible(budget)
    for unit, limit in budget.limits:
        if limit is not None and await _limit(journal, tenant, run_scope(run_id), unit) is None:
            await journal.set_limit(tenant, row_name(run_scope(run_id), unit), limit)


def _require_possible(budget: Budget) -> None:
    amounts = ("US dollars", budget.usd, to_usd(_MAX_LIMIT)), ("tokens", budget.tokens, _MAX_LIMIT), ("calls", budget.calls, _MAX_LIMIT)
    for name, amount, most in amounts:
        if amount is not None and amount > most:
            raise RequestError(f"a budget cannot be more than {int(most):,} {name}", hint="leave the limit out where there is none")


async def _limit(journal: Journal, tenant: TenantId, scope: str, unit: Unit) -> int | None:
    row = await journal.ledger(tenant, row_name(scope, unit))
    return None if row is None else row.limit


def _spending(amounts: Iterable[int]) -> Spending:
    usd, tokens, calls = amounts
    return Spending(to_usd(usd), tokens, calls)
