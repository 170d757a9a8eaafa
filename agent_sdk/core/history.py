"""What a session's next run knows of the ones before it."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace

from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import Message, Part, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.run import History, Run


def history_behind(runs: Iterable[Run]) -> History:
    """Return what the next run of a session knows of the ones before it, which are given oldest first and folded without their histories.

    A turn that ended in the middle of its calls is told without them: calls and results always come in pairs. Of one whose content was
    erased nothing is told but its label. Calls get names that no call of the next run can have. Where a run went on with a summary of all
    that was said before it, that is not told again.
    """
    messages: list[Message] = []
    places: list[RunId] = []
    label = TRUSTED
    for place, run in enumerate(runs, 1):
        if run.covers_history:
            messages.clear()
        turn = [_renamed(message, f"h{place}.") for message in run.conversation]
        if turn and turn[-1].tool_calls:
            turn[-1:] = run.held_messages
        if run.state == "succeeded" and turn and turn[-1].role != "assistant":
            answer = run.answer if isinstance(run.answer, str) else json.dumps(run.answer, ensure_ascii=False)
            turn.append(Message("assistant", (TextPart(answer),)))
        messages += turn
        places.append(run.run_id)
        label = label.join(run.label)
    return History(tuple(messages), label, tuple(places))


def earlier_call(history: History, name: str) -> tuple[RunId, StepId] | None:
    """Return the run and the call that go by this name in what was said before; None where no call does."""
    found = re.fullmatch(r"h([1-9]\d{0,9})\.(.+)", name, re.DOTALL)
    if found is None or int(found[1]) > len(history.runs):
        return None
    return history.runs[int(found[1]) - 1], StepId(found[2])


def _renamed(message: Message, prefix: str) -> Message:
    if all(isinstance(part, TextPart) for part in message.parts):
        return replace(message, is_pinned=None) if message.is_pinned else message
    return replace(message, parts=tuple(_renamed_part(part, prefix) for part in message.parts), is_pinned=None)


def _renamed_part(part: Part, prefix: str) -> Part:
    match part:
        case ToolCallPart():
            return replace(part, id=StepId(prefix + part.id))
        case ToolResultPart(id=identity, output=dict() as output) if output.get("artifact") == identity:  # it is not shown whole
            return replace(part, id=StepId(prefix + identity), output={**output, "artifact": prefix + identity})
        case ToolResultPart():
            return replace(part, id=StepId(prefix + part.id))
        case _:
            return part
