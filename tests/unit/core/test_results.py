"""What the model is told of its calls."""

import pytest
from pydantic import JsonValue

from agent_sdk.core.events import ApprovalDecided, ChildEnd, ChildFinished
from agent_sdk.core.graph import Failure, StepState
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.messages import FilePart, ToolResultPart
from agent_sdk.core.results import denial, ending, result_of

CALL = StepId("t1.1")


def finished(output: JsonValue, shown_chars: int | None = None) -> StepState:
    return StepState(CALL, "look", status="finished", output=output, shown_chars=shown_chars)


def test_of_a_large_output_the_model_is_shown_the_beginning() -> None:
    def preview(beginning: str, chars: int) -> JsonValue:
        note = f"this is the beginning of {chars} characters; read_artifact reads the rest"
        return {"preview": beginning, "artifact": "t1.1", "note": note}

    assert result_of(finished("x" * 50, 10)).output == preview("x" * 10, 50)
    assert result_of(finished({"é": 1}, 4)).output == preview('{"é"', 8)
    assert result_of(finished({"é": 1}, 8)).output == {"é": 1}


def test_a_file_is_shown_beside_the_output_that_names_it() -> None:
    picture: JsonValue = {"type": "file", "ref": "data:image/png;base64,aGk=", "media_type": "image/png", "name": "hi.png"}
    shown: JsonValue = {"seen": {"type": "file", "media_type": "image/png", "name": "hi.png"}}
    assert result_of(finished({"seen": picture})) == ToolResultPart(
        CALL, shown, files=(FilePart("data:image/png;base64,aGk=", "image/png", "hi.png"),)
    )


def test_a_failure_is_told_with_its_hint_and_a_skipped_call_as_skipped() -> None:
    failed = StepState(CALL, "look", status="failed", failure=Failure("boom", "it broke", "mend it"))
    assert result_of(failed) == ToolResultPart(CALL, {"error": "boom", "message": "it broke", "hint": "mend it"}, is_error=True)
    skipped: JsonValue = {"error": "step_skipped", "message": "the step was skipped"}
    assert result_of(StepState(CALL, "look", status="skipped")) == ToolResultPart(CALL, skipped, is_error=True)


def test_that_a_person_changed_the_arguments_is_told_however_the_call_ended() -> None:
    note = "a person changed the arguments before the call was made"
    done = StepState(CALL, "look", status="finished", output=7, edited_args={"n": 2})
    assert result_of(done).output == {"note": note, "arguments": {"n": 2}, "result": 7}
    failed = StepState(CALL, "look", status="failed", failure=Failure("boom"), edited_args={"n": 2})
    assert result_of(failed).output == {"error": "boom", "message": "", "note": note, "arguments": {"n": 2}}


def test_a_denial_is_told_with_the_words_of_whoever_denied() -> None:
    assert denial(ApprovalDecided(CALL, "deny", "d")) == "a person denied the call"
    assert denial(ApprovalDecided(CALL, "deny", "d", note="not today")) == "a person denied the call: not today"


@pytest.mark.parametrize(("state", "said"), [("failed", "failed"), ("cancelled", "was cancelled"), ("expired", "passed its deadline")])
def test_a_child_without_an_answer_is_told_by_how_it_ended(state: ChildEnd, said: str) -> None:
    assert ending(ChildFinished(CALL, RunId("run_c"), state)) == f"the child run run_c {said}"
    assert ending(ChildFinished(CALL, RunId("run_c"), state, message="why")) == f"the child run run_c {said}: why"
