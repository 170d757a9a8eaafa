"""A conversation that goes on with less: what stands in it for what was left out to save room."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from agent_sdk.core.events import ContextCompacted
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, ToolResultPart, user_message

SUMMARY = "Summary of the conversation up to here:"
CLEARED = "this output was taken out to save room"


@frozen
class Summary:
    """What a model wrote in place of older messages; `messages` is how many the conversation had when it was asked."""

    step: StepId
    text: str
    messages: int


def compacted(messages: Sequence[Message], event: ContextCompacted) -> list[Message]:
    """Return the messages that are left, with the summary in the place of the older ones, behind those that are pinned."""
    cut = max(0, len(messages) - event.kept)
    cleared = frozenset(event.cleared)
    recent = [_without_outputs(message, cleared) for message in messages[cut:]]
    if not cut and not event.covers_history:
        return recent
    return [*(message for message in messages[:cut] if message.is_pinned), summary_message(event.summary), *recent]


def summary_message(text: str | None) -> Message:
    """Return what stands in a conversation for the older messages that it goes on without."""
    return user_message(f"{SUMMARY}\n{text or 'It was left out to save room.'}")


def is_summary(message: Message) -> bool:
    """Say whether the message stands for older ones."""
    return message.role == "user" and message.text.startswith(f"{SUMMARY}\n")


def cleared_output(step: StepId) -> dict[str, JsonValue]:
    """Return what stands in the place of an output that was taken out: the id by which the run can still read it."""
    return {"note": CLEARED, "artifact": step}


def is_cleared(output: JsonValue) -> bool:
    """Say whether the output was taken out."""
    return isinstance(output, dict) and output.get("note") == CLEARED


def _without_outputs(message: Message, calls: frozenset[StepId]) -> Message:
    if message.role != "tool" or not any(isinstance(part, ToolResultPart) and part.id in calls for part in message.parts):
        return message
    parts = (
        replace(part, output=cleared_output(part.id), files=()) if isinstance(part, ToolResultPart) and part.id in calls else part
        for part in message.parts
    )
    return replace(message, parts=tuple(parts))
