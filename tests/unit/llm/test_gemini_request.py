import json
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ConfigError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings, OutputMode, Reasoning
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.gemini_request import AS_ASKED, Concessions, RequestWriter
from agent_sdk.llm.output import OUTPUT_TOOL
from agent_sdk.llm.tool_names import wire_id, wire_name

MODEL, BEFORE = "gemini-3.8-flash", "gemini-2.5-flash"
SEARCH = ToolSpec("search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {})
READ = ToolSpec("files.read", "Read.", {"type": "object", "properties": {}}, {})
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer", "title": "N"}}, "required": ["n"]}
SETTINGS = ModelSettings(0.5, 0.9, 7, 100, ("END",))
PICTURE = FilePart.from_bytes(b"\x89PNG", "image/png", "a.png")
UNSIGNED = "skip_thought_signature_validator"

Json = dict[str, JsonValue]


def asked(*messages: Message, model: str = MODEL, settings: ModelSettings | None = None, tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    return ModelRequest(StepId("t1"), model, Conversation([user_message("Hi"), *messages]), "", tools, None, settings or ModelSettings())


def body(request: ModelRequest, concessions: Concessions = AS_ASKED) -> Json:
    return cast("Json", json.loads(RequestWriter().body(request, concessions)))


def contents(*messages: Message, model: str = MODEL) -> list[JsonValue]:
    return cast("list[JsonValue]", body(asked(*messages, model=model))["contents"])


def config(settings: ModelSettings, model: str = MODEL, relented: int = 0) -> JsonValue:
    return body(asked(settings=settings, model=model), Concessions(relented=relented)).get("generationConfig")


def called(*calls: ToolCallPart, protocol: str | None = None) -> Message:
    return Message("assistant", calls, protocol)


def answered(*results: ToolResultPart) -> Message:
    return Message("tool", results)


def step(number: int) -> StepId:
    return StepId(f"t1.{number}")


def content(role: str, *parts: JsonValue) -> JsonValue:
    return {"role": role, "parts": list(parts)}


GREETING = content("user", {"text": "Hi"})


def test_a_question_is_contents_and_no_more() -> None:
    assert body(asked()) == {"contents": [GREETING]}


def test_instructions_stand_apart() -> None:
    assert body(replace(asked(), instructions="Be brief."))["systemInstruction"] == {"parts": [{"text": "Be brief."}]}


def test_settings_are_the_generation_config() -> None:
    assert config(SETTINGS) == {"temperature": 0.5, "topP": 0.9, "seed": 7, "maxOutputTokens": 100, "stopSequences": ["END"]}


@pytest.mark.parametrize(
    ("model", "reasoning", "relented", "expected"),
    [
        (MODEL, "high", 0, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        (MODEL, "none", 0, {"includeThoughts": False, "thinkingLevel": "MINIMAL"}),
        (MODEL, "minimal", 1, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        (MODEL, "medium", 1, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        (MODEL, "low", 1, None),
        (MODEL, "minimal", 2, None),
        ("gemini-flash-latest", "low", 0, {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-4-argon", "medium", 0, {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        (BEFORE, "none", 0, {"includeThoughts": False, "thinkingBudget": 0}),
        (BEFORE, "medium", 0, {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", "none", 1, {"includeThoughts": False, "thinkingBudget": 128}),
        ("gemini-2.5-pro", "high", 1, None),
        ("gemini-2.0-flash", "high", 0, None),
    ],
)
def test_effort_is_said_as_the_model_s_generation_knows_it(model: str, reasoning: Reasoning, relented: int, expected: JsonValue) -> None:
    said = config(ModelSettings(reasoning=reasoning), model, relented)
    assert said == (None if expected is None else {"thinkingConfig": expected})


def test_tools_are_declared_by_the_dialect_and_those_without_parameters_have_none() -> None:
    declared = body(asked(tools=(SEARCH, READ)))["tools"]
    parameters: JsonValue = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    assert declared == [
        {
            "functionDeclarations": [
                {"name": "search", "description": "Search.", "parametersJsonSchema": parameters},
                {"name": wire_name("files.read"), "description": "Read."},
            ]
        }
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ModelSettings(), None),
        (ModelSettings(tool_choice="required"), {"mode": "ANY"}),
        (ModelSettings(tool_choice="none"), {"mode": "NONE"}),
        (ModelSettings(force_tool="files.read"), {"mode": "ANY", "allowedFunctionNames": [wire_name("files.read")]}),
    ],
)
def test_the_choice_of_tools_is_said(settings: ModelSettings, expected: JsonValue) -> None:
    said = body(asked(settings=settings, tools=(SEARCH, READ))).get("toolConfig")
    assert said == (None if expected is None else {"functionCallingConfig": expected})


def with_schema(model: str = MODEL, tools: tuple[ToolSpec, ...] = (), settings: ModelSettings | None = None) -> ModelRequest:
    return replace(asked(model=model, tools=tools, settings=settings), output_schema=SCHEMA)


FORMAT: JsonValue = {
    "responseMimeType": "application/json",
    "responseJsonSchema": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
}


@pytest.mark.parametrize(("model", "tools"), [(MODEL, ()), (MODEL, (SEARCH,)), (BEFORE, ())])
def test_output_is_asked_for_natively(model: str, tools: tuple[ToolSpec, ...]) -> None:
    assert body(with_schema(model, tools))["generationConfig"] == FORMAT


def test_before_the_third_generation_output_beside_tools_is_a_tool() -> None:
    said = body(with_schema(BEFORE, (SEARCH,)))
    assert "generationConfig" not in said
    assert said["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert OUTPUT_TOOL in json.dumps(said["tools"])


def test_only_the_output_s_tool_is_allowed_where_no_other_may_be_called() -> None:
    said = body(with_schema(tools=(SEARCH,), settings=ModelSettings(output_mode="tool", tool_choice="none")))
    assert said["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [OUTPUT_TOOL]}}


@pytest.mark.parametrize(("mode", "concessions"), [("prompt", AS_ASKED), ("native", Concessions(has_schema=False))])
def test_output_is_asked_for_in_words(mode: OutputMode, concessions: Concessions) -> None:
    said = body(with_schema(settings=ModelSettings(output_mode=mode)), concessions)
    assert "generationConfig" not in said
    assert "JSON Schema" in json.dumps(said["systemInstruction"])


def test_fields_of_the_vendor_s_own_are_put_where_they_belong() -> None:
    extra: Mapping[str, JsonValue] = {"generationConfig": {"topK": 5}, "safetySettings": [], "cachedContent": "cachedContents/x"}
    said = body(asked(settings=ModelSettings(temperature=1, extra=extra)))
    assert said["generationConfig"] == {"temperature": 1, "topK": 5}
    assert (said["safetySettings"], said["cachedContent"]) == ([], "cachedContents/x")
    assert config(ModelSettings(extra={"generationConfig": {"topK": 5}})) == {"topK": 5}


@pytest.mark.parametrize("extra", [{"contents": []}, {"generationConfig": {"temperature": 1}}, {"generationConfig": 7}])
def test_fields_that_settings_say_are_refused(extra: Mapping[str, JsonValue]) -> None:
    with pytest.raises(ConfigError, match="extra"):
        body(asked(settings=ModelSettings(temperature=1, extra=extra)))


def test_fields_of_the_output_are_refused_too() -> None:
    with pytest.raises(ConfigError, match="responseMimeType"):
        body(with_schema(settings=ModelSettings(extra={"generationConfig": {"responseMimeType": "text/plain"}})))


def test_what_came_signed_goes_back_where_it_stood() -> None:
    reply = Message(
        "assistant",
        (
            ReasoningPart("hm", "s0"),
            TextPart("I see."),
            ToolCallPart(step(1), "search", {"q": "a"}, signature="s1"),
            ToolCallPart(step(2), "search", {"q": "b"}),
            TextPart("", "s2"),
        ),
        protocol="gemini",
    )
    assert contents(reply)[1] == content(
        "model",
        {"text": "hm", "thought": True, "thoughtSignature": "s0"},
        {"text": "I see."},
        {"functionCall": {"id": "t1.1", "name": "search", "args": {"q": "a"}}, "thoughtSignature": "s1"},
        {"functionCall": {"id": "t1.2", "name": "search", "args": {"q": "b"}}},
        {"text": "", "thoughtSignature": "s2"},
    )


def test_what_another_protocol_signed_does_not_and_the_first_call_says_that_it_is_unsigned() -> None:
    calls = (ToolCallPart(step(1), "search", {}, signature="x"), ToolCallPart(step(2), "search", None, "{half", "no JSON"))
    reply = Message("assistant", (ReasoningPart("hm", "x"), TextPart("I see.", "x"), TextPart("", "x"), *calls), protocol="anthropic")
    assert contents(reply)[1] == content(
        "model",
        {"text": "I see."},
        {"functionCall": {"id": "t1.1", "name": "search", "args": {}}, "thoughtSignature": UNSIGNED},
        {"functionCall": {"id": "t1.2", "name": "search", "args": {"INVALID_JSON": "{half"}}},
    )


def test_results_stand_in_the_order_of_calls_under_the_names_of_tools() -> None:
    calls = called(ToolCallPart(step(1), "search", {}), ToolCallPart(step(2), "files.read", {}))
    results = answered(ToolResultPart(step(2), "no such file", is_error=True), ToolResultPart(step(1), {"hits": [1]}))
    assert contents(calls, results)[2] == content(
        "user",
        {"functionResponse": {"id": "t1.1", "name": "search", "response": {"output": {"hits": [1]}}}},
        {"functionResponse": {"id": "t1.2", "name": wire_name("files.read"), "response": {"error": "no such file"}}},
    )


def test_a_long_id_is_the_same_in_call_and_result() -> None:
    identity = StepId("a" * 100)
    said = json.dumps(contents(called(ToolCallPart(identity, "search", {})), answered(ToolResultPart(identity, 1))))
    assert said.count(wire_id(identity)) == 2


def test_a_result_that_could_be_taken_for_a_reference_is_text() -> None:
    said = contents(called(ToolCallPart(step(1), "search", {})), answered(ToolResultPart(step(1), {"$ref": "#/a"})))
    assert json.dumps(said[2]).count('\\"$ref\\"') == 1


def test_a_result_finds_its_call_in_what_was_sent_before() -> None:
    writer = RequestWriter()
    request = asked(called(ToolCallPart(step(1), "search", {})))
    writer.body(request)
    request.conversation.add(answered(ToolResultPart(step(1), 1)))
    assert b'"functionResponse":{"id":"t1.1","name":"search"' in writer.body(request)


def test_a_result_without_a_call_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"t1\.9 answers no call"):
        contents(answered(ToolResultPart(step(9), 1)))


def test_a_result_holds_its_picture_from_the_third_generation_on() -> None:
    turn = called(ToolCallPart(step(1), "search", {})), answered(ToolResultPart(step(1), "see", files=(PICTURE,)))
    response: Json = {"id": "t1.1", "name": "search", "response": {"output": "see"}}
    inline: JsonValue = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    assert contents(*turn)[2:] == [content("user", {"functionResponse": {**response, "parts": [inline]}})]
    assert contents(*turn, model=BEFORE)[2:] == [
        content("user", {"functionResponse": response}),
        content("user", {"text": "Files in results: t1.1"}, inline),
    ]


def test_what_no_result_can_hold_follows_it() -> None:
    files = (FilePart("https://a.b/c.png", "image/png"), FilePart("data:audio/wav;base64,AA==", "audio/wav"))
    turn = called(ToolCallPart(step(1), "search", {})), answered(ToolResultPart(step(1), "hear", files=files))
    assert len(contents(*turn)) == 4


def test_files_are_sent_inline_or_by_their_address() -> None:
    files = (
        PICTURE,
        FilePart("https://a.b/c.pdf", "application/pdf"),
        FilePart("gs://b/v", "video/mp4"),
        FilePart("data:text/plain,a%20b", "text/plain"),
    )
    assert contents(Message("user", files))[0] == content(
        "user",
        {"text": "Hi"},
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://a.b/c.pdf"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v"}},
        {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}},
    )


def test_a_picture_of_the_model_s_goes_back() -> None:
    assert contents(Message("assistant", (PICTURE,)))[1] == content("model", {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}})


def test_a_file_that_cannot_be_fetched_is_refused() -> None:
    with pytest.raises(BadRequest, match="file:///etc/passwd"):
        contents(Message("user", (FilePart("file:///etc/passwd", "text/plain"),)))


def test_messages_of_one_role_are_one_content_and_empty_ones_none() -> None:
    said = contents(
        user_message("there"),
        Message("assistant", (TextPart("a"),)),
        Message("assistant", (TextPart(""),)),
        Message("assistant", (ToolCallPart(step(1), "search", {}),)),
        answered(ToolResultPart(step(1), 1)),
        user_message("so?"),
    )
    assert said[0] == content("user", {"text": "Hi"}, {"text": "there"})
    assert [cast("Json", each)["role"] for each in said] == ["user", "model", "user", "user"]
    assert said[3] == content("user", {"text": "so?"})


def test_results_in_two_messages_are_one_content() -> None:
    calls = called(ToolCallPart(step(1), "search", {}), ToolCallPart(step(2), "search", {}))
    said = contents(calls, answered(ToolResultPart(step(1), 1)), answered(ToolResultPart(step(2), 2)))
    assert len(cast("list[JsonValue]", cast("Json", said[2])["parts"])) == 2


def test_each_message_is_encoded_once() -> None:
    conversation = Conversation([user_message("Hi")])
    request = replace(asked(), conversation=conversation)
    writer = RequestWriter()
    writer.body(request)
    before = conversation.encoded("gemini", lambda _: b"")[0]
    writer.body(request)
    assert conversation.encoded("gemini", lambda _: b"")[0] is before
