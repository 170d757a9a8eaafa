"""Undoes finished effects, the last one first, where a run ends badly and its agent asks for that."""

import asyncio
from dataclasses import dataclass

from agent_sdk.core.decide import arguments
from agent_sdk.core.events import EffectCompensated, EffectCompensating, RunCancelled, RunFailed, Terminal
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import MissingValue
from agent_sdk.core.run import Run
from agent_sdk.execution.flights import Flights
from agent_sdk.execution.outcome import Done, Failed, Stopped
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.perform import Performer
from agent_sdk.execution.sequencer import Sequencer


def must_undo(run: Run, event: Terminal) -> bool:
    """Say whether something is to be undone before the run ends with this event."""
    wants = run.created is not None and run.created.compensate and isinstance(event, RunFailed | RunCancelled)
    return wants and bool(run.undoable)


@dataclass(slots=True)
class Undo:
    """Compensates the effects of one run, one at a time."""

    run: Run
    parts: Parts
    performer: Performer
    sequencer: Sequencer
    flights: Flights

    async def last(self) -> None:
        """Undo the newest effect that is to be undone; one that was begun before a crash begins again, under the same key."""
        step = next(reversed(self.run.undoable))
        attempt, key = self.run.undoable[step] + 1, f"{self.run.run_id}/{step}~undo"
        self.sequencer.post(EffectCompensating(step, attempt, key))
        await self.sequencer.flush()
        await self.flights.in_place(StepId(f"{step}~undo"), self._undone(step, attempt, key))

    async def _undone(self, step: StepId, attempt: int, key: str) -> None:
        state = self.run.graph.steps[step]
        try:
            args = arguments(self.run, state)
        except MissingValue as error:
            self.sequencer.post(EffectCompensated(step, attempt, "reference_missing", str(error)))
            return
        try:
            outcome = await self.performer.compensate(state, args, attempt, key)
        except asyncio.CancelledError:
            if not self.flights.was_cancelled(StepId(f"{step}~undo")):
                raise
            return
        match outcome:
            case Done():
                self.sequencer.post(EffectCompensated(step, attempt))
            case Failed():
                self.sequencer.post(EffectCompensated(step, attempt, outcome.code, outcome.message, outcome.traceback))
            case Stopped():
                pass
