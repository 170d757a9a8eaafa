import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.errors import ModelError, RateLimited, ReplyInvalid
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import ModelReply, ReasoningDelta, TextDelta, ToolCallDelta
from agent_sdk.core.strict_json import MAX_MARKS
from agent_sdk.core.usage import Usage
from agent_sdk.llm.openai_reply import ReplyAssembly, parse_usage
from agent_sdk.llm.output import Output
from agent_sdk.llm.sse import EventBytes
from agent_sdk.llm.vendor_errors import Place
from agent_sdk.testing import Call, ChatReply
from agent_sdk.testing.chat_protocol import parse_request, write_events, write_whole

REQUEST = parse_request(
    b'{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": true, "stream_options": {"include_usage": true}}'
)
SAID = ChatReply(
    "Grüße, 世界! 🧀 done",
    (Call("search", {"q": "käse 🧀", "n": [1, 2]}), Call("files_read", {}), Call("search", "half { json")),
    reasoning="let me think",
    usage={"prompt_tokens": 7, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 3}},
)


def assembly(*, is_wrapped: bool = False) -> ReplyAssembly:
    return ReplyAssembly(StepId("t3"), Place("here"), {"files_read": "files.read"}, Output("native", {}, is_wrapped=is_wrapped))


def read(*data: bytes) -> ModelReply:
    made = assembly()
    for each in data:
        made.add(each)
    return made.reply()


def whole(message: JsonValue, finish: str = "stop", **more: JsonValue) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}).encode()


def chunk(delta: JsonValue, finish: str | None = None) -> bytes:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()


def test_a_whole_reply_is_read_with_its_parts_in_order() -> None:
    reply = read(write_whole(SAID, REQUEST, 1))
    assert reply.message.parts == (
        ReasoningPart("let me think"),
        TextPart("Grüße, 世界! 🧀 done"),
        ToolCallPart(StepId("t3.1"), "search", {"q": "käse 🧀", "n": [1, 2]}),
        ToolCallPart(StepId("t3.2"), "files.read", {}),
        ToolCallPart(StepId("t3.3"), "search", None, "half { json", "the arguments are not JSON: Expecting value at character 0 of 11"),
    )
    assert (reply.usage, reply.stop, reply.model) == (Usage(7, 9, 3), "tool_calls", "m")


STREAM = b"".join(write_events(SAID, REQUEST, 1))


@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_any_cut_of_a_stream_gives_the_reply_that_came_whole(borders: list[int]) -> None:
    events, made = EventBytes(), assembly()
    for start, end in pairwise([0, *sorted(borders), len(STREAM)]):
        for event in events.feed(STREAM[start:end]):
            if event != b"[DONE]":
                made.add(event)
    assert made.reply() == read(write_whole(SAID, REQUEST, 1))


def test_deltas_carry_what_is_new() -> None:
    made = assembly()
    assert made.add(chunk({"content": "Hi"})) == [TextDelta("Hi")]
    assert made.add(chunk({"content": ""})) == []
    assert made.add(chunk({"reasoning_content": "hm"})) == [ReasoningDelta("hm")]
    assert made.add(chunk({"reasoning": "ha"})) == [ReasoningDelta("ha")]
    assert made.add(chunk({"reasoning": {"odd": 1}})) == []
    assert made.add(chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "files_read", "arguments": ""}}]})) == [
        ToolCallDelta(0, "", "files.read")
    ]
    assert made.add(chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})) == [ToolCallDelta(0, "{}")]
    assert made.add(b'{"choices": []}') == []


