import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import InputTooLarge, RequestError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import (
    Conversation,
    FilePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    files_in,
    goal_message,
    parse_goal,
    user_message,
    without_files,
)

IMAGE: dict[str, JsonValue] = {"type": "file", "ref": "data:image/png;base64,aGk=", "media_type": "image/png", "name": "a.png"}
DATA: dict[str, JsonValue] = {"type": "file", "ref": "data:application/pdf;base64,aGk=", "media_type": "application/pdf"}


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


def test_a_conversation_measures_each_message_once() -> None:
    conversation = Conversation([user_message("a"), user_message("bb")])
    measured: list[str] = []

    def size(message: Message) -> int:
        measured.append(message.text)
        return len(message.text)

    assert list(conversation.sums(size)) == [0, 1, 3]
    conversation.add(user_message("ccc"))
    assert list(conversation.sums(size)) == [0, 1, 3, 6]
    assert measured == ["a", "bb", "ccc"]


def test_a_file_may_hold_its_content() -> None:
    assert FilePart.from_bytes(b"hi", "text/plain", "hi.txt") == FilePart("data:text/plain;base64,aGk=", "text/plain", "hi.txt")


def test_a_goal_is_told_with_its_files_and_stays() -> None:
    message = goal_message("Look.", [FilePart("https://example.org/a.png", "image/png")])
    assert (message.role, message.text, len(message.parts), message.is_pinned) == ("user", "Look.", 2, True)


@pytest.mark.parametrize(
    ("output", "names"),
    [
        (IMAGE, ["a.png"]),
        ([IMAGE, "text", DATA], ["a.png", None]),
        ({"chart": IMAGE, "n": 1}, ["a.png"]),
        ("https://example.org/a.png", []),
        (7, []),
        ({**IMAGE, "extra": 1}, []),
        ({**IMAGE, "ref": "file:///etc/passwd"}, []),
        ({**IMAGE, "ref": "https://example.org/a.png"}, []),
        ({**IMAGE, "ref": "data:text/html;base64,aGk=", "media_type": "text/html"}, []),
        ({**IMAGE, "media_type": "image/jpeg"}, []),
        ({**IMAGE, "ref": 7}, []),
        ({**IMAGE, "media_type": None}, []),
        ({**IMAGE, "type": "image"}, []),
        ({"deep": {"er": IMAGE}}, []),
    ],
)
def test_files_are_found_at_the_first_level_of_an_output(output: JsonValue, names: list[str | None]) -> None:
    assert [file.name for file in files_in(output)] == names


def test_what_stands_for_a_file_in_an_output_is_short() -> None:
    shown = {"type": "file", "media_type": "image/png", "name": "a.png"}
    assert without_files(IMAGE) == shown
    assert without_files([IMAGE, 1]) == [shown, 1]
    assert without_files({"chart": DATA, "n": 1}) == {
        "chart": {**shown, "media_type": "application/pdf", "name": "shown beside this"},
        "n": 1,
    }
    assert without_files("text") == "text"
