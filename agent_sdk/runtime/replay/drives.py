"""A record cut into drives: what one owner wrote between its claim and its end, its release or its loss."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from agent_sdk.core.events import (
    BudgetSettled,
    CheckRefused,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    Fact,
    ModelCalled,
    RunCancelRequested,
    RunClaimed,
    RunExpired,
    RunReleased,
    RunWaiting,
    RunWoken,
    StepFailed,
    StepFinished,
    StepStarted,
    StepUnknown,
    Terminal,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import DEFAULT_TENANT, RunId, StepId
from agent_sdk.core.run import INBOX, Run

Stop = Literal["suspend", "expire", "kill"]
"""How the owner was stopped from outside; `kill` is its task cancelled, or an error that was not the run's."""

BEFORE_IT_BEGAN = "the run was stopped before the effect began"


@frozen
class Drive:
    """The facts from index `begin` up to `end`, which is left out.

    It `breaks` where the record shows no release: its owner was lost there, or holds the run still. `stop_from` is the index from which on
    nothing was begun any more, where the owner was stopped; `stops_at_once` that an effect was stopped between its start and its call;
    `is_killed_last` that a stopped owner was killed as well, before it could give the run up as it would have.
    """

    begin: int
    end: int
    breaks: bool
    is_given_back: bool = False
    stop: Stop | None = None
    stop_from: int = 0
    stops_at_once: bool = False
    is_killed_last: bool = False


def drives_of(facts: Sequence[Fact]) -> Iterator[Drive]:
    """Yield the drives in order; the facts before the first claim, of epoch 0, belong to none."""
    first = next((index for index, fact in enumerate(facts) if fact.epoch > 0), len(facts))
    begins = [index for index in range(first, len(facts)) if isinstance(facts[index].event, RunClaimed)]
    for begin, end in zip(begins, [*begins[1:], len(facts)][: len(begins)], strict=True):
        yield _drive(facts, begin, end)


def is_mail(fact: Fact) -> bool:
    """Say whether somebody outside sent what became this fact."""
    return fact.cause is not None and fact.cause.startswith(INBOX)


def was_stopped_before(facts: Sequence[Fact], begin: int, end: int) -> bool:
    """Say whether a `once` effect was started on paper and stopped before its call; one that was called would be unknown."""
    started: set[StepId] = set()
    for fact in facts[begin:end]:
        match fact.event:
            case StepStarted(effect="once", step=step):
                started.add(step)
            case StepUnknown(message=message) if message == BEFORE_IT_BEGAN:
                return True
            case StepFailed(step=step, code="cancelled" | "expired") if step in started:
                return True
            case _:
                pass
    return False


def digests_then(facts: Sequence[Fact], drive: Drive, pinned: dict[str, str]) -> dict[str, str]:
    """Return the digests of the code that the drive's owner had, as far as the record shows them."""
    digests = dict(pinned)
    for fact in facts[drive.begin : drive.end]:
        match fact.event:
            case RunWoken(accepted=dict() as accepted):
                return accepted
            case RunWaiting(changes=changes):
                for change in changes:
                    digests.pop(change.part, None)
                    if change.current is not None:
                        digests[change.part] = change.current
            case _:
                pass
    return digests


def _drive(facts: Sequence[Fact], begin: int, end: int) -> Drive:
    events = [fact.event for fact in facts[begin:end]]
    breaks = not isinstance(events[-1], RunReleased | Terminal)
    if _is_given_back(events):
        return Drive(begin, end, breaks=False, is_given_back=True)
    told = next((index for index in range(begin, end) if _code_of_stop(facts[index]) is not None), None)
    stop = _code_of_stop(facts[told]) if told is not None else _stop_of(events[-1])
    if stop is None:
        return Drive(begin, end, breaks=breaks)
    at_once = stop != "kill" and was_stopped_before(facts, begin, end)
    is_cancelled = any(isinstance(fact.event, RunCancelRequested) for fact in facts[:end])  # which outdoes a mere suspension
    is_killed_last = told is not None and isinstance(events[-1], RunReleased) and (stop == "expire" or (stop == "suspend" and is_cancelled))
    if told is None and stop != "expire":
        at_once = _is_on_paper(events)
        stop = "kill" if at_once or is_cancelled else stop
    undoes = stop == "expire" and not _was_failing(facts, begin, end)
    stop_from = max(index for index in range(begin, told or end) if not _comes_after_a_stop(facts[index], undoes=undoes)) + 1
    return Drive(begin, end, breaks, stop=stop, stop_from=stop_from, stops_at_once=at_once, is_killed_last=is_killed_last)


def _code_of_stop(fact: Fact) -> Stop | None:
    """Return the stop of which a step's end tells, if it does."""
    stops: Mapping[str, Stop] = {"expired": "expire", "suspended": "suspend", "interrupted": "kill"}
    return stops.get(fact.event.code) if isinstance(fact.event, StepFailed | StepUnknown) else None


def _is_given_back(events: Sequence[Event]) -> bool:
    """Say whether nothing was performed under the claim: the run could not be begun by that owner."""
    match events:
        case [RunClaimed(), RunWaiting(steps=(), changes=()), RunReleased(reason="waiting")]:
            return True
        case [RunClaimed(), RunReleased(reason="handed_over")]:
            return True
        case _:
            return False


def _stop_of(last: Event) -> Stop | None:
    """Return the stop of which the drive's last event tells, if it does."""
    match last:
        case RunExpired():
            return "expire"
        case RunReleased(reason="waiting"):
            return None
        case RunReleased(reason="error"):
            return "kill"
        case RunReleased():
            return "suspend"
        case _:
            return None


def _is_on_paper(events: Sequence[Event]) -> bool:
    """Say whether a `once` effect was started whose end the owner never wrote: it was lost between the start and the call."""
    started: set[StepId] = set()
    for event in events:
        match event:
            case StepStarted(effect="once", step=step):
                started.add(step)
            case StepFinished(step=step) | StepFailed(step=step) | StepUnknown(step=step):
                started.discard(step)
            case _:
                pass
    return bool(started)


def _was_failing(facts: Sequence[Fact], begin: int, end: int) -> bool:
    """Say whether the run was about to end anyway when the drive began to undo its effects."""
    run = Run(DEFAULT_TENANT, RunId(""))
    for index, fact in enumerate(facts[:end]):
        if index >= begin and isinstance(fact.event, EffectCompensating):
            break
        run.apply(fact)
    return run.cancel_requested or (run.failure is not None and run.failure.code != "expired")


def _comes_after_a_stop(fact: Fact, *, undoes: bool) -> bool:
    """Say whether an owner that was stopped may still write the fact; all else shows that it was not stopped yet."""
    match fact.event:
        case ModelCalled(purpose=purpose):
            return purpose == "step"
        case EffectCompensating():
            return undoes
        case RunCancelRequested():
            return False
        case StepFailed() | StepFinished() | StepUnknown() | EffectDecided() | CheckRefused():
            return True
        case EffectCompensated() | BudgetSettled() | RunReleased() | RunExpired():
            return True
        case _:
            return is_mail(fact)
