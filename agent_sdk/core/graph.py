"""The steps of a run and what hangs on what: each change costs only the steps it touches, and what is ready is kept, not searched for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.events import SkipReason, StepShape
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.labels import UNKNOWN_SOURCE, Label, join_all
from agent_sdk.core.plan import OnError, Step
from agent_sdk.core.tools import Effect, WaitKind

Status = Literal["waiting", "ready", "running", "parked", "finished", "failed", "skipped", "unknown", "refused"]


@frozen
class Failure:
    """What went wrong, as the journal has it; `message` and `hint` are None where the body was erased."""

    code: str
    message: str | None = None
    hint: str | None = None


@frozen
class Pending:
    """What a parked step waits for, and until when; `name` is the signal's, `args` those to be approved, with their `digest`."""

    kind: Literal["approval"] | WaitKind
    wake_at: int | None = None
    name: str | None = None
    digest: str | None = None
    child: RunId | None = None
    text: str | None = None
    args: dict[str, JsonValue] | None = None


@dataclass(slots=True)
class StepState:
    """One step as its events so far describe it; times are in microseconds since 1970.

    A `for_each` step unfolds into `items` members `id[i]`, which name it as their `group`; it is settled when they are. A step whose
    arguments a person changed is performed as another, which `stands_for` it. `is_allowed` says that a person approved the call.
    """

    id: StepId
    tool: str | None = None
    spec: Step | None = None
    on_error: OnError = "fail"
    each: bool = False
    status: Status = "waiting"
    attempt: int = 0
    effect: Effect = "read"
    key: str | None = None
    args_digest: str | None = None
    output: JsonValue = None
    label: Label = UNKNOWN_SOURCE
    failure: Failure | None = None
    group: StepId | None = None
    index: int = 0
    items: int | None = None
    open_items: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    stands_for: StepId | None = None
    is_allowed: bool = False
    undoes: bool = False
    edited_args: dict[str, JsonValue] | None = None
    shown_chars: int | None = None


