"""The facts of a run, one class each. How they are stored is said in `envelope.py`, what they mean for a run in `run.py`.

Fields named in a class's `BODY` are users' content and may be gone (None) after an erasure; all others are plain and stay.
"""

from typing import ClassVar, Literal

from pydantic import JsonValue

from agent_sdk.core.budget import Amounts, Shortfall
from agent_sdk.core.findings import Finding
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import OwnerId, PrincipalId, RunId, SessionId, StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.messages import FilePart, Message
from agent_sdk.core.model import Attempt, Stop
from agent_sdk.core.plan import OnError, Plan, Strategy
from agent_sdk.core.tools import Effect
from agent_sdk.core.usage import Usage

WaitReason = Literal["approval", "question", "timer", "signal", "child", "unknown_effect", "budget", "code_changed", "crash_loop"]
ReleaseReason = Literal["waiting", "suspended", "handed_over", "error"]
Purpose = Literal["turn", "plan", "repair", "step", "compact"]
SkipReason = Literal["condition", "source_failed", "source_skipped", "decided"]
Decision = Literal["done", "retry", "skip", "fail"]
Ruling = Literal["approve", "deny", "edit", "expire"]
ChildEnd = Literal["succeeded", "failed", "cancelled", "expired"]


@frozen
class RunCreated:
    """A run is asked for.

    `digests` are those of the agent at that time; `resumable` is False where its dependencies are live objects of one process.
    `previous` is the session's run before this one. A child names its `parent`, the tree's `root`, and how deep it stands below that.
    `budgets` are the scopes that it spends from; `instructions` stand here where the agent's are made for each run, `files` come with the
    goal.
    """

    BODY: ClassVar[tuple[str, ...]] = ("goal", "instructions", "files")
    type: ClassVar[str] = "run.created"
    agent: str
    agent_version: str
    digests: dict[str, str]
    goal: str | None = None
    principal: PrincipalId | None = None
    tags: tuple[str, ...] = ()
    parent: RunId | None = None
    root: RunId | None = None
    session: SessionId | None = None
    place: int | None = None
    model: str | None = None
    strategy: Strategy = "loop"
    plan_only: bool = False
    deadline_at: int | None = None
    resumable: bool = True
    queue: str = "default"
    priority: int = 0
    previous: RunId | None = None
    forked_from: RunId | None = None
    forked_at: int | None = None
    depth: int = 0
    compensate: bool = False
    budgets: tuple[str, ...] | None = None
    instructions: str | None = None
    files: tuple[FilePart, ...] | None = None


@frozen
class RunClaimed:
    """A process took the run's lease; what the owner before left running is settled by the fold."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "run.claimed"
    owner: OwnerId


@frozen
class RunReleased:
    """The owner gave up the lease; the run goes on when somebody claims it. After an `error` it went no further than after a crash."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "run.released"
    reason: ReleaseReason


@frozen
class CodeChange:
    """A part of the agent that is another than when the run was created: digests, None where the part is gone."""

    part: str
    pinned: str
    current: str | None = None


@frozen
class RunWaiting:
    """The run waits for somebody or something outside.

    `steps` are those that the wait is about; `wake_at` in microseconds since 1970, None where only somebody can wake the run. `changes`
    stand where the code changed, `shortfall` where a budget is too small.
    """

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "run.waiting"
    reason: WaitReason
    steps: tuple[StepId, ...] = ()
    wake_at: int | None = None
    changes: tuple[CodeChange, ...] = ()
    shortfall: Shortfall | None = None


@frozen
class RunWoken:
    """Somebody lets a run go on that waited as `crash_loop` or `code_changed`; `accepted` are the digests of the code it goes on with."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "run.woken"
    by: PrincipalId | None = None
    accepted: dict[str, str] | None = None
    agent_version: str | None = None


@frozen
class RunCancelRequested:
    """Somebody asked for the run's end; `note` says why, in their words."""

    BODY: ClassVar[tuple[str, ...]] = ("note",)
    type: ClassVar[str] = "run.cancel_requested"
    by: PrincipalId | None = None
    note: str | None = None


