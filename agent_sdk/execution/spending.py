"""What a run's model calls may cost: no call begins that the budgets of its scopes have not granted beforehand."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from agent_sdk.core.budget import NOTHING, Amounts, Meter, PriceUnknown, Shortfall, ledger_rows
from agent_sdk.core.errors import ModelError, RequestError
from agent_sdk.core.events import BudgetReserved, BudgetSettled, Event, StepRetried
from agent_sdk.core.model import Attempt, ModelRequest
from agent_sdk.core.ports import InboxDraft, Journal, LedgerChange, LedgerRow
from agent_sdk.core.run import Run
from agent_sdk.core.sizes import size_of
from agent_sdk.execution.sequencer import Sequencer

AHEAD = 4
"""How many calls' worth is reserved at once, where the budgets have room: it is spent without asking again, or on further tries."""
_MARGIN = 1.1
"""What is added to the estimate of a request's tokens, so that a reservation holds."""


class OutOfBudget(Exception):
    """The next model call was not granted; the run waits."""

    def __init__(self, shortfall: Shortfall) -> None:
        self.shortfall = shortfall
        super().__init__(shortfall.message)


@dataclass(slots=True, eq=False)
class _Grant:
    """The right to put one question: what the try under way may come to, and what those that failed are known to have used."""

    spending: "Spending"
    request: ModelRequest
    most: Amounts = NOTHING
    used: Amounts = NOTHING
    refusal: OutOfBudget | None = None

    def ended(self, attempt: Attempt) -> None:
        self.most = NOTHING
        if attempt.usage is not None:
            self.used += Amounts.of(attempt.usage)

    async def another(self) -> bool:
        if self.refusal is None:
            try:
                await self.spending.grant(self)
            except OutOfBudget as refusal:
                self.refusal = refusal
        return self.refusal is None