@pytest.mark.parametrize(
    ("finish", "message", "stop"),
    [
        ("stop", {"content": "a"}, "end"),
        ("length", {"content": "a"}, "length"),
        ("content_filter", {"content": "a"}, "refused"),
        ("stop", {"refusal": "I will not."}, "refused"),
        ("stop", {"tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}, "tool_calls"),
        ("tool_calls", {"content": "a"}, "end"),
        ("function_call", {"tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}, "tool_calls"),
        ("eos_token", {"content": "a"}, "other"),
    ],
)
def test_why_it_stopped_is_said_in_our_words(finish: str, message: JsonValue, stop: str) -> None:
    assert read(whole(message, finish)).stop == stop


def test_a_refusal_is_the_text_of_the_reply() -> None:
    assert read(whole({"content": None, "refusal": "I will not."})).message.text == "I will not."


def test_content_in_a_list_is_joined() -> None:
    assert read(whole({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})).message.text == "ab"


def test_arguments_that_come_as_an_object_are_taken_as_such() -> None:
    call = read(whole({"tool_calls": [{"function": {"name": "a", "arguments": {"n": 1}}}]})).message.tool_calls[0]
    assert call.args == {"n": 1}


@pytest.mark.parametrize(
    "pieces",
    [
        [
            {"index": 0, "id": "x", "function": {"name": "a", "arguments": "{}"}},
            {"index": 0, "id": "y", "function": {"name": "b", "arguments": "{}"}},
        ],
        [{"id": "x", "function": {"name": "a", "arguments": "{}"}}, {"id": "y", "function": {"name": "b", "arguments": "{}"}}],
        [{"function": {"name": "a", "arguments": "{"}}, {"function": {"arguments": "}"}}, {"function": {"name": "b", "arguments": "{}"}}],
        [
            {"index": 1, "function": {"name": "a"}},
            {"index": 1, "function": {"arguments": "{}"}},
            {"index": 4, "function": {"name": "b", "arguments": "{}"}},
        ],
    ],
)
def test_calls_that_are_numbered_wrongly_or_not_at_all_are_told_apart(pieces: list[JsonValue]) -> None:
    calls = read(*(chunk({"tool_calls": [piece]}) for piece in pieces)).message.tool_calls
    assert [(call.id, call.tool, call.args) for call in calls] == [("t3.1", "a", {}), ("t3.2", "b", {})]


def test_choices_that_were_not_asked_for_are_passed_over() -> None:
    other = b'{"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "yes"}}]}'
    assert read(other).message.text == "yes"


def test_an_empty_reply_is_a_message_without_parts() -> None:
    assert read(whole({"content": None})).message.parts == ()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"", "what is not JSON"),
        (b"Hello, I am a web page", "what is not JSON: Hello"),
        (b'{"choices": [', "what is not JSON"),
        (b'"text"', "a wrong value at its root"),
        (b"[]", "a wrong value at its root"),
        (b"{}", "without choices"),
        (b'{"choices": []}', "without choices"),
        (b'{"choices": {}}', "a wrong value at choices"),
        (b'{"choices": [{"message": {"content": 5}}]}', "a wrong value at choices.0.message.content"),
        (b'{"choices": [{"message": "hi"}]}', "a wrong value at choices.0.message"),
        (b'{"choices": [{"finish_reason": 1}]}', "a wrong value at choices.0.finish_reason"),
        (b'{"choices": [{"message": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]}', "a tool call without a name"),
        (b'{"choices": [{"message": {"tool_calls": [{}]}}]}', "a tool call without a name"),
        (b'{"choices": [{"message": {"tool_calls": [{"function": {"name": "a", "arguments": 5}}]}}]}', "a wrong value at"),
    ],
)
def test_what_is_not_the_protocol_is_refused_and_says_where(sent: bytes, says: str) -> None:
    with pytest.raises(ReplyInvalid) as caught:
        read(sent)
    assert says in caught.value.message


def test_an_error_in_place_of_a_reply_is_raised() -> None:
    with pytest.raises(RateLimited, match="busy"):
        read(b'{"error": {"message": "busy", "code": 429}}')


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda i: st.dictionaries(
            st.sampled_from(
                ["choices", "message", "delta", "content", "tool_calls", "function", "name", "arguments", "usage", "index", "error"]
            ),
            i | st.lists(i, max_size=2),
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
def test_nothing_that_comes_is_more_than_a_model_error(sent: bytes) -> None:
    with suppress(ModelError):
        read(sent)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, Usage()),
        ("many", Usage()),
        ({"prompt_tokens": -5, "completion_tokens": "7"}, Usage()),
        ({"prompt_tokens": 1.5, "completion_tokens": True, "prompt_tokens_details": []}, Usage()),
        ({"prompt_tokens": 10**30, "completion_tokens": 1}, Usage(10**9, 1)),
        ({"prompt_tokens": 5, "completion_tokens": 6, "completion_tokens_details": {"reasoning_tokens": 2}}, Usage(5, 6, 0, 2)),
    ],
)
def test_a_count_that_makes_no_sense_is_zero_and_the_reply_stays(usage: JsonValue, counted: Usage) -> None:
    assert parse_usage(usage) == counted
    assert read(whole({"content": "a"}, usage=usage)).usage == counted


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    reply = read(rb'{"choices": [{"message": {"content": "a\ud83db \ud83e\uddc0 \uddc0"}}]}')
    assert reply.message.text == "a\ufffdb 🧀 \ufffd"


@pytest.mark.parametrize(
    ("text", "output"),
    [('{"value": [1, 2]}', "[1, 2]"), ("[1]", "[1]"), ('{"value": 1, "more": 2}', '{"value": 1, "more": 2}'), ("prose", "prose")],
)
def test_an_output_that_was_wrapped_is_unwrapped(text: str, output: str) -> None:
    made = assembly(is_wrapped=True)
    made.add(whole({"content": text}))
    assert made.reply().message.text == output


def test_a_refusal_is_not_unwrapped() -> None:
    made = assembly(is_wrapped=True)
    made.add(whole({"refusal": '{"value": 1}'}))
    assert made.reply().message.text == '{"value": 1}'


def test_what_the_server_counted_before_it_failed_is_told() -> None:
    made = assembly()
    made.add(json.dumps({"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}).encode())
    assert made.used == Usage(7, 1)
    with pytest.raises(RateLimited) as caught:
        made.add(b'{"error": {"message": "busy", "code": 429}}')
    assert caught.value.usage == Usage(7, 1)
    assert assembly().used is None


def test_an_error_in_a_choice_is_one() -> None:
    with pytest.raises(RateLimited):
        read(b'{"choices": [{"index": 0, "message": {"content": "a"}, "error": {"code": 429, "message": "busy"}}]}')


def test_an_answer_that_a_tool_took_is_the_text() -> None:
    schema: dict[str, JsonValue] = {"type": "array", "items": {"type": "integer"}}
    made = ReplyAssembly(StepId("t3"), Place("here"), {}, Output.of(schema, "tool"))
    function: JsonValue = {"name": "give_the_answer", "arguments": '{"value": [1]}'}
    made.add(whole({"tool_calls": [{"id": "c", "type": "function", "function": function}]}, "tool_calls"))
    reply = made.reply()
    assert (reply.message.parts, reply.stop) == ((TextPart("[1]"),), "end")


def test_tokens_written_to_the_cache_are_counted() -> None:
    usage: JsonValue = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 4}}
    assert parse_usage(usage) == Usage(9, 1, 3, cache_write_tokens=4)


def test_a_reply_of_very_many_values_is_refused_before_it_takes_their_memory() -> None:
    with pytest.raises(ReplyInvalid, match="here sent more than 1,000,000 values in one piece"):
        assembly().add(b'{"usage": [' + b"[]," * MAX_MARKS + b"[]]}")
