"""What each vendor refuses, the simulated server refuses too: one fault put into a well-formed request (fake_llm)."""

import copy
import json
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from agent_sdk.testing.chat_protocol import Malformed
from agent_sdk.testing.sim.anthropic import AnthropicSpeaker
from agent_sdk.testing.sim.asked import SimRequest
from agent_sdk.testing.sim.gemini import GeminiSpeaker
from agent_sdk.testing.sim.openai_chat import OpenAIChatSpeaker
from agent_sdk.testing.sim.responses import ResponsesSpeaker
from agent_sdk.testing.sim.wire import HttpAsked, Speaker, seal

Body = dict[str, JsonValue]
OPEN: Body = {"type": "object", "properties": {"q": {"type": "string"}}}
CLOSED: Body = {**OPEN, "required": ["q"], "additionalProperties": False}

CHAT: Body = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": OPEN}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 100,
    "seed": 1,
}
RESPONSES: Body = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": "https://x/y.png"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": seal("hm")},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c2", "output": "done"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "done"}]},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": CLOSED, "strict": True}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "out", "schema": CLOSED, "strict": True}},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 100,
}
ANTHROPIC: Body = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": seal("hm")},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
                {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "done"},
                {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "done"}], "is_error": True},
                {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": OPEN}],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "adaptive"},
    "output_config": {"format": {"type": "json_schema", "schema": CLOSED}, "effort": "low"},
}
GEMINI: Body = {
    "system_instruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "eA=="}}]},
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True},
                {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": seal("f")},
                {"functionCall": {"name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": 1}}},
                {"functionResponse": {"name": "g", "response": {"output": 2}}},
            ],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": CLOSED}, {"name": "g", "parameters": OPEN}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "maxOutputTokens": 100,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 100},
    },
}
HEADERS = {"anthropic-version": "2026-10-21"}
SPEAKERS: Mapping[str, tuple[Speaker, Body]] = {
    "chat": (OpenAIChatSpeaker(), CHAT),
    "responses": (ResponsesSpeaker(), RESPONSES),
    "anthropic": (AnthropicSpeaker(), ANTHROPIC),
    "gemini": (GeminiSpeaker(), GEMINI),
}


def parse(protocol: str, body: JsonValue, *, action: str = "", model: str = "gemini-3-pro") -> SimRequest:
    return SPEAKERS[protocol][0].parse(HttpAsked(json.dumps(body).encode(), HEADERS, {}, model, action))


@pytest.mark.parametrize("protocol", SPEAKERS)
def test_a_well_formed_request_is_read(protocol: str) -> None:
    request = parse(protocol, SPEAKERS[protocol][1])
    assert "Be brief." in request.instructions
    assert request.goal.startswith("Hi")
    assert request.turn == 1
    assert len(request.results) == (1 if protocol == "chat" else 2)
    assert request.wanted.tools[0].name == "f"
    assert request.wanted.max_output_tokens == 100
    assert request.input_tokens > 10


def changed(body: Body, path: str, value: JsonValue) -> JsonValue:
    """Return the body with what stands at `a.0.b` replaced; None takes it away."""
    changed_ = copy.deepcopy(body)
    here: JsonValue = changed_
    *names, last = path.split(".")
    for name in names:
        here = child(here, name)
    if isinstance(here, list):
        here[int(last)] = value
    elif isinstance(here, dict):
        here.pop(last, None) if value is None else here.update({last: value})
    return changed_


def child(value: JsonValue, name: str) -> JsonValue:
    match value:
        case list():
            return value[int(name)]
        case dict():
            return value[name]
        case _:
            raise AssertionError(name)