@dataclass(slots=True)
class Spending:
    """Keeps one run within its budgets.

    `short` is what the run lacks, once a call was not granted, and `seen` the last inbox item that the run had taken by then.
    """

    run: Run
    journal: Journal
    meter: Meter
    sequencer: Sequencer
    short: Shortfall | None = None
    seen: int = 0
    _grants: list[_Grant] = field(default_factory=list[_Grant])
    _cut_off: Amounts = NOTHING
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_bounded(self) -> bool:
        """Whether there is any budget that the run spends from."""
        return bool(self.run.purse.scopes)

    @asynccontextmanager
    async def granted(self, request: ModelRequest) -> AsyncGenerator[ModelRequest]:
        """Hand out the question with the right to put it; what it really used is counted by the events that say so.

        Each further try is granted like the first. Where that alone keeps the question from being tried again, its failure is none of the
        run's: what was tried is journaled, and the question is put anew when the budgets allow.

        A call that is cut off may be billed, and nobody will hear of it: it counts as the most that it can have come to.

        Raises:
            OutOfBudget: it was not granted.
            StorageError: the journal failed.
        """
        grant = _Grant(self, request)
        self._grants.append(grant)
        try:
            await self.grant(grant)
            yield replace(request, allowance=grant)
        except ModelError as error:
            if grant.refusal is None:
                raise
            self._note_tries(request, error)
            raise grant.refusal from error
        except asyncio.CancelledError:
            self._cut_off += grant.used + grant.most
            raise
        finally:
            self._grants.remove(grant)

    async def grant(self, grant: _Grant) -> None:
        """Set aside what the next try may come to.

        Raises:
            OutOfBudget: it was not granted.
            StorageError: the journal failed.
        """
        async with self._one:
            seen = self.run.inbox_seen
            try:
                most = await self._most(grant.request)
                await self._cover(grant.request, most)
            except OutOfBudget as refusal:
                self.short, self.seen = refusal.shortfall, seen
                raise
            grant.most = most

    def _note_tries(self, request: ModelRequest, error: ModelError) -> None:
        """Journal the tries that failed, as far as they count: what they used is spent, and each of them is one of the run's retries."""
        for number, tried in enumerate(error.tried, 2):
            message = error.message if number > len(error.tried) else None
            calls = None if tried.usage is None else 1
            self.sequencer.post(StepRetried(request.id, number, tried.code or error.code, 0.0, message, tried.usage, calls))

    @property
    def _used(self) -> Amounts:
        """What was spent, with what failed tries of questions under way are known to have used."""
        return sum((grant.used for grant in self._grants), self.run.purse.spent + self._cut_off)

    @property
    def _under_way(self) -> Amounts:
        return sum((grant.most for grant in self._grants), NOTHING)

    def settlement(self) -> tuple[list[Event], list[LedgerChange]]:
        """Return what lets go of all that the run holds, and what it changes in the ledger; nothing where it holds nothing."""
        purse = self.run.purse
        held, spent = purse.held, purse.spent + self._cut_off
        if not self.is_bounded or held == spent == NOTHING:
            return [], []
        changes = [LedgerChange(row, -held.in_unit(unit), spent.in_unit(unit)) for row, unit in ledger_rows(purse.scopes)]
        return [BudgetSettled(spent, (held - spent).at_least(NOTHING))], changes

    async def heed_raise(self, lacking: Shortfall) -> None:
        """Wake the run where the budget was raised before it was seen to wait: whoever raises one tells the runs that wait by then."""
        row = await self.journal.ledger(self.run.tenant, lacking.row)
        if row is not None and (row.limit is None or row.limit > lacking.limit):
            with suppress(RequestError):  # it has ended, or is gone: others were faster
                await self.journal.put(self.run.tenant, self.run.run_id, InboxDraft("wake", {"budget": True}))

    async def _rows(self) -> list[LedgerRow | None]:
        return [await self.journal.ledger(self.run.tenant, row) for row, _ in ledger_rows(self.run.purse.scopes)]

    async def _most(self, request: ModelRequest) -> Amounts:
        """Return the most that the call can come to. An unknown price is no obstacle where nothing bounds money."""
        tokens = int(size_of(request, self.run).tokens * _MARGIN)
        try:
            return self.meter.most(request, tokens)
        except PriceUnknown as error:
            rows = zip(await self._rows(), ledger_rows(self.run.purse.scopes), strict=True)
            if not any(row is not None and row.limit is not None for row, (_, unit) in rows if unit == "usd"):
                return error.most
            said = f"{error.message}; {error.hint}" if error.hint else error.message
            raise OutOfBudget(Shortfall("price_unknown", said)) from error

    async def _cover(self, request: ModelRequest, most: Amounts) -> None:
        """Reserve what the call may cost beyond what is held and free; with room, for some calls more."""
        free = self.run.purse.held - self._used - self._under_way
        if free.covers(most):
            return
        missing = (most - free).at_least(NOTHING)
        amounts = await self._slice(most, missing)
        changes = [LedgerChange(row, amounts.in_unit(unit)) for row, unit in ledger_rows(self.run.purse.scopes)]
        shortfall = await self.sequencer.reserve(BudgetReserved(request.id, amounts), changes)
        if shortfall is not None:
            raise OutOfBudget(self._as_settled(shortfall, most).in_words())

    def _as_settled(self, refused: Shortfall, most: Amounts) -> Shortfall:
        """Return what the call lacks once the run has settled, as it does before it waits; what is under way is still reserved then."""
        unit = refused.unit
        own, spent, needed = (amounts.in_unit(unit) for amounts in (self.run.purse.held - self._under_way, self._used, most))
        return replace(refused, needed=needed, reserved=refused.reserved - own, settled=refused.settled + spent)

    async def _slice(self, most: Amounts, missing: Amounts) -> Amounts:
        """Return as much as a few calls need, but no more than half of what is left in any of the budgets."""
        wanted = missing + most * (AHEAD - 1)
        for row, (_, unit) in zip(await self._rows(), ledger_rows(self.run.purse.scopes), strict=True):
            if row is not None and row.limit is not None:
                left = max(0, row.limit - row.reserved - row.settled) // 2
                wanted = wanted.at_most(wanted.with_unit(unit, left))
        return wanted.at_least(missing)
