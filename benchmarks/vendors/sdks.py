"""The vendors' own SDKs, each used as its documentation shows, without their helpers that put streams together, which cost more."""

import json
import warnings
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anthropic
import openai
from anthropic.types import ContentBlock, TextBlock, ToolParam, ToolUseBlock
from google import genai
from google.genai import types
from openai.types.chat import ChatCompletionToolParam
from openai.types.responses import FunctionToolParam, Response

from benchmarks.agents import FOUND, GOAL
from benchmarks.bare import PARAMETERS
from benchmarks.vendors.bare import DESCRIPTION
from benchmarks.vendors.replies import MODEL, Protocol
from benchmarks.vendors.talk import INSTRUCTIONS, KEY, MAX_TOKENS, Talk

CHAT_TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "find", "description": DESCRIPTION, "parameters": PARAMETERS},
}
RESPONSES_TOOL: FunctionToolParam = {
    "type": "function",
    "name": "find",
    "description": DESCRIPTION,
    "parameters": PARAMETERS,
    "strict": False,
}
ANTHROPIC_TOOL: ToolParam = {"name": "find", "description": DESCRIPTION, "input_schema": PARAMETERS}


def opened(protocol: Protocol, url: str) -> AbstractAsyncContextManager[Talk]:
    match protocol:
        case "OpenAI Chat":
            return _chat(url)
        case "OpenAI Responses":
            return _responses(url)
        case "Anthropic":
            return _anthropic(url)
        case "Gemini":
            return _gemini(url)


@asynccontextmanager
async def _chat(url: str) -> AsyncGenerator[Talk]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as client:

        async def ask(history: list[Any]) -> None:
            reply = await client.chat.completions.create(model=MODEL, messages=history, tools=[CHAT_TOOL], max_tokens=MAX_TOKENS)
            message = reply.choices[0].message
            history.append(message)
            history.extend({"role": "tool", "tool_call_id": call.id, "content": FOUND} for call in message.tool_calls or ())

        async def ask_streamed(history: list[Any]) -> None:
            texts: list[str] = []
            identity = name = arguments = ""
            stream = await client.chat.completions.create(
                model=MODEL, messages=history, tools=[CHAT_TOOL], max_tokens=MAX_TOKENS, stream=True, stream_options={"include_usage": True}
            )
            async for chunk in stream:
                for choice in chunk.choices:
                    texts.append(choice.delta.content or "")
                    for call in choice.delta.tool_calls or ():
                        identity += call.id or ""
                        if call.function is not None:
                            name, arguments = name + (call.function.name or ""), arguments + (call.function.arguments or "")
            called = {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
            history.append({"role": "assistant", "content": "".join(texts), "tool_calls": [called]})
            history.append({"role": "tool", "tool_call_id": identity, "content": FOUND})

        async def talk(turns: int, *, is_stream: bool) -> None:
            history: list[Any] = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": GOAL}]
            for _ in range(turns):
                await (ask_streamed(history) if is_stream else ask(history))

        yield talk


@asynccontextmanager
async def _responses(url: str) -> AsyncGenerator[Talk]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as client:

        async def ask(history: list[Any]) -> Response:
            return await client.responses.create(
                model=MODEL, instructions=INSTRUCTIONS, input=history, tools=[RESPONSES_TOOL], max_output_tokens=MAX_TOKENS, store=False
            )

        async def ask_streamed(history: list[Any]) -> Response:
            stream = await client.responses.create(
                model=MODEL,
                instructions=INSTRUCTIONS,
                input=history,
                tools=[RESPONSES_TOOL],
                max_output_tokens=MAX_TOKENS,
                store=False,
                stream=True,
            )
            (completed,) = [event.response async for event in stream if event.type == "response.completed"]
            return completed

        async def talk(turns: int, *, is_stream: bool) -> None:
            history: list[Any] = [{"role": "user", "content": GOAL}]
            for _ in range(turns):
                response = await (ask_streamed(history) if is_stream else ask(history))
                history.extend(response.output)
                calls = [item.call_id for item in response.output if item.type == "function_call"]
                history.extend({"type": "function_call_output", "call_id": call, "output": FOUND} for call in calls)

        yield talk


@asynccontextmanager
async def _anthropic(url: str) -> AsyncGenerator[Talk]:
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0) as client:

        async def ask(history: list[Any]) -> list[ContentBlock]:
            reply = await client.messages.create(
                model=MODEL, system=INSTRUCTIONS, messages=history, tools=[ANTHROPIC_TOOL], max_tokens=MAX_TOKENS
            )
            return reply.content

        async def ask_streamed(history: list[Any]) -> list[ContentBlock]:
            blocks: list[ContentBlock] = []
            pieces: list[str] = []
            stream = await client.messages.create(
                model=MODEL, system=INSTRUCTIONS, messages=history, tools=[ANTHROPIC_TOOL], max_tokens=MAX_TOKENS, stream=True
            )
            async for event in stream:
                if event.type == "content_block_start":
                    blocks.append(event.content_block)
                    pieces = []
                elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                    pieces.append(event.delta.text)
                elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                    pieces.append(event.delta.partial_json)
                elif event.type == "content_block_stop":
                    _fill(blocks[-1], "".join(pieces))
            return blocks

        async def talk(turns: int, *, is_stream: bool) -> None:
            history: list[Any] = [{"role": "user", "content": GOAL}]
            for _ in range(turns):
                content = await (ask_streamed(history) if is_stream else ask(history))
                results = [{"type": "tool_result", "tool_use_id": each.id, "content": FOUND} for each in content if each.type == "tool_use"]
                history += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]

        yield talk


def _fill(block: ContentBlock, said: str) -> None:
    match block:
        case TextBlock():
            block.text = said
        case ToolUseBlock():
            block.input = json.loads(said)
        case _:
            pass


@asynccontextmanager
async def _gemini(url: str) -> AsyncGenerator[Talk]:
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url)).aio
    models: Any = client.models  # its own annotations name types of libraries that are not here
    declaration = types.FunctionDeclaration(name="find", description=DESCRIPTION, parameters_json_schema=PARAMETERS)
    config = types.GenerateContentConfig(
        system_instruction=INSTRUCTIONS, tools=[types.Tool(function_declarations=[declaration])], max_output_tokens=MAX_TOKENS
    )

    async def ask(history: list[types.Content]) -> list[types.Part]:
        return _parts(await models.generate_content(model=MODEL, contents=history, config=config))

    async def ask_streamed(history: list[types.Content]) -> list[types.Part]:
        parts: list[types.Part] = []
        async for chunk in await models.generate_content_stream(model=MODEL, contents=history, config=config):
            parts += _parts(chunk)
        text = "".join(part.text for part in parts if part.text)
        return [types.Part(text=text), *(part for part in parts if part.function_call is not None)]

    async def talk(turns: int, *, is_stream: bool) -> None:
        history = [types.Content(role="user", parts=[types.Part(text=GOAL)])]
        for _ in range(turns):
            parts = await (ask_streamed(history) if is_stream else ask(history))
            names = [part.function_call.name or "" for part in parts if part.function_call is not None]
            results = [types.Part.from_function_response(name=name, response={"output": FOUND}) for name in names]
            history += [types.Content(role="model", parts=parts), types.Content(role="user", parts=results)]

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Inheritance class AiohttpClientSession", DeprecationWarning)  # the SDK's own doing
            yield talk
    finally:
        await client.aclose()


def _parts(reply: types.GenerateContentResponse) -> list[types.Part]:
    content = (reply.candidates or [])[0].content
    return (content.parts if content is not None else None) or []
