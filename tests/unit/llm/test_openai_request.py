import json
from itertools import count
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ConfigError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import Once
from agent_sdk.llm.openai_request import RequestWriter, encode_message
from agent_sdk.llm.tool_names import wire_name
from agent_sdk.testing.chat_protocol import ChatRequest, parse_request

ONE = StepId("t1.1")
SEARCH = ToolSpec("search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {})


def asked(request: ModelRequest, *, is_stream: bool = False, has_schema: bool = True) -> ChatRequest:
    return parse_request(RequestWriter().body(request, is_stream=is_stream, has_schema=has_schema))


def conversation(*messages: Message) -> Conversation:
    return Conversation([user_message("Hello"), *messages])


def wire(message: Message) -> JsonValue:
    return cast("JsonValue", json.loads(encode_message(message)))


def test_a_whole_conversation_is_well_formed_for_the_vendor() -> None:
    calls = Message(
        "assistant", (TextPart("Let me see."), ToolCallPart(ONE, "search", {"q": "é"}), ToolCallPart(StepId("t1.2"), "search", {}))
    )
    results = Message("tool", (ToolResultPart(ONE, {"hits": 3}), ToolResultPart(StepId("t1.2"), "plain", is_error=True)))
    request = ModelRequest(
        StepId("t2"),
        "m",
        conversation(calls, results),
        "Be brief.",
        (SEARCH,),
        settings=ModelSettings(temperature=0.5, max_output_tokens=100),
    )
    sent = asked(request, is_stream=True)
    assert [message.role for message in sent.messages] == ["system", "user", "assistant", "tool", "tool"]
    assert sent.instructions == "Be brief."
    assert sent.results == ['{"hits":3}', "plain"]
    assert [call.id for call in sent.messages[2].tool_calls or ()] == ["t1.1", "t1.2"]
    assert (sent.temperature, sent.max_tokens, sent.stream) == (0.5, 100, True)
    assert sent.stream_options is not None
    assert sent.stream_options.include_usage


def test_what_is_not_asked_for_is_not_sent() -> None:
    body = RequestWriter().body(ModelRequest(StepId("t1"), "m", conversation()), is_stream=False, has_schema=True)
    assert json.loads(body) == {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def test_a_message_is_encoded_once_however_often_it_is_sent() -> None:
    talk = conversation()
    first = talk.encoded("openai.chat", encode_message)[0]
    asked(ModelRequest(StepId("t1"), "m", talk))
    talk.add(Message("assistant", (TextPart("Hi"),)))
    asked(ModelRequest(StepId("t2"), "m", talk))
    assert talk.encoded("openai.chat", encode_message)[0] is first


def test_tools_are_encoded_once_for_the_same_tuple() -> None:
    writer, tools = RequestWriter(), (SEARCH,)
    boxes = [writer.offers.toolbox(ModelRequest(StepId(f"t{n}"), "m", conversation(), tools=tools)) for n in range(2)]
    assert boxes[0] is boxes[1]


def test_what_was_made_for_few_objects_is_kept_and_for_many_not_forever() -> None:
    once, keys, made = Once[int](), [object() for _ in range(300)], count()
    assert [once.get(key, lambda: next(made)) for key in keys] == list(range(300))
    assert once.get(keys[-1], lambda: next(made)) == 299
    assert once.get(keys[0], lambda: next(made)) == 300


def test_a_name_that_the_protocol_forbids_is_replaced_and_found_again() -> None:
    names = ["files.read", "files/read", "größe", "x" * 80, "plain_name-1"]
    tools = tuple(ToolSpec(name, "", {"type": "object"}, {}) for name in names)
    request = ModelRequest(StepId("t1"), "m", conversation(), tools=tools)
    sent = asked(request)
    wire_names = [tool.function.name for tool in sent.tools or ()]
    back = RequestWriter().offers.toolbox(request).names
    assert [back.get(name, name) for name in wire_names] == names
    assert wire_names[-1] == "plain_name-1"


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="same name"):
        asked(ModelRequest(StepId("t1"), "m", conversation(), tools=(SEARCH, SEARCH)))


def test_a_call_in_the_history_bears_the_name_that_the_tool_was_offered_under() -> None:
    assert wire_name("files.read").encode() in encode_message(Message("assistant", (ToolCallPart(ONE, "files.read", {}),)))


def test_arguments_that_were_no_json_go_back_as_json_that_quotes_them() -> None:
    message = wire(Message("assistant", (ToolCallPart(ONE, "search", None, raw='{"q": ', problem="not JSON"),)))
    function = {"name": "search", "arguments": '{"INVALID_JSON":"{\\"q\\": "}'}
    assert message == {"role": "assistant", "content": None, "tool_calls": [{"id": "t1.1", "type": "function", "function": function}]}


def test_an_id_longer_than_the_protocol_allows_is_the_same_digest_in_call_and_result() -> None:
    long = StepId("x" * 50)
    call = encode_message(Message("assistant", (ToolCallPart(long, "search", {}),)))
    sent = ModelRequest(
        StepId("t1"), "m", conversation(Message("assistant", (ToolCallPart(long, "a", {}),)), Message("tool", (ToolResultPart(long, 1),)))
    )
    assert asked(sent).results == ["1"]
    assert b"xxx" not in call


def test_thoughts_go_back_with_calls_alone() -> None:
    thought = ReasoningPart("hm")
    assert b"reasoning_content" in encode_message(Message("assistant", (thought, ToolCallPart(ONE, "a", {}))))
    assert b"hm" not in encode_message(Message("assistant", (thought, TextPart("Hi"))))


def test_thoughts_of_another_protocol_do_not_go_out() -> None:
    parts = (ReasoningPart("hm", "sig"), ToolCallPart(ONE, "a", {}))
    assert b"hm" not in encode_message(Message("assistant", parts, "anthropic.messages"))


def test_an_empty_answer_is_still_a_message() -> None:
    assert wire(Message("assistant", ())) == {"role": "assistant", "content": ""}


def test_an_image_goes_by_its_url_and_another_file_not_at_all() -> None:
    image = FilePart("https://example.org/a.png", "image/png")
    assert wire(Message("user", (TextPart("See"), image))) == {
        "role": "user",
        "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
    }
    for part in (FilePart("https://example.org/a.pdf", "application/pdf"), FilePart("ab12", "image/png")):
        with pytest.raises(BadRequest, match="cannot be sent"):
            encode_message(Message("user", (part,)))


def test_half_a_surrogate_pair_does_not_break_the_request() -> None:
    assert wire(user_message("a\ud800b")) == {"role": "user", "content": "a?b"}


STRICT: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_a_schema_is_asked_for_strictly_where_the_dialect_can_say_it() -> None:
    sent = asked(ModelRequest(StepId("t1"), "m", conversation(), output_schema=STRICT))
    assert sent.response_format is not None
    assert sent.response_format.json_schema is not None
    assert sent.response_format.json_schema.strict


def test_a_schema_with_free_keys_is_asked_for_as_it_is() -> None:
    free: dict[str, JsonValue] = {"type": "object", "additionalProperties": {"type": "integer"}}
    sent = asked(ModelRequest(StepId("t1"), "m", conversation(), output_schema=free))
    assert sent.response_format is not None
    assert sent.response_format.json_schema is not None
    assert not sent.response_format.json_schema.strict
    assert sent.output_schema == free


def test_a_server_that_knows_no_schemas_reads_it_in_the_instructions() -> None:
    request = ModelRequest(StepId("t1"), "m", conversation(), "Be brief.", output_schema=STRICT)
    sent = asked(request, has_schema=False)
    assert sent.response_format is not None
    assert sent.response_format.type == "json_object"
    assert sent.instructions.startswith("Be brief.\n\nAnswer with one JSON object")
    assert '"integer"' in sent.instructions


def body(settings: ModelSettings, tools: tuple[ToolSpec, ...] = (), schema: dict[str, JsonValue] | None = None) -> dict[str, JsonValue]:
    request = ModelRequest(StepId("t1"), "m", conversation(), tools=tools, output_schema=schema, settings=settings)
    written = RequestWriter().body(request, is_stream=False, has_schema=True)
    parse_request(b"".join(written.split(b',"vendor":{"a":1}')))  # well-formed for the vendor but for the extra field
    return cast("dict[str, JsonValue]", json.loads(written))


def test_every_setting_is_said_in_the_protocol_s_words() -> None:
    settings = ModelSettings(
        0.5, 0.9, 7, 100, ("END", "\n\n"), "low", "required", parallel_tool_calls=False, cache="long", extra={"vendor": {"a": 1}}
    )
    sent = body(settings, (SEARCH,))
    assert {name: value for name, value in sent.items() if name not in {"model", "messages", "tools"}} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "max_tokens": 100,
        "stop": ["END", "\n\n"],
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
        "tool_choice": "required",
        "vendor": {"a": 1},
    }


