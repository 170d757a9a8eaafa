"""The same reply in the bytes of each protocol, whole and as a stream: a text of so many tokens, and a call of one tool."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

Protocol = Literal["OpenAI Chat", "OpenAI Responses", "Anthropic", "Gemini"]
Json = dict[str, Any]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
MODEL = "bench"
TOKEN = " token"
ARGUMENTS = {"number": 7}
ARGUMENTS_TEXT = json.dumps(ARGUMENTS)


def whole(protocol: Protocol, tokens: int) -> bytes:
    return _json(_WHOLES[protocol](TOKEN * tokens))


def stream(protocol: Protocol, tokens: int) -> Sequence[bytes]:
    """Return the stream's events; each token is one of its own."""
    return list(_STREAMS[protocol](tokens))


def _chat(text: str) -> Json:
    message = {"role": "assistant", "content": text, "tool_calls": [_chat_call()], "refusal": None}
    return {
        **_chat_head("chat.completion"),
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": _CHAT_USAGE,
    }


def _chat_stream(tokens: int) -> Iterator[bytes]:
    deltas: list[Json] = [{"role": "assistant", "content": ""}, *({"content": TOKEN} for _ in range(tokens))]
    deltas.append({"tool_calls": [{"index": 0, **_chat_call()}]})
    choices: list[list[Json]] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])
    for choice in choices:
        yield _data({**_chat_head("chat.completion.chunk"), "choices": choice})
    yield _data({**_chat_head("chat.completion.chunk"), "choices": [], "usage": _CHAT_USAGE})
    yield b"data: [DONE]\n\n"


_CHAT_USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def _chat_head(kind: str) -> Json:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": MODEL}


def _chat_call() -> Json:
    return {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": ARGUMENTS_TEXT}}


def _response(text: str) -> Json:
    return _responded("completed", [_said(text, "completed"), _called(ARGUMENTS_TEXT, "completed")])


def _response_stream(tokens: int) -> Iterator[bytes]:
    for number, event in enumerate(_response_events(tokens)):
        event["sequence_number"] = number
        yield b"event: " + str(event["type"]).encode() + b"\n" + _data(event)


def _response_events(tokens: int) -> Iterator[Json]:
    text = TOKEN * tokens
    item: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    call: Json = {"item_id": "fc_1", "output_index": 1}
    part: Json = {"type": "output_text", "annotations": [], "logprobs": []}
    for kind in ("response.created", "response.in_progress"):
        yield {"type": kind, "response": _responded("in_progress", [])}
    yield {"type": "response.output_item.added", "output_index": 0, "item": {**_said("", "in_progress"), "content": []}}
    yield {"type": "response.content_part.added", **item, "part": {**part, "text": ""}}
    for _ in range(tokens):
        yield {"type": "response.output_text.delta", **item, "delta": TOKEN, "logprobs": [], "obfuscation": "a1b2c3"}
    yield {"type": "response.output_text.done", **item, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **item, "part": {**part, "text": text}}
    yield {"type": "response.output_item.done", "output_index": 0, "item": _said(text, "completed")}
    yield {"type": "response.output_item.added", "output_index": 1, "item": _called("", "in_progress")}
    yield {"type": "response.function_call_arguments.delta", **call, "delta": ARGUMENTS_TEXT, "obfuscation": "a1b2c3"}
    yield {"type": "response.function_call_arguments.done", **call, "arguments": ARGUMENTS_TEXT, "name": "find"}
    yield {"type": "response.output_item.done", "output_index": 1, "item": _called(ARGUMENTS_TEXT, "completed")}
    yield {"type": "response.completed", "response": _response(text)}


def _responded(status: str, output: list[Json]) -> Json:
    usage = {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {**usage, **details} if output else None,
    }


def _said(text: str, status: str) -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content}


def _called(arguments: str, status: str) -> Json:
    return {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "find", "arguments": arguments, "status": status}


def _message(text: str) -> Json:
    blocks: list[Json] = [{"type": "text", "text": text}, {"type": "tool_use", "id": "toolu_1", "name": "find", "input": ARGUMENTS}]
    return {**_message_head(blocks), "stop_reason": "tool_use", "usage": {"input_tokens": 100, "output_tokens": 20}}


def _message_stream(tokens: int) -> Iterator[bytes]:
    for event in _message_events(tokens):
        yield b"event: " + str(event["type"]).encode() + b"\n" + _data(event)


def _message_events(tokens: int) -> Iterator[Json]:
    yield {"type": "message_start", "message": {**_message_head([]), "usage": {"input_tokens": 100, "output_tokens": 1}}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for _ in range(tokens):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TOKEN}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}}}
    yield {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ARGUMENTS_TEXT}}
    yield {"type": "content_block_stop", "index": 1}
    yield {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 20}}
    yield {"type": "message_stop"}


def _message_head(content: list[Json]) -> Json:
    head: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": content}
    return {**head, "stop_reason": None, "stop_sequence": None}


def _content(text: str) -> Json:
    return _generated([{"text": text}, _GEMINI_CALL], "STOP")


def _content_stream(tokens: int) -> Iterator[bytes]:
    for _ in range(tokens):
        yield _data(_generated([{"text": TOKEN}], None))
    yield _data(_generated([_GEMINI_CALL], None))
    yield _data(_generated([{"text": ""}], "STOP"))


_GEMINI_CALL: Json = {"functionCall": {"name": "find", "args": ARGUMENTS}}


def _generated(parts: list[Json], finish: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "totalTokenCount": 120}
    end = {"finishReason": finish} if finish is not None else {}
    return {"candidates": [{**candidate, **end}], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "r1"}


_WHOLES: Mapping[Protocol, Callable[[str], Json]] = {
    "OpenAI Chat": _chat,
    "OpenAI Responses": _response,
    "Anthropic": _message,
    "Gemini": _content,
}
_STREAMS: Mapping[Protocol, Callable[[int], Iterator[bytes]]] = {
    "OpenAI Chat": _chat_stream,
    "OpenAI Responses": _response_stream,
    "Anthropic": _message_stream,
    "Gemini": _content_stream,
}


def _data(value: object) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
