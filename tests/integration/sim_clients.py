"""The vendors' own SDKs as clients of the simulated server: one question in each protocol, and what they heard."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import anthropic
import openai
from google import genai
from google.genai import types as gemini
from openai.types.chat import ChatCompletion
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseIncompleteEvent,
    ResponseRefusalDeltaEvent,
    ResponseTextDeltaEvent,
)
from pydantic import JsonValue

from agent_sdk.core.usage import Usage
from agent_sdk.testing import SimServer

Dialect = Literal["openai_chat", "openai_responses", "anthropic", "gemini"]
DIALECTS: tuple[Dialect, ...] = ("openai_chat", "openai_responses", "anthropic", "gemini")
PARAMETERS: dict[str, JsonValue] = {
    "type": "object",
    "properties": {"q": {"type": "string"}, "n": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["q", "n"],
    "additionalProperties": False,
}
PATIENCE_S = 0.5


class GeminiModels(Protocol):
    """What is used of the SDK's own, whose types are not whole."""

    def generate_content(self, *, model: str, contents: str, config: gemini.GenerateContentConfig) -> gemini.GenerateContentResponse: ...

    def generate_content_stream(
        self, *, model: str, contents: str, config: gemini.GenerateContentConfig
    ) -> Iterable[gemini.GenerateContentResponse]: ...

    def count_tokens(self, *, model: str, contents: str) -> gemini.CountTokensResponse: ...