def test_a_choice_of_tools_is_not_sent_without_any() -> None:
    sent = body(ModelSettings(tool_choice="required", parallel_tool_calls=True))
    assert sent.keys() == {"model", "messages"}


def test_a_tool_that_must_be_called_goes_by_its_name_on_the_wire() -> None:
    tool = ToolSpec("files.read", "", {"type": "object"}, {})
    sent = body(ModelSettings(force_tool="files.read", tool_choice="none"), (tool,))
    assert sent["tool_choice"] == {"type": "function", "function": {"name": wire_name("files.read")}}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (ModelSettings(extra={"messages": []}), "'messages'"),
        (ModelSettings(extra={"stream": True}), "'stream'"),
        (ModelSettings(temperature=0.5, extra={"temperature": 1}), "'temperature'"),
        (ModelSettings(max_output_tokens=5, extra={"max_tokens": 9}), "'max_tokens'"),
    ],
)
def test_an_extra_field_that_is_said_already_is_refused(settings: ModelSettings, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        body(settings)


def test_an_extra_field_may_say_what_no_setting_does() -> None:
    assert body(ModelSettings(extra={"temperature": 1}))["temperature"] == 1


def test_output_by_a_tool_has_one_called_and_no_format() -> None:
    sent = body(ModelSettings(output_mode="tool"), (SEARCH,), STRICT)
    assert (sent["tool_choice"], "response_format" in sent) == ("required", False)
    assert [tool["function"]["name"] for tool in cast("list[dict[str, dict[str, str]]]", sent["tools"])] == ["search", "give_the_answer"]
    alone = body(ModelSettings(output_mode="tool", tool_choice="none"), (), STRICT)
    assert alone["tool_choice"] == {"type": "function", "function": {"name": "give_the_answer"}}


def test_output_in_words_has_no_format() -> None:
    sent = body(ModelSettings(output_mode="prompt"), (), STRICT)
    assert "response_format" not in sent
    assert "Answer with one JSON object" in str(sent["messages"])


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (FilePart("http://example.org/a", "image/gif"), {"type": "image_url", "image_url": {"url": "http://example.org/a"}}),
        (FilePart.from_bytes(b"a", "image/png"), {"type": "image_url", "image_url": {"url": "data:image/png;base64,YQ=="}}),
        (FilePart.from_bytes(b"a", "audio/wav"), {"type": "input_audio", "input_audio": {"data": "YQ==", "format": "wav"}}),
        (FilePart.from_bytes(b"a", "audio/mpeg"), {"type": "input_audio", "input_audio": {"data": "YQ==", "format": "mp3"}}),
        (
            FilePart.from_bytes(b"a", "application/pdf", "b.pdf"),
            {"type": "file", "file": {"filename": "b.pdf", "file_data": "data:application/pdf;base64,YQ=="}},
        ),
        (
            FilePart.from_bytes(b"a", "application/pdf"),
            {"type": "file", "file": {"filename": "file.pdf", "file_data": "data:application/pdf;base64,YQ=="}},
        ),
    ],
)
def test_files_that_the_protocol_knows_are_sent(part: FilePart, sent: JsonValue) -> None:
    assert wire(Message("user", (part, ReasoningPart("not a user's")))) == {"role": "user", "content": [sent]}


