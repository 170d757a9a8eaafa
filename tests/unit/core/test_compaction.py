"""A conversation that goes on with less: what stays, what gives way, and what the session's next run is told."""

from collections.abc import Sequence

import pytest
from pydantic import JsonValue

from agent_sdk.core.compaction import SUMMARY, Summary, cleared_output, is_summary
from agent_sdk.core.events import (
    CallMark,
    ContextCompacted,
    ContextExceeded,
    MessageReceived,
    ModelCalled,
    RunClaimed,
    RunCreated,
    RunSucceeded,
    StepFinished,
    StepStarted,
)
from agent_sdk.core.history import history_behind
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import FilePart, Message, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import Stop
from agent_sdk.core.run import History, Run, fold
from agent_sdk.core.usage import Usage
from tests.unit.core.toy import OWNER, Toy, new_run

PIN = Message("user", (TextPart("remember this"),), is_pinned=True)


def begun(*before: str) -> Toy:
    toy = Toy(new_run())
    toy.run.history = History(tuple(map(user_message, before)))
    return toy.post(RunCreated("toy", "1", {}, goal="a goal"), RunClaimed(OWNER))


def turn(toy: Toy, *outputs: JsonValue, shown_chars: int | None = None) -> Toy:
    """Post a turn that makes a call for each output."""
    number = toy.run.turn + 1
    ids = [StepId(f"t{number}.{n}") for n in range(1, len(outputs) + 1)]
    message = Message("assistant", tuple(ToolCallPart(identity, "look", {}) for identity in ids))
    marks = tuple(CallMark(identity, "look", f"{number}") for identity in ids)
    toy.post(ModelCalled(StepId(f"t{number}"), "turn", "m", Usage(50, 1), "tool_calls", (), marks, TRUSTED, message=message))
    for identity, output in zip(ids, outputs, strict=True):
        toy.post(StepStarted(identity), StepFinished(identity, 1, 1, TRUSTED, output, shown_chars))
    return toy


def compacted(kept: int, *cleared: str, summary: str | None = None, covers: bool = False) -> ContextCompacted:
    return ContextCompacted(kept, tuple(map(StepId, cleared)), 900, 400, covers_history=covers, ratio=1.5, summary=summary)


def told(run: Run) -> Sequence[str]:
    return [message.text or message.role for message in run.conversation]


def outputs(run: Run) -> Sequence[JsonValue]:
    return [part.output for message in run.conversation for part in message.parts if isinstance(part, ToolResultPart)]


def refolded(toy: Toy, *before: str) -> Run:
    run = new_run()
    run.history = History(tuple(map(user_message, before)))
    return fold(run, toy.facts)


def test_a_summary_takes_the_place_of_older_messages_behind_those_that_are_pinned() -> None:
    toy = turn(turn(begun(), "one").post(MessageReceived(message=PIN)), "two")
    toy.post(compacted(2, summary="It looked once."))
    assert told(toy.run) == ["a goal", "remember this", f"{SUMMARY}\nIt looked once.", "assistant", "tool"]
    assert outputs(toy.run) == ["two"]
    assert refolded(toy).conversation.messages == toy.run.conversation.messages


def test_what_was_left_out_without_a_summary_is_said_to_be() -> None:
    toy = turn(turn(begun(), "one"), "two").post(compacted(2))
    assert told(toy.run)[1] == f"{SUMMARY}\nIt was left out to save room."
    assert is_summary(toy.run.conversation.messages[1])
    assert not is_summary(user_message(SUMMARY))


def test_cleared_outputs_give_way_to_a_note_and_their_calls_stay() -> None:
    picture: JsonValue = {"type": "file", "ref": "data:image/png;base64,aGk=", "media_type": "image/png"}
    toy = turn(turn(begun(), "one", picture), "two")
    assert [part.files for message in toy.run.conversation for part in message.parts if isinstance(part, ToolResultPart)][1] == (
        FilePart("data:image/png;base64,aGk=", "image/png"),
    )
    toy.post(compacted(5, "t1.2"))
    assert outputs(toy.run) == ["one", cleared_output(StepId("t1.2")), "two"]
    assert told(toy.run) == ["a goal", "assistant", "tool", "assistant", "tool"]
    assert not any(part.files for message in toy.run.conversation for part in message.parts if isinstance(part, ToolResultPart))
    assert toy.run.graph.outputs[StepId("t1.2")] == picture, "it can still be read"


def test_what_was_learned_of_its_length_is_kept_as_a_ratio() -> None:
    toy = turn(begun(), "one").post(ContextExceeded(StepId("t2")), ContextExceeded(StepId("t2")))
    assert toy.run.overflows == 2
    assert toy.run.measured is not None
    toy.post(compacted(3, "t1.1"))
    learned: tuple[object, ...] = toy.run.measured, toy.run.ratio, toy.run.overflows
    assert learned == (None, 1.5, 0)


@pytest.mark.parametrize(("stop", "text"), [("end", "in short"), ("refused", "")])
def test_a_summary_is_no_turn_and_waits_to_be_used(stop: Stop, text: str) -> None:
    toy = turn(begun(), "one")
    before = list(toy.run.conversation.messages)
    reply = Message("assistant", (TextPart("in short"),))
    toy.post(ModelCalled(StepId("summary.2"), "compact", "m", Usage(70, 5), stop, (), label=TRUSTED, message=reply))
    assert toy.run.summary == Summary(StepId("summary.2"), text, 3)
    assert (toy.run.turn, toy.run.questions, toy.run.usage.input_tokens) == (1, 2, 120)
    assert toy.run.conversation.messages == before
    toy.post(compacted(2, summary="in short"))
    assert toy.run.summary is None


def test_an_erased_summary_is_an_empty_one() -> None:
    toy = begun().post(ModelCalled(StepId("summary.1"), "compact", "m", Usage(), "end", (), label=TRUSTED))
    assert toy.run.summary == Summary(StepId("summary.1"), "", 1)


def test_history_that_was_summed_up_is_told_to_no_later_run() -> None:
    toy = turn(begun("before", "and before"), "one").post(compacted(2, summary="All in short.", covers=True))
    assert told(toy.run) == ["a goal", f"{SUMMARY}\nAll in short.", "assistant", "tool"]
    assert toy.run.before == 0
    toy.post(RunSucceeded(TRUSTED, "done"))
    earlier = begun().post(RunSucceeded(TRUSTED, "before")).run
    history = history_behind([earlier, refolded(toy)])
    assert [message.text or message.role for message in history.messages] == [*told(toy.run), "done"]
    assert not any(message.is_pinned for message in history.messages), "an earlier goal is not this run's"
    calls = [part.id for message in history.messages for part in message.parts if isinstance(part, ToolCallPart | ToolResultPart)]
    assert calls == ["h2.t1.1", "h2.t1.1"]


def test_history_of_which_a_part_was_summed_up_is_told_again_as_it_was() -> None:
    toy = begun("one", "two", "three").post(compacted(2, summary="one and two"))
    assert told(toy.run) == [f"{SUMMARY}\none and two", "three", "a goal"]
    assert toy.run.before == 2
    without = refolded(toy)
    assert told(without) == ["a goal"]
    turn(toy, "x").post(compacted(2, summary="all of it", covers=True))
    assert told(toy.run) == ["a goal", f"{SUMMARY}\nall of it", "assistant", "tool"]
    assert told(refolded(toy)) == told(toy.run), "with or without the session's history"
    assert refolded(toy, "one", "two", "three").conversation.messages == toy.run.conversation.messages
