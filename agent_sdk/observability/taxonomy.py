"""What kind of news each event is: its family, how grave it is, and what it says in one line."""

from collections.abc import Mapping
from typing import Literal, assert_never, cast, get_args

from agent_sdk.core.budget import Shortfall
from agent_sdk.core.envelope import EventClass
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    CheckRefused,
    ChildFinished,
    ChildStarted,
    ContextCompacted,
    ContextExceeded,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    MessageReceived,
    ModelCalled,
    PlanAccepted,
    PlanRejected,
    PlanRevised,
    QuestionAnswered,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunCreated,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StepFailed,
    StepFinished,
    StepRetried,
    StepSkipped,
    StepStarted,
    StepUnknown,
    StepWaiting,
    UnknownEvent,
    WaitReason,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.observability.waits import WaitEvent, of_wait

Family = Literal[
    "run",
    "message",
    "plan",
    "check",
    "step",
    "effect",
    "approval",
    "question",
    "signal",
    "child",
    "model",
    "budget",
    "context",
    "unknown",
]
Severity = Literal["info", "warn", "error"]

_RunEvent = (
    RunCreated
    | RunClaimed
    | RunReleased
    | RunWaiting
    | RunWoken
    | RunCancelRequested
    | RunSucceeded
    | RunFailed
    | RunCancelled
    | RunExpired
)
_SpendingEvent = BudgetReserved | BudgetRefused | BudgetSettled | ContextCompacted | ContextExceeded
_StepEvent = StepStarted | StepFinished | StepFailed | StepRetried | StepSkipped | StepUnknown | EffectDecided


@frozen
class Kind:
    """What all events of a type have in common. A single event may be graver than `severity`, never less grave."""

    severity: Severity
    meaning: str


KINDS: Mapping[EventClass, Kind] = {
    RunCreated: Kind("info", "A run was made."),
    RunClaimed: Kind("info", "A process took the run's lease; what the owner before left running is settled."),
    RunReleased: Kind("info", "The owner gave up the run's lease."),
    RunWaiting: Kind("info", "The run waits for somebody or something."),
    RunWoken: Kind("info", "Somebody let the run go on."),
    RunCancelRequested: Kind("info", "Somebody asked to cancel the run."),
    RunSucceeded: Kind("info", "The run ended with its answer."),
    RunFailed: Kind("error", "The run ended without an answer."),
    RunCancelled: Kind("warn", "The run ended because somebody cancelled it."),
    RunExpired: Kind("error", "The run ended because its deadline passed."),
    MessageReceived: Kind("info", "Something reached the run's inbox, and was taken or refused."),
    PlanRejected: Kind("warn", "The model's plan does not hold; the model is told why."),
    PlanAccepted: Kind("info", "The plan holds and is performed."),
    PlanRevised: Kind("info", "A repaired plan took the place of the one before."),
    CheckRefused: Kind("warn", "A proposed call or an answer does not hold; the model is told why."),
    StepStarted: Kind("info", "An attempt of a step began."),
    StepFinished: Kind("info", "A step has its output, and is never performed again."),
    StepFailed: Kind("error", "A step failed for good."),
    StepRetried: Kind("warn", "An attempt of a step failed and another follows."),
    StepSkipped: Kind("info", "A step is not performed."),
    StepUnknown: Kind("error", "A step's effect was begun and nobody knows whether it was done."),
    EffectDecided: Kind("info", "Somebody, or the agent's policy, said what became of an unknown effect."),
    StepWaiting: Kind("info", "A step waits for a person's answer, for a time or for a signal."),
    ApprovalRequested: Kind("info", "A call waits until a person allows it."),
    ApprovalDecided: Kind("info", "A call was allowed, denied, or allowed with other arguments."),
    QuestionAnswered: Kind("info", "A person answered a step's question."),
    SignalReceived: Kind("info", "A signal came from outside."),
    ChildStarted: Kind("info", "A step is a child run from now on."),
    ChildFinished: Kind("info", "A child run ended."),
    EffectCompensating: Kind("info", "The undoing of an effect began."),
    EffectCompensated: Kind("info", "An effect was undone, or could not be."),
    ModelCalled: Kind("info", "A model answered."),
    BudgetReserved: Kind("info", "The budgets granted a slice for model calls."),
    BudgetRefused: Kind("warn", "A budget did not grant what the next model call may cost."),
    BudgetSettled: Kind("info", "The run gave back what it had reserved, less what it spent."),
    ContextCompacted: Kind("info", "The conversation was made shorter."),
    ContextExceeded: Kind("warn", "The model said that the conversation is too long."),
    UnknownEvent: Kind("warn", "A newer version wrote an event that this code does not know."),
}

