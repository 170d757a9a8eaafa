"""Whether a fact that is performed again is the recorded one, and how the first that is not is told."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from pydantic import JsonValue

from agent_sdk.core.codec import to_json
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    EffectCompensated,
    Event,
    Fact,
    MessageReceived,
    ModelCalled,
    PlanAccepted,
    PlanRevised,
    RunReleased,
    RunWaiting,
    StepFailed,
    StepFinished,
    StepStarted,
    StepUnknown,
    StepWaiting,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.observability import one_line, redact_json

CLOCK_SLACK_US = 1_000_000
"""A wait begins a little before its event is written: by so much may its end be another than the replay reckons."""
MAX_LINES = 40
MAX_VALUE = 200
_ABSENT = object()


@frozen
class Change:
    """A part of the agent that is another than the one recorded: what it was and what it is, None where there is none."""

    part: str
    recorded: str | None
    current: str | None


@frozen
class Divergence:
    """The first event that differs. Where `replayed` is None the run stopped there, where `recorded` is, it went on; `note` says more."""

    seq: int
    recorded: Fact | None
    replayed: Fact | None
    note: str | None = None


def as_recorded(fact: Fact, recorded: Fact) -> Event:
    """Return the fact's event with what was measured, or is not in the journal, as it was recorded.

    That is: what budgets granted, lacked or got back, how long a step took, where an error was raised, the moment from which a wait is
    reckoned, why mail was refused (the mail itself is not kept), and whether an owner that went away did so with an error.
    """
    event, old = fact.event, recorded.event
    match event, old:
        case StepFinished(), StepFinished():
            return replace(event, duration_us=old.duration_us)
        case ((StepFailed() | StepUnknown() | EffectCompensated()), (StepFailed() | StepUnknown() | EffectCompensated())):
            return replace(event, traceback=old.traceback)
        case StepWaiting(), StepWaiting():
            return replace(event, wake_at=_wake_at(event.wake_at, fact, old.wake_at, recorded))
        case ApprovalRequested(), ApprovalRequested():
            return replace(event, expires_at=_wake_at(event.expires_at, fact, old.expires_at, recorded))
        case MessageReceived(refused=str()), MessageReceived(refused=str()):
            return old
        case BudgetReserved(), BudgetReserved():
            return replace(event, amounts=old.amounts)
        case BudgetRefused(), BudgetRefused():
            return replace(event, shortfall=old.shortfall)
        case BudgetSettled(), BudgetSettled():
            return old
        case RunWaiting(reason="budget"), RunWaiting(reason="budget"):
            return replace(event, shortfall=old.shortfall, wake_at=old.wake_at)
        case RunReleased(reason="suspended"), RunReleased(reason="error"):
            return old
        case _:
            return event


def with_digests(recorded: Event, event: Event) -> Event:
    """Return the recorded event with the digests of the one performed again, where its content was masked since they were taken."""
    match recorded, event:
        case StepStarted(), StepStarted():
            return replace(recorded, args_digest=event.args_digest)
        case ModelCalled(), ModelCalled():
            digests = {call.id: call.digest for call in event.calls}
            return replace(recorded, calls=tuple(replace(call, digest=digests.get(call.id)) for call in recorded.calls))
        case (
            (PlanAccepted() | PlanRevised() | ApprovalRequested() | ApprovalDecided()),
            (PlanAccepted() | PlanRevised() | ApprovalRequested() | ApprovalDecided()),
        ):
            return replace(recorded, digest=event.digest)
        case _:
            return recorded


def is_same(event: Event, recorded: Event) -> bool:
    """Say whether two events are one, as a journal keeps them."""
    return event == recorded or (type(event) is type(recorded) and data_of(event) == data_of(recorded))


def data_of(event: Event) -> JsonValue:
    """Return the event's fields as JSON data."""
    return to_json(type(event), event)


def render_divergence(divergence: Divergence, changes: Sequence[Change] = ()) -> str:
    """Tell of the difference in lines, with secrets masked: `-` is what was recorded, `+` what the code does now."""
    lines = [_headline(divergence)]
    if divergence.note is not None:
        lines.append(f"  {_text(divergence.note)}")
    lines += _diff(divergence)
    return "\n".join([*lines, *render_changes(changes)])


def render_changes(changes: Sequence[Change]) -> list[str]:
    """Tell what of the agent is not as it was recorded."""
    if not changes:
        return []
    told = [f"  {change.part}: {_short(change.recorded)} -> {_short(change.current)}" for change in changes]
    return ["the agent is not the one that was recorded:", *told]


def _headline(divergence: Divergence) -> str:
    recorded, replayed = divergence.recorded, divergence.replayed
    where = f"event {divergence.seq}"
    if recorded is None:
        return f"{where}: the record ends, and the run goes on with {replayed.event.type if replayed is not None else 'nothing'}"
    if replayed is None:
        return f"{where}: the run stopped here, and the record goes on with {recorded.event.type}"
    if recorded.event.type != replayed.event.type:
        return f"{where}: recorded {recorded.event.type}, and now {replayed.event.type}"
    return f"{where}: {recorded.event.type} is not as it was recorded"


def _diff(divergence: Divergence) -> list[str]:
    old, new = _leaves_of(divergence.recorded), _leaves_of(divergence.replayed)
    lines: list[str] = []
    for path in {**old, **new}:
        before, after = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if before is _ABSENT or after is _ABSENT or before != after:
            lines += [f"  {sign} {path}: {value}" for sign, value in (("-", before), ("+", after)) if value is not _ABSENT]
    if len(lines) > MAX_LINES:
        return [*lines[:MAX_LINES], f"  ... {len(lines) - MAX_LINES} more lines"]
    return lines


def _leaves_of(fact: Fact | None) -> Mapping[str, str]:
    if fact is None:
        return {}
    data = redact_json(cast("dict[str, JsonValue]", data_of(fact.event)))
    found: dict[str, str] = {"cause": fact.cause} if fact.cause is not None else {}
    return found | dict(_leaves("", data))


def _leaves(path: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    match value:
        case dict() if value:
            for name, inner in value.items():
                yield from _leaves(f"{path}.{name}" if path else name, inner)
        case list() if value:
            for index, inner in enumerate(value):
                yield from _leaves(f"{path}[{index}]", inner)
        case _:
            yield path, _text(json.dumps(value, ensure_ascii=False))


def _text(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= MAX_VALUE else f"{line[:MAX_VALUE]}... ({len(line) - MAX_VALUE} more characters)"


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    return value[:12] if len(value) == 64 else value


def _wake_at(wake_at: int | None, fact: Fact, recorded_at: int | None, recorded: Fact) -> int | None:
    """Return the recorded end of a wait, if that is as far from its event as the one reckoned now, or if both name the same moment."""
    if wake_at is None or recorded_at is None:
        return wake_at
    is_as_long = abs((wake_at - fact.at) - (recorded_at - recorded.at)) <= CLOCK_SLACK_US
    return recorded_at if is_as_long else wake_at