DEEP: Body = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"anyOf": [{"type": "object"}]}}},
    "additionalProperties": False,
}
BAD: list[tuple[str, str, JsonValue, str]] = [
    ("chat", "surprise", 1, "surprise"),
    ("chat", "messages", [], "messages"),
    ("chat", "tools.0.function.name", "a.b", "name"),
    ("chat", "messages.3.tool_call_id", "c9", "must be a response to"),
    ("chat", "messages.2.tool_calls", None, "expected a string"),
    ("chat", "tool_choice.function.name", "g", "not found"),
    ("chat", "tools", None, "'tools'"),
    ("responses", "seed", 1, "Extra inputs"),
    ("responses", "input", [], "input"),
    ("responses", "max_output_tokens", 15, "16"),
    ("responses", "tools.0.name", "a b", "name"),
    ("responses", "tools.0.parameters", OPEN, "additionalProperties"),
    ("responses", "tool_choice.name", "g", "not found"),
    ("responses", "input.2.encrypted_content", "other", "could not be verified"),
    ("responses", "input.2.encrypted_content", None, "not persisted"),
    ("responses", "input.5.id", 5, "valid string"),
    (
        "responses",
        "input",
        [{"type": "reasoning", "id": "rs_1", "summary": []}, {"role": "user", "content": "x"}],
        "required following item",
    ),
    ("responses", "input.5.call_id", "c9", "No tool call found"),
    ("responses", "input.6", {"role": "user", "content": "x"}, "No tool output found"),
    ("responses", "input.1.content.0.type", "output_text", "Invalid value"),
    ("responses", "text.format.schema", {"type": "array"}, "object"),
    ("responses", "text.format.schema", OPEN, "additionalProperties"),
    ("responses", "text.format.name", None, "Missing"),
    ("anthropic", "temperature", 0.5, "Extra inputs are not permitted"),
    ("anthropic", "max_tokens", None, "max_tokens"),
    ("anthropic", "seed", 1, "Extra inputs"),
    ("anthropic", "messages.0.role", "assistant", "first message"),
    ("anthropic", "messages.0.role", "tool", "role"),
    ("anthropic", "messages.0.content", "", "non-empty"),
    ("anthropic", "messages.0.content", [{"type": "text", "text": ""}], "at least 1 character"),
    ("anthropic", "messages.1.content.0.signature", "other", "Invalid `signature`"),
    ("anthropic", "messages.1.content.4.id", "c1", "must be unique"),
    ("anthropic", "messages.1.content.3.id", "c.1", "pattern"),
    ("anthropic", "messages.1.content.3.input", "{}", "input"),
    ("anthropic", "messages.2.content.0.tool_use_id", "c9", "tool_use_id"),
    ("anthropic", "messages.2.content.0", {"type": "text", "text": "x"}, "must come first"),
    ("anthropic", "messages.2.content", "x", "without `tool_result`"),
    ("anthropic", "messages.2.role", "assistant", "not permitted in messages of role"),
    ("anthropic", "messages.2", {"role": "assistant", "content": "x "}, "`tool_use` ids were found"),
    ("anthropic", "messages.2.content.2.source", {"type": "base64", "data": "eA=="}, "Field required"),
    ("anthropic", "messages.2.content.2.source", {"type": "base64", "data": "eA==", "media_type": "image/tiff"}, "image/jpeg"),
    ("anthropic", "messages.2.content.2", {"type": "document", "source": {"type": "text", "data": "x", "media_type": "a/b"}}, "text/plain"),
    ("anthropic", "tools.0.name", "a.b", "pattern"),
    ("anthropic", "tools.0.input_schema", {"type": "string"}, "object"),
    ("anthropic", "tools.0.input_schema", {"type": "object", "anyOf": []}, "anyOf"),
    ("anthropic", "tools.0", {"name": "f", "input_schema": OPEN, "strict": True}, "additionalProperties"),
    ("anthropic", "tools", [{"name": "f", "input_schema": OPEN}] * 2, "unique"),
    ("anthropic", "tools", None, "must define tools"),
    ("anthropic", "tool_choice", {"type": "any"}, "Thinking may not be enabled"),
    ("anthropic", "tool_choice", {"type": "tool"}, "tool_choice.name"),
    ("anthropic", "tool_choice", {"type": "tool", "name": "g"}, "not found"),
    ("anthropic", "thinking", {"type": "enabled"}, "budget_tokens"),
    ("anthropic", "thinking", {"type": "enabled", "budget_tokens": 1024}, "must be greater"),
    ("anthropic", "system", [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5, "maximum of 4"),
    ("anthropic", "output_config.format.schema", OPEN, "additionalProperties"),
    ("anthropic", "output_config.format.schema", DEEP, "additionalProperties"),
    ("anthropic", "output_config.format.schema", {"type": "integer", "minimum": 1}, "minimum"),
    ("anthropic", "output_config.format.schema", {"type": "array", "minItems": 2}, "minItems"),
    ("anthropic", "output_config.format.schema", {"type": "string", "pattern": "(?=x)"}, "pattern"),
    ("anthropic", "output_config.format.schema", {"$defs": {"a": True}}, "object"),
    ("gemini", "surprise", 1, "Extra inputs"),
    ("gemini", "model", "m", "Unknown name"),
    ("gemini", "contents", [], "contents"),
    ("gemini", "contents.0.role", "assistant", "role"),
    ("gemini", "contents.0.parts.0", {}, "oneof"),
    ("gemini", "contents.0.parts.0", {"text": "a", "fileData": {"fileUri": "x"}}, "oneof"),
    ("gemini", "contents.0.role", "model", "immediately after a user turn"),
    ("gemini", "contents.1.parts.1.thoughtSignature", "other", "not valid"),
    ("gemini", "contents.1.parts.1.thoughtSignature", None, "missing a thought_signature"),
    ("gemini", "contents.2.parts", [{"functionResponse": {"name": "f", "response": {}}}], "number of function response parts"),
    ("gemini", "contents.2.parts.0.functionResponse.name", "h", "names match"),
    ("gemini", "contents.2.parts.0.functionResponse.response", "text", "response"),
    ("gemini", "tools.0.functionDeclarations.0.name", "1f", "pattern"),
    ("gemini", "tools.0.functionDeclarations.0.parameters", OPEN, "mutually exclusive"),
    ("gemini", "tools.0.functionDeclarations.1.name", "f", "Duplicate"),
    ("gemini", "tools.0.functionDeclarations.1.parameters", {"type": "object", "const": 1}, "const"),
    ("gemini", "tools.0.functionDeclarations.1.parameters", {"type": ["string", "null"]}, "not repeating"),
    ("gemini", "tools.0.functionDeclarations.1.parameters", {"type": "ARRAY"}, "items"),
    ("gemini", "tools.0.functionDeclarations.1.parameters", {"type": "INTEGER", "enum": [1]}, "enum"),
    ("gemini", "tools.0.functionDeclarations.1.parameters", {"type": "STRING", "format": "uuid"}, "format"),
    (
        "gemini",
        "tools.0.functionDeclarations.1.parameters",
        {"anyOf": [{"type": "OBJECT", "properties": {"a": 1}}]},
        "a schema is an object",
    ),
    ("gemini", "toolConfig.functionCallingConfig.mode", "AUTO", "ANY"),
    ("gemini", "toolConfig.functionCallingConfig.allowedFunctionNames", ["h"], "not in function_declarations"),
    ("gemini", "tools", None, "not in function_declarations"),
    ("gemini", "generationConfig.responseMimeType", None, "mime type"),
    ("gemini", "generationConfig.responseJsonSchema", OPEN, "mutually exclusive"),
    ("gemini", "generationConfig.thinkingConfig.thinkingLevel", "low", "only one"),
]


@pytest.mark.parametrize(("protocol", "path", "value", "word"), BAD, ids=[f"{each[0]}-{each[1]}-{n}" for n, each in enumerate(BAD)])
def test_a_malformed_request_is_refused_by_name(protocol: str, path: str, value: JsonValue, word: str) -> None:
    with pytest.raises(Malformed, match=word):
        parse(protocol, changed(SPEAKERS[protocol][1], path, value))


def test_older_versions_of_anthropics_protocol_take_temperatures() -> None:
    warm = {name: value for name, value in ANTHROPIC.items() if name != "thinking"}
    asked = HttpAsked(json.dumps(changed(warm, "temperature", 0.5)).encode(), {"anthropic-version": "2023-06-01"})
    assert AnthropicSpeaker().parse(asked).model == "m"
    hot = HttpAsked(json.dumps(changed(ANTHROPIC, "temperature", 0.5)).encode(), {"anthropic-version": "2023-06-01"})
    with pytest.raises(Malformed, match="may only be set to 1"):
        AnthropicSpeaker().parse(hot)


@pytest.mark.parametrize(("version", "word"), [(None, "required"), ("1999-01-01", "not a valid version")])
def test_anthropics_version_must_be_said(version: str | None, word: str) -> None:
    refusal = AnthropicSpeaker().refusal(HttpAsked(b"", {} if version is None else {"anthropic-version": version}), None)
    assert refusal is not None
    assert word in refusal.body.decode()


@pytest.mark.parametrize(("protocol", "status"), [("chat", 401), ("responses", 401), ("anthropic", 401), ("gemini", 403)])
def test_a_missing_key_is_missed(protocol: str, status: int) -> None:
    refusal = SPEAKERS[protocol][0].refusal(HttpAsked(b"", HEADERS), "right")
    assert refusal is not None
    assert refusal.status == status


def test_keys_may_stand_where_each_vendor_has_them() -> None:
    assert GeminiSpeaker().refusal(HttpAsked(b"", {}, {"key": "right"}), "right") is None
    assert AnthropicSpeaker().refusal(HttpAsked(b"", {**HEADERS, "Authorization": "Bearer right"}), "right") is None


def test_gemini_streams_as_events_alone() -> None:
    refusal = GeminiSpeaker().refusal(HttpAsked(b"", {}, {}, "m", "streamGenerateContent"), None)
    assert refusal is not None
    assert b"alt=sse" in refusal.body


def test_gemini_counts_contents_or_a_whole_request() -> None:
    whole: Body = {"generateContentRequest": {**GEMINI, "model": "models/m"}}
    few, many = parse("gemini", {"contents": GEMINI["contents"]}, action="countTokens"), parse("gemini", whole, action="countTokens")
    assert few.input_tokens < many.input_tokens
    with pytest.raises(Malformed, match="one of"):
        parse("gemini", {}, action="countTokens")


def test_a_foreign_signature_is_let_through_as_the_vendor_lets_it() -> None:
    body = changed(GEMINI, "contents.1.parts.1.thoughtSignature", "skip_thought_signature_validator")
    assert parse("gemini", body).turn == 1


def test_a_prefilled_answer_may_not_end_in_white_space() -> None:
    body: Body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y "}]}
    with pytest.raises(Malformed, match="trailing whitespace"):
        parse("anthropic", body)


def test_a_plain_text_is_enough_for_responses() -> None:
    assert parse("responses", {"model": "m", "input": "Hi"}).goal == "Hi"
    assert parse("responses", {"model": "m", "input": "Hi"}, action="count").input_tokens == 5
    with pytest.raises(Malformed, match="'tools'"):
        parse("responses", {"model": "m", "input": "Hi", "tool_choice": "required"})
    with pytest.raises(Malformed, match="Extra inputs"):
        parse("responses", {"model": "m", "input": "Hi", "max_output_tokens": 20}, action="count")


def test_files_count_as_what_they_are() -> None:
    image: Body = {"type": "document", "source": {"type": "file", "file_id": "f1"}, "title": "t"}
    body: Body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [image]}]}
    assert "f1" in parse("anthropic", body).goal
    listed: Body = {"model": "m", "input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}
    listed["input"] = [
        *_items(listed),
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": "f1"}]},
    ]
    assert "f1" in parse("responses", listed).results[0]
    said: Body = {"role": "assistant", "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]}
    assert "refusal" in parse("responses", {"model": "m", "input": [said]}).messages[0].text


def _items(body: Body) -> list[JsonValue]:
    items = body["input"]
    return items if isinstance(items, list) else []