_FAMILIES: Mapping[str, Family] = {name: name for name in cast("tuple[Family, ...]", get_args(Family))}
_GRAVE_WAITS: frozenset[WaitReason] = frozenset({"unknown_effect", "code_changed", "crash_loop", "budget"})
_WHOLE_STOPS = frozenset({"end", "tool_calls"})


def family_of(event: Event) -> Family:
    """Return the part of the type before the dot; `unknown` for a type that this code does not know."""
    return "unknown" if isinstance(event, UnknownEvent) else _FAMILIES[event.type.partition(".")[0]]


def severity_of(event: Event) -> Severity:
    """Say how grave this event is: `warn` may need a look, `error` does."""
    match event:
        case RunWaiting(reason=reason) if reason in _GRAVE_WAITS:
            return "warn"
        case MessageReceived(refused=str()):
            return "warn"
        case StepSkipped(reason="source_failed"):
            return "warn"
        case EffectCompensated(code=str()):
            return "error"
        case ChildFinished(state=state) if state != "succeeded":
            return "warn"
        case ModelCalled(stop=stop) if stop not in _WHOLE_STOPS:
            return "warn"
        case _:
            return KINDS[type(event)].severity


def summary_of(event: Event) -> str:
    """Say in one line what happened, in plain facts alone: no user's content, so that it may stand in any log."""
    if isinstance(event, _StepEvent):
        return _of_step(event)
    if isinstance(event, _RunEvent):
        return _of_run(event)
    if isinstance(event, WaitEvent):
        return of_wait(event)
    if isinstance(event, _SpendingEvent):
        return _of_spending(event)
    match event:
        case MessageReceived(refused=refused):
            return "message received" if refused is None else f"message refused: {refused}"
        case PlanRejected(codes=codes):
            return f"plan rejected: {_listed(codes)}"
        case PlanAccepted(shape=shape):
            return f"plan of {len(shape)} steps accepted"
        case PlanRevised(shape=shape, revision=revision):
            return f"plan revised to revision {revision}, {len(shape)} steps"
        case CheckRefused(step=step, codes=codes):
            return f"{step} refused: {_listed(codes)}"
        case ModelCalled():
            return _of_model(event)
        case UnknownEvent(type=kind, v=v):
            return f"event {kind} v{v} is not known to this version"
        case _:
            assert_never(event)


def detail_of(event: Event) -> str | None:
    """Return what people want to read beside the summary: messages, hints, the goal. It is users' content, for their own terminal."""
    match event:
        case RunFailed(message=message, hint=hint) | StepFailed(message=message, hint=hint):
            return "; hint: ".join(part for part in (message, hint) if part) or None
        case StepRetried(message=text) | StepUnknown(message=text) | RunCreated(goal=text) | RunCancelRequested(note=text):
            return text or None
        case ApprovalRequested(why=text) | ApprovalDecided(note=text) | StepWaiting(text=text) | ChildStarted(goal=text):
            return text or None
        case ChildFinished(message=text) | EffectCompensated(message=text):
            return text or None
        case PlanRejected(findings=findings) | CheckRefused(findings=findings):
            return "; ".join(f"{finding.path}: {finding.message}" for finding in findings or ()) or None
        case _:
            return None


