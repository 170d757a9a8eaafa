import json

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import ModelError, Overloaded, ReplyInvalid, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import ModelReply, ReasoningDelta, Stop, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.openai_responses import RESPONSES
from agent_sdk.llm.openai_responses_reply import ResponseAssembly, parse_usage
from agent_sdk.llm.openai_responses_request import PROTOCOL
from agent_sdk.llm.output import Output
from agent_sdk.llm.vendor_errors import Place

Value = dict[str, JsonValue]
CALL: Value = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "files_read", "arguments": '{"q":1}'}
LIST: Value = {"type": "array", "items": {"type": "integer"}}


def assembly(output: Output | None = None) -> ResponseAssembly:
    return ResponseAssembly(StepId("t3"), Place("here"), RESPONSES, {"files_read": "files.read"}, output)


def message(text: str, phase: str | None = None) -> Value:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], "phase": phase}


def whole(*output: Value, **more: JsonValue) -> bytes:
    return json.dumps({"object": "response", "status": "completed", "output": output, **more}).encode()


def event(kind: str, **more: JsonValue) -> bytes:
    return json.dumps({"type": kind, **more}).encode()


def read(*data: bytes, output: Output | None = None) -> ModelReply:
    made = assembly(output)
    for each in data:
        made.add(each)
    return made.reply()


def test_deltas_carry_what_is_new() -> None:
    made = assembly()
    assert made.add(event("response.output_text.delta", delta="Hi", output_index=0)) == [TextDelta("Hi")]
    assert made.add(event("response.refusal.delta", delta="No", output_index=0)) == [TextDelta("No")]
    assert made.add(event("response.reasoning_summary_text.delta", delta="hm")) == [ReasoningDelta("hm")]
    assert made.add(event("response.reasoning_summary_part.added", summary_index=0)) == []
    assert made.add(event("response.reasoning_summary_part.added", summary_index=1)) == [ReasoningDelta("\n\n")]
    assert made.add(event("response.reasoning_text.delta", delta="ha")) == [ReasoningDelta("ha")]
    assert made.add(event("response.output_item.added", output_index=2, item={**CALL, "arguments": ""})) == [
        ToolCallDelta(0, "", "files.read")
    ]
    assert made.add(event("response.function_call_arguments.delta", output_index=2, delta="{}")) == [ToolCallDelta(0, "{}")]
    assert made.add(event("response.function_call_arguments.delta", output_index=9, delta="{}")) == []
    assert made.add(event("response.output_item.done", output_index=2, item=CALL)) == []
    assert made.add(event("response.output_item.done", output_index=3, item=CALL)) == [ToolCallDelta(1, '{"q":1}', "files.read")]
    assert made.add(event("response.output_item.done", output_index=4, item={"type": "web_search_call"})) == []
    assert made.add(event("response.custom.delta", delta="x")) == []
    assert made.add(event("response.created", response={"output": [], "status": "in_progress"})) == []
    assert made.add(b"[DONE]") == []
    assert not made.is_complete


def test_the_deltas_of_a_whole_reply_are_its_parts() -> None:
    thought: Value = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    empty: Value = {"type": "reasoning", "summary": []}
    assert assembly().add(whole(thought, empty, message("Hi"), message(""), CALL)) == [
        ReasoningDelta("hm"),
        TextDelta("Hi"),
        ToolCallDelta(0, '{"q":1}', "files.read"),
    ]


def test_the_parts_stand_in_their_order_with_phases_and_seals() -> None:
    thought: Value = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA", "status": None}
    reply = read(whole(thought, message("Look", "commentary"), CALL), event("response.completed"))
    seal = '{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gA"}'
    assert reply.message.parts == (
        ReasoningPart("", seal),
        TextPart("Look", "commentary"),
        ToolCallPart(StepId("t3.1"), "files.read", {"q": 1}),
    )
    assert reply.message.protocol == PROTOCOL


def test_a_reply_without_seals_and_phases_is_of_no_protocol() -> None:
    assert read(whole(message("Hi"))).message.protocol is None


def test_thoughts_of_open_models_are_kept_to_be_sent_back() -> None:
    content: JsonValue = [{"type": "reasoning_text", "text": "hm"}]
    part = read(whole({"type": "reasoning", "id": "rs_1", "summary": [], "content": content})).message.parts[0]
    assert isinstance(part, ReasoningPart)
    assert part.text == "hm"
    assert json.loads(part.signature or "")["content"] == content