@pytest.mark.parametrize("part", [FilePart("https://example.org/a.wav", "audio/wav"), FilePart.from_bytes(b"a", "video/mp4")])
def test_files_that_it_does_not_know_are_refused(part: FilePart) -> None:
    with pytest.raises(BadRequest, match="cannot be sent"):
        encode_message(Message("tool", (ToolResultPart(ONE, 1, files=(part,)),)))


def test_files_of_results_follow_all_of_them_in_a_message_of_the_user_s() -> None:
    image = FilePart("https://example.org/a.png", "image/png")
    two = StepId("t1.2")
    called = Message("assistant", (ToolCallPart(ONE, "a", {}), ToolCallPart(two, "b", {})))
    results = Message("tool", (ToolResultPart(ONE, "seen", files=(image,)), ToolResultPart(two, 2)))
    sent = asked(ModelRequest(StepId("t2"), "m", conversation(called, results)))
    assert [message.role for message in sent.messages] == ["user", "assistant", "tool", "tool", "user"]
    assert isinstance(sent.messages[-1].content, list)
    assert [part.type for part in sent.messages[-1].content] == ["text", "image_url"]
    assert sent.messages[-1].text == "Files in results: t1.1"


def test_results_without_files_stand_alone() -> None:
    assert wire(Message("tool", (ToolResultPart(ONE, None),))) == {"role": "tool", "tool_call_id": "t1.1", "content": "null"}


def test_the_vendor_s_own_server_knows_newer_names_and_a_longer_cache() -> None:
    settings = ModelSettings(max_output_tokens=9, cache="long")
    request = ModelRequest(StepId("t1"), "m", conversation(), settings=settings)
    sent = json.loads(RequestWriter(is_openai=True).body(request, is_stream=False, has_schema=True))
    assert (sent["max_completion_tokens"], sent["prompt_cache_retention"]) == (9, "24h")
    assert "max_tokens" not in sent