@frozen
class RunSucceeded:
    """The run ended with an answer."""

    BODY: ClassVar[tuple[str, ...]] = ("answer",)
    type: ClassVar[str] = "run.succeeded"
    label: Label
    answer: JsonValue = None


@frozen
class RunFailed:
    """The run ended without an answer; `step` is the one whose failure ended it, if one did."""

    BODY: ClassVar[tuple[str, ...]] = ("message", "hint")
    type: ClassVar[str] = "run.failed"
    code: str
    step: StepId | None = None
    message: str | None = None
    hint: str | None = None


@frozen
class RunCancelled:
    """The run ended on request."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "run.cancelled"


@frozen
class RunExpired:
    """The run's deadline passed."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "run.expired"


@frozen
class MessageReceived:
    """Something reached the run's inbox; `refused` says why it was not taken, None that it was."""

    BODY: ClassVar[tuple[str, ...]] = ("message",)
    type: ClassVar[str] = "message.received"
    refused: str | None = None
    message: Message | None = None


@frozen
class StepShape:
    """A step of a plan without its content, enough to fold a run whose bodies are gone.

    It waits for `needs` and `after`, and takes values from `needs`.
    """

    id: StepId
    needs: tuple[StepId, ...] = ()
    after: tuple[StepId, ...] = ()
    tool: str | None = None
    each: bool = False
    on_error: OnError = "fail"


@frozen
class PlanRejected:
    """The model's plan does not hold; the raw reply stands in the `model.called` before."""

    BODY: ClassVar[tuple[str, ...]] = ("findings",)
    type: ClassVar[str] = "plan.rejected"
    codes: tuple[str, ...]
    findings: tuple[Finding, ...] | None = None


@frozen
class PlanAccepted:
    """The plan holds and is performed from now on."""

    BODY: ClassVar[tuple[str, ...]] = ("plan",)
    type: ClassVar[str] = "plan.accepted"
    digest: str
    shape: tuple[StepShape, ...]
    revision: int = 1
    plan: Plan | None = None


@frozen
class PlanRevised:
    """A repaired plan takes the place of the one before; steps that had finished stay finished."""

    BODY: ClassVar[tuple[str, ...]] = ("plan",)
    type: ClassVar[str] = "plan.revised"
    digest: str
    shape: tuple[StepShape, ...]
    revision: int
    plan: Plan | None = None


@frozen
class CheckRefused:
    """A proposed call, or an answer (then `step` is the question's id), does not hold; it was not performed and the model is told."""

    BODY: ClassVar[tuple[str, ...]] = ("findings",)
    type: ClassVar[str] = "check.refused"
    step: StepId
    codes: tuple[str, ...]
    findings: tuple[Finding, ...] | None = None


@frozen
class StepStarted:
    """An attempt begins; `refs` says which reference fed which argument.

    `items` is the number of elements where a `for_each` step unfolds; such a step performs nothing itself. `undoes` says that a finished
    call can be compensated.
    """

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "step.started"
    step: StepId
    attempt: int = 1
    effect: Effect = "read"
    key: str | None = None
    args_digest: str | None = None
    refs: dict[str, str] | None = None
    items: int | None = None
    undoes: bool = False


@frozen
class StepFinished:
    """The step gave its output and is never performed again.

    `shown_chars` is how much of a large output the model is shown, who can read the rest where it wants; None: all of it.
    """

    BODY: ClassVar[tuple[str, ...]] = ("output",)
    type: ClassVar[str] = "step.finished"
    step: StepId
    attempt: int
    duration_us: int
    label: Label | None = None
    output: JsonValue = None
    shown_chars: int | None = None


@frozen
class StepFailed:
    """The step ended without an output; `retryable` says whether the same call may succeed later.

    `usage` is what a failed model call is known to have used, in so many `calls`.
    """

    BODY: ClassVar[tuple[str, ...]] = ("message", "hint", "traceback")
    type: ClassVar[str] = "step.failed"
    step: StepId
    attempt: int
    code: str
    retryable: bool = False
    message: str | None = None
    hint: str | None = None
    traceback: str | None = None
    usage: Usage | None = None
    calls: int | None = None


