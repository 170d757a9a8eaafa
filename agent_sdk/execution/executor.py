"""Walks one run: decides, performs what is ready side by side, and journals each step before and after."""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, TypeVar, assert_never

from agent_sdk.core.budget import Shortfall
from agent_sdk.core.code_version import code_changes
from agent_sdk.core.decide import Consult, End, Hold, Park, Perform, Start, arguments, decide, next_wake, require_readable
from agent_sdk.core.errors import (
    AgentSDKError,
    ConfigError,
    ContextTooLong,
    GuardrailRefused,
    InputRefused,
    JournalNewer,
    LimitError,
    RequestError,
    StorageError,
)
from agent_sdk.core.events import (
    CheckRefused,
    ChildFinished,
    CodeChange,
    ContextExceeded,
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
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.plan import GOAL, MissingValue
from agent_sdk.core.ports import Answer, Ask, Compact, Mail, Propose
from agent_sdk.core.run import Run, RunState
from agent_sdk.execution.attempts import Attempts
from agent_sdk.execution.family import farewells
from agent_sdk.execution.flights import Flights, StopKind
from agent_sdk.execution.inbox import Inbox
from agent_sdk.execution.lease import Lease
from agent_sdk.execution.outcome import failed
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.perform import Args, Performer
from agent_sdk.execution.proposals import ANSWER, answered, planned, refusals, refused, unbegun_calls
from agent_sdk.execution.sequencer import Sequencer
from agent_sdk.execution.spending import OutOfBudget, Spending
from agent_sdk.execution.undo import Undo, must_undo
from agent_sdk.execution.waits import ended_waits, instead

BREATH_S = 0.005
"""The walk yields to the event loop at least this often."""
HAND_BACK_S = 5.0
QUEUED_US = 1_000_000
"""A run as new as this is begun by who made it: there is no mail to look for, and no other code than what it pinned."""
NEWER_US = 30_000_000
"""How long a run that a newer version wrote on is left for others to take."""

MAX_BUDGET_PAUSE_S = 30.0
LOOK_S, MAX_BUDGET_LOOK_S = 120.0, 86_400.0
"""A budget that is spent is looked at again all the same, ever more seldom: it may have been raised just before the run began to wait."""
MAX_OVERFLOWS = 3
"""How often in a row a conversation that the model finds too long is made shorter."""
GOAL_REFUSED = "a guardrail refuses the goal: "
GUARD = StepId("run.guard")
"""What the judging of guardrails is called among what is under way; no step can have this id."""

T = TypeVar("T")
Outcome = Literal["ended", "waiting", "suspended"]


class Executor:
    """Performs one claimed run until it ends, waits or is handed back."""

    def __init__(self, parts: Parts, run: Run, lease: Lease) -> None:
        self._parts = parts
        self._run = run
        self._lease = lease
        self._wake = asyncio.Event()
        self._flights = Flights()
        self._breath_at = 0.0
        self._went_round = True
        self._changes: tuple[CodeChange, ...] = ()
        self._guarding: asyncio.TimerHandle | None = None
        self._must_read = False
        self._must_see_children = False
        self._must_judge_goal = parts.guards is not None
        self._ahead_us = lease.ahead_us(parts.clock)
        self._claimed_at = lease.claim.lease_until - int(lease.lease_s * 1_000_000)
        self._sequencer = Sequencer(parts.journal, run, parts.clock, lease.claim.epoch)
        self._inbox = Inbox(run, parts, self._sequencer)
        performer = Performer(run, parts, self._flights.was_cancelled)
        self._spending = Spending(run, parts.journal, parts.meter, self._sequencer)
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
                    await self._hand_back_in_time(_first_leaf(error))
                    raise
                finally:
                    if timer is not None:
                        timer.cancel()
                    if self._guarding is not None:
                        self._guarding.cancel()
                    self._sequencer.close()
        except BaseExceptionGroup as errors:
            first = _first_leaf(errors)
            raise first from first.__cause__

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
        is_new = run.epoch == 0 and run.head == 1 and not self._must_read and self._now_us() - run.created_at <= QUEUED_US
        self._sequencer.post(RunClaimed(self._lease.claim.owner))
        if not is_new:
            self._changes = code_changes(run, self._parts.agent.digests())
            self._must_see_children = bool(run.graph.parked)
            await self.take_mail()
            await self._refuse_calls()
        if self._deadline_at is not None and self._deadline_at <= self._now_us():
            self.interrupt("expire")
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._breathe()
                if (outcome := await self._advance(tasks)) is not None:
                    return outcome

    async def _advance(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        """Do the next thing; return how the walk ended, or None if it goes on."""
        if self._flights.stop in {"suspend", "expire"}:
            return await self._stop_walking()
        if self._run.graph.parked:
            await self._end_waits()
        if self._run.failure is None and not self._run.cancel_requested:
            if self._must_judge_goal:
                await self._judge_goal()
                return None
            if self._spending.short is not None:
                return await self._wait_for_budget(self._spending.short)
        return await self._choose(tasks)

    async def _choose(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        """Do what the run needs next."""
        choice = decide(self._run, len(self._flights))
        if self._changes and not isinstance(choice, End):
            choice = Park("code_changed", tuple(self._run.graph.parked), self._deadline_at)
        elif self._must_see_children and not isinstance(choice, End):
            await self._see_children()
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
            case Park() as park:
                return await self._park(park)
            case End(event=event):
                return await self._end(event) if event is not None else "ended"
            case _ as other:
                assert_never(other)
        return None

    async def _park(self, park: Park) -> Outcome | None:
        events: list[Event] = [RunWaiting(park.reason, park.steps, park.wake_at, self._changes), RunReleased("waiting")]
        return "waiting" if await self._release(events, "waiting", park.reason, park.wake_at) else None

    async def _wait_for_budget(self, lacking: Shortfall) -> Outcome | None:
        """Let what is under way end, then wait: until others let go of what they reserved, or somebody raises the budget.

        Mail that came since the refusal may say that it was raised, so the run is due again at once.
        """
        if self._flights:
            await self._something_ends()
            return None
        refusals = min(self._run.purse.refusals, 20)
        longest_s = min(MAX_BUDGET_PAUSE_S, 2.0**refusals) if lacking.is_passing else min(MAX_BUDGET_LOOK_S, LOOK_S * 2.0**refusals)
        pause_s = 0.0 if self._run.inbox_seen > self._spending.seen else self._parts.random.uniform(0.5, 1.0) * longest_s
        times = self._now_us() + int(pause_s * 1_000_000), self._deadline_at, next_wake(self._run)
        wake_at = min(at for at in times if at is not None)
        events: list[Event] = [RunWaiting("budget", tuple(self._run.graph.running), wake_at, shortfall=lacking), RunReleased("waiting")]
        return "waiting" if await self._release(events, "waiting", "budget", wake_at) else None

    async def _judge_goal(self) -> None:
        """Ask the guardrails about the goal, as long as nothing was done for it."""
        run, guards = self._run, self._parts.guards
        if guards is not None and not run.questions and not any(state.attempt for state in run.graph.steps.values()):
            complaint = await self._judged(guards.goal(run), None)
            if self._flights.stop is not None:
                return
            if complaint is not None:
                self._sequencer.post(StepFailed(GOAL, 1, InputRefused.code, message=f"{GOAL_REFUSED}{complaint}"))
        self._must_judge_goal = False

    async def _judged(self, judging: Awaitable[T], otherwise: T) -> T:
        """Await what a guardrail says; where the run is stopped meanwhile, `otherwise`."""

        async def judge() -> T:
            try:
                return await judging
            except asyncio.CancelledError:
                if not self._flights.was_cancelled(GUARD):
                    raise
                return otherwise

        return await self._flights.in_place(GUARD, judge())

    async def _end_waits(self) -> None:
        """Post what ended waits since one looked: each is folded before the next is looked for, since one may take what another wants.

        Before a time is up the mail is taken: what was sent by then counts, though nobody read it yet.
        """
        now_us, wake_at = self._now_us(), next_wake(self._run)
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
        return "suspended" if await self._release([RunReleased("suspended")], "queued") else None

    async def _start_all(self, starts: tuple[Start, ...], tasks: asyncio.TaskGroup) -> None:
        """Journal all starts, make the effects' durable, then perform them: in place where nothing can join, else side by side."""
        begun = [pair for start in starts if (pair := self._begin(start)) is not None]
        if self._sequencer.must_flush:
            await self._sequencer.flush()
            await self._lease.ensure(self._parts.journal, self._parts.clock)
            await self._begin_children(starts)
        if any(state.effect == "once" for state, _ in begun):
            self._guard()
        if self._flights.stop is not None:
            for state, _ in begun:
                self._attempts.stopped_before(state)
        elif len(begun) == 1 and self._is_alone:
            state, args = begun[0]
            await self._flights.in_place(state.id, self._attempts.settle(state, args))
        else:
            for state, args in begun:
                self._flights.launch(tasks, state.id, self._attempts.settle(state, args), self._wake.set)

    def _guard(self) -> None:
        """See to it that no `once` effect outlives the lease under which it began: whoever takes the run over may be told to repeat it.

        A process that was stopped for longer finds all its timers due at once, and this one cancels before any of the work goes on.
        """
        if self._guarding is not None:
            self._guarding.cancel()
            self._guarding = None
        left_s = self._lease.left_s(self._parts.clock)
        if left_s > 0:
            self._guarding = asyncio.get_running_loop().call_later(left_s, self._guard_again)
            return
        for step in self._once_under_way():
            self._flights.cancel_now(step)

    def _guard_again(self) -> None:
        if self._once_under_way():
            self._guard()
        else:
            self._guarding = None

    def _once_under_way(self) -> list[StepId]:
        steps, flights = self._run.graph.steps, self._flights
        return [step for step in flights if step in steps and steps[step].effect == "once" and not flights.was_cancelled(step)]

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
        if tool is not None and (event := instead(self._run, state, tool, args, self._now_us)) is not None:
            self._sequencer.post(event)
            return None
        self._attempts.begin(state, args)
        return state, args

    async def _begin_children(self, starts: Sequence[Start]) -> None:
        """See that the child runs are there for which the steps just started stand."""
        for start in starts:
            pending = self._run.graph.parked.get(start.step)
            if pending is not None and pending.child is not None:
                await self._begin_child(start.step, pending.child)

    async def _see_children(self) -> None:
        """See that the child runs of an owner before are there: it may have been lost before it made them."""
        self._must_see_children = False
        await self._begin_children([Start(step) for step in self._run.graph.parked])

    async def _begin_child(self, step: StepId, child: RunId) -> None:
        try:
            await self._parts.begin_child(self._run, step, child)
        except (RequestError, ConfigError, LimitError) as error:
            self._sequencer.post(ChildFinished(step, child, "failed", error.code, message=error.message))

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
        event: RunSucceeded | RunFailed | CheckRefused = answered(answer, self._run, self._parts.checker)
        if isinstance(event, RunSucceeded) and self._parts.guards is not None:
            reply = self._run.last_reply
            try:
                findings = await self._judged(self._parts.guards.answer(answer.value, self._run), ())
            except GuardrailRefused as error:
                return await self._end(RunFailed(error.code, None, error.message, error.hint))
            if self._flights.stop is not None or self._run.last_reply is not reply:  # a message came, to which it is no answer
                return None
            event = refused(self._run.asked or ANSWER, findings) if findings else event
        if isinstance(event, CheckRefused):
            self._sequencer.post(event)
            return None
        return await self._end(event)

    async def _ask(self, ask: Ask) -> None:
        with self._inbox.asking():
            await self._flights.in_place(ask.request.id, self._asked(ask))
        await self._refuse_calls()
        if self._inbox.holds_messages:
            await self.take_mail()

    async def _asked(self, ask: Ask) -> None:
        """Put the planner's question; a failure of the model ends the run by way of the fold."""
        try:
            await self._attempts.ask(ask.request, ask.purpose)
        except OutOfBudget:
            pass
        except AgentSDKError as error:
            if isinstance(error, ContextTooLong) and ask.purpose in {"turn", "compact"} and self._run.overflows < MAX_OVERFLOWS:
                self._sequencer.post(ContextExceeded(ask.request.id, error.message, error.usage))
            else:
                self._sequencer.post(failed(error).event(ask.request.id, 1, "read"))
        except asyncio.CancelledError:
            if not self._flights.was_cancelled(ask.request.id):
                raise

    async def _refuse_calls(self) -> None:
        """Refuse the calls of the newest turn that do not hold, or to which a guardrail objects, before any of them is performed."""
        for refusal in refusals(self._run, self._parts.checker):
            self._sequencer.post(refusal)
        if self._parts.guards is None:
            return
        for call in unbegun_calls(self._run):
            if self._flights.stop is not None:
                return
            if findings := await self._judged(self._parts.guards.call(call, self._run), ()):
                self._sequencer.post(refused(call.id, findings))

    async def _end(self, event: Terminal) -> Outcome | None:
        """Close the run, once what it asks to have undone is undone; a failure is a fact before anything is undone on its account."""
        if must_undo(self._run, event):
            if isinstance(event, RunFailed) and self._run.failure is None:
                self._sequencer.post(StepFailed(event.step or ANSWER, 1, event.code, message=event.message, hint=event.hint))
            await self._undo.last()
            return None
        state = _END_STATES[type(event)]
        return "ended" if await self._release([event], state, mail=farewells(self._run, event, state)) else None

    async def _release(
        self,
        events: Sequence[Event],
        state: RunState,
        reason: WaitReason | None = None,
        wake_at: int | None = None,
        mail: Sequence[Mail] = (),
    ) -> bool:
        """Give the run up, with all that it holds of budgets; return False, with the mail taken, where the inbox held something unread."""
        if self._spending.is_bounded:
            await self._sequencer.flush()  # a reservation whose call was cancelled is held once it is written
        settled, ledger = self._spending.settlement()
        together = [*settled, *events]
        if await self._sequencer.release(together, state=state, reason=reason, wake_at=wake_at, mail=mail, ledger=ledger):
            return True
        await self.take_mail()
        return False

    async def _hand_back_in_time(self, error: BaseException) -> None:
        """Release the run on the way out; if that fails, its lease or its owner's death frees it.

        An error counts as a crash, so that a run that always ends in one waits as `crash_loop` at last. The mail of a run that a newer
        version wrote on is left to that: if there is any, the lease runs out by itself.
        """
        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(HAND_BACK_S):
                if isinstance(error, JournalNewer):
                    wake_at = self._now_us() + NEWER_US
                    waiting: list[Event] = [RunWaiting("timer", wake_at=wake_at), RunReleased("waiting")]
                    await self._sequencer.release(waiting, state="waiting", reason="timer", wake_at=wake_at)
                    return
                event = RunReleased("error" if isinstance(error, Exception) else "suspended")
                while not await self._release([event], "queued"):
                    pass

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
        delay_s = max(0.0, (wake_at - self._now_us()) / 1_000_000)
        timer = asyncio.get_running_loop().call_later(delay_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

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

    def _now_us(self) -> int:
        """Return the store's time, by which a run is due: this machine's clock may be wrong."""
        return max(self._parts.clock.now_us() + self._ahead_us, self._claimed_at)

    async def _expire(self, deadline_at: int) -> None:
        await self._parts.clock.sleep(max(0.0, (deadline_at - self._now_us()) / 1_000_000))
        self.interrupt("expire")


_END_STATES: Mapping[type[Terminal], RunState] = {
    RunSucceeded: "succeeded",
    RunFailed: "failed",
    RunCancelled: "cancelled",
    RunExpired: "expired",
}


def _first_leaf(error: BaseException) -> BaseException:
    """Return the error that ended the walk; the cancellations that followed from it say nothing."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  (isinstance forgets the group's parameter)
    return error  # pyright: ignore[reportUnknownVariableType]  (the same)
