"""Anthropic's Messages on the simulated server: what the simulated model says, as content blocks and as their events."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Stop, ToolChoice
from agent_sdk.core.usage import Usage
from agent_sdk.testing.chat_protocol import RawReply
from agent_sdk.testing.scripted_model import Call
from agent_sdk.testing.sim.anthropic_asked import AnthropicCount, AnthropicMessage, AnthropicRequest, OlderRequest, TextBlock, said
from agent_sdk.testing.sim.asked import Dialect, SimRequest, SimTool, Spoken, Wanted
from agent_sdk.testing.sim.faults import Fault
from agent_sdk.testing.sim.said import arguments_text
from agent_sdk.testing.sim.sim import Verdict
from agent_sdk.testing.sim.tokens import json_tokens, split_tokens
from agent_sdk.testing.sim.wire import HttpAsked, WireEvent, body_json, call_ids, named_event, parsed, seal, to_wire

Block = dict[str, JsonValue]

_STOPS: dict[Stop, str] = {
    "end": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "refused": "refusal",
    "other": "sim_unknown",
}
_VERSIONS = ("2026-10-21", "2023-06-01", "2023-01-01")
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "any": "required", "tool": "auto", "none": "none"}
_KINDS = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}


@frozen
class AnthropicSpeaker:
    """The server's side of `POST /v1/messages` and `/v1/messages/count_tokens`."""

    dialect: Dialect = "anthropic"

    def refusal(self, asked: HttpAsked, api_key: str | None) -> RawReply | None:
        key = asked.headers.get("x-api-key") or asked.headers.get("Authorization", "").removeprefix("Bearer ")
        if api_key is not None and not key:
            return _error(401, "x-api-key header is required")
        if api_key is not None and key != api_key:
            return _error(401, "invalid x-api-key")
        if asked.headers.get("anthropic-version") is None:
            return _error(400, "anthropic-version: header is required")
        if asked.headers.get("anthropic-version") not in _VERSIONS:
            return _error(400, f"anthropic-version: {asked.headers['anthropic-version']!r} is not a valid version")
        return None

    def parse(self, asked: HttpAsked) -> SimRequest:
        request = parsed(_shape(asked), asked.body)
        messages = [each for message in request.messages for each in _spoken(message)]
        offered = sum(json_tokens(tool.model_dump(mode="json")) for tool in request.tools or ())
        offered += json_tokens(dict(request.output_schema)) if request.output_schema is not None else 0
        return SimRequest(self.dialect, request.model, request.instructions, messages, _wanted(request), offered, body_json(asked.body))

    def whole(self, verdict: Verdict) -> bytes:
        return to_wire(_message(verdict, list[JsonValue](_blocks(verdict)), verdict.reported))

    def events(self, verdict: Verdict) -> list[WireEvent]:
        begun = None if verdict.reported is None else _begun(verdict.reported)
        start = _message(verdict, [], begun) | {"stop_reason": None}
        written = [
            WireEvent(named_event({"type": "message_start", "message": start}), begun),
            WireEvent(named_event({"type": "ping"}), begun),
        ]
        for index, block in enumerate(_blocks(verdict)):
            written += [WireEvent(named_event(event), begun, event["type"] == "content_block_delta") for event in _grown(index, block)]
        delta: Block = {"stop_reason": _STOPS[verdict.reply.stopped], "stop_sequence": None}
        usage: Block = {} if verdict.reported is None else {"usage": _usage(verdict.reported)}
        written.append(WireEvent(named_event({"type": "message_delta", "delta": delta, **usage}), verdict.reported))
        return [*written, WireEvent(named_event({"type": "message_stop"}), verdict.reported)]

    def counted(self, tokens: int) -> bytes | None:
        return to_wire({"input_tokens": tokens})

    def error(self, fault: Fault, request: SimRequest) -> RawReply:
        match fault.kind:
            case "rate_limited":
                return _error(429, "This request would exceed your organization's rate limit.", _limits(fault.retry_after_s))
            case "overloaded":
                return _error(529, "Overloaded")
            case "context_too_long":
                return _error(400, f"prompt is too long: {request.input_tokens} tokens > {request.input_tokens - 1} maximum")
            case "auth_failed":
                return _error(401, "invalid x-api-key")
            case "unknown_model":
                return _error(404, f"model: {request.model}")
            case "filtered":
                return _error(400, "Output blocked by content filtering policy")
            case _:
                return _error(500, "Internal server error")

    def bad_request(self, message: str, param: str | None, code: str | None = None) -> RawReply:
        return _error(400, message)

    def error_event(self) -> bytes:
        return named_event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})


