import json
import re
from typing import cast

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.llm.anthropic_messages import DIALECT, encode_message, taking_turns, wire_call_id

MARK = b',"cache_control":{"type":"ephemeral"}'
CACHED = {"type": "ephemeral"}
ONE = StepId("t1.1")
PNG = FilePart.from_bytes(b"png", "image/png")


def wire(message: Message) -> JsonValue:
    return cast("JsonValue", json.loads(encode_message(message)))


def blocks(*parts: Part, role: str = "user", protocol: str | None = None) -> list[dict[str, JsonValue]]:
    message = Message("assistant" if role == "assistant" else "tool" if role == "tool" else "user", parts, protocol)
    said: list[dict[str, JsonValue]] = json.loads(encode_message(message))["content"]
    return said


def written(*messages: Message, mark: bytes = b"") -> list[dict[str, JsonValue]]:
    found: list[dict[str, JsonValue]] = json.loads(b"[" + b",".join(taking_turns([encode_message(each) for each in messages], mark)) + b"]")
    return found


def test_a_message_of_the_user_s_is_blocks() -> None:
    assert wire(user_message("Grüße 🧀")) == {"role": "user", "content": [{"type": "text", "text": "Grüße 🧀"}]}


def test_a_reply_goes_back_in_the_order_of_its_parts() -> None:
    parts = (ReasoningPart("hm", "sig"), TextPart("Let me see."), ToolCallPart(ONE, "files.read", {"path": "a"}))
    assert blocks(*parts, role="assistant", protocol=DIALECT) == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "t1_2e_1", "name": "files_read_601e4eb6", "input": {"path": "a"}},
    ]


def test_sealed_thoughts_unknown_blocks_and_citations_go_back_as_they_came() -> None:
    search = '{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}'
    parts = (ReasoningPart("", "redacted:Emw="), ReasoningPart("", search), TextPart("green", '[{"type":"char_location"}]'))
    assert blocks(*parts, role="assistant", protocol=DIALECT) == [
        {"type": "redacted_thinking", "data": "Emw="},
        json.loads(search),
        {"type": "text", "text": "green", "citations": [{"type": "char_location"}]},
    ]


def test_what_another_protocol_signed_stays_here() -> None:
    parts = (ReasoningPart("hm", "sig"), ReasoningPart("unsigned"), TextPart("Yes.", "theirs"))
    assert blocks(*parts, role="assistant", protocol="openai.responses") == [{"type": "text", "text": "Yes."}]


def test_thoughts_that_nobody_signed_are_not_sent() -> None:
    assert blocks(ReasoningPart("hm"), TextPart("Yes."), role="assistant", protocol=DIALECT) == [{"type": "text", "text": "Yes."}]


def test_arguments_that_were_no_json_are_quoted() -> None:
    call = ToolCallPart(ONE, "search", None, "{half", "no JSON")
    assert blocks(call, role="assistant")[0]["input"] == {"INVALID_JSON": "{half"}


def test_results_say_whether_they_are_errors_and_show_their_files() -> None:
    fine = ToolResultPart(ONE, {"hits": 3})
    failed = ToolResultPart(StepId("t1.2"), "no such file", is_error=True)
    shown = ToolResultPart(StepId("t1.3"), "a chart", files=(PNG,))
    only = ToolResultPart(StepId("t1.4"), "", files=(PNG,))
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}}
    assert blocks(fine, failed, shown, only, role="tool") == [
        {"type": "tool_result", "tool_use_id": "t1_2e_1", "content": '{"hits":3}'},
        {"type": "tool_result", "tool_use_id": "t1_2e_2", "content": "no such file", "is_error": True},
        {"type": "tool_result", "tool_use_id": "t1_2e_3", "content": [{"type": "text", "text": "a chart"}, image]},
        {"type": "tool_result", "tool_use_id": "t1_2e_4", "content": [image]},
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (FilePart("https://e.com/a.jpg", "image/jpeg"), {"type": "image", "source": {"type": "url", "url": "https://e.com/a.jpg"}}),
        (FilePart("https://e.com/a.pdf", "application/pdf"), {"type": "document", "source": {"type": "url", "url": "https://e.com/a.pdf"}}),
        (
            FilePart.from_bytes(b"%PDF", "application/pdf", "a.pdf"),
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}, "title": "a.pdf"},
        ),
        (
            FilePart.from_bytes("käse;1".encode(), "text/csv", "a.csv"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "käse;1"}, "title": "a.csv"},
        ),
        (
            FilePart("data:text/plain,a%20b", "text/plain"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a b"}},
        ),
    ],
)
def test_files_are_sent_as_the_vendor_takes_them(part: FilePart, block: JsonValue) -> None:
    assert blocks(part) == [block]


@pytest.mark.parametrize(
    "part",
    [
        FilePart.from_bytes(b"x", "image/tiff"),
        FilePart.from_bytes(b"x", "audio/wav"),
        FilePart("https://e.com/a.csv", "text/csv"),
        FilePart.from_bytes(b"\xff\xfe", "text/plain"),
        FilePart("data:text/plain;base64,!", "text/plain"),
        FilePart("artifact:1", "image/png"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_with_a_hint(part: FilePart) -> None:
    with pytest.raises(BadRequest) as caught:
        encode_message(Message("user", (part,)))
    assert caught.value.hint


def test_neighbours_of_one_role_are_merged() -> None:
    results = Message("tool", (ToolResultPart(ONE, "3"),))
    asked = Message("assistant", (ToolCallPart(ONE, "search", {"content": [], "role": "user"}),))
    found = written(user_message("a"), user_message("b"), asked, results, user_message("c"))
    assert [(message["role"], len(cast("list[JsonValue]", message["content"]))) for message in found] == [
        ("user", 2),
        ("assistant", 1),
        ("user", 2),
    ]
    assert found[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_what_says_nothing_is_left_out() -> None:
    found = written(user_message("a"), Message("assistant", (TextPart("  \n"),)), user_message("b"), Message("assistant", ()))
    assert found == [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]


def test_the_last_two_turns_of_the_user_are_marked_for_the_cache() -> None:
    said = Message("assistant", (TextPart("x"),))
    found = written(user_message("a"), said, user_message("b"), said, Message("tool", (ToolResultPart(ONE, "c"),)), mark=MARK)
    last = [cast("list[dict[str, JsonValue]]", message["content"])[-1].get("cache_control") for message in found]
    assert last == [None, None, CACHED, None, CACHED]


def test_one_turn_is_marked_once() -> None:
    assert written(user_message("a"), mark=MARK) == [
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}
    ]
    assert written(mark=MARK) == []


def test_messages_that_alternate_are_sent_without_being_touched() -> None:
    encoded = [encode_message(user_message("a")), encode_message(Message("assistant", (TextPart("b"),)))]
    assert taking_turns(encoded, b"") == encoded


@given(st.lists(st.text(min_size=1, max_size=120), unique=True, min_size=2, max_size=8))
def test_ids_of_calls_are_of_the_vendor_s_letters_and_never_alike(ids: list[str]) -> None:
    ids = [each.encode(errors="replace").decode() for each in ids]
    sent = {wire_call_id(each) for each in ids}
    assert len(sent) == len(set(ids))
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in sent)
