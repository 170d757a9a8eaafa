"""What a run is performed with when it is performed again: models, tools, time and chance that give what the record holds, in its order."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from agent_sdk.core.decide import next_wake
from agent_sdk.core.errors import (
    AgentSDKError,
    ArgumentsInvalid,
    ContextTooLong,
    Fenced,
    InboxPending,
    ModelError,
    NotDone,
    RequestError,
    ToolError,
)
from agent_sdk.core.events import (
    ApprovalDecided,
    BudgetRefused,
    BudgetReserved,
    ChildFinished,
    ContextExceeded,
    EffectCompensated,
    Event,
    ModelCalled,
    RunClaimed,
    StepFailed,
    StepFinished,
    StepRetried,
    StepStarted,
    StepUnknown,
)
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import Pending
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.model import Attempt, Delta, ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.ports import Batch, InboxItem, LedgerRow, TokenDelta, Tool, Verdict
from agent_sdk.core.run import Run
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait
from agent_sdk.runtime.replay.cues import Cues
from agent_sdk.runtime.replay.drives import is_mail
from agent_sdk.runtime.replay.mail import item_of
from agent_sdk.runtime.replay.rulings import recorded_row, refuse_as_recorded

NO_LIMIT_S = 1e9
_OF_A_QUESTION = ModelCalled | StepFailed | StepRetried | ContextExceeded | BudgetReserved | BudgetRefused
STOP_CODES = frozenset({"cancelled", "expired", "suspended", "interrupted"})


@frozen
class RecordedTool:
    """A tool whose declaration and checks are today's, and whose calls end as they did."""

    tool: Tool
    cues: Cues

    @property
    def spec(self) -> ToolSpec:
        return replace(self.tool.spec, timeout_s=NO_LIMIT_S)

    def approval(self, args: Mapping[str, JsonValue]) -> str | None:
        return self.tool.approval(args)

    def wait(self, args: Mapping[str, JsonValue]) -> Wait:
        return self.tool.wait(args)

    def problems(self, args: Mapping[str, JsonValue], *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return self.tool.problems(args, partial=partial)

    async def call(self, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        index = self.cues.find(lambda event: _is_end(event, context.step_id, context.attempt))
        event = await served(self.cues, index)
        if isinstance(event, StepFinished):
            if findings := tuple(self.tool.problems(args)):
                raise ArgumentsInvalid(f"{findings[0].message} (at {findings[0].path})", findings=findings)
            return event.output
        raise _error_of(event)

    async def verify(self, context: ToolContext[object]) -> Verdict:
        """Say that nothing was done: the call that follows gives what the record holds, wherever it came from."""
        return Verdict(is_done=False)

    async def compensate(self, args: Mapping[str, JsonValue], output: JsonValue, context: ToolContext[object]) -> None:
        index = self.cues.find(lambda event: isinstance(event, EffectCompensated) and event.step == context.step_id)
        event = await served(self.cues, index)
        if isinstance(event, EffectCompensated) and event.code is not None:
            raise _error(ToolError, event.code, event.message)


@frozen
class RecordedModel:
    """Answers each question as it was answered, and tries it again where the record shows that another try was granted, or was not.

    What is asked is not in the journal, and not compared.
    """

    cues: Cues

    async def complete(self, request: ModelRequest) -> ModelReply:
        event = await self._next(request)
        while isinstance(event, BudgetReserved | BudgetRefused) and request.allowance is not None:
            request.allowance.ended(Attempt(0))
            await request.allowance.another()
            event = await self._next(request)
        if isinstance(event, ContextExceeded):
            error = ContextTooLong(event.message or "")
            error.usage = event.usage
            raise error
        if not isinstance(event, ModelCalled):
            raise _error_of(event, ModelError) if not isinstance(event, StepRetried) else self._given_up(request)
        if event.message is None:
            raise RequestError(f"the model's reply to {request.id!r} was erased, so it cannot be given again")
        return ModelReply(event.message, event.usage, event.stop, event.model, event.request_id, event.attempts)

    async def _next(self, request: ModelRequest) -> Event:
        return await served(self.cues, self.cues.find(lambda event: isinstance(event, _OF_A_QUESTION) and event.step == request.id))

    def _given_up(self, request: ModelRequest) -> AgentSDKError:
        """Return the error of the last of some tries, which stand one behind the other."""
        tries: list[StepRetried] = []
        for fact in self.cues.rest:
            if not isinstance(fact.event, StepRetried) or fact.event.step != request.id:
                break
            tries.append(fact.event)
        error = _error_of(tries[-1], ModelError)
        if isinstance(error, ModelError):
            error.tried = tuple(Attempt(0, each.code, usage=each.usage) for each in tries)
        return error

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield ReplyDone(await self.complete(request))


@dataclass(slots=True)
class RecordedClock:
    """Time as the record has it: a wait is over when the record says so, and at no other time."""

    cues: Cues
    run: Run
    _ticks: float = 0.0
    _slept: set[int] = field(default_factory=set[int])

    def now_us(self) -> int:
        coming = self.cues.next
        last = self.cues.facts[max(0, self.cues.at - 1)]
        wake_at = next_wake(self.run)
        if coming is None:
            return last.at
        if isinstance(coming.event, RunClaimed):
            return coming.at
        if not is_mail(coming) and (ended := _waiting(coming.event, self.run)) is not None and ended.wake_at is not None:
            return ended.wake_at
        return last.at if wake_at is None else min(last.at, wake_at - 1)

    def monotonic(self) -> float:
        """Return a second more each time, so that the walk yields wherever it could have yielded."""
        self._ticks += 1.0
        return self._ticks

    async def sleep(self, delay_s: float) -> None:
        """Wait as long as a step waited for its next attempt; a deadline comes from who stops the run."""
        last = self.cues.at - 1
        event = self.cues.facts[last].event
        if not isinstance(event, StepRetried) or event.delay_s != delay_s or last in self._slept:
            await served(self.cues, None)
            return
        self._slept.add(last)
        step = event.step
        await served(
            self.cues, self.cues.find(lambda event: isinstance(event, StepStarted | StepFailed | StepUnknown) and event.step == step)
        )


@frozen
class RecordedRandom:
    """The chance of a retry's delay, as it fell."""

    cues: Cues

    def uniform(self, low: float, high: float) -> float:
        coming = self.cues.next
        return coming.event.delay_s if coming is not None and isinstance(coming.event, StepRetried) else low


@frozen
class RecordedJournal:
    """Takes what is posted, which was compared by then, and hands out the mail that the record shows to come next."""

    cues: Cues

    async def append(self, batch: Batch) -> None:
        if self.cues.is_over or (batch.releases and self.cues.next is None):
            raise Fenced("the record ends here")
        if batch.releases and self.cues.next is not None and is_mail(self.cues.next):
            raise InboxPending("the record shows mail here")
        refuse_as_recorded(self.cues, batch)

    async def ledger(self, _tenant: TenantId, scope: str) -> LedgerRow:
        return recorded_row(scope)

    async def inbox(self, _tenant: TenantId, _run_id: RunId, *, after: int) -> list[InboxItem]:
        items: list[InboxItem] = []
        for fact in self.cues.rest:
            if not is_mail(fact):
                break
            items.append(item_of(fact))
        return items


@frozen
class Nobody:
    """Follows no tokens."""

    def wants(self, run_id: RunId) -> bool:
        return False

    def publish(self, delta: TokenDelta) -> None:
        """Drop it."""


async def served(cues: Cues, index: int | None) -> Event:
    """Return the event at `index` when its turn comes, whoever cancels meanwhile; where it tells of a stop, be stopped in its turn.

    Where nothing is recorded (None), wait until the run is stopped.
    """
    event = cues.facts[index].event if index is not None else None
    is_stop = isinstance(event, StepFailed | StepUnknown) and event.code in STOP_CODES
    is_cancelled = False
    while True:
        try:
            await cues.turn(index if not is_stop or is_cancelled else None)
        except asyncio.CancelledError:
            if event is None or cues.is_over:
                raise
            is_cancelled = True
        else:
            break
    if event is None or is_stop:
        raise asyncio.CancelledError
    return event


def begin_child(cues: Cues, step: StepId) -> None:
    """Begin no child run; refuse to where the record shows that it could not be begun.

    Raises:
        RequestError: the same, as it was.
    """
    coming = cues.next
    if coming is not None and not is_mail(coming) and isinstance(coming.event, ChildFinished) and coming.event.step == step:
        raise _error(RequestError, coming.event.code or RequestError.code, coming.event.message)


def _is_end(event: Event, step: StepId, attempt: int) -> bool:
    match event:
        case StepFinished() | StepFailed() | StepUnknown():
            return event.step == step and event.attempt == attempt
        case StepRetried():
            return event.step == step and event.attempt == attempt + 1
        case _:
            return False


def _waiting(event: Event, run: Run) -> Pending | None:
    """Return the wait that the event ends, if it does."""
    return run.graph.parked.get(event.step) if isinstance(event, StepFinished | StepFailed | ApprovalDecided) else None


def _error_of(event: Event, kind: type[AgentSDKError] = ToolError) -> AgentSDKError:
    """Return the error that becomes this event; what failed a `once` effect and left it not unknown had done nothing."""
    error = _raised(event, kind)
    if isinstance(error, ModelError) and isinstance(event, StepFailed | StepRetried):
        error.usage = event.usage
    return error


def _raised(event: Event, kind: type[AgentSDKError]) -> AgentSDKError:
    match event:
        case StepFailed():
            base = NotDone if kind is ToolError else kind
            return _error(base, event.code, event.message, event.hint, retryable=event.retryable)
        case StepRetried():
            return _error(kind, event.code, event.message, retryable=True)
        case StepUnknown():
            return _error(kind, event.code, event.message)
        case _:
            raise AssertionError(f"{event.type} is no end of an attempt")


def _error(kind: type[AgentSDKError], code: str, message: str | None, hint: str | None = None, *, retryable: bool = False) -> AgentSDKError:
    made: type[AgentSDKError] = type("Recorded", (kind,), {"code": code, "retryable": retryable, "default_hint": None})
    return made(message or "", hint=hint)