def _shape(asked: HttpAsked) -> type[AnthropicCount]:
    if asked.action == "count":
        return AnthropicCount
    return AnthropicRequest if asked.headers["anthropic-version"] == _VERSIONS[0] else OlderRequest


def _spoken(message: AnthropicMessage) -> Iterator[Spoken]:
    """Yield the message, parted in two where results of tools, and files beside them, stand before what the user says."""
    spoken = list(message.blocks)
    if results := message.results:
        shown = [block for block in spoken if not isinstance(block, TextBlock)]
        yield Spoken("tool", "\n".join(map(said, shown)), 0, tuple(result.text for result in results))
        spoken = [block for block in spoken if isinstance(block, TextBlock)]
    if spoken:
        yield Spoken(message.role, "\n".join(map(said, spoken)), len(message.uses))


def _wanted(request: AnthropicCount) -> Wanted:
    asked = request if isinstance(request, AnthropicRequest) else None
    choice = request.tool_choice
    return Wanted(
        tuple(SimTool(tool.name, tool.input_schema) for tool in request.tools or ()),
        _CHOICES[choice.type] if choice is not None else "auto",
        choice.name if choice is not None else None,
        choice is None or not choice.disable_parallel_tool_use,
        request.output_schema,
        asked.max_tokens if asked is not None else None,
        asked.stream if asked is not None else False,
        request.breakpoints > 0,
    )


def _message(verdict: Verdict, content: list[JsonValue], usage: Usage | None) -> Block:
    counted: Block = {} if usage is None else {"usage": _usage(usage)}
    return {
        "id": f"msg_{verdict.number}",
        "type": "message",
        "role": "assistant",
        "model": verdict.request.model,
        "content": content,
        "stop_reason": _STOPS[verdict.reply.stopped],
        "stop_sequence": None,
        **counted,
    }


def _begun(usage: Usage) -> Usage:
    """Return what a stream reports when it begins: the input, and the first token."""
    return Usage(usage.input_tokens, min(1, usage.output_tokens), usage.cached_tokens, 0, cache_write_tokens=usage.cache_write_tokens)


def _usage(usage: Usage) -> JsonValue:
    """Write the usage; here the cached tokens are not part of the input tokens."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.reasoning_tokens},
        "service_tier": "standard",
    }


def _blocks(verdict: Verdict) -> list[Block]:
    reply = verdict.reply
    blocks: list[Block] = []
    if reply.reasoning:
        blocks.append({"type": "thinking", "thinking": reply.reasoning, "signature": seal(reply.reasoning)})
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    for identity, call in zip(call_ids(verdict, "toolu_"), reply.calls, strict=True):
        blocks.append({"type": "tool_use", "id": identity, "name": call.tool, "input": _input(call)})
    return blocks


def _input(call: Call) -> JsonValue:
    """Return the arguments as an object; what a sloppy model wrote stays the text it is."""
    return call.args if isinstance(call.args, str) else dict(call.args)


def _grown(index: int, block: Block) -> Iterator[Block]:
    """Yield a block's events: announced empty, piece by piece, and its end."""
    empty: dict[str, Block] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    yield {"type": "content_block_start", "index": index, "content_block": block | empty[str(block["type"])]}
    match block:
        case {"text": str(text)}:
            pieces: list[Block] = [{"type": "text_delta", "text": token} for token in split_tokens(text)]
        case {"thinking": str(text)}:
            pieces = [{"type": "thinking_delta", "thinking": token} for token in split_tokens(text)]
            pieces.append({"type": "signature_delta", "signature": block["signature"]})
        case _:
            text = arguments_text(Call("", block["input"] if isinstance(block["input"], str | dict) else {}))
            tokens = ["", *split_tokens(text)] if text != json.dumps({}) else [""]
            pieces = [{"type": "input_json_delta", "partial_json": token} for token in tokens]
    for piece in pieces:
        yield {"type": "content_block_delta", "index": index, "delta": piece}
    yield {"type": "content_block_stop", "index": index}


def _limits(wait_s: float) -> dict[str, str]:
    reset = (datetime.now(UTC) + timedelta(seconds=wait_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "retry-after": f"{-(-wait_s // 1):g}",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": reset,
    }


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> RawReply:
    kind = _KINDS.get(status, "invalid_request_error")
    body: JsonValue = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sim"}
    return RawReply(to_wire(body), status, headers=headers or {})
