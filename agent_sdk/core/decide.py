"""The pure choice of what a run does next. The executor performs the choice; nothing here acts."""

import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.errors import JournalNewer, StepLimit
from agent_sdk.core.events import RunCancelled, RunFailed, StepFailed, StepSkipped, WaitReason
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import Failure, StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import ITEM, MissingValue, Ref, When, fill, walk_path
from agent_sdk.core.run import Run


@frozen
class Start:
    """Start a step; with `items` it unfolds into so many members and performs nothing itself."""

    step: StepId
    items: int | None = None


@frozen
class Perform:
    """Journal `settled`, then start `starts` side by side."""

    starts: tuple[Start, ...]
    settled: tuple[StepSkipped | StepFailed, ...] = ()


@frozen
class Consult:
    """Ask the planner: nothing is ready and nothing in flight."""


@frozen
class Hold:
    """Wait until something in flight ends."""


@frozen
class Park:
    """Release the run: it waits for somebody or something outside, until `wake_at` at the latest (microseconds since 1970)."""

    reason: WaitReason
    steps: tuple[StepId, ...] = ()
    wake_at: int | None = None


@frozen
class End:
    """Close the run; None where it has ended already."""

    event: RunFailed | RunCancelled | None


Decision = Perform | Consult | Hold | Park | End


def decide(run: Run, in_flight: int) -> Decision:
    """Say what comes next for a run of which `in_flight` steps or questions are being performed.

    Raises:
        JournalNewer: the run holds an event that this code does not know, so nothing may be done on it.
    """
    require_readable(run)
    if run.is_ended:
        return End(None)
    if run.cancel_requested:
        return Hold() if in_flight else End(RunCancelled())
    if run.failure is not None:
        return Hold() if in_flight else End(_failed(run.failure, run.failed_step))
    if run.is_crash_looping or run.crashes > run.limits.max_crashes:
        return Park("crash_loop", wake_at=_deadline(run))
    if len(run.graph.steps) > run.limits.max_steps and not in_flight:
        message = f"the run would have {len(run.graph.steps):,} steps; at most {run.limits.max_steps:,} are allowed"
        return End(RunFailed(StepLimit.code, None, message, StepLimit.default_hint))
    if run.graph.ready or run.graph.doomed:
        perform = _next_steps(run, max(0, run.limits.max_parallel - in_flight))
        if perform.starts or perform.settled:
            return perform
    if in_flight:
        return Hold()
    if run.graph.unknown or run.graph.parked:
        return _park(run)
    return Consult()


def require_readable(run: Run) -> None:
    """Refuse a run of which this code does not understand everything.

    Raises:
        JournalNewer: it holds an event that this code does not know, so nothing may be done on it.
    """
    if run.unreadable is not None:
        raise JournalNewer(f"run {run.run_id} holds an event {run.unreadable.type!r} v{run.unreadable.v} that this version does not know")


def next_wake(run: Run) -> int | None:
    """Return when the first of the run's waits ends by itself; None where none does."""
    return min((pending.wake_at for pending in run.graph.parked.values() if pending.wake_at is not None), default=None)


def arguments(run: Run, step: StepState) -> dict[str, JsonValue]:
    """Return the step's arguments with every reference of a plan filled in; what a model or a person gave is taken as it is.

    Raises:
        MissingValue: a reference leads to no value, or the step's content was erased.
    """
    if step.spec is None:
        raise MissingValue(f"the content of step {step.id!r} was erased")
    if run.plan is None or step.stands_for is not None:
        return dict(step.spec.args)
    outputs = run.graph.outputs
    if step.group is not None and step.spec.for_each is not None:
        items = _items(run, Ref.parse(step.spec.for_each))
        outputs = {**outputs, ITEM: items[step.index]}
    return {name: fill(value, outputs) for name, value in step.spec.args.items()}


_REASONS: Sequence[WaitReason] = ("approval", "question", "signal", "child", "timer")
"""What a run that waits for several things is said to wait for: first what only a person can bring."""


