"""Walks one run: decides, performs what is ready side by side, and journals each step before and after."""

import asyncio
from typing import assert_never

from agent_sdk.core.budget import Shortfall
from agent_sdk.core.code_version import code_changes
from agent_sdk.core.decide import Consult, End, Hold, Park, Perform, Start, arguments, decide, next_wake, require_readable
from agent_sdk.core.errors import AgentSDKError, ContextTooLong
from agent_sdk.core.events import (
    CheckRefused,
    CodeChange,
    ContextExceeded,
    RunClaimed,
    RunExpired,
    RunFailed,
    RunWaiting,
    StepFailed,
    StepStarted,
    Terminal,
)
from agent_sdk.core.graph import StepState
from agent_sdk.core.plan import MissingValue
from agent_sdk.core.ports import Answer, Ask, Compact, Propose
from agent_sdk.core.run import Run
from agent_sdk.execution.attempts import Attempts
from agent_sdk.execution.backoff import pause_for_budget
from agent_sdk.execution.breath import Breath
from agent_sdk.execution.children import Children
from agent_sdk.execution.exits import Exits, Outcome
from agent_sdk.execution.flights import Flights, StopKind
from agent_sdk.execution.inbox import Inbox
from agent_sdk.execution.judging import Judging
from agent_sdk.execution.lease import Lease
from agent_sdk.execution.lease_watch import LeaseWatch
from agent_sdk.execution.outcome import failed
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.perform import Args, Performer
from agent_sdk.execution.proposals import ANSWER, planned
from agent_sdk.execution.sequencer import Sequencer
from agent_sdk.execution.spending import OutOfBudget, Spending
from agent_sdk.execution.store_clock import StoreClock
from agent_sdk.execution.undo import Undo, must_undo
from agent_sdk.execution.waits import ended_waits, instead

QUEUED_US = 1_000_000
"""A run as new as this is begun by who made it: there is no mail to look for, and no other code than what it pinned."""
MAX_OVERFLOWS = 3
"""How often in a row a conversation that the model finds too long is made shorter."""


