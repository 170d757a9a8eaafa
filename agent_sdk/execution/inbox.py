"""What comes to a run from outside: each inbox item becomes exactly one event, a refusal included."""

from collections.abc import Callable, Mapping
from typing import cast, get_args

from pydantic import JsonValue, ValidationError

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.code_version import code_changes
from agent_sdk.core.codec import from_json
from agent_sdk.core.digest import digest_of
from agent_sdk.core.errors import ArgumentsInvalid
from agent_sdk.core.events import (
    ApprovalDecided,
    ChildEnd,
    ChildFinished,
    Decision,
    EffectDecided,
    Event,
    MessageReceived,
    QuestionAnswered,
    RunCancelRequested,
    RunWoken,
    SignalReceived,
)
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import Pending, StepState
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.messages import Message
from agent_sdk.core.ports import InboxItem, ItemKind, Tool
from agent_sdk.core.run import Run
from agent_sdk.core.tools import output_misfit
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.sequencer import Sequencer

Body = dict[str, JsonValue]


class Inbox:
    """Takes one run's mail. While the planner's question is under way (`is_asking`), messages wait for its answer, and what came behind."""

    def __init__(self, run: Run, parts: Parts, sequencer: Sequencer) -> None:
        self._run = run
        self._parts = parts
        self._sequencer = sequencer
        self.is_asking = False
        self.holds_messages = False

    async def take(self) -> None:
        """Post the event of every unread item; what cannot be posted now stays unread. A cancel lets nothing wait."""
        run = self._run
        items = await self._parts.journal.inbox(run.tenant, run.run_id, after=run.inbox_seen)
        is_cancelled = any(item.kind == "cancel" for item in items)
        self.holds_messages = False
        for item in items:
            if self._must_hold(item, is_cancelled=is_cancelled):
                return
            event = await self._guarded(item, is_cancelled=is_cancelled)
            if not self._sequencer.is_open or self._must_hold(item, is_cancelled=is_cancelled):
                return
            if item.number > run.inbox_seen:
                event = event if event is not None else event_of(item, run, self._parts.tools, self._parts.agent)
                self._sequencer.post(event, cause=f"inbox:{item.number}")

    def _must_hold(self, item: InboxItem, *, is_cancelled: bool) -> bool:
        """Say whether the item waits for the answer to the planner's question, and note that."""
        if item.kind != "message" or not self.is_asking or is_cancelled:
            return False
        self.holds_messages = True
        return True

    async def _guarded(self, item: InboxItem, *, is_cancelled: bool) -> Event | None:
        """Return what a message becomes where guardrails judge it, which no cancel waits for; None for all else."""
        guards = self._parts.guards
        if item.kind != "message" or guards is None or item.number <= self._run.inbox_seen:
            return None
        if is_cancelled:
            return _refused("the run was cancelled before a guardrail judged the message")
        event = event_of(item, self._run, self._parts.tools, self._parts.agent)
        if not isinstance(event, MessageReceived) or event.message is None:
            return event
        complaint = await guards.message(event.message, self._run)
        return _refused(complaint) if complaint is not None else event


@frozen
class _Reading:
    """An item, its body if that is an object, and what it is read against."""

    item: InboxItem
    body: Body
    run: Run
    tools: Mapping[str, Tool]
    agent: AgentSpec

    def text(self, name: str) -> str | None:
        value = self.body.get(name)
        return value if isinstance(value, str) else None

    def tool(self, state: StepState) -> Tool | None:
        return self.tools.get(state.tool or "")

    def parked(self, kind: str) -> tuple[StepState, Pending] | None:
        """Return the step that the item names, if it waits for an item of this kind, and did so still when the item was put."""
        step = StepId(self.text("step") or "")
        pending = self.run.graph.parked.get(step)
        if pending is None or pending.kind != kind or (pending.wake_at is not None and pending.wake_at <= self.item.at):
            return None
        return self.run.graph.steps[step], pending


def event_of(item: InboxItem, run: Run, tools: Mapping[str, Tool], agent: AgentSpec) -> Event:
    """Return the event that the item becomes in a run as it is now."""
    body = item.body if isinstance(item.body, dict) else {}
    read = _READERS.get(item.kind)
    return read(_Reading(item, body, run, tools, agent)) if read is not None else _refused(f"nothing of the kind {item.kind!r} is known")


def _cancelled(reading: _Reading) -> Event:
    return RunCancelRequested(reading.item.by, reading.text("note"))


def _message(reading: _Reading) -> Event:
    try:
        return MessageReceived(message=from_json(Message, reading.item.body))
    except ValidationError:
        return _refused("it is no message")


