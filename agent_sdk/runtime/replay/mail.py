"""The way back from an event to the inbox item that became it."""

from typing import assert_never

from pydantic import JsonValue

from agent_sdk.core.codec import to_json
from agent_sdk.core.events import (
    ApprovalDecided,
    ChildFinished,
    EffectDecided,
    Fact,
    MessageReceived,
    QuestionAnswered,
    RunCancelRequested,
    RunWoken,
    SignalReceived,
)
from agent_sdk.core.ids import PrincipalId
from agent_sdk.core.labels import Label
from agent_sdk.core.messages import Message
from agent_sdk.core.ports import InboxItem, ItemKind
from agent_sdk.core.run import INBOX

Mailed = (
    MessageReceived | RunCancelRequested | EffectDecided | ApprovalDecided | QuestionAnswered | SignalReceived | ChildFinished | RunWoken
)


def item_of(fact: Fact) -> InboxItem:
    """Return an item that becomes the fact's event again; of one that was refused only that is known, so it is one that is refused."""
    event, cause = fact.event, fact.cause or ""
    if not isinstance(event, Mailed):
        raise TypeError(f"{event.type} comes from no inbox")
    kind, body = _kind_and_body(event)
    by: PrincipalId | None = getattr(event, "by", None)
    return InboxItem(int(cause.removeprefix(INBOX)), kind, body, by, 0)


def _kind_and_body(event: Mailed) -> tuple[ItemKind, JsonValue]:
    match event:
        case MessageReceived(message=None):
            return "decide", {}
        case MessageReceived(message=message):
            return "message", to_json(Message, message)
        case RunCancelRequested():
            return "cancel", {"note": event.note}
        case EffectDecided():
            return "decide", {"step": event.step, "decision": event.decision, "output": event.output}
        case ApprovalDecided():
            return "approve", {"step": event.step, "ruling": event.ruling, "note": event.note, "args": event.args}
        case QuestionAnswered():
            return "answer", {"step": event.step, "answer": event.answer}
        case SignalReceived():
            return "signal", {"name": event.name, "payload": event.payload}
        case ChildFinished():
            label = to_json(Label, event.label) if event.label is not None else None
            said = {"child": event.child, "state": event.state, "code": event.code, "message": event.message, "output": event.output}
            return "child", {**said, "label": label}
        case RunWoken():
            return "wake", {"accept_code": event.accepted is not None, "budget": event.accepted is None}
        case _:
            assert_never(event)