class Executor:
    """Performs one claimed run until it ends, waits or is handed back."""

    def __init__(self, parts: Parts, run: Run, lease: Lease) -> None:
        self._parts = parts
        self._run = run
        self._lease = lease
        self._wake = asyncio.Event()
        self._changes: tuple[CodeChange, ...] = ()
        self._must_read = False
        self._time = StoreClock(lease, parts.clock)
        self._breath = Breath(parts.clock)
        self._flights = Flights()
        self._watch = LeaseWatch(run, self._flights, lease, parts.clock)
        self._sequencer = Sequencer(parts.journal, run, parts.clock, lease.claim.epoch)
        self._inbox = Inbox(run, parts, self._sequencer)
        self._children = Children(run, parts.begin_child, self._sequencer)
        self._judging = Judging(run, parts.checker, parts.guards, self._sequencer, self._flights)
        self._spending = Spending(run, parts.journal, parts.meter, self._sequencer)
        self._exits = Exits(run, self._sequencer, self._spending, self._time, self.take_mail)
        performer = Performer(run, parts, self._flights.was_cancelled)
        self._attempts = Attempts(run, parts, performer, self._sequencer, self._flights, lease, self._spending)
        self._undo = Undo(run, parts, performer, self._sequencer, self._flights, lease)

    async def drive(self) -> Outcome:
        """Perform the run. On the way out of any error, and of a cancelled task, the run is handed back if the journal lets it.

        Raises:
            StorageError: the journal failed, or another owner took the run (`Fenced`); nothing durable is lost.
            JournalNewer: the run holds an event that this version does not know.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sequencer.write())
                timer = group.create_task(self._expire(self._deadline_at)) if self._deadline_at is not None else None
                try:
                    return await self._walk()
                except BaseException as error:
                    await self._hand_back(_first_leaf(error))
                    raise
                finally:
                    if timer is not None:
                        timer.cancel()
                    self._watch.end()
                    self._sequencer.close()
        except BaseExceptionGroup as errors:
            first = _first_leaf(errors)
            raise first from first.__cause__

    async def _hand_back(self, error: BaseException) -> None:
        await self._exits.handed_back(error)

    @property
    def _deadline_at(self) -> int | None:
        return self._run.created.deadline_at if self._run.created is not None else None

    def interrupt(self, stop: StopKind, *, force: bool = False) -> None:
        """Stop the run: `suspend` leaves it to be resumed, `expire` ends it, and so does `cancel`, which comes by way of the inbox.

        What is under way is cancelled, but for `once` effects under `suspend`: they may end, unless `force` is given. What is being undone
        is part of the run's end, and goes on.
        """
        if self._flights.stop != "cancel":
            self._flights.stop = stop
        steps = self._run.graph.steps
        if stop == "suspend":
            spared = {step for step in self._flights if not force and step in steps and steps[step].effect == "once"}
        else:
            spared = {step for step in self._flights if step == self._undo.under_way}
        self._flights.cancel_all(spared)
        self._wake.set()

    def expect_mail(self) -> None:
        """Read the inbox at the beginning, however new the run is."""
        self._must_read = True

    async def take_mail(self) -> None:
        """Turn every unread inbox item into its event; from a message on they wait until the question under way is answered."""
        was_cancelled = self._run.cancel_requested
        await self._inbox.take()
        if self._changes:
            self._changes = code_changes(self._run, self._parts.agent.digests())
        if self._run.cancel_requested and not was_cancelled:
            self.interrupt("cancel")
        self._wake.set()

    async def _walk(self) -> Outcome:
        run = self._run
        require_readable(run)
        is_new = run.epoch == 0 and run.head == 1 and not self._must_read and self._time.now_us() - run.created_at <= QUEUED_US
        self._sequencer.post(RunClaimed(self._lease.claim.owner))
        if not is_new:
            self._changes = code_changes(run, self._parts.agent.digests())
            self._children.must_see = bool(run.graph.parked)
            await self.take_mail()
            await self._judging.calls()
        if self._deadline_at is not None and self._deadline_at <= self._time.now_us():
            self.interrupt("expire")
        async with asyncio.TaskGroup() as tasks:
            while True:
                if self._breath.is_due():
                    await asyncio.sleep(0)
                if (outcome := await self._advance(tasks)) is not None:
                    return outcome

    async def _advance(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        """Do the next thing; return how the walk ended, or None if it goes on."""
        if self._flights.stop in {"suspend", "expire"}:
            return await self._stop_walking()
        if self._run.graph.parked:
            await self._end_waits()
        if self._run.failure is None and not self._run.cancel_requested:
            if self._judging.must_judge_goal:
                await self._judging.goal()
                return None
            if self._spending.short is not None:
                return await self._wait_for_budget(self._spending.short)
        return await self._choose(tasks)

    async def _choose(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        """Do what the run needs next."""
        choice = decide(self._run, len(self._flights))
        if self._changes and not isinstance(choice, End):
            choice = Park("code_changed", tuple(self._run.graph.parked), self._deadline_at)
        elif self._children.must_see and not isinstance(choice, End):
            await self._children.see()
            return None
        match choice:
            case Perform(starts=starts, settled=settled):
                for event in settled:
                    self._sequencer.post(event)
                await self._start_all(starts, tasks)
            case Consult():
                return await self._consult()
            case Hold():
                await self._something_ends()
            case Park(reason=reason, steps=steps, wake_at=wake_at):
                return await self._exits.waiting(RunWaiting(reason, steps, wake_at, self._changes))
            case End(event=event):
                return await self._end(event) if event is not None else "ended"
            case _ as other:
                assert_never(other)
        return None

    async def _wait_for_budget(self, lacking: Shortfall) -> Outcome | None:
        """Let what is under way end, then wait: until others let go of what they reserved, or somebody raises the budget.

        Mail that came since the refusal may say that it was raised, so the run is due again at once.
        """
        if self._flights:
            await self._something_ends()
            return None
        pause_s = 0.0
        if self._run.inbox_seen <= self._spending.seen:
            pause_s = pause_for_budget(self._run.purse.refusals, self._parts.random, is_passing=lacking.is_passing)
        times = self._time.now_us() + int(pause_s * 1_000_000), self._deadline_at, next_wake(self._run)
        wake_at = min(at for at in times if at is not None)
        outcome = await self._exits.waiting(RunWaiting("budget", tuple(self._run.graph.running), wake_at, shortfall=lacking))
        if outcome is not None:
            await self._spending.heed_raise(lacking)
        return outcome

    async def _end_waits(self) -> None:
        """Post what ended waits since one looked: each is folded before the next is looked for, since one may take what another wants.

        Before a time is up the mail is taken: what was sent by then counts, though nobody read it yet.
        """
        now_us, wake_at = self._time.now_us(), next_wake(self._run)
        if wake_at is not None and wake_at <= now_us:
            await self.take_mail()
        while (ended := next(ended_waits(self._run, self._parts.tools, now_us), None)) is not None:
            self._sequencer.post(*ended)

    async def _stop_walking(self) -> Outcome | None:
        if self._flights:
            await self._something_ends()
            return None
        if self._flights.stop == "expire":
            return await self._end(RunExpired())
        return await self._exits.suspended()

    async def _start_all(self, starts: tuple[Start, ...], tasks: asyncio.TaskGroup) -> None:
        """Journal all starts, make the effects' durable, then perform them: in place where nothing can join, else side by side."""
        begun = [pair for start in starts if (pair := self._begin(start)) is not None]
        if self._sequencer.must_flush:
            await self._sequencer.flush()
            await self._lease.ensure(self._parts.journal, self._parts.clock)
            await self._children.begin([start.step for start in starts])
            if any(state.effect == "once" for state, _ in begun):
                self._watch.look()
        if self._flights.stop is not None:
            for state, _ in begun:
                self._attempts.stopped_before(state)
        elif len(begun) == 1 and self._is_alone:
            state, args = begun[0]
            await self._flights.in_place(state.id, self._attempts.settle(state, args))
        else:
            for state, args in begun:
                self._flights.launch(tasks, state.id, self._attempts.settle(state, args), self._wake.set)

    @property
    def _is_alone(self) -> bool:
        """Whether nothing can join a step that starts now before it ends."""
        return not (self._flights or self._run.graph.unknown or self._run.graph.parked)

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
        tool = self._parts.tools.get(state.tool or "")
        if tool is not None and (event := instead(self._run, state, tool, args, self._time.now_us)) is not None:
            self._sequencer.post(event)
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
            case Compact(event=compacted):
                self._sequencer.post(compacted)
            case Answer():
                return await self._answer(proposal)
            case _:
                assert_never(proposal)
        return None

    async def _answer(self, answer: Answer) -> Outcome | None:
        """Close the run with the answer, if it holds and no guardrail objects."""
        event = await self._judging.answer(answer)
        if isinstance(event, CheckRefused):
            self._sequencer.post(event)
            return None
        return await self._end(event) if event is not None else None

    async def _ask(self, ask: Ask) -> None:
        self._inbox.is_asking = True
        try:
            await self._flights.in_place(ask.request.id, self._asked(ask))
        finally:
            self._inbox.is_asking = False
        await self._judging.calls()
        if self._inbox.holds_messages:
            await self.take_mail()

    async def _asked(self, ask: Ask) -> None:
        """Put the planner's question; a failure of the model ends the run by way of the fold."""
        try:
            await self._attempts.ask(ask.request, ask.purpose)
        except OutOfBudget:
            pass
        except AgentSDKError as error:
            if isinstance(error, ContextTooLong) and self._run.overflows < MAX_OVERFLOWS:
                self._sequencer.post(ContextExceeded(ask.request.id, error.message, error.usage))
            else:
                self._sequencer.post(failed(error).event(ask.request.id, 1, "read"))
        except asyncio.CancelledError:
            if not self._flights.was_cancelled(ask.request.id):
                raise

    async def _end(self, event: Terminal) -> Outcome | None:
        """Close the run, once what it asks to have undone is undone; a failure is a fact before anything is undone on its account."""
        if must_undo(self._run, event):
            if isinstance(event, RunFailed) and self._run.failure is None:
                self._sequencer.post(StepFailed(event.step or ANSWER, 1, event.code, message=event.message, hint=event.hint))
            await self._undo.last()
            return None
        return await self._exits.ended(event)

    async def _something_ends(self) -> None:
        """Return when it is worth to look again; the end of an effect is made durable before anything else is waited for."""
        if self._sequencer.must_flush:
            await self._sequencer.flush()
            return
        self._wake.clear()
        wake_at = next_wake(self._run) if self._run.graph.parked and self._flights.stop is None else None
        if wake_at is None:
            await self._wake.wait()
            return
        delay_s = max(0.0, (wake_at - self._time.now_us()) / 1_000_000)
        timer = asyncio.get_running_loop().call_later(delay_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _expire(self, deadline_at: int) -> None:
        await self._parts.clock.sleep(max(0.0, (deadline_at - self._time.now_us()) / 1_000_000))
        self.interrupt("expire")


def _first_leaf(error: BaseException) -> BaseException:
    """Return the error that ended the walk; the cancellations that followed from it say nothing."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  (isinstance forgets the group's parameter)
    return error  # pyright: ignore[reportUnknownVariableType]  (the same)