@dataclass(slots=True)
class Graph:
    """All steps of a run. `ready` keeps insertion order; `doomed` maps a step that can no longer run to why and on whose account.

    `needs` and `after` hold what a step still waits for, for values and for order, and `dependents` who waits for a step; a step without
    such ties, as all of a loop's are, stands in none of them.
    """

    steps: dict[StepId, StepState] = field(default_factory=dict[StepId, StepState])
    ready: dict[StepId, None] = field(default_factory=dict[StepId, None])
    doomed: dict[StepId, tuple[SkipReason, StepId]] = field(default_factory=dict[StepId, tuple[SkipReason, StepId]])
    running: dict[StepId, None] = field(default_factory=dict[StepId, None])
    unknown: dict[StepId, None] = field(default_factory=dict[StepId, None])
    parked: dict[StepId, Pending] = field(default_factory=dict[StepId, Pending])
    outputs: dict[StepId, JsonValue] = field(default_factory=dict[StepId, JsonValue])
    needs: dict[StepId, set[StepId]] = field(default_factory=dict[StepId, set[StepId]])
    after: dict[StepId, set[StepId]] = field(default_factory=dict[StepId, set[StepId]])
    dependents: dict[StepId, list[StepId]] = field(default_factory=dict[StepId, list[StepId]])

    def add(self, shape: Iterable[StepShape], specs: dict[StepId, Step]) -> None:
        """Take in a plan's steps; a step that stands here already stays as it is."""
        added: list[StepState] = []
        for mark in shape:
            if mark.id in self.steps:
                continue
            state = StepState(mark.id, mark.tool, specs.get(mark.id), mark.on_error, mark.each)
            self.needs[mark.id] = {source for source in mark.needs if not self._is_finished(source)}
            self.after[mark.id] = {source for source in mark.after if not self._is_finished(source)}
            self.steps[mark.id] = state
            added.append(state)
        for state in added:
            for source in self.needs[state.id] | self.after[state.id]:
                self.dependents.setdefault(source, []).append(state.id)
            self._make_ready_if_free(state)

    def add_ready(self, state: StepState) -> None:
        """Take in one step that waits for nothing."""
        self.steps[state.id] = state
        self._make_ready(state)

    def drop_unstarted(self) -> None:
        """Forget every step that was never started: a revised plan brings their successors.

        A step that was started stays, whatever became of it: its id, and so its idempotency key, is never given to another.
        """
        for identity in [identity for identity, state in self.steps.items() if not state.attempt]:
            del self.steps[identity]
        self.needs.clear()
        self.after.clear()
        self.dependents.clear()
        self.ready.clear()
        self.doomed.clear()

    def kept(self) -> Iterator[StepState]:
        """Yield the finished steps that a revised plan may refer to; of a `for_each` that failed, the members that finished."""
        for state in self.steps.values():
            if state.status != "finished" or state.stands_for is not None:
                continue
            if state.group is None or self.steps[state.group].status != "finished":
                yield state

    def start(self, state: StepState, *, at: int, items: int | None) -> None:
        self.ready.pop(state.id, None)
        state.status = "running"
        state.started_at = state.started_at if state.started_at is not None else at
        if items is None:
            self.running[state.id] = None
        else:
            self._unfold(state, items, at)

    def finish(self, state: StepState, output: JsonValue, label: Label, *, at: int) -> None:
        self._settle(state, "finished", at)
        state.output = output
        state.label = label
        self.outputs[state.id] = output
        for identity in self.dependents.get(state.id, ()):
            self.needs[identity].discard(state.id)
            self.after[identity].discard(state.id)
            self._make_ready_if_free(self.steps[identity])
        self._member_settled(state, at)

    def fail(self, state: StepState, failure: Failure, *, at: int) -> None:
        self._settle(state, "failed", at)
        state.failure = failure
        if state.on_error == "skip":
            self._doom_dependents(state, "source_failed")
        self._member_settled(state, at)

    def skip(self, state: StepState, *, at: int) -> None:
        self.doomed.pop(state.id, None)
        self._settle(state, "skipped", at)
        self._doom_dependents(state, "source_skipped")
        self._member_settled(state, at)

    def refuse(self, state: StepState, *, at: int) -> None:
        self._settle(state, "refused", at)

    def lose(self, state: StepState) -> None:
        """Mark that the outcome of the step's effect is not known."""
        self.running.pop(state.id, None)
        self.ready.pop(state.id, None)
        state.status = "unknown"
        self.unknown[state.id] = None

    def park(self, state: StepState, pending: Pending) -> None:
        """Let the step wait for something that no process needs to be there for."""
        self.running.pop(state.id, None)
        self.ready.pop(state.id, None)
        state.status = "parked"
        self.parked[state.id] = pending

    def replace(self, state: StepState, identity: StepId, spec: Step | None, args: dict[str, JsonValue] | None) -> None:
        """Let another step, with other arguments, be performed in place of a parked one; how it ends is how this one ends."""
        self.parked.pop(state.id, None)
        state.attempt = max(1, state.attempt)
        state.edited_args = args
        self.add_ready(StepState(identity, state.tool, spec, state.on_error, stands_for=state.id, is_allowed=True))

    def rewind(self, state: StepState) -> None:
        """Let the step be started again, after a crash or a decision."""
        self.running.pop(state.id, None)
        self.unknown.pop(state.id, None)
        self.parked.pop(state.id, None)
        state.failure = None
        self._make_ready(state)

    def _is_finished(self, identity: StepId) -> bool:
        state = self.steps.get(identity)
        return state is not None and state.status == "finished"

    def _make_ready_if_free(self, state: StepState) -> None:
        if state.status == "waiting" and not self.needs[state.id] and not self.after[state.id] and state.id not in self.doomed:
            self._make_ready(state)

    def _make_ready(self, state: StepState) -> None:
        state.status = "ready"
        self.ready[state.id] = None

    def _settle(self, state: StepState, status: Status, at: int) -> None:
        self.running.pop(state.id, None)
        self.ready.pop(state.id, None)
        self.unknown.pop(state.id, None)
        self.parked.pop(state.id, None)
        state.status = status
        state.ended_at = at

    def _doom_dependents(self, state: StepState, reason: SkipReason) -> None:
        for identity in self.dependents.get(state.id, ()):
            dependent = self.steps[identity]
            self.after[identity].discard(state.id)
            if state.id in self.needs[identity] and dependent.status == "waiting":
                self.doomed.setdefault(identity, (reason, state.id))
            else:
                self._make_ready_if_free(dependent)

    def _unfold(self, group: StepState, items: int, at: int) -> None:
        group.items = group.open_items = items
        if items == 0:
            self.finish(group, [], group.label, at=at)
        for index in range(items):
            member = StepState(StepId(f"{group.id}[{index}]"), group.tool, group.spec, group.on_error, group=group.id, index=index)
            self.add_ready(member)

    def _original_settled(self, stand_in: StepState, at: int) -> None:
        original = self.steps[stand_in.stands_for or stand_in.id]
        match stand_in.status:
            case "finished":
                self.finish(original, stand_in.output, stand_in.label, at=at)
            case "failed":
                self.fail(original, stand_in.failure or Failure("step_failed"), at=at)
            case _:
                self.skip(original, at=at)

    def _member_settled(self, member: StepState, at: int) -> None:
        if member.stands_for is not None:
            self._original_settled(member, at)
        if member.group is None:
            return
        group = self.steps[member.group]
        group.open_items -= 1
        if group.open_items == 0 and group.items is not None:
            members = [self.steps[StepId(f"{group.id}[{index}]")] for index in range(group.items)]
            failed = next((each for each in members if each.status == "failed" and each.on_error != "skip"), None)
            if failed is not None:
                self.fail(group, failed.failure or Failure("step_failed"), at=at)
                return
            kept = [each for each in members if each.status == "finished"]
            self.finish(group, [each.output for each in kept], join_all(each.label for each in kept), at=at)