@dataclass(slots=True)
class Heard:
    """What an SDK made of a reply; `usage` None where none came."""

    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    finish: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Clients:
    """An SDK of each vendor, without retries of its own."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic
    gemini: genai.Client

    def ask(self, dialect: Dialect, *, is_stream: bool, tools: bool = True, text: str = "Hi") -> Heard:
        asks: Mapping[Dialect, Callable[[bool, bool, str], Heard]] = {
            "openai_chat": self._chat,
            "openai_responses": self._responses,
            "anthropic": self._messages,
            "gemini": self._gemini,
        }
        return asks[dialect](is_stream, tools, text)

    def gemini_tokens(self, text: str) -> int | None:
        return cast("GeminiModels", self.gemini.models).count_tokens(model="m", contents=text).total_tokens

    def close(self) -> None:
        self.openai.close()
        self.anthropic.close()
        self.gemini.close()

    def _chat(self, is_stream: bool, tools: bool, text: str) -> Heard:
        offered: Any = [{"type": "function", "function": {"name": "search", "parameters": PARAMETERS}}] if tools else openai.omit
        asked: Any = {"model": "m", "messages": [{"role": "user", "content": text}], "tools": offered}
        heard, calls = Heard(), dict[int, list[str]]()
        if not is_stream:
            whole = cast("ChatCompletion", self.openai.chat.completions.create(**asked))
            choice = whole.choices[0]
            heard.text = (choice.message.content or "") + (choice.message.refusal or "")
            heard.thoughts = getattr(choice.message, "reasoning_content", None) or ""
            for call in choice.message.tool_calls or ():
                assert call.type == "function"
                heard.calls.append((call.id, call.function.name, call.function.arguments))
            heard.finish, heard.usage = choice.finish_reason, chat_usage(whole.usage)
            return heard
        stream = self.openai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        with stream as chunks:
            for chunk in chunks:
                heard.usage = chat_usage(chunk.usage)
                for piece_of in chunk.choices:
                    heard.text += (piece_of.delta.content or "") + (piece_of.delta.refusal or "")
                    heard.thoughts += getattr(piece_of.delta, "reasoning_content", None) or ""
                    heard.finish = piece_of.finish_reason or heard.finish
                    for piece in piece_of.delta.tool_calls or ():
                        assert piece.function is not None
                        call_ = calls.setdefault(piece.index, [piece.id or "", piece.function.name or "", ""])
                        call_[2] += piece.function.arguments or ""
        heard.calls = [(identity, name, arguments) for identity, name, arguments in calls.values()]
        return heard

    def _responses(self, is_stream: bool, tools: bool, text: str) -> Heard:
        offered: Any = [{"type": "function", "name": "search", "parameters": PARAMETERS, "strict": False}] if tools else []
        asked: Any = {"model": "m", "input": text, "tools": offered, "include": ["reasoning.encrypted_content"], "store": False}
        if not is_stream:
            return heard_response(cast("Response", self.openai.responses.create(**asked)))
        last: Response | None = None
        streamed = ""
        with self.openai.responses.create(**asked, stream=True) as events:
            for number, event in enumerate(events):
                if isinstance(event, ResponseTextDeltaEvent | ResponseRefusalDeltaEvent):
                    streamed += event.delta
                    assert event.sequence_number == number
                if isinstance(event, ResponseCompletedEvent | ResponseIncompleteEvent):
                    last = event.response
        assert last is not None
        heard = heard_response(last)
        assert heard.text == streamed
        return heard

    def _messages(self, is_stream: bool, tools: bool, text: str) -> Heard:
        offered: Any = [{"name": "search", "input_schema": PARAMETERS}] if tools else anthropic.omit
        asked: Any = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": text}], "tools": offered}
        if is_stream:
            with self.anthropic.messages.stream(**asked) as stream:
                message = cast("anthropic.types.Message", stream.get_final_message())
        else:
            message = cast("anthropic.types.Message", self.anthropic.messages.create(**asked))
        heard = Heard(finish=message.stop_reason or "")
        for block in message.content:
            match block:
                case anthropic.types.TextBlock():
                    heard.text += block.text
                case anthropic.types.ThinkingBlock():
                    assert block.signature
                    heard.thoughts += block.thinking
                case anthropic.types.ToolUseBlock():
                    heard.calls.append((block.id, block.name, json.dumps(block.input, ensure_ascii=False)))
                case _:
                    raise AssertionError(block.type)
        usage = cast("anthropic.types.Usage | None", getattr(message, "usage", None))
        if usage is not None:
            cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
            thought = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0
            asked_tokens = usage.input_tokens + cached + written
            heard.usage = Usage(asked_tokens, usage.output_tokens, cached, thought, cache_write_tokens=written)
        return heard

    def _gemini(self, is_stream: bool, tools: bool, text: str) -> Heard:
        search = gemini.FunctionDeclaration(name="search", parameters_json_schema=PARAMETERS)
        config = gemini.GenerateContentConfig(
            tools=[gemini.Tool(function_declarations=[search])] if tools else None,
            thinking_config=gemini.ThinkingConfig(include_thoughts=True),
            automatic_function_calling=gemini.AutomaticFunctionCallingConfig(disable=True),
        )
        models = cast("GeminiModels", self.gemini.models)
        if is_stream:
            replies = [*models.generate_content_stream(model="m", contents=text, config=config)]
        else:
            replies = [models.generate_content(model="m", contents=text, config=config)]
        heard = Heard()
        for reply in replies:
            heard.usage = gemini_usage(reply.usage_metadata)
            for candidate in reply.candidates or ():
                heard.finish = candidate.finish_reason.value if candidate.finish_reason is not None else heard.finish
                for part in (candidate.content.parts if candidate.content is not None else None) or ():
                    if part.function_call is not None:
                        call = part.function_call
                        heard.calls.append((call.id or "", call.name or "", json.dumps(call.args, ensure_ascii=False)))
                    elif part.thought:
                        heard.thoughts += part.text or ""
                    else:
                        heard.text += part.text or ""
        return heard


def open_clients(server: SimServer, key: str = "sim-key") -> Clients:
    """Return clients of all vendors that ask this server."""
    options = gemini.HttpOptions(base_url=server.url, timeout=round(PATIENCE_S * 1000), retry_options=gemini.HttpRetryOptions(attempts=1))
    return Clients(
        openai.OpenAI(api_key=key, base_url=server.openai_url, max_retries=0, timeout=PATIENCE_S),
        anthropic.Anthropic(api_key=key, base_url=server.url, max_retries=0, timeout=PATIENCE_S),
        genai.Client(api_key=key, http_options=options),
    )


def chat_usage(usage: "openai.types.CompletionUsage | None") -> Usage | None:
    if usage is None:
        return None
    asked, said = usage.prompt_tokens_details, usage.completion_tokens_details
    cached = (asked.cached_tokens or 0) if asked else 0
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached, (said.reasoning_tokens or 0) if said else 0)


def heard_response(response: Response) -> Heard:
    heard = Heard(finish=response.status or "")
    if response.incomplete_details is not None:
        heard.finish = response.incomplete_details.reason or ""
    for item in response.output:
        match item.type:
            case "message":
                for part in item.content:
                    heard.text += part.text if part.type == "output_text" else part.refusal
            case "reasoning":
                assert item.encrypted_content
                heard.thoughts += "".join(part.text for part in item.summary)
            case "function_call":
                heard.calls.append((item.call_id, item.name, item.arguments))
            case _:
                raise AssertionError(item.type)
    if (usage := response.usage) is not None:
        cached, thought = usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens
        heard.usage = Usage(usage.input_tokens, usage.output_tokens, cached, thought)
    return heard


def gemini_usage(usage: gemini.GenerateContentResponseUsageMetadata | None) -> Usage | None:
    if usage is None:
        return None
    thought = usage.thoughts_token_count or 0
    said = (usage.candidates_token_count or 0) + thought
    return Usage(usage.prompt_token_count or 0, said, usage.cached_content_token_count or 0, thought)
