"""Performs a recorded run again, drive by drive: planner and executor are today's, all else is as it was."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import cast

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.events import ContextCompacted, Fact, RunCancelRequested, RunClaimed, RunReleased, RunWoken
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.ports import Checker, Claim, Clock, Journal, Planner, Tool
from agent_sdk.core.run import Run
from agent_sdk.execution import Executor, Lease, Outcome, Parts
from agent_sdk.runtime.replay.cues import CheckedRun, Cues, RecordEnds
from agent_sdk.runtime.replay.divergence import Divergence
from agent_sdk.runtime.replay.drives import Drive, digests_then, is_mail, was_stopped_before
from agent_sdk.runtime.replay.recording import Recording
from agent_sdk.runtime.replay.rulings import RecordedGuards, RecordedMeter
from agent_sdk.runtime.replay.stand_ins import (
    Nobody,
    RecordedClock,
    RecordedJournal,
    RecordedModel,
    RecordedRandom,
    RecordedTool,
    begin_child,
)

QUIET = 12
"""After so many rounds of the event loop without a new fact, nothing more comes from inside."""
STUCK = 60


@frozen
class Code:
    """What is tried against a record: an agent's declaration, its tools, and what plans and checks for it.

    `planner` is told how much the run's questions could hold, as the catalog had it then.
    """

    spec: AgentSpec
    tools: Mapping[str, Tool]
    checker: Checker
    planner: Callable[[Run, int | None], Planner]


async def perform_drive(recording: Recording, facts: list[Fact], drive: Drive, code: Code, *, rebases: bool) -> Divergence | None:
    """Perform one drive again; return the first fact that is not as recorded. Where `rebases`, `facts` gets the digests of today."""
    run = CheckedRun(recording.tenant, recording.run_id, code.spec.limits, recording.history)
    for fact in facts[: drive.begin]:
        run.apply(fact)
    cues = run.cues = Cues(facts, drive, rebases, drive.begin)
    try:
        walk = _Walk(_parts(code, cues, run), run, _HeldLease(_claim(recording, facts[drive.begin]), 0.0, 0.0), cues)
    except AgentSDKError as error:
        return Divergence(drive.begin + 1, facts[drive.begin], None, _told(error))
    direction = _Direction(walk, cues)
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(direction.drive())
        cues.on_stop = lambda: direction.stop(driving)
        await direction.direct(driving)
    if cues.divergence is None and cues.at < drive.end:
        cues.divergence = Divergence(cues.at + 1, cues.next, None)
    return _with_error(cues.divergence, walk.failure)


class _Walk(Executor):
    """An executor that decides nothing as long as the record shows that somebody else acts next."""

    def __init__(self, parts: Parts, run: Run, lease: Lease, cues: Cues) -> None:
        super().__init__(parts, run, lease)
        self._cues = cues
        self.failure: BaseException | None = None

    @property
    def _is_alone(self) -> bool:
        """Leave the walk free beside every step: what joined it then is known from the record alone."""
        return False

    async def _advance(self, tasks: asyncio.TaskGroup) -> Outcome | None:
        while self._must_hold():  # noqa: ASYNC110  (what it waits for is many things, and the rounds are counted)
            await asyncio.sleep(0)
        return await super()._advance(tasks)

    async def _hand_back(self, error: BaseException) -> None:
        self.failure = error
        await super()._hand_back(error)

    def _must_hold(self) -> bool:
        cues, coming = self._cues, self._cues.next
        if cues.is_over:
            return False
        if coming is None:
            return cues.drive.breaks
        return is_mail(coming) or cues.must_stop or cues.must_kill or getattr(coming.event, "step", None) in list(self._flights)


@dataclass(slots=True)
class _Direction:
    """Brings about what came from outside the executor: mail, stops, the loss of the owner."""

    walk: _Walk
    cues: Cues

    async def drive(self) -> None:
        with contextlib.suppress(Exception):  # code that fails, however, is not what was recorded; the record is judged by itself
            await self.walk.drive()

    def stop(self, driving: "asyncio.Task[None]") -> None:
        if self.cues.drive.stop == "kill":
            driving.cancel()
        else:
            self.walk.interrupt("expire" if self.cues.drive.stop == "expire" else "suspend", force=True)

    async def direct(self, driving: "asyncio.Task[None]") -> None:
        """Return when the drive is over."""
        cues, seen, idle = self.cues, -1, 0
        while not driving.done():
            await asyncio.sleep(0)
            idle = 0 if cues.at != seen else idle + 1
            seen = cues.at
            if cues.next is None and cues.drive.breaks:
                cues.is_over = True
            elif idle >= STUCK:
                cues.divergence = cues.divergence or Divergence(cues.at + 1, cues.next, None)
                cues.is_over = True
            if cues.is_over:
                driving.cancel()
                break
            is_quiet = idle > 0 and idle % QUIET == 0
            if is_quiet and cues.must_kill:
                driving.cancel()
            else:
                await self._act(is_quiet=is_quiet)

    async def _act(self, *, is_quiet: bool) -> None:
        coming = self.cues.next
        if coming is None:
            return
        if is_quiet and self.cues.must_stop:
            self.cues.stop()
        elif is_quiet or (is_mail(coming) and self._comes_at_once(coming)):
            try:
                await self.walk.take_mail()  # where there is none, this wakes the walk, for which it may be time to go on
            except (RecordEnds, AgentSDKError):
                self.cues.is_over = True

    def _comes_at_once(self, mail: Fact) -> bool:
        """Say whether the mail was taken as soon as it could be; a cancel, if something was stopped before it had begun."""
        drive, is_cancel = self.cues.drive, isinstance(mail.event, RunCancelRequested)
        return not is_cancel or drive.stops_at_once or was_stopped_before(self.cues.facts, drive.begin, drive.end)


class _HeldLease(Lease):
    """A lease that never runs out, by a clock that is right."""

    def ahead_us(self, clock: Clock) -> int:
        return 0

    async def ensure(self, journal: Journal, clock: Clock) -> None:
        """Return at once."""


@dataclass(frozen=True, slots=True)
class _SpecThen(AgentSpec):
    """The agent as it is now, with the digests that the owner's code had: what became of a change of code is not asked again."""

    then: Mapping[str, str] = field(default_factory=dict[str, str])

    def digests(self) -> dict[str, str]:
        return dict(self.then)


