"""Walks one run: decides, performs what is ready side by side, and journals each step before and after."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

from agent_sdk.core.decide import Consult, End, Hold, Park, Perform, Start, arguments, decide
from agent_sdk.core.errors import AgentSDKError, StorageError
from agent_sdk.core.events import (
    Event,
    RunCancelled,
    RunClaimed,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    StepFailed,
    StepStarted,
    Terminal,
    WaitReason,
)
from agent_sdk.core.graph import StepState
from agent_sdk.core.plan import MissingValue
from agent_sdk.core.ports import Answer, Ask, Claim, Propose
from agent_sdk.core.run import Run, RunState
from agent_sdk.execution.attempts import Attempts
from agent_sdk.execution.flights import Flights, StopKind
from agent_sdk.execution.inbox import Inbox
from agent_sdk.execution.outcome import failed
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.perform import Args, Performer
from agent_sdk.execution.proposals import answered, planned, refusals
from agent_sdk.execution.sequencer import Sequencer

BREATH_S = 0.005
"""The walk yields to the event loop at least this often."""
HAND_BACK_S = 5.0

Outcome = Literal["ended", "waiting", "suspended"]


class Executor:
    """Performs one claimed run until it ends, waits or is handed back."""

    def __init__(self, parts: Parts, run: Run, claim: Claim) -> None:
        self._parts = parts
        self._run = run
        self._claim = claim
        self._wake = asyncio.Event()
        self._flights = Flights()
        self._breath_at = 0.0
        self._went_round = True
        self._sequencer = Sequencer(parts.journal, run, parts.clock, claim.epoch)
        self._inbox = Inbox(run, parts.journal, parts.tools, self._sequencer)
        self._attempts = Attempts(run, parts, Performer(run, parts, self._flights.was_cancelled), self._sequencer, self._flights)

    async def drive(self) -> Outcome:
        """Perform the run. On the way out of any error, and of a cancelled task, the run is handed back if the journal lets it.

        Raises:
            StorageError: the journal failed, or another owner took the run (`Fenced`); nothing durable is lost.
            JournalNewer: the run holds an event that this version does not know.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sequencer.write())
                deadline_at = self._run.created.deadline_at if self._run.created is not None else None
                timer = group.create_task(self._expire(deadline_at)) if deadline_at is not None else None
                try:
                    return await self._walk()
                except BaseException:
                    await self._hand_back_in_time()
                    raise
                finally:
                    if timer is not None:
                        timer.cancel()
                    self._sequencer.close()
        except BaseExceptionGroup as errors:
            error = _first_leaf(errors)
            raise error from error.__cause__

    def interrupt(self, stop: StopKind, *, force: bool = False) -> None:
        """Stop the run: `suspend` leaves it to be resumed, `expire` ends it, and so does `cancel`, which comes by way of the inbox.

        What is under way is cancelled, but for `once` effects under `suspend`: they may end, unless `force` is given.
        """
        if self._flights.stop != "cancel":
            self._flights.stop = stop
        steps = self._run.graph.steps
        spared = {step for step in self._flights if stop == "suspend" and not force and step in steps and steps[step].effect == "once"}
        self._flights.cancel_all(spared)
        self._wake.set()

    async def take_mail(self) -> None:
        """Turn every unread inbox item into its event; from a message on they wait until the question under way is answered."""
        await self._inbox.take()
        if self._run.cancel_requested and not self._run.is_ended:
            self.interrupt("cancel")
        self._wake.set()

    async def _walk(self) -> Outcome:
        is_resumed = self._run.epoch > 0 or self._run.head > 1
        self._sequencer.post(RunClaimed(self._claim.owner))
        if is_resumed:
            await self.take_mail()
            self._refuse_calls()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._breathe()
                if (outcome := await self._advance(tasks)) is not None:
                    return outcome

    async def _advance(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        """Do the next thing; return how the walk ended, or None if it goes on."""
        if self._flights.stop in {"suspend", "expire"}:
            return await self._stop_walking()
        match decide(self._run, len(self._flights)):
            case Perform(starts=starts, settled=settled):
                for event in settled:
                    self._sequencer.post(event)
                await self._start_all(starts, tasks)
            case Consult():
                return await self._consult()
            case Hold():
                await self._something_ends()
            case Park(reason=reason, steps=steps):
                events: list[Event] = [RunWaiting(reason, steps), RunReleased("waiting")]
                return "waiting" if await self._release(events, "waiting", reason) else None
            case End(event=event):
                return await self._end(event) if event is not None else "ended"
            case _ as other:
                assert_never(other)
        return None

    async def _stop_walking(self) -> Outcome | None:
        if self._flights:
            await self._something_ends()
            return None
        if self._flights.stop == "expire":
            return await self._end(RunExpired())
        return "suspended" if await self._release([RunReleased("suspended")], "queued") else None

    async def _start_all(self, starts: tuple[Start, ...], tasks: asyncio.TaskGroup) -> None:
        """Journal all starts, make the effects' durable, then perform them: in place where nothing can join, else side by side."""
        begun = [pair for start in starts if (pair := self._begin(start)) is not None]
        if self._sequencer.must_flush:
            await self._sequencer.flush()
        if self._flights.stop is not None:
            for state, _ in begun:
                self._attempts.stopped_before(state)
        elif len(begun) == 1 and not self._flights and not self._run.graph.unknown:
            state, args = begun[0]
            await self._flights.in_place(state.id, self._attempts.settle(state, args))
        else:
            for state, args in begun:
                self._flights.launch(tasks, state.id, self._attempts.settle(state, args), self._wake.set)

    def _begin(self, start: Start) -> tuple[StepState, Args] | None:
        """Journal the start; return what is to be performed, None where nothing is."""
        state = self._run.graph.steps[start.step]
        if start.items is not None:
            self._sequencer.post(StepStarted(state.id, items=start.items))
            return None
        try:
            args = arguments(self._run, state)
        except MissingValue as error:
            self._sequencer.post(StepFailed(state.id, state.attempt, "reference_missing", message=str(error)))
            return None
        self._attempts.begin(state, args)
        return state, args

    async def _consult(self) -> Outcome | None:
        if self._sequencer.must_flush:
            await self._sequencer.flush()
            if self._flights.stop is not None:
                return None
        try:
            proposal = self._parts.planner.next(self._run)
        except AgentSDKError as error:
            return await self._end(RunFailed(error.code, None, error.message, error.hint))
        match proposal:
            case Ask():
                await self._ask(proposal)
            case Propose():
                self._sequencer.post(planned(proposal, self._run, self._parts.checker))
            case Answer():
                event = answered(proposal, self._run, self._parts.checker)
                if isinstance(event, RunSucceeded):
                    return await self._end(event)
                self._sequencer.post(event)
            case _:
                assert_never(proposal)
        return None

    async def _ask(self, ask: Ask) -> None:
        with self._inbox.asking():
            await self._flights.in_place(ask.request.id, self._asked(ask))
        self._refuse_calls()
        if self._inbox.holds_messages:
            await self.take_mail()

    async def _asked(self, ask: Ask) -> None:
        """Put the planner's question; a failure of the model ends the run by way of the fold."""
        try:
            await self._attempts.ask(ask.request, ask.purpose)
        except AgentSDKError as error:
            self._sequencer.post(failed(error).event(ask.request.id, 1, "read"))
        except asyncio.CancelledError:
            if not self._flights.was_cancelled(ask.request.id):
                raise

    def _refuse_calls(self) -> None:
        """Refuse the calls of the newest turn that do not hold, before any of them is performed."""
        for refusal in refusals(self._run, self._parts.checker):
            self._sequencer.post(refusal)

    async def _end(self, event: Terminal) -> Outcome | None:
        return "ended" if await self._release([event], _END_STATES[type(event)]) else None

    async def _release(self, events: Sequence[Event], state: RunState, reason: WaitReason | None = None) -> bool:
        """Give the run up; return False, with the mail taken, where the inbox held something unread."""
        if await self._sequencer.release(events, state=state, reason=reason):
            return True
        await self.take_mail()
        return False

    async def _hand_back_in_time(self) -> None:
        """Release the run on the way out of a cancelled task; if that fails, its lease or its owner's death frees it."""
        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(HAND_BACK_S):
                while not await self._release([RunReleased("suspended")], "queued"):
                    pass

    async def _something_ends(self) -> None:
        """Return when it is worth to look again; the end of an effect is made durable before anything else is waited for."""
        if self._sequencer.must_flush:
            await self._sequencer.flush()
            return
        self._wake.clear()
        await self._wake.wait()

    async def _breathe(self) -> None:
        """Yield if the walk has held the loop for too long; where the loop went round by itself, the time counts from now."""
        now = self._parts.clock.monotonic()
        if self._went_round:
            self._went_round, self._breath_at = False, now
            asyncio.get_running_loop().call_soon(self._note_round)
        elif now - self._breath_at > BREATH_S:
            await asyncio.sleep(0)

    def _note_round(self) -> None:
        self._went_round = True

    async def _expire(self, deadline_at: int) -> None:
        await self._parts.clock.sleep(max(0.0, (deadline_at - self._parts.clock.now_us()) / 1_000_000))
        self.interrupt("expire")


_END_STATES: Mapping[type[Terminal], RunState] = {
    RunSucceeded: "succeeded",
    RunFailed: "failed",
    RunCancelled: "cancelled",
    RunExpired: "expired",
}


def _first_leaf(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that ended the walk; the cancellations that followed from it say nothing."""
    first: BaseException | BaseExceptionGroup[BaseException] = errors.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]  (isinstance forgets the group's parameter)
