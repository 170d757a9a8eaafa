"""Undoes finished effects, the last one first, where a run ends badly and its agent asks for that."""

from dataclasses import dataclass
from typing import assert_never

from agent_sdk.core.decide import arguments
from agent_sdk.core.events import EffectCompensated, EffectCompensating, RunSucceeded, Terminal
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import MissingValue
from agent_sdk.core.run import Run
from agent_sdk.execution.flights import Flights
from agent_sdk.execution.lease import Lease
from agent_sdk.execution.outcome import AttemptOutcome, Done, Failed, Stopped
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.perform import Performer
from agent_sdk.execution.sequencer import Sequencer


def must_undo(run: Run, event: Terminal) -> bool:
    """Say whether something is to be undone before the run ends with this event."""
    wants = run.created is not None and run.created.compensate and not isinstance(event, RunSucceeded)
    return wants and bool(run.undoable)


@dataclass(slots=True)
class Undo:
    """Compensates the effects of one run, one at a time; `under_way` is the flight of the one that is being undone."""

    run: Run
    parts: Parts
    performer: Performer
    sequencer: Sequencer
    flights: Flights
    lease: Lease
    under_way: StepId | None = None

    async def last(self) -> None:
        """Undo the newest effect that is to be undone; one that was begun before a crash begins again, under the same key.

        One that the process dies of, again and again, is left as it is, so that the others are undone and the run ends.
        """
        step = next(reversed(self.run.undoable))
        begun = self.run.undoable[step]
        if self.run.crashes > self.run.limits.max_crashes:
            self.sequencer.post(EffectCompensated(step, begun, "crash_loop", "the process that undid this was lost, again and again"))
            return
        flight, key = StepId(f"{step}~undo"), f"{self.run.run_id}/{step}~undo"
        self.sequencer.post(EffectCompensating(step, begun + 1, key))
        await self.sequencer.flush()
        await self.lease.ensure(self.parts.journal, self.parts.clock)
        self.under_way = flight
        await self.flights.in_place(flight, self._undone(step, begun + 1, key))
        self.under_way = None

    async def _undone(self, step: StepId, attempt: int, key: str) -> None:
        state = self.run.graph.steps[step]
        try:
            args = arguments(self.run, state)
        except MissingValue as error:
            self.sequencer.post(EffectCompensated(step, attempt, "reference_missing", str(error)))
            return
        self._told(step, attempt, await self.performer.compensate(state, args, attempt, key))

    def _told(self, step: StepId, attempt: int, outcome: AttemptOutcome) -> None:
        match outcome:
            case Done():
                self.sequencer.post(EffectCompensated(step, attempt))
            case Failed():
                self.sequencer.post(EffectCompensated(step, attempt, outcome.code, outcome.message, outcome.traceback))
            case Stopped():  # it begins again, under the same key
                pass
            case _:
                assert_never(outcome)
