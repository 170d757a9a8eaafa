"""A loop's conversation: whatever becomes of its calls, each call and its result stand together, and no message comes between."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, strategies as st

from agent_sdk.core.decide import Consult, Park, Perform, decide
from agent_sdk.core.events import (
    CallMark,
    CheckRefused,
    EffectDecided,
    Event,
    MessageReceived,
    ModelCalled,
    RunClaimed,
    RunCreated,
    StepFailed,
    StepFinished,
    StepSkipped,
    StepUnknown,
)
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED, Label
from agent_sdk.core.messages import Message, TextPart, ToolCallPart, ToolResultPart, goal_message, user_message
from agent_sdk.core.usage import Usage
from tests.unit.core.toy import OWNER, Toy, starts, step

GOAL = goal_message("a goal", ())
FINDING = Finding("missing_argument", "$.query", "argument 'query' is missing")


def asked(*tools: str, turn: int = 1, label: Label = TRUSTED, text: str = "") -> ModelCalled:
    ids = [StepId(f"t{turn}.{n}") for n in range(1, len(tools) + 1)]
    parts = tuple(ToolCallPart(identity, tool, {"q": tool}) for identity, tool in zip(ids, tools, strict=True))
    marks = tuple(CallMark(identity, tool, f"digest of {tool}") for identity, tool in zip(ids, tools, strict=True))
    message = Message("assistant", (*([TextPart(text)] if text else []), *parts))
    return ModelCalled(StepId(f"t{turn}"), "turn", "m", Usage(), "tool_calls" if tools else "end", (), marks, label, message=message)


def begun() -> Toy:
    return Toy().post(RunCreated("a", "1", {}, goal="a goal"), RunClaimed(OWNER))


def results(toy: Toy) -> Sequence[ToolResultPart]:
    message = toy.run.conversation.messages[-1]
    assert message.role == "tool"
    return [part for part in message.parts if isinstance(part, ToolResultPart)]


def test_calls_become_steps_that_are_ready_at_once() -> None:
    toy = begun().post(asked("search", "read"))
    assert toy.next() == starts("t1.1", "t1.2")
    assert (toy.run.state, toy.run.turn, toy.run.open_calls) == ("running", 1, 2)


def test_the_model_is_answered_when_the_last_call_is_settled_in_the_order_of_the_calls() -> None:
    toy = begun().post(asked("search", "read")).start("t1.1").start("t1.2").finish("t1.2", "two")
    assert len(toy.run.conversation) == 2
    toy.finish("t1.1", "one")
    assert results(toy) == [ToolResultPart(StepId("t1.1"), "one"), ToolResultPart(StepId("t1.2"), "two")]
    assert (toy.next(), toy.run.state) == (Consult(), "planning")


def test_a_failed_call_is_told_to_the_model_and_does_not_end_the_run() -> None:
    toy = begun().post(asked("search")).start("t1.1").fail("t1.1")
    assert results(toy) == [
        ToolResultPart(StepId("t1.1"), {"error": "tool_failed", "message": "it broke", "hint": "mend it"}, is_error=True)
    ]
    assert toy.next() == Consult()


def test_a_refused_call_is_told_with_every_finding_and_is_never_started() -> None:
    toy = begun().post(asked("search"), CheckRefused(StepId("t1.1"), ("missing_argument",), (FINDING,)))
    message = "- $.query: argument 'query' is missing [missing_argument]"
    assert results(toy) == [ToolResultPart(StepId("t1.1"), {"error": "call_refused", "message": message}, is_error=True)]
    assert (toy.status("t1.1"), toy.run.answer_refusals, toy.next()) == ("refused", 0, Consult())


def test_a_skipped_call_is_told_as_skipped() -> None:
    toy = begun().post(asked("send")).start("t1.1", "once").lose("t1.1")
    toy.run.graph.steps[StepId("t1.1")].failure = None
    toy.decide("t1.1", "skip")
    assert results(toy) == [ToolResultPart(StepId("t1.1"), {"error": "step_skipped", "message": "the step was skipped"}, is_error=True)]


def test_an_unknown_call_keeps_the_model_waiting_until_it_is_decided() -> None:
    toy = begun().post(asked("send", "read")).start("t1.1", "once").lose("t1.1").perform("t1.2", 2)
    assert toy.next() == Park("unknown_effect", (StepId("t1.1"),))
    toy.decide("t1.1", "done", {"sent": True})
    assert [part.output for part in results(toy)] == [{"sent": True}, 2]


def test_a_call_decided_as_failed_is_told_to_the_model() -> None:
    toy = begun().post(asked("send")).start("t1.1", "once").lose("t1.1").decide("t1.1", "fail")
    assert [part.output for part in results(toy)] == [{"error": "effect_unknown", "message": "decided as failed"}]
    assert toy.next() == Consult()


def test_a_call_decided_as_retry_is_performed_again() -> None:
    toy = begun().post(asked("send")).start("t1.1", "once").lose("t1.1").decide("t1.1", "retry")
    assert toy.next() == starts("t1.1")
    assert [part.output for part in results(toy.perform("t1.1", "sent"))] == ["sent"]


def test_a_message_behind_open_calls_waits_for_their_results() -> None:
    first, second = user_message("wait"), user_message("go on")
    toy = begun().post(asked("search")).post(MessageReceived(message=first), MessageReceived(message=second))
    toy.perform("t1.1")
    assert [each.role for each in toy.run.conversation] == ["user", "assistant", "tool", "user", "user"]
    assert toy.run.conversation.messages[-2:] == [first, second]
    assert not toy.run.held_messages


def test_a_message_behind_an_answer_makes_it_no_answer_any_more() -> None:
    toy = begun().post(asked(text="done"))
    toy.post(MessageReceived(message=user_message("not yet")))
    assert toy.run.last_reply is None
    assert toy.run.conversation.messages[-1] == user_message("not yet")


def test_a_refused_message_is_no_part_of_the_conversation() -> None:
    toy = begun().post(asked(text="done"), MessageReceived("run_ended", user_message("late")), MessageReceived())
    assert len(toy.run.conversation) == 2
    assert toy.run.last_reply is not None


def test_a_refused_answer_is_sent_back_with_every_finding() -> None:
    toy = begun().post(asked(text="done"), CheckRefused(StepId("t1"), ("answer_type",), (FINDING,)))
    assert toy.run.last_reply is None
    assert (toy.run.answer_refusals, toy.run.answer_findings) == (1, (FINDING,))
    text = "The answer does not hold:\n- $.query: argument 'query' is missing [missing_argument]\nAnswer again, with every point mended."
    assert toy.run.conversation.messages[-1] == user_message(text)


def test_a_refused_result_of_a_plan_is_not_mistaken_for_a_step_of_the_same_name() -> None:
    toy = Toy().begin(step("answer")).perform("answer").post(CheckRefused(StepId("answer"), ("answer_type",), (FINDING,)))
    assert (toy.status("answer"), toy.run.answer_refusals) == ("finished", 1)
    assert list(toy.run.conversation) == [GOAL]


def test_the_conversations_label_joins_all_that_was_read() -> None:
    toy = begun().post(asked("search", "read", label=Label(("model",)))).start("t1.1").start("t1.2")
    toy.finish("t1.1", 1, Label(("tool:search",), ("ann", "bob"))).fail("t1.2")
    assert toy.run.label == Label(("model", "tool:search"), ("ann", "bob"))


def test_a_result_without_a_label_is_untrusted() -> None:
    assert begun().post(asked("search")).perform("t1.1").run.label == Label(("unknown",))


def test_turns_that_ask_for_the_same_calls_are_counted() -> None:
    toy = begun().post(asked("search")).perform("t1.1").post(asked("search", turn=2)).perform("t2.1")
    assert toy.run.same_turns == 1
    toy.post(asked("read", turn=3)).perform("t3.1")
    assert toy.run.same_turns == 0
    toy.post(asked(turn=4), asked(turn=5))
    assert toy.run.same_turns == 0


def test_a_call_without_json_arguments_has_nothing_to_be_performed_with() -> None:
    bad = ToolCallPart(StepId("t1.1"), "search", None, "{", "it ends too early")
    marks = (CallMark(StepId("t1.1"), "search"), CallMark(StepId("t1.2"), "read"))
    toy = begun().post(ModelCalled(StepId("t1"), "turn", "m", Usage(), "tool_calls", (), marks, message=Message("assistant", (bad,))))
    assert [toy.run.graph.steps[mark.id].spec for mark in marks] == [None, None]


@given(st.builds(Random, st.integers(0, 2**32)))
def test_calls_and_results_always_pair(chance: Random) -> None:
    toy = begun()
    for turn in range(1, 4):
        toy.post(asked(*(f"tool{n}" for n in range(chance.randrange(4))), turn=turn))
        _perform(toy, chance)
    messages = list(toy.run.conversation)
    for index, message in enumerate(messages):
        if message.tool_calls:
            answer = messages[index + 1]
            assert [part.id for part in message.tool_calls] == [part.id for part in answer.parts if isinstance(part, ToolResultPart)]
        elif message.role == "tool":
            assert messages[index - 1].tool_calls
    assert sum(1 for each in messages if each.role == "user") == 1 + sum(1 for fact in toy.facts if fact.event.type == "message.received")


def _perform(toy: Toy, chance: Random) -> None:
    """Settle every open call in some way, with messages, crashes and decisions between."""
    while (choice := decide(toy.run, 0)) != Consult():
        if chance.random() < 0.3:
            toy.post(MessageReceived(message=user_message("hm")))
        match choice:
            case Perform(starts=begins):
                call = chance.choice(begins).step
                toy.post(*_settlement(toy.start(call, chance.choice(("read", "once"))), call, chance))
            case Park(steps=steps):
                toy.post(EffectDecided(chance.choice(steps), chance.choice(("done", "retry", "skip", "fail"))))
            case _:
                raise AssertionError(choice)


def _settlement(toy: Toy, call: StepId, chance: Random) -> Sequence[Event]:
    """Return how the call ends; or its process does."""
    attempt = toy.run.graph.steps[call].attempt
    every = (StepFinished(call, attempt, 1), StepFailed(call, attempt, "tool_failed"), StepUnknown(call, attempt, "interrupted"))
    return [chance.choice((*every, StepSkipped(call, "decided"), RunClaimed(OWNER)))]
