import json
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ConfigError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.openai_responses_request import PROTOCOL, ResponseWriter, encode_message
from agent_sdk.llm.tool_names import wire_name

Value = dict[str, JsonValue]
ONE = StepId("t1.1")
SEARCH = ToolSpec("search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {})
SCHEMA: Value = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SEAL = '{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"}'
PLAIN: Value = {"model": "m", "input": [{"role": "user", "content": "Hi"}], "store": False, "include": ["reasoning.encrypted_content"]}


def request(settings: ModelSettings | None = None, schema: Value | None = None, tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    return ModelRequest(
        StepId("t1"), "m", Conversation([user_message("Hi")]), tools=tools, output_schema=schema, settings=settings or ModelSettings()
    )


def asked(asking: ModelRequest, *, is_stream: bool = False, has_schema: bool = True, is_openai: bool = False) -> Value:
    return cast("Value", json.loads(ResponseWriter(is_openai=is_openai).body(asking, is_stream=is_stream, has_schema=has_schema)))


def items(message: Message) -> list[JsonValue]:
    return cast("list[JsonValue]", json.loads(b"[" + encode_message(message) + b"]"))


def test_a_bare_question_asks_for_nothing_to_be_stored_and_for_sealed_thoughts() -> None:
    assert asked(request()) == PLAIN
    assert asked(request(), is_stream=True) == {**PLAIN, "stream": True}


def test_sealed_thoughts_are_not_asked_of_a_model_that_has_none() -> None:
    body = json.loads(ResponseWriter().body(request(), is_stream=False, has_seals=False))
    assert body == {name: value for name, value in PLAIN.items() if name != "include"}


def test_settings_are_said_in_the_protocol_s_words() -> None:
    settings = ModelSettings(
        temperature=0.5, top_p=0.9, seed=7, max_output_tokens=100, reasoning="low", parallel_tool_calls=False, extra={"verbosity": "low"}
    )
    assert asked(request(settings)) == {
        **PLAIN,
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "reasoning": {"effort": "low"},
        "verbosity": "low",
    }
    assert asked(request(settings, tools=(SEARCH,)))["parallel_tool_calls"] is False


def test_stop_sequences_which_the_protocol_lacks_are_refused() -> None:
    with pytest.raises(BadRequest, match="no stop sequences"):
        asked(request(ModelSettings(stop_sequences=("END",))))


def test_a_long_cache_is_asked_for_at_the_vendor_alone() -> None:
    settings = ModelSettings(cache="long")
    assert asked(request(settings), is_openai=True)["prompt_cache_retention"] == "24h"
    assert asked(request(settings)) == PLAIN
    assert asked(request(ModelSettings(cache="short")), is_openai=True) == PLAIN


def test_extra_may_store_and_include_and_may_not_say_twice() -> None:
    stored = asked(request(ModelSettings(extra={"store": True, "include": [], "reasoning": {"effort": "low", "summary": "auto"}})))
    assert (stored["store"], stored["include"], stored["reasoning"]) == (True, [], {"effort": "low", "summary": "auto"})
    for settings in (
        ModelSettings(extra={"input": "x"}),
        ModelSettings(temperature=1.0, extra={"temperature": 0.5}),
        ModelSettings(reasoning="low", extra={"reasoning": {}}),
    ):
        with pytest.raises(ConfigError, match="cannot have"):
            asked(request(settings))
    with pytest.raises(ConfigError, match="'text'"):
        asked(request(ModelSettings(extra={"text": {}}), SCHEMA))


def test_a_tool_is_flat_and_strict_where_all_its_arguments_are_required() -> None:
    optional = ToolSpec("list.all", "", {"type": "object", "properties": {"n": {"type": "integer", "default": 5}}}, {})
    free = ToolSpec("free", "", {"type": "object", "properties": {"x": {}}, "required": ["x"]}, {})
    nested = ToolSpec("nested", "", {"type": "object", "properties": {"x": {"anyOf": [dict(optional.parameters)]}}, "required": ["x"]}, {})
    bare = ToolSpec("bare", "", {"type": "object"}, {})
    sent = asked(request(tools=(SEARCH, optional, free, nested, bare)))["tools"]
    assert sent == [
        {
            "type": "function",
            "name": "search",
            "description": "Search.",
            "parameters": {**SEARCH.parameters, "additionalProperties": False},
            "strict": True,
        },
        {
            "type": "function",
            "name": wire_name("list.all"),
            "description": "",
            "parameters": {"type": "object", "properties": {"n": {"type": "integer", "default": 5}}},
            "strict": False,
        },
        {"type": "function", "name": "free", "description": "", "parameters": {**free.parameters}, "strict": False},
        {"type": "function", "name": "nested", "description": "", "parameters": {**nested.parameters}, "strict": False},
        {
            "type": "function",
            "name": "bare",
            "description": "",
            "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
            "strict": True,
        },
    ]


@pytest.mark.parametrize(
    ("settings", "choice"),
    [
        (ModelSettings(), None),
        (ModelSettings(tool_choice="required"), "required"),
        (ModelSettings(tool_choice="none"), "none"),
        (ModelSettings(force_tool="search"), {"type": "function", "name": "search"}),
        (ModelSettings(force_tool="files.read"), {"type": "function", "name": wire_name("files.read")}),
    ],
)
def test_which_tool_must_be_called_is_said(settings: ModelSettings, choice: JsonValue) -> None:
    assert asked(request(settings, tools=(SEARCH,))).get("tool_choice") == choice


def test_a_schema_goes_under_the_text_s_format() -> None:
    strict: Value = {**SCHEMA, "additionalProperties": False}
    expected: JsonValue = {"format": {"type": "json_schema", "name": "output", "schema": strict, "strict": True}}
    assert asked(request(schema=SCHEMA))["text"] == expected
    free: Value = {"type": "object", "additionalProperties": {"type": "integer"}}
    assert asked(request(schema=free))["text"] == {"format": {"type": "json_schema", "name": "output", "schema": free, "strict": False}}


def test_a_server_that_knows_no_schemas_reads_it_in_the_instructions() -> None:
    sent = asked(request(schema=SCHEMA), has_schema=False)
    assert "text" not in sent
    assert str(sent["instructions"]).startswith("Answer with one JSON object")


def test_output_by_a_tool_or_in_words_leaves_the_format_alone() -> None:
    by_tool = asked(request(ModelSettings(output_mode="tool"), SCHEMA, (SEARCH,)))
    assert (by_tool["tool_choice"], "text" in by_tool) == ("required", False)
    assert [tool["name"] for tool in cast("list[Value]", by_tool["tools"])] == ["search", "give_the_answer"]
    in_words = asked(request(ModelSettings(output_mode="prompt"), SCHEMA))
    assert "Answer with one JSON object" in str(in_words["instructions"])
    assert "text" not in in_words


def test_a_count_is_asked_for_with_what_makes_up_the_input_alone() -> None:
    settings = ModelSettings(temperature=0.5, max_output_tokens=9, reasoning="low")
    sent = json.loads(ResponseWriter().counted(request(settings, SCHEMA, (SEARCH,)), has_schema=True))
    assert sent.keys() == {"model", "input", "tools", "reasoning", "text"}


def test_a_reply_goes_back_as_items_in_its_order() -> None:
    parts = (ReasoningPart("hm", SEAL), TextPart("Let me see.", "commentary"), ToolCallPart(ONE, "files.read", {"q": "é"}))
    assert items(Message("assistant", parts, PROTOCOL)) == [
        json.loads(SEAL),
        {"role": "assistant", "content": "Let me see.", "phase": "commentary"},
        {"type": "function_call", "call_id": "t1.1", "name": wire_name("files.read"), "arguments": '{"q":"é"}'},
    ]


def test_seals_and_phases_of_another_protocol_stay_here() -> None:
    parts = (ReasoningPart("hm", "sig"), TextPart("Hi.", "sig"), ToolCallPart(ONE, "a", {}, signature="sig"))
    for protocol in (None, "anthropic.messages"):
        assert b"sig" not in encode_message(Message("assistant", parts, protocol))


def test_thoughts_that_nothing_follows_are_left_out_as_the_vendor_refuses_them() -> None:
    message = Message("assistant", (TextPart("Hi."), ReasoningPart("hm", SEAL), ToolCallPart(ONE, "a", {})), PROTOCOL)
    assert items(message.without_calls()) == [{"role": "assistant", "content": "Hi."}]


def test_thoughts_without_a_seal_are_not_sent() -> None:
    assert items(Message("assistant", (ReasoningPart("hm"), TextPart("Hi.")), PROTOCOL)) == [{"role": "assistant", "content": "Hi."}]


def test_an_empty_reply_is_no_item() -> None:
    talk = Conversation([user_message("Hi"), Message("assistant", ()), user_message("Well?")])
    sent = asked(ModelRequest(StepId("t2"), "m", talk))["input"]
    assert sent == [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Well?"}]


def test_arguments_that_were_no_json_go_back_as_json_that_quotes_them() -> None:
    message = Message("assistant", (ToolCallPart(ONE, "a", None, raw="{", problem="not JSON"),))
    assert items(message) == [{"type": "function_call", "call_id": "t1.1", "name": "a", "arguments": '{"INVALID_JSON":"{"}'}]


def test_a_long_id_is_the_same_digest_in_call_and_result() -> None:
    long = StepId("x" * 50)
    call = cast("Value", items(Message("assistant", (ToolCallPart(long, "a", {}),)))[0])
    result = cast("Value", items(Message("tool", (ToolResultPart(long, 1),)))[0])
    assert call["call_id"] == result["call_id"]
    assert len(str(call["call_id"])) == 40


IMAGE = FilePart("https://example.org/a.png", "image/png")
PAPER = FilePart.from_bytes(b"%PDF", "application/pdf", "a.pdf")
IMAGE_WIRE: Value = {"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"}
PAPER_WIRE: Value = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}


def test_results_are_text_and_carry_their_files() -> None:
    message = Message("tool", (ToolResultPart(ONE, {"n": 1}), ToolResultPart(StepId("t1.2"), "seen", files=(IMAGE, PAPER))))
    assert items(message) == [
        {"type": "function_call_output", "call_id": "t1.1", "output": '{"n":1}'},
        {"type": "function_call_output", "call_id": "t1.2", "output": [{"type": "input_text", "text": "seen"}, IMAGE_WIRE, PAPER_WIRE]},
    ]


def test_files_of_users_go_by_their_url_or_in_the_message() -> None:
    linked = FilePart("https://example.org/a.pdf", "application/pdf")
    nameless = FilePart.from_bytes(b"a", "text/csv")
    sent = cast("Value", items(Message("user", (TextPart("See"), IMAGE, PAPER, linked, nameless)))[0])
    assert sent["content"] == [
        {"type": "input_text", "text": "See"},
        IMAGE_WIRE,
        PAPER_WIRE,
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "input_file", "filename": "file.csv", "file_data": "data:text/csv;base64,YQ=="},
    ]


@pytest.mark.parametrize("part", [FilePart("ab12", "image/png"), FilePart("data:audio/wav;base64,YQ==", "audio/wav"), FilePart("", "a/b")])
def test_a_file_that_the_protocol_cannot_carry_is_refused(part: FilePart) -> None:
    with pytest.raises(BadRequest, match="cannot be sent"):
        encode_message(Message("user", (part,)))


def test_parts_that_users_do_not_have_are_passed_over() -> None:
    assert items(Message("user", (TextPart("a"), ReasoningPart("b")))) == [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}]}
    ]


def test_a_message_is_encoded_once_however_often_it_is_sent() -> None:
    asking = request()
    asked(asking)
    first = asking.conversation.encoded(PROTOCOL, encode_message)[0]
    asking.conversation.add(user_message("More"))
    asked(asking)
    assert asking.conversation.encoded(PROTOCOL, encode_message)[0] is first