@frozen
class StepRetried:
    """The attempt failed and another follows after `delay_s`."""

    BODY: ClassVar[tuple[str, ...]] = ("message",)
    type: ClassVar[str] = "step.retried"
    step: StepId
    attempt: int
    code: str
    delay_s: float
    message: str | None = None
    usage: Usage | None = None
    calls: int | None = None


@frozen
class StepSkipped:
    """The step will not be performed; `source` is the step on whose account."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "step.skipped"
    step: StepId
    reason: SkipReason
    source: StepId | None = None


@frozen
class StepUnknown:
    """An effect was begun and its outcome is not known; it is never repeated without a decision."""

    BODY: ClassVar[tuple[str, ...]] = ("message", "traceback")
    type: ClassVar[str] = "step.unknown"
    step: StepId
    attempt: int
    code: str
    message: str | None = None
    traceback: str | None = None


@frozen
class EffectDecided:
    """Somebody, or the agent's policy, said what became of an unknown effect."""

    BODY: ClassVar[tuple[str, ...]] = ("output",)
    type: ClassVar[str] = "effect.decided"
    step: StepId
    decision: Decision
    by: PrincipalId | None = None
    output: JsonValue = None


@frozen
class EffectCompensating:
    """The undoing of a finished effect begins; it may begin again after a crash, with the same `key`."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "effect.compensating"
    step: StepId
    attempt: int
    key: str


@frozen
class EffectCompensated:
    """A finished effect was undone; where that failed, `code` says why and the effect stands."""

    BODY: ClassVar[tuple[str, ...]] = ("message", "traceback")
    type: ClassVar[str] = "effect.compensated"
    step: StepId
    attempt: int
    code: str | None = None
    message: str | None = None
    traceback: str | None = None


@frozen
class ApprovalRequested:
    """A person must allow the step's call before it is made. What is decided holds for arguments of this `digest` alone."""

    BODY: ClassVar[tuple[str, ...]] = ("why", "args")
    type: ClassVar[str] = "approval.requested"
    step: StepId
    tool: str
    digest: str
    expires_at: int | None = None
    why: str | None = None
    args: dict[str, JsonValue] | None = None


@frozen
class ApprovalDecided:
    """The call is allowed, denied (`note` tells the model why), or made with other arguments: then by a step of its own, `becomes`."""

    BODY: ClassVar[tuple[str, ...]] = ("note", "args")
    type: ClassVar[str] = "approval.decided"
    step: StepId
    ruling: Ruling
    digest: str
    by: PrincipalId | None = None
    becomes: StepId | None = None
    note: str | None = None
    args: dict[str, JsonValue] | None = None


@frozen
class StepWaiting:
    """The step waits: for an answer to its question `text`, for a time, or for the signal `name`. No lease is held for that."""

    BODY: ClassVar[tuple[str, ...]] = ("text",)
    type: ClassVar[str] = "step.waiting"
    step: StepId
    kind: Literal["question", "timer", "signal"]
    name: str | None = None
    wake_at: int | None = None
    text: str | None = None


@frozen
class QuestionAnswered:
    """A person answered the question that a step waits for; the answer is the step's output."""

    BODY: ClassVar[tuple[str, ...]] = ("answer",)
    type: ClassVar[str] = "question.answered"
    step: StepId
    by: PrincipalId | None = None
    label: Label | None = None
    answer: JsonValue = None


@frozen
class SignalReceived:
    """A signal came, for the first step that waits for one of this name, now or later."""

    BODY: ClassVar[tuple[str, ...]] = ("payload",)
    type: ClassVar[str] = "signal.received"
    name: str
    by: PrincipalId | None = None
    payload: JsonValue = None


@frozen
class ChildStarted:
    """The step is a run of its own, `child`, from now on; that run names this one as its parent."""

    BODY: ClassVar[tuple[str, ...]] = ("goal",)
    type: ClassVar[str] = "child.started"
    step: StepId
    child: RunId
    agent: str
    goal: str | None = None