def _parts(code: Code, cues: Cues, run: Run) -> Parts:
    async def child(_parent: Run, step: StepId, _child: RunId) -> None:
        begin_child(cues, step)

    return Parts(
        cast("Journal", RecordedJournal(cues)),  # an executor appends and reads mail, and asks no more of its journal
        _spec_then(code.spec, cues, run),
        code.spec.model or "",
        code.planner(run, _cap_then(cues)),
        code.checker,
        {name: RecordedTool(tool, cues) for name, tool in code.tools.items()},
        RecordedModel(cues),
        RecordedClock(cues, run),
        RecordedRandom(cues),
        Nobody(),
        begin_child=child,
        meter=RecordedMeter(cues),
        guards=RecordedGuards(cues),
    )


def _spec_then(spec: AgentSpec, cues: Cues, run: Run) -> AgentSpec:
    woken = next((fact.event for fact in cues.rest if isinstance(fact.event, RunWoken) and fact.event.agent_version is not None), None)
    options = {each.name: getattr(spec, each.name) for each in fields(AgentSpec)}
    if woken is not None:
        options["version"] = woken.agent_version
    return _SpecThen(**options, then=digests_then(cues.facts, cues.drive, run.pinned))


def _cap_then(cues: Cues) -> int | None:
    caps = (fact.event.cap for fact in cues.facts[cues.drive.begin :] if isinstance(fact.event, ContextCompacted))
    return next((cap for cap in caps if cap is not None), None)


def _claim(recording: Recording, fact: Fact) -> Claim:
    event = fact.event
    if not isinstance(event, RunClaimed):
        raise TypeError(f"a drive begins with {RunClaimed.type}, and not with {event.type}")
    return Claim(recording.tenant, recording.run_id, event.owner, fact.epoch, fact.seq - 1, 0)


def _with_error(divergence: Divergence | None, error: BaseException | None) -> Divergence | None:
    """Name the error of the code that is tried, where that is what the record does not have."""
    if divergence is None or not isinstance(error, Exception) or isinstance(error, RecordEnds):
        return divergence
    is_of_error = divergence.replayed is None or divergence.replayed.event == RunReleased("error")
    return replace(divergence, note=_told(error)) if is_of_error else divergence


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