def _park(run: Run) -> Park:
    steps = (*run.graph.unknown, *run.graph.parked)
    kinds = {pending.kind for pending in run.graph.parked.values()}
    reason: WaitReason = "unknown_effect" if run.graph.unknown else next(reason for reason in _REASONS if reason in kinds)
    times = [at for at in (next_wake(run), _deadline(run)) if at is not None]
    return Park(reason, steps, min(times, default=None))


def _deadline(run: Run) -> int | None:
    return run.created.deadline_at if run.created is not None else None


def _failed(failure: Failure, step: StepId | None) -> RunFailed:
    return RunFailed(failure.code, step, failure.message, failure.hint)


def _next_steps(run: Run, room: int) -> Perform:
    settled: list[StepSkipped | StepFailed] = [
        StepSkipped(identity, reason, source) for identity, (reason, source) in run.graph.doomed.items()
    ]
    starts: list[Start] = []
    for identity in islice(run.graph.ready, room):
        match _begin(run, run.graph.steps[identity]):
            case Start() as start:
                starts.append(start)
            case other:
                settled.append(other)
    return Perform(tuple(starts), tuple(settled))


def _begin(run: Run, state: StepState) -> Start | StepSkipped | StepFailed:
    spec = state.spec
    if spec is None:
        return StepFailed(state.id, state.attempt, "content_erased", message="the step's content was erased, so it cannot be performed")
    if state.group is not None or (spec.when is None and spec.for_each is None):
        return Start(state.id)
    try:
        if spec.when is not None and not _holds(spec.when, walk_path(_source(run, spec.when.ref), Ref.parse(spec.when.ref))):
            return StepSkipped(state.id, "condition", Ref.parse(spec.when.ref).step)
        if spec.for_each is None:
            return Start(state.id)
        items = len(_items(run, Ref.parse(spec.for_each)))
    except (MissingValue, TypeError) as error:
        return StepFailed(state.id, state.attempt, "reference_missing", message=str(error))
    if len(run.graph.steps) + items > run.limits.max_steps:
        message = f"for_each would unfold into {items} steps; the run may have {run.limits.max_steps}"
        return StepFailed(state.id, state.attempt, StepLimit.code, message=message, hint="raise Limits.max_steps, or take a shorter list")
    return Start(state.id, items)


def _source(run: Run, ref: str) -> JsonValue:
    step = Ref.parse(ref).step
    if step not in run.graph.outputs:
        raise MissingValue(f"{ref}: step {step!r} has no output")
    return run.graph.outputs[step]


def _items(run: Run, ref: Ref) -> list[JsonValue]:
    value = walk_path(_source(run, str(ref)), ref)
    if not isinstance(value, list):
        raise MissingValue(f"{ref}: for_each needs a list, and this is a {type(value).__name__}")
    return value


def _holds(when: When, value: JsonValue) -> bool:
    """Evaluate a condition; values that cannot be ordered raise `TypeError`."""
    other = when.value
    match when.op:
        case "is_true":
            return bool(value)
        case "is_false":
            return not value
        case "eq":
            return value == other
        case "ne":
            return value != other
        case "contains":
            return _contains(value, other)
        case order:
            return _ordered(order, value, other)


def _contains(value: JsonValue, other: JsonValue) -> bool:
    match value:
        case list():
            return other in value
        case str() | dict():
            return isinstance(other, str) and other in value
        case _:
            return False


def _ordered(op: Literal["lt", "le", "gt", "ge"], value: JsonValue, other: JsonValue) -> bool:
    if isinstance(value, str) and isinstance(other, str):
        return _ORDER[op]((value > other) - (value < other), 0)
    if isinstance(value, (int, float)) and isinstance(other, (int, float)):
        return _ORDER[op]((value > other) - (value < other), 0)
    raise TypeError(f"{value!r} and {other!r} have no order"[:200])


_ORDER: Mapping[str, Callable[[int, int], bool]] = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
