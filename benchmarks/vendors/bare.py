"""The bare limit: aiohttp and json, and no more understanding of the reply than the next call needs."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, assert_never

import aiohttp

from benchmarks.agents import FOUND, GOAL
from benchmarks.bare import PARAMETERS
from benchmarks.vendors.replies import MODEL, Json, Protocol
from benchmarks.vendors.talk import INSTRUCTIONS, KEY, MAX_TOKENS, Talk

DESCRIPTION = "Find an item."
FUNCTION: Json = {"name": "find", "description": DESCRIPTION, "parameters": PARAMETERS}


@asynccontextmanager
async def opened(protocol: Protocol, url: str) -> AsyncGenerator[Talk]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def talk(turns: int, *, is_stream: bool) -> None:
            history = [said_by_user(protocol)]
            for _ in range(turns):
                body = json.dumps(question(protocol, history, is_stream=is_stream)).encode()
                async with session.post(url + path(protocol, is_stream=is_stream), data=body) as response:
                    if is_stream:
                        text, call = await _streamed(protocol, response)
                    else:
                        text, call = _whole(protocol, json.loads(await response.read()))
                history += said_since(protocol, text, call)

        yield talk


def path(protocol: Protocol, *, is_stream: bool) -> str:
    match protocol:
        case "OpenAI Chat":
            return "/v1/chat/completions"
        case "OpenAI Responses":
            return "/v1/responses"
        case "Anthropic":
            return "/v1/messages"
        case "Gemini":
            return f"/v1beta/models/{MODEL}:{'streamGenerateContent?alt=sse' if is_stream else 'generateContent'}"


def question(protocol: Protocol, history: list[Json], *, is_stream: bool) -> Json:
    stream = {"stream": True} if is_stream and protocol != "Gemini" else {}
    match protocol:
        case "OpenAI Chat":
            messages = [{"role": "system", "content": INSTRUCTIONS}, *history]
            usage = {"stream_options": {"include_usage": True}} if is_stream else {}
            tools = [{"type": "function", "function": FUNCTION}]
            return {"model": MODEL, "messages": messages, "tools": tools, "max_tokens": MAX_TOKENS, **stream, **usage}
        case "OpenAI Responses":
            asked = {"model": MODEL, "instructions": INSTRUCTIONS, "input": history, "store": False, "max_output_tokens": MAX_TOKENS}
            return {**asked, "tools": [{"type": "function", **FUNCTION}], **stream}
        case "Anthropic":
            tools = [{"name": "find", "description": DESCRIPTION, "input_schema": PARAMETERS}]
            return {"model": MODEL, "system": INSTRUCTIONS, "messages": history, "tools": tools, "max_tokens": MAX_TOKENS, **stream}
        case "Gemini":
            asked = {"contents": history, "systemInstruction": {"parts": [{"text": INSTRUCTIONS}]}}
            return {**asked, "tools": [{"functionDeclarations": [FUNCTION]}], "generationConfig": {"maxOutputTokens": MAX_TOKENS}}
        case _:
            assert_never(protocol)


def said_by_user(protocol: Protocol) -> Json:
    return {"role": "user", "parts": [{"text": GOAL}]} if protocol == "Gemini" else {"role": "user", "content": GOAL}


def said_since(protocol: Protocol, text: str, call: Json) -> list[Json]:
    """Return the model's reply and the tool's result as they go back."""
    match protocol:
        case "OpenAI Chat":
            result = {"role": "tool", "tool_call_id": call["id"], "content": FOUND}
            return [{"role": "assistant", "content": text, "tool_calls": [call]}, result]
        case "OpenAI Responses":
            result = {"type": "function_call_output", "call_id": call["call_id"], "output": FOUND}
            return [{"role": "assistant", "content": text}, call, result]
        case "Anthropic":
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": FOUND}
            return [{"role": "assistant", "content": [{"type": "text", "text": text}, call]}, {"role": "user", "content": [result]}]
        case "Gemini":
            result = {"functionResponse": {"name": call["functionCall"]["name"], "response": {"output": FOUND}}}
            return [{"role": "model", "parts": [{"text": text}, call]}, {"role": "user", "parts": [result]}]
        case _:
            assert_never(protocol)


def _whole(protocol: Protocol, reply: Json) -> tuple[str, Json]:
    match protocol:
        case "OpenAI Chat":
            message = reply["choices"][0]["message"]
            return message["content"], message["tool_calls"][0]
        case "OpenAI Responses":
            said, called = reply["output"]
            return said["content"][0]["text"], called
        case "Anthropic":
            text, call = reply["content"]
            return text["text"], call
        case "Gemini":
            text, call = reply["candidates"][0]["content"]["parts"]
            return text["text"], call
        case _:
            assert_never(protocol)


async def _streamed(protocol: Protocol, response: aiohttp.ClientResponse) -> tuple[str, Json]:
    texts: list[str] = []
    arguments: list[str] = []
    call: Json = {}
    async for event in _events(response):
        match _piece(protocol, event):
            case str() as text:
                texts.append(text)
            case bytes() as piece:
                arguments.append(piece.decode())
            case dict() as found:
                call = found
            case None:
                pass
    if arguments:
        call = {**call, "input": json.loads("".join(arguments))}
    return "".join(texts), call


def _piece(protocol: Protocol, event: Json) -> str | bytes | Json | None:
    """Return what an event brings: a piece of the text, of the call's arguments (as bytes), or the call."""
    found: str | bytes | Json | None = None
    match protocol:
        case "OpenAI Chat":
            delta: Json = event["choices"][0]["delta"] if event["choices"] else {}
            found = delta["tool_calls"][0] if "tool_calls" in delta else delta.get("content")
        case "OpenAI Responses":
            if event["type"] == "response.output_text.delta":
                found = event["delta"]
            elif event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
                found = event["item"]
        case "Anthropic":
            delta = event.get("delta", {})
            if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
                found = event["content_block"]
            else:
                found = delta["partial_json"].encode() if "partial_json" in delta else delta.get("text")
        case "Gemini":
            (part,) = event["candidates"][0]["content"]["parts"]
            found = part if "functionCall" in part else part["text"]
    return found


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for data in response.content.iter_any():
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            content = event[event.index(b"data: ") + 6 :]
            if content != b"[DONE]":
                yield json.loads(content)
