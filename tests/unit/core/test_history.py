"""What a session's next run knows of those before it."""

from collections.abc import Sequence

import pytest

from agent_sdk.core.compaction import cleared_output
from agent_sdk.core.events import (
    CallMark,
    ContextCompacted,
    MessageReceived,
    ModelCalled,
    RunCreated,
    RunFailed,
    RunSucceeded,
    StepFinished,
    StepStarted,
)
from agent_sdk.core.history import earlier_call, history_behind
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.labels import TRUSTED, Label
from agent_sdk.core.messages import Message, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.run import NO_HISTORY, History, Run, fold
from agent_sdk.core.usage import NO_USAGE
from tests.unit.core.toy import RUN, Toy, new_run, step

WEB = Label(("tool:web",))


def said(text: str, *calls: str) -> Message:
    return Message("assistant", (TextPart(text), *(ToolCallPart(StepId(call), "echo", {}) for call in calls)))


def called(message: Message, label: Label = TRUSTED) -> ModelCalled:
    calls = tuple(CallMark(part.id, part.tool) for part in message.tool_calls)
    return ModelCalled(StepId("t1"), "turn", "m", NO_USAGE, "end", (), calls, label, message=message)


def begun(goal: str | None) -> Toy:
    return Toy().post(RunCreated("toy", "1", {}, goal=goal))


def told(history: History) -> Sequence[tuple[str, str]]:
    return [(message.role, message.text) for message in history.messages]


def test_nothing_comes_before_the_first_run() -> None:
    assert history_behind([]) == NO_HISTORY


def test_the_turns_stand_in_their_order_and_their_labels_are_joined() -> None:
    one = begun("one").post(called(said("first"), WEB), RunSucceeded(WEB, "first")).run
    two = begun("two").post(called(said("second")), RunSucceeded(TRUSTED, "second")).run
    history = history_behind([one, two])
    assert told(history) == [("user", "one"), ("assistant", "first"), ("user", "two"), ("assistant", "second")]
    assert history.label == WEB


def test_a_run_begins_with_what_was_said_before_and_its_label() -> None:
    history = History((user_message("before"), said("indeed")), WEB)
    run = new_run()
    run.history = history
    fold(run, begun("now").facts)
    assert [message.text for message in run.conversation] == ["before", "indeed", "now"]
    assert run.label == WEB


def test_an_answer_that_nobody_said_is_told_as_the_assistants() -> None:
    planned = begun("plan it").accept(step("a")).perform("a").post(RunSucceeded(WEB, {"sum": 1})).run
    history = history_behind([planned])
    assert told(history) == [("user", "plan it"), ("assistant", '{"sum": 1}')]
    assert history.label == WEB, "what the answer was made of goes into the session"
    text = begun("plan it").post(RunSucceeded(TRUSTED, "as text")).run
    assert told(history_behind([text])) == [("user", "plan it"), ("assistant", "as text")]


def test_calls_that_nobody_answered_are_not_told_but_what_was_said_meanwhile_is() -> None:
    toy = begun("go").post(called(said("I call", "t1.1")), MessageReceived(message=user_message("stop")), RunFailed("x"))
    assert told(history_behind([toy.run])) == [("user", "go"), ("user", "stop")]


def test_calls_and_their_results_get_names_that_no_later_call_has() -> None:
    toy = begun("go").post(called(said("", "t1.1"))).perform("t1.1").post(called(said("done")), RunSucceeded(TRUSTED, "done"))
    history = history_behind([toy.run, toy.run])
    ids = [part.id for message in history.messages for part in message.parts if isinstance(part, ToolCallPart | ToolResultPart)]
    assert ids == ["h1.t1.1", "h1.t1.1", "h2.t1.1", "h2.t1.1"]


def test_what_was_shown_in_part_names_the_call_as_it_is_named_now() -> None:
    toy = begun("go").post(called(said("", "t1.1", "t1.2", "t1.3")))
    toy.perform("t1.1", "x" * 99).perform("t1.2", {"artifact": "of its own"}).post(StepStarted(StepId("t1.3")))
    toy.post(StepFinished(StepId("t1.3"), 1, 1, TRUSTED, "y" * 99, shown_chars=5))
    toy.post(ContextCompacted(3, (StepId("t1.1"),), 99, 9))
    (results,) = [message.parts for message in history_behind([toy.run, toy.run]).messages if message.role == "tool"][1:]
    outputs = [part.output for part in results if isinstance(part, ToolResultPart)]
    cleared, own, preview = outputs
    assert cleared == cleared_output(StepId("h2.t1.1"))
    assert own == {"artifact": "of its own"}
    assert isinstance(preview, dict)
    assert (preview["preview"], preview["artifact"]) == ("yyyyy", "h2.t1.3")


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("h1.t2.1", ("one", "t2.1")),
        ("h2.t1.1", ("two", "t1.1")),
        ("h2.h1.t1.1", ("two", "h1.t1.1")),
        ("h3.t1.1", None),
        ("h0.t1.1", None),
        ("h1.", None),
        ("t1.1", None),
        (f"h{chr(0x661)}.t1.1", None),
        ("h" + "9" * 50 + ".t1", None),
    ],
)
def test_the_name_of_a_call_leads_to_the_run_that_made_it(name: str, call: tuple[str, str] | None) -> None:
    assert earlier_call(History(runs=(RunId("one"), RunId("two"))), name) == call


def test_of_a_run_whose_content_was_erased_only_the_label_is_left() -> None:
    erased: Run = begun(None).post(RunSucceeded(WEB)).run
    assert history_behind([erased]) == History((), WEB, (RUN,))


def test_a_run_that_failed_is_told_without_an_answer() -> None:
    failed = begun("go").post(RunFailed("turn_limit")).run
    assert told(history_behind([failed])) == [("user", "go")]
