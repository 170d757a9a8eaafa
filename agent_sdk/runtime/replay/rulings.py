"""What guardrails, budgets and the ledger said when the run was performed, said again in its place."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agent_sdk.core.budget import Amounts, PriceUnknown, Shortfall
from agent_sdk.core.errors import GuardrailRefused, InputRefused, LedgerRefused
from agent_sdk.core.events import BudgetRefused, BudgetReserved, CheckRefused, Event, RunFailed, RunWaiting, StepFailed
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.plan import GOAL
from agent_sdk.core.ports import Batch, LedgerRow
from agent_sdk.core.run import Run
from agent_sdk.execution import GOAL_REFUSED
from agent_sdk.runtime.replay.cues import Cues

_EVERY = Amounts(1, 1, 1)


@frozen
class RecordedGuards:
    """Guardrails that find what they found."""

    cues: Cues

    async def goal(self, run: Run) -> str | None:
        match self._next:
            case StepFailed(step=step, code=code, message=message) if step == GOAL and code == InputRefused.code:
                return (message or "").removeprefix(GOAL_REFUSED)
            case _:
                return None

    async def message(self, message: Message, run: Run) -> str | None:
        """Let in what was let in; of what was refused the record holds no message that could be judged again."""
        return None

    async def call(self, call: ToolCallPart, run: Run) -> Sequence[Finding]:
        match self._next:
            case CheckRefused(step=step, findings=findings) if step == call.id:
                return findings or ()
            case _:
                return ()

    async def answer(self, value: JsonValue, run: Run) -> Sequence[Finding]:
        match self._next:
            case CheckRefused(step=step, findings=findings) if step not in run.calls:
                return findings or ()
            case RunFailed(code=GuardrailRefused.code, message=message, hint=hint):
                raise GuardrailRefused(message or "", hint=hint)
            case _:
                return ()

    @property
    def _next(self) -> Event | None:
        return self.cues.next.event if self.cues.next is not None else None


@dataclass(slots=True)
class RecordedMeter:
    """Has a call need a reservation where one was asked for, and nowhere else.

    That is one for which nothing is enough, or one that always is within what is held: each says more than all before it together, of
    which some may be under way.
    """

    cues: Cues
    _enough: int = 2**60

    def most(self, request: ModelRequest, input_tokens: int) -> Amounts:
        self._enough *= 4
        match self.cues.next.event if self.cues.next is not None else None:
            case BudgetReserved(step=step) | BudgetRefused(step=step) if step == request.id:
                return _EVERY * self._enough
            case RunWaiting(reason="budget", shortfall=Shortfall(code="price_unknown", message=message)):
                raise PriceUnknown(message)
            case _:
                return _EVERY * -self._enough

    def window(self, model: str) -> int | None:
        return None


def recorded_row(scope: str) -> LedgerRow:
    """Return a budget that bounds whatever it is asked about; what it grants is in the record."""
    return LedgerRow(scope, 0, 0, 0)


def refuse_as_recorded(cues: Cues, batch: Batch) -> None:
    """Refuse a reservation that was refused.

    Raises:
        LedgerRefused: it was.
    """
    asks = any(isinstance(fact.event, BudgetReserved) for fact in batch.facts)
    if asks and cues.next is not None and isinstance(cues.next.event, BudgetRefused):
        lacking = cues.next.event.shortfall
        refused = LedgerRefused(lacking.message)
        refused.row, refused.needed, refused.limit = lacking.row, lacking.needed, lacking.limit
        refused.reserved, refused.settled = lacking.reserved, lacking.settled
        raise refused
