"""Walks one run: decides, performs what is ready side by side, and journals each step before and after."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.decide import Consult, End, Hold, Park, Perform, Start, arguments, decide
from agent_sdk.core.errors import AgentSDKError, StorageError
from agent_sdk.core.events import (
    CheckRefused,
    Event,
    PlanAccepted,
    PlanRejected,
    PlanRevised,
    RunCancelled,
    RunClaimed,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    StepFailed,
    StepShape,
    StepStarted,
    WaitReason,
)
from agent_sdk.core.findings import Finding
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import Label, join_all
from agent_sdk.core.plan import MissingValue, Plan, ToolStep, refs_in, sources_of
from agent_sdk.core.ports import Answer, Ask, Checker, Claim, Clock, Journal, Model, Planner, Propose, Random, TokenSink, Tool
from agent_sdk.core.run import Run, RunState
from agent_sdk.execution.attempts import Attempts, StopKind
from agent_sdk.execution.flights import Flights
from agent_sdk.execution.inbox import event_of
from agent_sdk.execution.outcome import failed
from agent_sdk.execution.perform import Args, Performer
from agent_sdk.execution.sequencer import Sequencer

BREATH_S = 0.005
"""The walk yields to the event loop at least this often."""
HAND_BACK_S = 5.0
MAX_FINDINGS = 100

Outcome = Literal["ended", "waiting", "suspended"]
Terminal = RunSucceeded | RunFailed | RunCancelled | RunExpired


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is performed with. `model_name` is the name that requests give to `model`."""

    journal: Journal
    agent: AgentSpec
    model_name: str
    planner: Planner
    checker: Checker
    tools: Mapping[str, Tool]
    model: Model | None
    clock: Clock
    random: Random
    tokens: TokenSink
    deps: object = None


