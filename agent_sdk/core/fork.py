"""A fork: the facts of a run up to a number, made those of a new run, and what that new run may do to the outside a second time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from agent_sdk.core.budget import RUN_SCOPE, run_scope
from agent_sdk.core.effects import Outcome, effects_of
from agent_sdk.core.errors import JournalNewer, RequestError
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    ChildFinished,
    ChildStarted,
    EffectCompensating,
    Event,
    Fact,
    RunCreated,
    RunReleased,
    RunWaiting,
    RunWoken,
    StepStarted,
    StepWaiting,
    Terminal,
    UnknownEvent,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import DEFAULT_TENANT, RunId, StepId
from agent_sdk.core.run import Run, fold
from agent_sdk.core.tools import Effect

InFork = Literal["repeated", "asked", "taken_as_done"]


@frozen
class Code:
    """The code that a fork pins in place of what the run pinned."""

    version: str
    digests: Mapping[str, str]


@frozen
class RepeatedEffect:
    """An outside change of a run that its fork does not know as the world has it.

    `became` is what the run's journal says of it. `in_fork` says what the fork does: `repeated` begins it anew under a key of its own if
    it comes to that step again, `asked` holds it as unknown until somebody decides, and `taken_as_done` relies on it, though it was undone.
    A `child` is a run of its own, with effects of its own.
    """

    step: StepId
    tool: str
    effect: Effect | Literal["child"]
    key: str
    became: Outcome
    in_fork: InFork = "repeated"


def last_good(facts: Sequence[Fact]) -> int:
    """Return the number of the event before the one that decided on the run's end, a failure or a cancel; the last one if none did."""
    run = _folded(())
    for fact in facts:
        before = run.head
        run.apply(fact)
        if run.failure is not None or run.cancel_requested or run.is_ended:
            return max(1, before)
    return run.head


def fork(facts: Sequence[Fact], at: int, *, source: RunId, run_id: RunId, now_us: int, code: Code | None = None) -> list[Fact]:
    """Return the first facts of the run `run_id`, which goes on from event `at` of the run `source` as if nothing had come behind it.

    Every key is the new run's own. Nobody is its parent, and it has no place in a session, though it knows what was said there before. What
    was under way begins anew, children included; an approval that was given and not used is asked for again; time that was left, of the
    deadline and of waits, is left in the fork.

    Raises:
        RequestError: there is no such event, or the run's end does not stand behind it.
        JournalNewer: one of the events is not understood, so it cannot be copied.
    """
    if not 1 <= at <= len(facts):
        raise RequestError(f"run {source} has no event {at}", hint=f"choose one from 1 to {len(facts)}")
    if isinstance(facts[at - 1].event, Terminal):
        raise RequestError(f"event {at} is the end of run {source}", hint=f"choose an earlier one, such as {last_good(facts)}")
    kept = list(facts[:at])
    if (unknown := next((fact for fact in kept if isinstance(fact.event, UnknownEvent)), None)) is not None:
        raise JournalNewer(f"event {unknown.seq} of run {source} is of a type that this version does not know: {unknown.event.type!r}")
    while isinstance(kept[-1].event, RunWaiting | RunReleased):
        kept.pop()
    kept = _without_unused(_without_open_children(kept))
    run = _folded(kept)
    if run.created is None:
        raise RequestError(f"run {source} has no first event that can be copied")
    accepted = [fact.event.agent_version for fact in kept if isinstance(fact.event, RunWoken) and fact.event.agent_version is not None]
    version = code.version if code is not None else [run.created.agent_version, *accepted][-1]
    copier = _Copier(run, source, run_id, at, now_us - facts[at - 1].at, version, code)
    copied = [copier.copy(fact, seq) for seq, fact in enumerate(kept, 1)]
    if len(copied) > 1:
        copied.append(Fact(len(copied) + 1, 0, now_us, RunReleased("handed_over")))
    return copied


def repeated_effects(facts: Sequence[Fact], at: int) -> list[RepeatedEffect]:
    """Return the outside changes of the whole run `facts` that a fork from event `at` may make again, or wrongly relies on."""
    whole, cut = _folded(facts), _folded(facts[:at])
    begun = [
        *(RepeatedEffect(each.step, each.tool or "", each.effect, each.key or "", each.outcome) for each in effects_of(whole, facts)),
        *_children(facts),
    ]
    return [replace(effect, in_fork=in_fork) for effect in begun if (in_fork := _in_fork(effect, cut)) is not None]


