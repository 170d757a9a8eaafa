"""What the events of waits, approvals, child runs and compensations say in one line of plain facts."""

from typing import assert_never

from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    ChildFinished,
    ChildStarted,
    EffectCompensated,
    EffectCompensating,
    QuestionAnswered,
    SignalReceived,
    StepWaiting,
)

WaitEvent = (
    StepWaiting
    | ApprovalRequested
    | ApprovalDecided
    | QuestionAnswered
    | SignalReceived
    | ChildStarted
    | ChildFinished
    | EffectCompensating
    | EffectCompensated
)
_RULINGS = {"approve": "approved", "deny": "denied", "edit": "approved with other arguments", "expire": "denied: nobody decided in time"}


def of_wait(event: WaitEvent) -> str:
    """Say what happened, with no word of users' content."""
    match event:
        case StepWaiting(step=step, kind=kind, name=name):
            return f"{step} waits for {_what(kind, name)}"
        case ApprovalRequested(step=step, tool=tool):
            return f"{step} waits for approval to call {tool}"
        case ApprovalDecided(step=step, ruling=ruling, by=by, becomes=becomes):
            return f"{step} {_RULINGS[ruling]}{_by(by)}" + (f", as {becomes}" if becomes is not None else "")
        case QuestionAnswered(step=step, by=by):
            return f"{step} answered{_by(by)}"
        case SignalReceived(name=name, by=by):
            return f"signal {name} received{f' from {by}' if by is not None else ''}"
        case ChildStarted(step=step, child=child, agent=agent):
            return f"{step} is the child run {child} of agent {agent}"
        case ChildFinished(step=step, child=child, state=state):
            return f"{step}: child run {child} {state}"
        case EffectCompensating(step=step, attempt=attempt):
            return f"undoing {step}" + (f", attempt {attempt}" if attempt > 1 else "")
        case EffectCompensated(step=step, code=code):
            return f"{step} undone" if code is None else f"{step} could not be undone: {code}"
        case _:
            assert_never(event)


def _what(kind: str, name: str | None) -> str:
    return {"question": "a person's answer", "timer": "its time"}.get(kind, f"the signal {name}")


def _by(by: str | None) -> str:
    return f" by {by}" if by is not None else ""
