"""The one place where a run's facts get their numbers and become durable: an outbox with one append in flight."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent_sdk.core.budget import Shortfall
from agent_sdk.core.errors import InboxPending, LedgerRefused
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetRefused,
    BudgetReserved,
    ChildFinished,
    ChildStarted,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    Fact,
    ModelCalled,
    QuestionAnswered,
    RunCancelled,
    RunCancelRequested,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StepFailed,
    StepFinished,
    StepStarted,
    StepUnknown,
    StepWaiting,
    WaitReason,
)
from agent_sdk.core.ids import StepId
from agent_sdk.core.ports import Batch, Clock, Journal, LedgerChange, Mail
from agent_sdk.core.run import INBOX, Run, RunState

LAZY_DELAY_S = 0.05
LAZY_EVENTS = 256
_DECISIONS = (
    StepUnknown,
    EffectDecided,
    EffectCompensating,
    EffectCompensated,
    RunCancelRequested,
    RunWoken,
    ApprovalRequested,
    ApprovalDecided,
    QuestionAnswered,
    SignalReceived,
    StepWaiting,
    ChildStarted,
    ChildFinished,
)


@dataclass(slots=True)
class _Reservation:
    """What a reservation changes in the ledger, and what it lacks where it was refused."""

    ledger: Sequence[LedgerChange]
    shortfall: Shortfall | None = None


class Sequencer:
    """Posts facts to a run and writes them to its journal, in order, in as few appends as the rules allow.

    A posted fact is folded at once and durable later: effects and decisions when `flush` returns, model replies at once but unawaited, all
    else with the next append, after 50 ms or at 256 events. The order is a prefix: nothing is durable before what was posted ahead of it.
    """

    def __init__(self, journal: Journal, run: Run, clock: Clock, epoch: int) -> None:
        self._journal = journal
        self._run = run
        self._clock = clock
        self._epoch = epoch
        self._outbox: list[Fact] = []
        self._last = run.head
        self._durable = run.head
        self._reservations: dict[int, _Reservation] = {}
        self._wake = asyncio.Event()
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._is_releasing = False
        self._error: BaseException | None = None
        self.must_flush = False

    @property
    def is_open(self) -> bool:
        """Whether facts may come from outside: not while the run is given up, nor after that, nor once the journal failed."""
        return not self._is_releasing and self._error is None

    def post(self, event: Event, cause: str | None = None) -> Fact:
        """Fold a fact and put it into the outbox."""
        if self._error is not None:
            raise self._error
        self._last = number = self._last + 1
        fact = Fact(number, self._epoch, self._clock.now_us(), event, cause)
        must_flush = self._is_effect(event)
        self._run.apply(fact)
        self._outbox.append(fact)
        if must_flush:
            self.must_flush = True
        elif isinstance(event, ModelCalled) or len(self._outbox) >= LAZY_EVENTS:
            self._wake.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LAZY_DELAY_S, self._due)
        return fact

    async def reserve(self, asked: BudgetReserved, ledger: Sequence[LedgerChange]) -> Shortfall | None:
        """Append a reservation alone, behind what was posted before; return None if it was granted, else what it lacks.

        It is folded when it is granted, and until then its number is kept for it: where it is refused, the refusal takes that.
        """
        if self._error is not None:
            raise self._error
        self._last += 1
        fact = Fact(self._last, self._epoch, self._clock.now_us(), asked)
        reservation = self._reservations[fact.seq] = _Reservation(tuple(ledger))
        self._outbox.append(fact)
        await self.flush()
        return reservation.shortfall

    async def flush(self) -> None:
        """Return when all that was posted so far is durable.

        Raises:
            StorageError: it cannot be made durable; `Fenced` where another owner took the run.
        """
        self.must_flush = False
        goal = self._last
        if self._durable < goal and self._error is None:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((goal, waiter))
            self._wake.set()
            await waiter
        if self._error is not None:
            raise self._error

    async def release(
        self,
        events: Sequence[Event],
        *,
        state: RunState,
        reason: WaitReason | None = None,
        wake_at: int | None = None,
        mail: Sequence[Mail] = (),
        ledger: Sequence[LedgerChange] = (),
    ) -> bool:
        """Append `events` alone, giving up the lease, and fold them; return False, with nothing written, if there is unread mail.

        `mail` goes to other runs, and `ledger` changes budgets, in the same append.
        """
        self._is_releasing = True
        await self.flush()
        now = self._clock.now_us()
        facts = [Fact(self._last + 1 + index, self._epoch, now, event) for index, event in enumerate(events)]
        batch = Batch(
            self._run.tenant,
            self._run.run_id,
            self._epoch,
            self._last,
            facts,
            state,
            reason,
            wake_at,
            self._run.inbox_seen,
            releases=True,
            mail=mail,
            ledger=ledger,
        )
        try:
            await self._journal.append(batch)
        except InboxPending:
            self._is_releasing = False
            return False
        for fact in facts:
            self._run.apply(fact)
        self._last = self._durable = self._run.head
        return True

    async def write(self) -> None:
        """Write the outbox whenever something is due, until `close`. One task runs this."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await self._write_once()
                if self._is_closing:
                    return
        except BaseException as error:
            self._error = error
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._let_go(self._last)

    def close(self) -> None:
        """Let `write` end once the outbox is empty."""
        self._is_closing = True
        self._wake.set()

    async def _write_once(self) -> None:
        """Write what waits, up to the first reservation; or that, where nothing stands before it."""
        place = len(self._outbox)
        if self._reservations:
            place = next((index for index, fact in enumerate(self._outbox) if fact.seq in self._reservations), place)
        facts, self._outbox = self._outbox[: place or 1], self._outbox[place or 1 :]
        if place == 0:
            await self._write_reservation(facts[0], self._reservations.pop(facts[0].seq))
        else:
            await self._write(facts)
        self._durable = facts[-1].seq
        self._let_go(self._durable)

    async def _write_reservation(self, fact: Fact, reservation: _Reservation) -> None:
        """Write the reservation, or in its place that it was refused; then fold what was written."""
        try:
            await self._write([fact], reservation.ledger)
        except LedgerRefused as refused:
            asked = fact.event
            step = asked.step if isinstance(asked, BudgetReserved) else StepId("")
            reservation.shortfall = Shortfall(
                "budget_exceeded", refused.message, refused.row, refused.needed, refused.limit, refused.reserved, refused.settled
            ).in_words()
            fact = replace(fact, event=BudgetRefused(step, reservation.shortfall))
            await self._write([fact])
        self._run.apply(fact)

    async def _write(self, facts: Sequence[Fact], ledger: Sequence[LedgerChange] = ()) -> None:
        run = self._run
        version = next((fact.event.agent_version for fact in facts if isinstance(fact.event, RunWoken)), None)
        await self._journal.append(
            Batch(
                run.tenant,
                run.run_id,
                self._epoch,
                facts[0].seq - 1,
                facts,
                run.state,
                run.reason,
                inbox_seen=self._seen(),
                agent_version=version,
                ledger=ledger,
            )
        )

    def _seen(self) -> int:
        """Return the last inbox item whose event is durable with what is being written: what stands behind a reservation waits for it."""
        waiting = (int(fact.cause[len(INBOX) :]) - 1 for fact in self._outbox if fact.cause is not None and fact.cause.startswith(INBOX))
        return next(waiting, self._run.inbox_seen)

    def _let_go(self, reached: int) -> None:
        while self._waiters and self._waiters[0][0] <= reached:
            _, waiter = self._waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)

    def _due(self) -> None:
        """Write what waits. One timer serves all that is posted before it fires, also behind an append that came first."""
        self._timer = None
        self._wake.set()

    def _is_effect(self, event: Event) -> bool:
        """Say whether the fact must be durable before anything else is performed."""
        match event:
            case ModelCalled():
                return False
            case StepStarted():
                return event.effect != "read"
            case StepFinished() | StepFailed():
                state = self._run.graph.steps.get(event.step)
                return state is not None and state.effect != "read"
            case RunReleased() | RunWaiting() | RunSucceeded() | RunFailed() | RunCancelled() | RunExpired():
                raise AssertionError(f"{event.type} is appended by `release`")
            case _:
                return isinstance(event, _DECISIONS)