_SETTLED = frozenset({"finished", "failed", "skipped", "refused"})


@frozen
class _Copier:
    """Makes facts of one run those of another; `run` is the fold of what is copied."""

    run: Run
    source: RunId
    run_id: RunId
    at: int
    shift_us: int
    version: str
    code: Code | None

    def copy(self, fact: Fact, seq: int) -> Fact:
        return Fact(seq, 0, fact.at, self._event(fact.event), None)

    def _event(self, event: Event) -> Event:
        match event:
            case RunCreated():
                return self._created(event)
            case RunWoken() if self.code is not None and event.accepted is not None:
                return replace(event, accepted=dict(self.code.digests), agent_version=self.code.version)
            case StepStarted() if event.key is not None:
                return replace(event, key=f"{self.run_id}/{event.step}")
            case EffectCompensating():
                return replace(event, key=f"{self.run_id}/{event.step}~undo")
            case StepWaiting() if event.wake_at is not None and event.step in self.run.graph.parked:
                return replace(event, wake_at=event.wake_at + self.shift_us)
            case ApprovalRequested() if event.expires_at is not None and event.step in self.run.graph.parked:
                return replace(event, expires_at=event.expires_at + self.shift_us)
            case _:
                return event

    def _created(self, event: RunCreated) -> RunCreated:
        code = self.code
        return replace(
            event,
            agent_version=self.version,
            digests=dict(code.digests) if code is not None else event.digests,
            parent=None,
            root=None,
            depth=0,
            session=None,
            place=None,
            deadline_at=None if event.deadline_at is None else event.deadline_at + self.shift_us,
            forked_from=self.source,
            forked_at=self.at,
            budgets=self._budgets(event.budgets),
        )

    def _budgets(self, scopes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return the scopes that the fork spends from: of runs, it has none but its own."""
        if scopes is None:
            return None
        shared = tuple(scope for scope in scopes if not scope.startswith(RUN_SCOPE))
        return (*shared, run_scope(self.run_id)) if run_scope(self.source) in scopes else shared


def _folded(facts: Iterable[Fact]) -> Run:
    return fold(Run(DEFAULT_TENANT, RunId("")), facts)


def _without_open_children(facts: list[Fact]) -> list[Fact]:
    """Drop the start of every child that had not ended: the fork's step begins a child of its own."""
    open_children = {pending.child for pending in _folded(facts).graph.parked.values() if pending.child is not None}
    return [fact for fact in facts if not (isinstance(fact.event, ChildStarted) and fact.event.child in open_children)]


def _without_unused(facts: list[Fact]) -> list[Fact]:
    """Drop the approvals on which nothing was begun: each was given for one call, and not for that of another run."""
    steps = _folded(facts).graph.steps

    def is_unused(event: Event) -> bool:
        if not isinstance(event, ApprovalDecided) or event.ruling not in {"approve", "edit"}:
            return False
        state = steps.get(event.becomes or event.step)
        return state is not None and state.status == "ready" and not state.attempt

    return [fact for fact in facts if not is_unused(fact.event)]


def _children(facts: Sequence[Fact]) -> Iterator[RepeatedEffect]:
    ended = {fact.event.child: fact.event.state for fact in facts if isinstance(fact.event, ChildFinished)}
    for fact in facts:
        if isinstance(fact.event, ChildStarted):
            state = ended.get(fact.event.child)
            outcome: Outcome = "under_way" if state is None else "confirmed" if state == "succeeded" else "failed"
            yield RepeatedEffect(fact.event.step, fact.event.agent, "child", fact.event.child, outcome)


def _in_fork(effect: RepeatedEffect, cut: Run) -> InFork | None:
    """Say what a fork does about an effect, from what stands at the cut; None where it knows the effect as it is."""
    state = cut.graph.steps.get(effect.step)
    if state is None or state.status not in _SETTLED:
        is_open = state is not None and state.status in {"running", "unknown"}
        return "asked" if is_open and effect.effect == "once" else "repeated"
    is_undone = effect.became in {"undone", "undoing"} and effect.step not in cut.undone
    return "taken_as_done" if is_undone and state.status == "finished" else None
