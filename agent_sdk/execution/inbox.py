"""What an inbox item becomes: exactly one event, a refusal included."""

from typing import cast, get_args

from pydantic import JsonValue, ValidationError

from agent_sdk.core.codec import from_json
from agent_sdk.core.events import Decision, EffectDecided, Event, MessageReceived, RunCancelRequested
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message
from agent_sdk.core.ports import InboxItem
from agent_sdk.core.run import Run


def event_of(item: InboxItem, run: Run) -> Event:
    """Return the event that the item becomes in a run as it is now."""
    body = item.body if isinstance(item.body, dict) else {}
    match item.kind:
        case "cancel":
            note = body.get("note")
            return RunCancelRequested(item.by, note if isinstance(note, str) else None)
        case "message":
            try:
                return MessageReceived(message=from_json(Message, item.body))
            except ValidationError:
                return MessageReceived(refused="it is no message")
        case "decide":
            return _decided(item, body, run)


def _decided(item: InboxItem, body: dict[str, JsonValue], run: Run) -> Event:
    step, decision = StepId(str(body.get("step"))), body.get("decision")
    if step not in run.graph.unknown:
        return MessageReceived(refused=f"step {step!r} has no unknown effect to decide")
    if decision not in get_args(Decision):
        return MessageReceived(refused=f"{decision!r} is no decision; it is one of {', '.join(get_args(Decision))}")
    return EffectDecided(step, cast("Decision", decision), item.by, body.get("output"))