@frozen
class ChildFinished:
    """The child run ended; its answer is the step's output."""

    BODY: ClassVar[tuple[str, ...]] = ("message", "output")
    type: ClassVar[str] = "child.finished"
    step: StepId
    child: RunId
    state: ChildEnd
    code: str | None = None
    label: Label | None = None
    message: str | None = None
    output: JsonValue = None


@frozen
class CallMark:
    """A call that a reply asks for, without its arguments; `digest` is over them, None where they are no JSON object."""

    id: StepId
    tool: str
    digest: str | None = None


@frozen
class ModelCalled:
    """A model answered. Under `turn` the calls become steps; otherwise the reply is for the planner or for the step `step`.

    `usage` is that of the reply; what failed attempts used stands with them.
    """

    BODY: ClassVar[tuple[str, ...]] = ("message",)
    type: ClassVar[str] = "model.called"
    step: StepId
    purpose: Purpose
    model: str
    usage: Usage
    stop: Stop
    attempts: tuple[Attempt, ...]
    calls: tuple[CallMark, ...] = ()
    label: Label | None = None
    request_id: str | None = None
    message: Message | None = None


@frozen
class BudgetReserved:
    """The budgets of the run's scopes granted a slice, for the model call `step` and some that follow."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "budget.reserved"
    step: StepId
    amounts: Amounts


@frozen
class BudgetRefused:
    """A budget did not grant what the model call `step` may cost."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "budget.refused"
    step: StepId
    shortfall: Shortfall


@frozen
class BudgetSettled:
    """The run gave back what it held: `spent` was used, `released` was not."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: ClassVar[str] = "budget.settled"
    spent: Amounts
    released: Amounts


@frozen
class ContextCompacted:
    """The conversation was made shorter, and goes on with less.

    Of its messages the last `kept` stay, and before them those that are pinned; `summary` stands for the others, None where only outputs
    were cleared. `cleared` are the calls whose outputs were taken out; they can still be read. `step` is the question that was answered
    with the summary. The tokens are estimates of what the model would have been sent, before and after; `ratio` is what a vendor's last
    count was of what had been estimated. `cap` is the most that may be sent; None where nobody knew. Of so many rejected plans, the oldest,
    the model's words are left out (`drafts`).
    """

    BODY: ClassVar[tuple[str, ...]] = ("summary",)
    type: ClassVar[str] = "context.compacted"
    kept: int
    cleared: tuple[StepId, ...]
    tokens_before: int
    tokens_after: int
    step: StepId | None = None
    covers_history: bool = False
    ratio: float | None = None
    summary: str | None = None
    cap: int | None = None
    drafts: int = 0


@frozen
class ContextExceeded:
    """The model said of the question `step` that it is too long; the conversation is made shorter, and the question is put again.

    `usage` is what the tries before that are known to have used.
    """

    BODY: ClassVar[tuple[str, ...]] = ("message",)
    type: ClassVar[str] = "context.exceeded"
    step: StepId
    message: str | None = None
    usage: Usage | None = None


@frozen
class UnknownEvent:
    """A stored event whose type or version this code does not know: shown and kept, never acted upon."""

    BODY: ClassVar[tuple[str, ...]] = ()
    type: str
    v: int


Terminal = RunSucceeded | RunFailed | RunCancelled | RunExpired
"""What ends a run; nothing comes behind it."""

Event = (
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
    | MessageReceived
    | PlanRejected
    | PlanAccepted
    | PlanRevised
    | CheckRefused
    | StepStarted
    | StepFinished
    | StepFailed
    | StepRetried
    | StepSkipped
    | StepUnknown
    | StepWaiting
    | EffectDecided
    | EffectCompensating
    | EffectCompensated
    | ApprovalRequested
    | ApprovalDecided
    | QuestionAnswered
    | SignalReceived
    | ChildStarted
    | ChildFinished
    | ModelCalled
    | BudgetReserved
    | BudgetRefused
    | BudgetSettled
    | ContextCompacted
    | ContextExceeded
    | UnknownEvent
)


@frozen
class Fact:
    """An event in its place.

    `seq` counts from 1 without gaps, `at` is in microseconds since 1970, `cause` is `inbox:{n}` or `event:{seq}`.
    """

    seq: int
    epoch: int
    at: int
    event: Event
    cause: str | None = None