def test_items_come_from_their_own_events_where_the_last_one_has_none() -> None:
    done = event("response.output_item.done", output_index=0, item=message("Hi"))
    assert read(done, event("response.completed", response={"status": "completed", "output": []})).message.text == "Hi"
    assert read(done, event("response.completed")).message.text == "Hi"


def test_an_item_in_its_own_event_goes_before_the_same_in_the_last_one_which_may_be_unsealed() -> None:
    bare: Value = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    done = event("response.output_item.done", output_index=0, item={**bare, "encrypted_content": "gA"})
    part = read(done, event("response.completed", response={"status": "completed", "output": [bare]})).message.parts[0]
    assert isinstance(part, ReasoningPart)
    assert '"gA"' in (part.signature or "")


@pytest.mark.parametrize("odd", [{"output": "text"}, {"item": 5, "response": "x"}, {"status": [], "model": 7}, {"delta": {"hue": 7}}])
def test_an_event_that_nobody_knows_may_hold_anything(odd: Value) -> None:
    assert assembly().add(event("response.aura", **odd)) == []


def test_arguments_that_come_as_an_object_are_taken_as_such() -> None:
    assert read(whole({**CALL, "arguments": {"n": 1}})).message.tool_calls[0].args == {"n": 1}


@pytest.mark.parametrize(
    ("status", "details", "output", "stop"),
    [
        ("completed", None, message("a"), "end"),
        ("completed", None, CALL, "tool_calls"),
        ("completed", None, {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}, "refused"),
        ("incomplete", {"reason": "max_output_tokens"}, message("a"), "length"),
        ("incomplete", {"reason": "content_filter"}, message("a"), "refused"),
        ("incomplete", {"reason": "steered"}, message("a"), "other"),
        ("incomplete", None, message("a"), "other"),
        ("cancelled", None, message("a"), "other"),
        (None, None, message("a"), "end"),
    ],
)
def test_why_it_stopped_is_said_in_our_words(status: JsonValue, details: JsonValue, output: Value, stop: Stop) -> None:
    assert read(whole(output, status=status, incomplete_details=details)).stop == stop


def test_output_is_unwrapped_and_free_of_remarks() -> None:
    output = Output.of(LIST, "native")
    assert read(whole(message('{"value":[1]}')), output=output).message.text == "[1]"
    remarked = whole(message("Counting.", "commentary"), message('{"value":[1]}', "final_answer"))
    assert read(remarked, output=output).message.text == "[1]"
    refused: Value = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    assert read(whole(refused), output=output).message.text == "No."


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (event("error", code="overloaded", message="busy"), Overloaded),
        (event("error", error={"code": "overloaded", "message": "busy"}), Overloaded),
        (event("error"), Unavailable),
        (event("response.failed", response={"status": "failed"}), Unavailable),
        (whole(status="failed"), Unavailable),
        (b'{"error": {"code": "overloaded", "message": "busy"}}', Overloaded),
        (b'{"object": "list"}', ReplyInvalid),
        (b"[]", ReplyInvalid),
        (b"{half", ReplyInvalid),
        (event("response.output_item.added", item={"type": "function_call", "arguments": ""}), ReplyInvalid),
        (event("response.output_item.added", item=5), ReplyInvalid),
        (whole({"type": "message", "content": 5}), ReplyInvalid),
    ],
)
def test_what_is_no_reply_is_an_error_of_its_kind(data: bytes, kind: type[ModelError]) -> None:
    with pytest.raises(kind):
        read(data)


def test_a_stream_without_its_last_event_is_no_reply() -> None:
    with pytest.raises(ReplyInvalid, match="without a response"):
        read(event("response.output_text.delta", delta="Hi"))


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (None, Usage()),
        ("much", Usage()),
        ({"input_tokens": -1, "output_tokens": "7", "input_tokens_details": None, "output_tokens_details": []}, Usage()),
        ({"input_tokens": 10**30, "output_tokens": True}, Usage(10**9)),
        (
            {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
                "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 4},
            },
            Usage(9, 5, 3, 4, cache_write_tokens=2),
        ),
    ],
)
def test_usage_is_read_and_never_breaks_a_reply(said: JsonValue, usage: Usage) -> None:
    assert parse_usage(said) == usage
