"""The effects of a run as its events tell them: what was done outside, under which key, and what is known of its outcome."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from agent_sdk.core.events import (
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    Fact,
    RunClaimed,
    StepFailed,
    StepFinished,
    StepRetried,
    StepStarted,
    StepUnknown,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import PrincipalId, StepId
from agent_sdk.core.run import Run
from agent_sdk.core.tools import Effect

Outcome = Literal["under_way", "confirmed", "failed", "unknown", "skipped", "undoing", "undone", "undo_failed"]


@frozen
class EffectEntry:
    """One effect. `decided` and `by` say how an unknown outcome was settled, and who said so; times in microseconds since 1970."""

    step: StepId
    tool: str | None
    effect: Effect
    key: str | None
    outcome: Outcome
    attempts: int
    started_at: int
    ended_at: int | None = None
    code: str | None = None
    decided: str | None = None
    by: PrincipalId | None = None


def effects_of(run: Run, facts: Iterable[Fact]) -> list[EffectEntry]:
    """Return every effect of the run, in the order in which they began; `run` is the fold of the same facts."""
    entries: dict[StepId, EffectEntry] = {}
    for fact in facts:
        _take(entries, run.graph.steps, fact.event, fact.at)
    return list(entries.values())


def _take(entries: dict[StepId, EffectEntry], steps: dict[StepId, StepState], event: Event, at: int) -> None:
    match event:
        case StepStarted() if event.effect != "read" and event.items is None:
            _started(entries, steps, event, at)
        case StepFinished() if event.step in entries:
            entries[event.step] = replace(entries[event.step], outcome="confirmed", ended_at=at, code=None)
        case StepFailed() if event.step in entries:
            entries[event.step] = replace(entries[event.step], outcome="failed", ended_at=at, code=event.code)
        case StepRetried() if event.step in entries:
            entries[event.step] = replace(entries[event.step], code=event.code)
        case StepUnknown() if event.step in entries:
            entries[event.step] = replace(entries[event.step], outcome="unknown", ended_at=at, code=event.code)
        case EffectDecided() if event.step in entries:
            entries[event.step] = _decided(entries[event.step], event, at)
        case EffectCompensating() if event.step in entries:
            entries[event.step] = replace(entries[event.step], outcome="undoing")
        case EffectCompensated() if event.step in entries:
            outcome: Outcome = "undone" if event.code is None else "undo_failed"
            entries[event.step] = replace(entries[event.step], outcome=outcome, ended_at=at, code=event.code)
        case RunClaimed():
            for step, entry in entries.items():
                if entry.outcome == "under_way" and entry.effect == "once":
                    entries[step] = replace(entry, outcome="unknown", ended_at=at, code="owner_lost")
        case _:
            pass


def _started(entries: dict[StepId, EffectEntry], steps: dict[StepId, StepState], event: StepStarted, at: int) -> None:
    before = entries.get(event.step)
    if before is not None:
        entries[event.step] = replace(before, outcome="under_way", attempts=event.attempt, ended_at=None)
        return
    state = steps.get(event.step)
    tool = state.tool if state is not None else None
    entries[event.step] = EffectEntry(event.step, tool, event.effect, event.key, "under_way", event.attempt, at)


def _decided(entry: EffectEntry, event: EffectDecided, at: int) -> EffectEntry:
    outcomes: dict[str, Outcome] = {"done": "confirmed", "skip": "skipped", "fail": "failed", "retry": "under_way"}
    return replace(entry, outcome=outcomes[event.decision], ended_at=at, decided=event.decision, by=event.by)
