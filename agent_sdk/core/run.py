"""A run as its events so far describe it. It is changed by `apply` alone; what comes next is said by `decide.py`."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, assert_never

from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.budget import Purse, Shortfall
from agent_sdk.core.compaction import Summary, compacted
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    CheckRefused,
    ChildFinished,
    ChildStarted,
    CodeChange,
    ContextCompacted,
    ContextExceeded,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    Fact,
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
    Terminal,
    UnknownEvent,
    WaitReason,
)
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import Failure, Graph, Pending, StepState
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.labels import TRUSTED, UNKNOWN_SOURCE, Label
from agent_sdk.core.messages import Conversation, Message, goal_message, user_message
from agent_sdk.core.model import Stop
from agent_sdk.core.plan import GOAL, Plan, ToolStep
from agent_sdk.core.results import denial, ending, result_of
from agent_sdk.core.tokens import Measured
from agent_sdk.core.usage import NO_USAGE, Usage

RunState = Literal["queued", "planning", "running", "waiting", "succeeded", "failed", "cancelled", "expired"]
ENDS: frozenset[RunState] = frozenset({"succeeded", "failed", "cancelled", "expired"})
INBOX = "inbox:"
_PROGRESS: frozenset[type[Event]] = frozenset({StepFinished, StepFailed, ModelCalled, RunWoken, EffectCompensated})
"""What shows that a claim came to something: a run that is claimed again and again without any of these is in a crash loop."""


@frozen
class History:
    """What was said in a session before a run, and the label of all that went into it; calls of the n-th of its `runs` are `h{n}.{id}`."""

    messages: tuple[Message, ...] = ()
    label: Label = TRUSTED
    runs: tuple[RunId, ...] = ()


NO_HISTORY = History()


@frozen
class Draft:
    """A plan that was rejected: what the model said, and what is wrong with it."""

    reply: Message | None
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Run:
    """The fold of a run's facts.

    `head` is the last fact's number; `label` joins all that the conversation has read; `last_reply` is the model's
    newest message, None once it is dealt with, and `asked` the question it answers. `history` is the session's conversation before this
    run; `pinned` are the digests of the code that the run goes on with; `signals` came before a step waited for them; `undoable` are the
    finished effects that are undone, the last one first, where the run ends badly and asks for that. `purse` is what it holds of budgets;
    `measured` what a vendor last counted of the conversation, and `ratio` how wrong estimates were before it was made shorter; `summary`
    waits to take the place of older messages, of which the first `before` come from the session; `overflows` counts how often the model
    said that the conversation is too long, since it was last made shorter.
    """

    tenant: TenantId
    run_id: RunId
    limits: Limits = field(default_factory=Limits)
    history: History = NO_HISTORY
    head: int = 0
    inbox_seen: int = 0
    epoch: int = 0
    state: RunState = "queued"
    reason: WaitReason | None = None
    created: RunCreated | None = None
    created_at: int = 0
    ended_at: int | None = None
    graph: Graph = field(default_factory=Graph)
    plan: Plan | None = None
    revision: int = 0
    drafts: list[Draft] = field(default_factory=list[Draft])
    conversation: Conversation = field(default_factory=Conversation)
    label: Label = TRUSTED
    turn: int = 0
    calls: tuple[StepId, ...] = ()
    open_calls: int = 0
    questions: int = 0
    held_messages: list[Message] = field(default_factory=list[Message])
    last_reply: Message | None = None
    last_stop: Stop = "end"
    asked: StepId | None = None
    answer_refusals: int = 0
    answer_findings: tuple[Finding, ...] = ()
    same_turns: int = 0
    signature: tuple[tuple[str, str | None], ...] = ()
    usage: Usage = NO_USAGE
    purse: Purse = field(default_factory=Purse)
    measured: Measured | None = None
    ratio: float | None = None
    summary: Summary | None = None
    overflows: int = 0
    covers_history: bool = False
    before: int = 0
    retries: int = 0
    failure: Failure | None = None
    failed_step: StepId | None = None
    to_repair: list[StepId] = field(default_factory=list[StepId])
    repairs: int = 0
    cancel_requested: bool = False
    pinned: dict[str, str] = field(default_factory=dict[str, str])
    signals: dict[str, deque[tuple[int, JsonValue]]] = field(default_factory=dict[str, deque[tuple[int, JsonValue]]])
    undoable: dict[StepId, int] = field(default_factory=dict[StepId, int])
    undone: dict[StepId, str | None] = field(default_factory=dict[StepId, str | None])
    progress_epoch: int = 0
    is_crash_looping: bool = False
    changes: tuple[CodeChange, ...] = ()
    shortfall: Shortfall | None = None
    answer: JsonValue = None
    unreadable: UnknownEvent | None = None

    @property
    def is_ended(self) -> bool:
        return self.state in ENDS

    @property
    def goal(self) -> str:
        return (self.created.goal if self.created is not None else None) or ""

    @property
    def attempts_left(self) -> int:
        """How often the next model call may be tried, as far as the run's budget of retries goes."""
        return 1 + max(0, self.limits.max_retries - self.retries)

    @property
    def crashes(self) -> int:
        """How many owners in a row were lost before they got anything done."""
        return max(0, self.epoch - self.progress_epoch - 1)

    def apply(self, fact: Fact) -> None:  # noqa: C901, PLR0915  (one arm an event: the table that this module is)
        """Take the run one fact further, in time that does not grow with the run."""
        self.head = max(self.head, fact.seq)  # a reservation is folded when it is granted, perhaps behind later facts
        self.epoch = fact.epoch
        if fact.cause is not None and fact.cause.startswith(INBOX):
            self.inbox_seen = int(fact.cause[len(INBOX) :])
        event, at = fact.event, fact.at
        if type(event) in _PROGRESS:
            self.progress_epoch = fact.epoch
        if self.unreadable is not None and not isinstance(event, Terminal):
            return  # what comes behind an event that is not understood may build on it
        match event:
            case StepStarted():
                self._started(event, at)
            case StepFinished():
                self._finished(event.step, event.output, event.label, at, event.shown_chars)
            case ModelCalled():
                self._called(event, fact.epoch)
            case StepFailed():
                self._used(event.usage, fact.epoch, event.calls or 0)
                self._failed(event, at)
            case StepRetried():
                self.retries += 1
                self._used(event.usage, fact.epoch, event.calls or 0)
            case StepSkipped():
                state = self.graph.steps[event.step]
                self.graph.skip(state, at=at)
                self._call_settled()
            case StepUnknown():
                state = self.graph.steps[event.step]
                state.failure = Failure(event.code, event.message)
                self.graph.lose(state)
            case EffectDecided():
                self._decided(event, at)
            case CheckRefused():
                self._refused(event, at)
            case PlanRejected():
                self.drafts.append(Draft(self.last_reply, event.findings or ()))
                self.last_reply = None
            case PlanAccepted() | PlanRevised():
                self._planned(event)
            case MessageReceived():
                self._received(event)
            case RunCreated():
                self._created(event, at)
            case RunClaimed():
                self._claimed()
            case RunWaiting():
                self.state, self.reason = "waiting", event.reason
                self.is_crash_looping = event.reason == "crash_loop"
                self.changes, self.shortfall = event.changes, event.shortfall
            case RunReleased():
                self._released(event, fact.epoch)
            case RunWoken():
                self.is_crash_looping = False
                self.pinned = event.accepted if event.accepted is not None else self.pinned
            case RunCancelRequested():
                self.cancel_requested = True
            case StepWaiting():
                self._parked(event.step, Pending(event.kind, event.wake_at, event.name, text=event.text), at)
            case ChildStarted():
                self._parked(event.step, Pending("child", name=event.agent, child=event.child, text=event.goal), at)
            case ApprovalRequested():
                pending = Pending("approval", event.expires_at, event.tool, event.digest, text=event.why, args=event.args)
                self.graph.park(self.graph.steps[event.step], pending)
            case ApprovalDecided():
                self._ruled(event, at)
            case QuestionAnswered():
                self._finished(event.step, event.answer, event.label, at)
            case SignalReceived():
                self.signals.setdefault(event.name, deque()).append((fact.seq, event.payload))
            case ChildFinished():
                self._child_finished(event, at)
            case EffectCompensating():
                self.undoable[event.step] = event.attempt
            case EffectCompensated():
                self.undoable.pop(event.step, None)
                self.undone[event.step] = event.code
            case BudgetReserved():
                if fact.epoch:
                    self.purse.reserve(event.amounts)
            case BudgetRefused():
                self.purse.refusals += 1 if fact.epoch else 0
            case BudgetSettled():
                self.purse.settle()
            case ContextCompacted():
                self._compacted(event)
            case ContextExceeded():
                self.overflows += 1
                self._used(event.usage, fact.epoch, 0 if event.usage is None else 1)
            case RunSucceeded() | RunFailed() | RunCancelled() | RunExpired():
                self._ended(event, at)
            case UnknownEvent():
                self.unreadable = event
            case _:
                assert_never(event)

    def _started(self, event: StepStarted, at: int) -> None:
        state = self.graph.steps[event.step]
        state.attempt, state.effect, state.key = event.attempt, event.effect, event.key
        state.args_digest, state.undoes = event.args_digest, event.undoes
        self.state = "running"
        self.graph.start(state, at=at, items=event.items)

    def _released(self, event: RunReleased, epoch: int) -> None:
        if event.reason != "waiting":
            self.state = "queued"
        if event.reason != "error":
            self.progress_epoch = epoch

    def _created(self, event: RunCreated, at: int) -> None:
        self.created, self.created_at, self.pinned = event, at, event.digests
        self.graph.outputs[GOAL] = event.goal
        for message in self.history.messages:
            self.conversation.add(message)
        self.before = len(self.conversation)
        self.label = self.label.join(self.history.label)
        self.purse.scopes = event.budgets or ()
        if event.goal is not None:
            self.conversation.add(goal_message(event.goal, event.files or ()))

    def _finished(self, step: StepId, output: JsonValue, label: Label | None, at: int, shown_chars: int | None = None) -> None:
        state = self.graph.steps[step]
        state.shown_chars = shown_chars
        self._take_signal(state)
        self.graph.finish(state, output, label or UNKNOWN_SOURCE, at=at)
        if state.undoes:
            self.undoable[step] = 0
        self._call_settled()

    def _parked(self, step: StepId, pending: Pending, at: int) -> None:
        state = self.graph.steps[step]
        state.attempt = 1
        state.started_at = at
        self.graph.park(state, pending)

    def _ruled(self, event: ApprovalDecided, at: int) -> None:
        state = self.graph.steps[event.step]
        match event.ruling:
            case "approve":
                state.is_allowed = True
                self.graph.rewind(state)
            case "edit":
                spec = ToolStep(event.becomes or state.id, state.tool or "", event.args) if event.args is not None else None
                self.graph.replace(state, event.becomes or state.id, spec, event.args)
            case "deny":
                self._failed(StepFailed(state.id, state.attempt, "approval_denied", message=denial(event)), at)
            case "expire":
                message = "nobody approved the call in time, so it counts as denied"
                self._failed(StepFailed(state.id, state.attempt, "approval_expired", message=message), at)
            case _:
                assert_never(event.ruling)

    def _child_finished(self, event: ChildFinished, at: int) -> None:
        if event.state == "succeeded":
            self._finished(event.step, event.output, event.label, at)
            return
        code, attempt = event.code or f"child_{event.state}", self.graph.steps[event.step].attempt
        self._failed(StepFailed(event.step, attempt, code, message=ending(event)), at)

    def _take_signal(self, state: StepState) -> None:
        """Let the signal that a step waited for be nobody else's."""
        pending = self.graph.parked.get(state.id)
        if pending is not None and pending.kind == "signal" and (queue := self.signals.get(pending.name or "")):
            queue.popleft()

    def _used(self, usage: Usage | None, epoch: int, calls: int = 0) -> None:
        """Count what model calls used; copied facts are another run's expense."""
        if usage is not None:
            self.usage += usage
        if epoch and (usage is not None or calls):
            self.purse.spend(usage if usage is not None else NO_USAGE, calls=calls)

    def _called(self, event: ModelCalled, epoch: int) -> None:
        self._used(event.usage, epoch, 1)
        for attempt in event.attempts:  # each by itself: what one try cost is known, though another's cost is not
            if attempt.usage is not None:
                self._used(attempt.usage, epoch, 1)
        self.retries += max(0, len(event.attempts) - 1)
        if event.purpose == "step":
            return
        self.questions += 1
        if event.purpose == "compact":
            text = event.message.text if event.message is not None and event.stop != "refused" else ""
            self.summary = Summary(event.step, text, len(self.conversation))
            return
        self.asked = event.step
        self.last_reply, self.last_stop = event.message, event.stop
        self.label = self.label.join(event.label or UNKNOWN_SOURCE)
        if event.purpose == "turn":
            self._turned(event)

    def _turned(self, event: ModelCalled) -> None:
        """Take a turn of the loop: the calls of the reply become steps."""
        self._measure(event.usage.input_tokens)
        self.turn += 1
        signature = tuple([(call.tool, call.digest) for call in event.calls])  # a list is twice as fast here as a generator
        self.same_turns = self.same_turns + 1 if signature and signature == self.signature else 0
        self.signature = signature
        self.calls = tuple([call.id for call in event.calls])
        self.open_calls = len(self.calls)
        args: dict[StepId, dict[str, JsonValue]] = {}
        if event.message is not None:
            self.conversation.add(event.message)
            args = {part.id: part.args for part in event.message.tool_calls if part.args is not None}
        for call in event.calls:
            spec = ToolStep(call.id, call.tool, args[call.id]) if call.id in args else None
            self.graph.add_ready(StepState(call.id, call.tool, spec, args_digest=call.digest))
        self.state = "running" if self.calls else "planning"

    def _measure(self, tokens: int) -> None:
        """Learn from the vendor's count how long the conversation is, the reply to come not included."""
        if tokens > 0:
            self.measured = Measured(len(self.conversation), tokens)

    def _compacted(self, event: ContextCompacted) -> None:
        cut = max(0, len(self.conversation) - event.kept)
        if cut or event.covers_history:
            self.before = self.before - cut + 1 if self.before > cut else 0
        self.conversation = Conversation(compacted(self.conversation.messages, event))
        self.covers_history = self.covers_history or event.covers_history
        self.drafts[: event.drafts] = [Draft(None, draft.findings) for draft in self.drafts[: event.drafts]]
        self.summary, self.overflows, self.measured, self.ratio = None, 0, None, event.ratio

    def _failed(self, event: StepFailed, at: int) -> None:
        failure = Failure(event.code, event.message, event.hint)
        state = self.graph.steps.get(event.step)
        if state is None:  # the planner's own question failed, and with it the run
            self._doom(failure, event.step)
            return
        if event.code != "wait_expired":
            self._take_signal(state)
        self.graph.fail(state, failure, at=at)
        self._call_settled()
        if state.stands_for is not None:
            state = self.graph.steps[state.stands_for]
        if state.id in self.calls:
            return
        if state.on_error in {"fail", "retry"}:
            self._doom(failure, event.step)
        elif state.on_error == "repair" and (failed := state.group or state.id) not in self.to_repair:
            self.to_repair.append(failed)

    def _doom(self, failure: Failure, step: StepId) -> None:
        """Let the run end with its first failure; what fails after it changes nothing."""
        if self.failure is None:
            self.failure, self.failed_step = failure, step

    def _decided(self, event: EffectDecided, at: int) -> None:
        state = self.graph.steps[event.step]
        match event.decision:
            case "done":
                self._finished(event.step, event.output, None, at)
                return
            case "retry":
                self.graph.rewind(state)
                return
            case "skip":
                self.graph.skip(state, at=at)
            case "fail":
                self._failed(StepFailed(event.step, state.attempt, "effect_unknown", message="decided as failed"), at)
                return
            case _:
                assert_never(event.decision)
        self._call_settled()

    def _refused(self, event: CheckRefused, at: int) -> None:
        text = render_findings(event.findings or ())
        if event.step not in self.calls:
            self.answer_refusals += 1
            self.answer_findings = event.findings or ()
            self.last_reply = None
            if self.turn:
                self.conversation.add(user_message(f"The answer does not hold:\n{text}\nAnswer again, with every point mended."))
            return
        state = self.graph.steps[event.step]
        state.failure = Failure("call_refused", text)
        self.graph.refuse(state, at=at)
        self._call_settled()

    def _planned(self, event: PlanAccepted | PlanRevised) -> None:
        if isinstance(event, PlanRevised):
            self.graph.drop_unstarted()
            self.to_repair.clear()
            self.repairs += 1
        self.drafts.clear()
        self.last_reply = None
        self.answer_findings = ()
        self.plan, self.revision = event.plan, event.revision
        self.graph.add(event.shape, {step.id: step for step in event.plan.steps} if event.plan is not None else {})
        self.state = "running"

    def _received(self, event: MessageReceived) -> None:
        """Take a message at once, or behind the results of the calls that are open: no message stands between a call and its result."""
        if event.refused is not None or event.message is None:
            return
        if self.open_calls:
            self.held_messages.append(event.message)
        else:
            self.conversation.add(event.message)
            self.last_reply = None

    def _claimed(self) -> None:
        """Settle what the owner before left running: a `once` effect is unknown, all else starts again."""
        for identity in list(self.graph.running):
            state = self.graph.steps[identity]
            if state.effect == "once":
                state.failure = Failure("owner_lost", "the process that performed this step ended before its outcome was known")
                self.graph.lose(state)
            else:
                self.graph.rewind(state)
        self._resumed()

    def _resumed(self) -> None:
        self.reason = None
        self.state = "running" if self.graph.steps else "planning"

    def _ended(self, event: Terminal, at: int) -> None:
        self.reason, self.ended_at = None, at
        match event:
            case RunSucceeded():
                self.state, self.answer = "succeeded", event.answer
                self.label = self.label.join(event.label)
            case RunFailed():
                self.state, self.failure = "failed", Failure(event.code, event.message, event.hint)
                self.failed_step = event.step
            case RunCancelled():
                self.state = "cancelled"
            case RunExpired():
                self.state = "expired"
            case _:
                assert_never(event)

    def _call_settled(self) -> None:
        """Answer the model once every call of its turn is settled: calls and results always come in pairs.

        While calls are open, nothing else settles than they, and the steps that stand for them.
        """
        if not self.open_calls:
            return
        self.open_calls -= 1
        if self.open_calls:
            return
        states = [self.graph.steps[identity] for identity in self.calls]
        for each in states:
            self.label = self.label.join(each.label if each.status == "finished" else TRUSTED)
        self.conversation.add(Message("tool", tuple([result_of(each) for each in states])))
        for message in self.held_messages:
            self.conversation.add(message)
        self.held_messages.clear()
        self.state = "planning"


def fold(run: Run, facts: Iterable[Fact]) -> Run:
    """Apply all facts in order and return the same run."""
    for fact in facts:
        run.apply(fact)
    return run