def _decided(reading: _Reading) -> Event:
    step, decision, output = StepId(str(reading.body.get("step"))), reading.body.get("decision"), reading.body.get("output")
    if step not in reading.run.graph.unknown:
        return _refused(f"step {step!r} has no unknown effect to decide")
    if decision not in get_args(Decision):
        return _refused(f"{decision!r} is no decision; it is one of {', '.join(get_args(Decision))}")
    tool = reading.tool(reading.run.graph.steps[step])
    misfit = output_misfit(tool.spec, output) if decision == "done" and tool is not None else None
    if misfit is not None:
        return _refused(misfit)
    return EffectDecided(step, cast("Decision", decision), reading.item.by, output)


def _ruled(reading: _Reading) -> Event:
    """Take a ruling on a call; it holds for the arguments that were shown, and once."""
    found = reading.parked("approval")
    if found is None:
        return _refused(f"step {reading.text('step')!r} waits for no approval: it was decided, it expired, or it never asked")
    state, pending = found
    digest, by, note = pending.digest or "", reading.item.by, reading.text("note")
    if (shown := reading.text("digest")) is not None and shown != digest:
        return _refused(f"what was shown of step {state.id!r} is not what it would do now: look again")
    match reading.body.get("ruling"):
        case "approve":
            return ApprovalDecided(state.id, "approve", digest, by, note=note)
        case "deny":
            return ApprovalDecided(state.id, "deny", digest, by, note=note)
        case "edit":
            return _edited(reading, state, note)
        case other:
            return _refused(f"{other!r} is no ruling; it is one of approve, deny, edit")


def _edited(reading: _Reading, state: StepState, note: str | None) -> Event:
    args, tool = reading.body.get("args"), reading.tool(state)
    if not isinstance(args, dict) or tool is None:
        return _refused("an edit brings the arguments as an object, for a tool that the agent has")
    if findings := tool.problems(args):
        return _refused(f"the edited arguments do not hold: {findings[0].message} (at {findings[0].path})")
    becomes = StepId(f"{state.id}~{reading.run.head + 1}")
    return ApprovalDecided(state.id, "edit", digest_of(dict(args)), reading.item.by, becomes, note, args)


def _answered(reading: _Reading) -> Event:
    found = reading.parked("question")
    if found is None:
        return _refused(f"step {reading.text('step')!r} waits for no answer: it was given, it came too late, or nothing was asked")
    state, _ = found
    tool, answer = reading.tool(state), reading.body.get("answer")
    misfit = output_misfit(tool.spec, answer) if tool is not None else None
    if misfit is not None:
        return _refused(misfit)
    return QuestionAnswered(state.id, reading.item.by, tool.spec.label if tool is not None else None, answer)


def _signalled(reading: _Reading) -> Event:
    """Take a signal, also before a step waits for it; not one that brings what no tool waiting for its name could return."""
    name, payload = reading.text("name"), reading.body.get("payload")
    if not name:
        return _refused("a signal has a name")
    misfits = [output_misfit(tool.spec, payload) for tool in reading.tools.values() if _waits_for(tool, name)]
    if misfits and None not in misfits:
        return _refused(f"signal {name!r} does not fit: {misfits[0]}")
    return SignalReceived(name, reading.item.by, payload)


def _waits_for(tool: Tool, name: str) -> bool:
    """Say whether the tool waits for this signal, as far as that does not hang on its arguments."""
    if tool.spec.kind != "signal":
        return False
    try:
        return tool.wait({}).name == name
    except ArgumentsInvalid:
        return False


def _child_ended(reading: _Reading) -> Event:
    child, state = RunId(reading.text("child") or ""), reading.body.get("state")
    step = next((step for step, pending in reading.run.graph.parked.items() if pending.child == child), None)
    if step is None or state not in get_args(ChildEnd):
        return _refused(f"no step waits for the child run {child!r}")
    try:
        label = from_json(Label, reading.body["label"]) if reading.body.get("label") is not None else None
    except ValidationError:
        return _refused(f"the label of the child run {child!r} cannot be read")
    return ChildFinished(
        step,
        child,
        cast("ChildEnd", state),
        reading.text("code"),
        label,
        reading.text("message"),
        reading.body.get("output"),
    )


def _woken(reading: _Reading) -> Event:
    """Let the run go on; with code that is not what it pinned only where that is said."""
    current = reading.agent.digests()
    changes = code_changes(reading.run, current)
    accepts = reading.body.get("accept_code") is True
    if changes and not accepts:
        return _refused(f"the code has changed: {', '.join(change.part for change in changes)}; accept that, or fork the run")
    if reading.body.get("budget") is True:
        return RunWoken(reading.item.by)
    if not changes and not reading.run.is_crash_looping:
        return _refused("the run does not wait for somebody to let it go on")
    return RunWoken(reading.item.by, current if changes else None, reading.agent.version if changes else None)


def _refused(why: str) -> MessageReceived:
    return MessageReceived(refused=why)


_READERS: Mapping[ItemKind, Callable[[_Reading], Event]] = {
    "message": _message,
    "cancel": _cancelled,
    "decide": _decided,
    "approve": _ruled,
    "answer": _answered,
    "signal": _signalled,
    "child": _child_ended,
    "wake": _woken,
}