class Executor:
    """Performs one claimed run until it ends, waits or is handed back."""

    def __init__(self, parts: Parts, run: Run, claim: Claim) -> None:
        self._parts = parts
        self._run = run
        self._claim = claim
        self._stop: StopKind | None = None
        self._wake = asyncio.Event()
        self._flights = Flights()
        self._breath_at = 0.0
        self._sequencer = Sequencer(parts.journal, run, parts.clock, claim.epoch)
        performer = Performer(
            run, parts.tools, parts.model, parts.model_name, parts.clock, parts.deps, parts.tokens, lambda: self._stop is not None
        )
        self._attempts = Attempts(run, performer, self._sequencer, parts.clock, parts.random, lambda: self._stop)

    async def drive(self) -> Outcome:
        """Perform the run.

        Raises:
            StorageError: the journal failed, or another owner took the run (`Fenced`); nothing durable is lost.
            JournalNewer: the run holds an event that this version does not know.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sequencer.write())
                timer = group.create_task(self._expire()) if self._run.created and self._run.created.deadline_at else None
                try:
                    return await self._walk()
                except asyncio.CancelledError:
                    await self._hand_back_in_time()
                    raise
                finally:
                    if timer is not None:
                        timer.cancel()
                    self._sequencer.close()
        except BaseExceptionGroup as errors:
            raise _first_leaf(errors) from errors

    def interrupt(self, stop: StopKind, *, force: bool = False) -> None:
        """Stop the run: `cancel` and `expire` end it, `suspend` leaves it to be resumed.

        What is under way is cancelled, but for `once` effects under `suspend`: they may end, unless `force` is given.
        """
        if self._stop != "cancel":
            self._stop = stop
        steps = self._run.graph.steps
        spared = {step for step in self._flights if stop == "suspend" and not force and step in steps and steps[step].effect == "once"}
        self._flights.cancel_all(spared)
        self._wake.set()

    async def take_mail(self) -> None:
        """Turn every unread inbox item into its event."""
        run, journal = self._run, self._parts.journal
        items = await journal.inbox(run.tenant, run.run_id, after=run.inbox_seen)
        is_cancelled = any(item.kind == "cancel" for item in items)
        for item in items:
            if self._sequencer.is_releasing or (item.kind == "message" and self._flights.is_asking and not is_cancelled):
                break  # read again when the release was refused, or the question is answered
            if item.number > run.inbox_seen:
                self._sequencer.post(event_of(item, run), cause=f"inbox:{item.number}")
        if run.cancel_requested and not run.is_ended:
            self.interrupt("cancel")
        self._wake.set()

    async def _walk(self) -> Outcome:
        is_resumed = self._run.epoch > 0 or self._run.head > 1
        self._sequencer.post(RunClaimed(self._claim.owner))
        if is_resumed:
            await self.take_mail()
            self._check_calls()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._breathe()
                if (outcome := await self._advance(tasks)) is not None:
                    return outcome

    async def _advance(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        """Do the next thing; return how the walk ended, or None if it goes on."""
        if self._stop in {"suspend", "expire"}:
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
        return None

    async def _stop_walking(self) -> Outcome | None:
        if self._flights:
            await self._something_ends()
            return None
        if self._stop == "expire":
            return await self._end(RunExpired())
        return "suspended" if await self._release([RunReleased("suspended")], "queued") else None

    async def _start_all(self, starts: tuple[Start, ...], tasks: asyncio.TaskGroup) -> None:
        """Journal all starts, make the effects among them durable, then perform them: one alone in place, several side by side."""
        begun = [pair for start in starts if (pair := self._begin(start)) is not None]
        if self._sequencer.must_flush:
            await self._sequencer.flush()
        if self._stop is not None:
            for state, _ in begun:
                self._attempts.stopped_before(state)
        elif len(begun) == 1 and not self._flights:
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
        try:
            proposal = self._parts.planner.next(self._run)
        except AgentSDKError as error:
            return await self._end(RunFailed(error.code, None, error.message, error.hint))
        match proposal:
            case Ask():
                await self._ask(proposal)
            case Propose():
                self._propose(proposal)
            case Answer():
                return await self._answer(proposal)
        return None

    async def _ask(self, ask: Ask) -> None:
        with self._flights.asking():
            reply = await self._flights.in_place(ask.request.id, self._asked(ask))
        if reply:
            self._check_calls()

    async def _asked(self, ask: Ask) -> bool:
        """Put the planner's question; a failure of the model ends the run by way of the fold."""
        try:
            await self._attempts.ask(ask.request, ask.purpose)
        except AgentSDKError as error:
            self._sequencer.post(failed(error).event(ask.request.id, 1, "read"))
        except asyncio.CancelledError:
            if self._stop is None:
                raise
            return False
        return True

    def _check_calls(self) -> None:
        """Refuse the calls of the newest turn that do not hold, before any of them is performed."""
        reply = self._run.last_reply
        for call in reply.tool_calls if reply is not None and self._run.open_calls else ():
            state = self._run.graph.steps.get(call.id)
            if state is not None and state.status == "ready" and state.attempt == 0 and (findings := self._parts.checker.call(call)):
                self._sequencer.post(CheckRefused(call.id, _codes(findings), tuple(findings)))

    def _propose(self, proposal: Propose) -> None:
        findings = proposal.findings if proposal.plan is None else tuple(self._parts.checker.plan(proposal.plan, self._run))
        if proposal.plan is None or findings:
            kept = findings[:MAX_FINDINGS]
            if len(findings) > len(kept):
                kept = (*kept, Finding("more_findings", "$", f"{len(findings) - len(kept)} more findings are left out"))
            self._sequencer.post(PlanRejected(_codes(findings), kept))
            return
        plan, revision = proposal.plan, self._run.revision + 1
        accepted = PlanAccepted if revision == 1 else PlanRevised
        self._sequencer.post(accepted(plan.digest, shape_of(plan), revision, plan))

    async def _answer(self, answer: Answer) -> Outcome | None:
        findings = answer.findings or tuple(self._parts.checker.answer(answer.value))
        if not findings:
            return await self._end(RunSucceeded(self._answer_label(), answer.value))
        self._sequencer.post(CheckRefused(self._run.asked or StepId("answer"), _codes(findings), findings[:MAX_FINDINGS]))
        return None

    def _answer_label(self) -> Label:
        if self._run.plan is None:
            return self._run.label
        steps = self._run.graph.steps
        return join_all(steps[ref.step].label for _, ref in refs_in(self._run.plan.result) if ref.step in steps)

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
                await self._sequencer.release([RunReleased("suspended")], state="queued")

    async def _something_ends(self) -> None:
        self._wake.clear()
        await self._wake.wait()

    async def _breathe(self) -> None:
        now = self._parts.clock.monotonic()
        if now - self._breath_at > BREATH_S:
            await asyncio.sleep(0)
            self._breath_at = self._parts.clock.monotonic()

    async def _expire(self) -> None:
        deadline_at = self._run.created.deadline_at if self._run.created is not None else None
        if deadline_at is not None:
            await self._parts.clock.sleep(max(0.0, (deadline_at - self._parts.clock.now_us()) / 1_000_000))
            self.interrupt("expire")


_END_STATES: Mapping[type[Terminal], RunState] = {
    RunSucceeded: "succeeded",
    RunFailed: "failed",
    RunCancelled: "cancelled",
    RunExpired: "expired",
}


def shape_of(plan: Plan) -> tuple[StepShape, ...]:
    """Return a plan's steps without their content."""
    return tuple(
        StepShape(
            step.id,
            sources_of(step),
            step.after,
            step.tool if isinstance(step, ToolStep) else None,
            step.for_each is not None,
            step.on_error,
        )
        for step in plan.steps
    )


def _codes(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.code for finding in findings))


def _first_leaf(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that ended the walk; the cancellations that followed from it say nothing."""
    first: BaseException | BaseExceptionGroup[BaseException] = errors.exceptions[0]
    return _first_leaf(first) if isinstance(first, BaseExceptionGroup) else first  # pyright: ignore[reportUnknownArgumentType]  (isinstance forgets the group's parameter)
