import pytest

from agent_sdk.core.errors import InputTooLarge, RequestError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, ReasoningPart, TextPart, ToolCallPart, parse_goal, user_message


def test_a_messages_text_is_that_of_its_text_parts() -> None:
    call = ToolCallPart(StepId("t1.1"), "search", {})
    message = Message("assistant", (ReasoningPart("hm"), TextPart("a"), call, TextPart("b")))
    assert message.text == "ab"
    assert message.tool_calls == (call,)


def test_a_conversation_encodes_each_message_once_a_dialect() -> None:
    conversation = Conversation([user_message("a"), user_message("b")])
    encoded: list[str] = []

    def encode(message: Message) -> bytes:
        encoded.append(message.text)
        return message.text.encode()

    assert list(conversation.encoded("plain", encode)) == [b"a", b"b"]
    conversation.add(user_message("c"))
    assert list(conversation.encoded("plain", encode)) == [b"a", b"b", b"c"]
    assert encoded == ["a", "b", "c"]
    assert list(conversation.encoded("shout", lambda message: message.text.upper().encode())) == [b"A", b"B", b"C"]
    assert len(conversation) == 3


def test_a_goal_is_journaled_as_it_was_stated() -> None:
    assert parse_goal(" Zähle ", max_bytes=8) == " Zähle "


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_an_empty_goal_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="the goal is empty") as refusal:
        parse_goal(text, max_bytes=100)
    assert refusal.value.hint == "say in a sentence what the run shall achieve"


def test_a_goal_is_measured_in_bytes() -> None:
    with pytest.raises(InputTooLarge, match="the goal has 10 bytes; at most 9 are allowed"):
        parse_goal("ä" * 5, max_bytes=9)


def test_a_goal_of_ten_megabytes_is_refused_with_a_way_out() -> None:
    with pytest.raises(InputTooLarge) as refusal:
        parse_goal("x" * 10_000_000, max_bytes=1024 * 1024)
    assert refusal.value.message == "the goal has 10,000,000 bytes; at most 1,048,576 are allowed"
    assert "Limits.max_goal_bytes" in str(refusal.value.hint)


def test_a_goal_that_utf8_cannot_hold_is_refused() -> None:
    with pytest.raises(RequestError, match="the goal is not valid text: surrogates not allowed at character 2"):
        parse_goal("ab\ud800", max_bytes=100)