def _of_run(event: _RunEvent) -> str:
    match event:
        case RunCreated(agent=agent, agent_version=version):
            return f"run of agent {agent} {version} created"
        case RunClaimed(owner=owner):
            return f"claimed by {owner}"
        case RunReleased(reason=reason):
            return f"released: {reason}"
        case RunWaiting(reason=reason, shortfall=Shortfall(message=message)):
            return f"waits: {reason} ({message})"
        case RunWaiting(reason=reason, steps=steps, changes=changes):
            about = [*steps, *(f"{change.part}: {change.pinned[:12]} is now {(change.current or 'gone')[:12]}" for change in changes)]
            return f"waits: {reason}" + (f" ({', '.join(about)})" if about else "")
        case RunWoken(by=by, accepted=accepted):
            return "let go on" + (f" by {by}" if by is not None else "") + (", with changed code" if accepted is not None else "")
        case RunCancelRequested(by=by):
            return "cancel requested" + (f" by {by}" if by is not None else "")
        case RunSucceeded():
            return "succeeded"
        case RunFailed(code=code, step=step):
            return f"failed: {code}" + (f" (step {step})" if step is not None else "")
        case RunCancelled():
            return "cancelled"
        case RunExpired():
            return "expired: its deadline passed"
        case _:
            assert_never(event)


def _of_step(event: _StepEvent) -> str:
    match event:
        case StepStarted(step=step, attempt=attempt, items=items):
            return f"{step} started" + (f", attempt {attempt}" if attempt > 1 else "") + (f", {items} items" if items is not None else "")
        case StepFinished(step=step, duration_us=duration_us):
            return f"{step} finished in {render_duration(duration_us)}"
        case StepFailed(step=step, code=code, attempt=attempt):
            return f"{step} failed: {code}" + (f", attempt {attempt}" if attempt > 1 else "")
        case StepRetried(step=step, code=code, attempt=attempt, delay_s=delay_s):
            when = f" in {render_duration(round(delay_s * 1e6))}" if delay_s else ""
            return f"{step} failed: {code}, attempt {attempt}; tried again{when}"
        case StepSkipped(step=step, reason=reason, source=source):
            return f"{step} skipped: {reason}" + (f" ({source})" if source is not None else "")
        case StepUnknown(step=step, code=code):
            return f"{step} has an unknown outcome: {code}"
        case EffectDecided(step=step, decision=decision, by=by):
            return f"{step} decided: {decision}" + (f" by {by}" if by is not None else "")
        case _:
            assert_never(event)


def _of_spending(event: _SpendingEvent) -> str:
    match event:
        case BudgetReserved(step=step, amounts=amounts):
            return f"budget reserved for {step}: {amounts}"
        case BudgetRefused(step=step, shortfall=shortfall):
            return f"budget refused for {step}: {shortfall.message}"
        case BudgetSettled(spent=spent, released=released):
            return f"budget settled: {spent} spent, {released} released"
        case ContextCompacted(kept=kept, cleared=cleared, tokens_before=before, tokens_after=after, drafts=drafts):
            told = f"context compacted from about {before} to {after} tokens: {kept} messages kept, {len(cleared)} outputs cleared"
            return f"{told}, {drafts} rejected plans left out" if drafts else told
        case ContextExceeded(step=step):
            return f"{step} was too long for the model"
        case _:
            assert_never(event)


def _of_model(event: ModelCalled) -> str:
    usage, tries = event.usage, len(event.attempts)
    parts = [f"{event.model} answered {event.step} ({event.purpose}): {usage.input_tokens} + {usage.output_tokens} tokens"]
    if event.calls:
        parts.append(f"{len(event.calls)} calls")
    if tries > 1:
        parts.append(f"{tries} attempts")
    if event.stop not in _WHOLE_STOPS:
        parts.append(f"stopped: {event.stop}")
    return ", ".join(parts)


def render_duration(duration_us: int) -> str:
    """Return the time as people read it: `350 us`, `12 ms`, `1.3 s`."""
    if duration_us < 1000:
        return f"{duration_us} us"
    return f"{duration_us / 1e3:.0f} ms" if duration_us < 999_500 else f"{duration_us / 1e6:.1f} s"


def _listed(codes: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(codes)) or "no reason given"
