"""What the model is told of its calls: their outputs, as much of them as it is shown, and what went wrong."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from agent_sdk.core.events import ApprovalDecided, ChildEnd, ChildFinished
from agent_sdk.core.graph import Failure, StepState
from agent_sdk.core.messages import ToolResultPart, files_in, without_files

READ_ARTIFACT = "read_artifact"
"""The tool that reads what was left out of an output."""
_EDITED = "a person changed the arguments before the call was made"
_CHILD_ENDS: Mapping[ChildEnd, str] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
    "expired": "passed its deadline",
}


def result_of(state: StepState) -> ToolResultPart:
    """Return what the model is told of a settled call."""
    if state.status == "finished":
        if state.edited_args is not None:
            return ToolResultPart(state.id, {"note": _EDITED, "arguments": state.edited_args, "result": state.output})
        files = files_in(state.output)
        output = without_files(state.output) if files else state.output
        return ToolResultPart(state.id, output if state.shown_chars is None else _preview(state, output, state.shown_chars), files=files)
    failure = state.failure or Failure("step_skipped", "the step was skipped")
    problem: dict[str, JsonValue] = {"error": failure.code, "message": failure.message or ""}
    if failure.hint is not None:
        problem["hint"] = failure.hint
    if state.edited_args is not None:
        problem |= {"note": _EDITED, "arguments": state.edited_args}
    return ToolResultPart(state.id, problem, is_error=True)


def denial(event: ApprovalDecided) -> str:
    """Return what the model is told of a call that a person denied."""
    return f"a person denied the call: {event.note}" if event.note else "a person denied the call"


def ending(event: ChildFinished) -> str:
    """Return what the model is told of a child run that gave no answer."""
    said = f": {event.message}" if event.message else ""
    return f"the child run {event.child} {_CHILD_ENDS[event.state]}{said}"


def _preview(state: StepState, output: JsonValue, shown_chars: int) -> JsonValue:
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    if len(text) <= shown_chars:
        return output
    note = f"this is the beginning of {len(text):,} characters; {READ_ARTIFACT} reads the rest"
    return {"preview": text[:shown_chars], "artifact": state.id, "note": note}
