"""Our adapters before the simulated servers: two readings of each protocol, made apart, that have to meet (fake_llm)."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import jsonschema
import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, TextPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ModelSettings, ReplyDone
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Usage
from agent_sdk.llm.anthropic import Anthropic
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.gemini import Gemini
from agent_sdk.llm.gemini_options import GeminiOptions
from agent_sdk.llm.openai_chat import OpenAIChat
from agent_sdk.llm.openai_responses import OpenAIResponses
from agent_sdk.llm.options import OpenAIOptions, Timeouts
from agent_sdk.llm.transport import HttpModel
from agent_sdk.testing import Fault, FaultKind, Sim, SimServer
from tests.integration.sim_clients import DIALECTS, Dialect

Schema = dict[str, JsonValue]
QUICK = Timeouts(connect_s=1, first_token_s=0.25, idle_s=0.25, total_s=0.5)
PARAMETERS: Schema = {
    "type": "object",
    "properties": {
        "q": {"type": "string"},
        "n": {"type": ["integer", "null"]},
        "mode": {"enum": ["fast", "deep"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "free": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "required": ["q", "mode"],
    "additionalProperties": False,
    "$defs": {"tag": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"name": {"const": "x"}}, "required": ["name"]}]}},
}
TOOLS = (ToolSpec("files.search", "Search.", PARAMETERS, {}), ToolSpec("look", "Look.", {"type": "object", "properties": {}}, {}))
OUTPUT: Schema = {
    "type": "object",
    "properties": {"total": {"type": "integer", "minimum": 0}, "names": {"type": "array", "items": {"type": "string"}}},
    "required": ["total", "names"],
    "additionalProperties": False,
}

dialects = pytest.mark.parametrize("dialect", DIALECTS)
both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


@dataclass(slots=True)
class Scene:
    """An adapter and the server that it asks."""

    model: HttpModel
    server: SimServer
    is_stream: bool

    async def ask(self, request: ModelRequest) -> ModelReply:
        if not self.is_stream:
            return await self.model.complete(request)
        deltas = [delta async for delta in self.model.stream(request)]
        assert isinstance(deltas[-1], ReplyDone)
        return deltas[-1].reply


@asynccontextmanager
async def scene(dialect: Dialect, sim: Sim, *, is_stream: bool, key: str = "sim-key") -> AsyncGenerator[Scene]:
    async with SimServer(sim) as server:
        model: HttpModel
        match dialect:
            case "openai_chat":
                model = OpenAIChat(OpenAIOptions(key, server.openai_url, QUICK))
            case "openai_responses":
                model = OpenAIResponses(OpenAIOptions(key, server.openai_url, QUICK))
            case "anthropic":
                model = Anthropic(AnthropicOptions(key, server.url, QUICK))
            case "gemini":
                model = Gemini(GeminiOptions(key, f"{server.url}/v1beta", QUICK))
        try:
            yield Scene(model, server, is_stream)
        finally:
            await model.close()


def question(conversation: Conversation, number: int, settings: ModelSettings, output: Schema | None = None) -> ModelRequest:
    return ModelRequest(StepId(f"t{number}"), "gemini-3-sim", conversation, "Be brief.", TOOLS, output, settings)


SETTINGS = {
    "plain": ModelSettings(),
    "bounded": ModelSettings(max_output_tokens=4000, parallel_tool_calls=False),
    "thinking": ModelSettings(reasoning="medium", max_output_tokens=8000),
    "not thinking": ModelSettings(reasoning="none"),
    "cached": ModelSettings(cache="short"),
    "required": ModelSettings(tool_choice="required"),
    "forced": ModelSettings(force_tool="files.search"),
    "by a tool": ModelSettings(output_mode="tool"),
    "in words": ModelSettings(output_mode="prompt"),
    "warm": ModelSettings(temperature=0.5),
    "stopping": ModelSettings(stop_sequences=("END",)),
}


@both
@dialects
@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("thinks", [False, True], ids=["quiet", "thinks"])
async def test_fake_llm_refuses_nothing_that_an_adapter_says(dialect: Dialect, is_stream: bool, kind: str, thinks: bool) -> None:
    if (dialect, kind) == ("openai_responses", "stopping"):
        return  # that protocol has no stop sequences, and the adapter says so
    sim = Sim(thinks=thinks, api_key="sim-key", cache_from_tokens=50)
    async with scene(dialect, sim, is_stream=is_stream) as at:
        conversation = Conversation([user_message("Hi")])
        for number in range(1, 4):
            reply = await at.ask(question(conversation, number, SETTINGS[kind]))
            charge = sim.charges[-1]
            assert (reply.usage.input_tokens, reply.usage.output_tokens) == (charge.usage.input_tokens, charge.usage.output_tokens)
            assert (reply.usage.cached_tokens, reply.usage.cache_write_tokens) == (
                charge.usage.cached_tokens,
                charge.usage.cache_write_tokens,
            )
            for call in reply.message.tool_calls:
                jsonschema.validate(call.args, next(tool.parameters for tool in TOOLS if tool.name == call.tool))
            conversation.add(reply.message)
            if reply.message.tool_calls:
                conversation.add(Message("tool", tuple(ToolResultPart(call.id, {"ok": True}) for call in reply.message.tool_calls)))
            else:
                conversation.add(user_message("Go on"))
        assert at.server.refused == []


@both
@dialects
@pytest.mark.parametrize("mode", ["native", "tool", None])
async def test_fake_llm_answers_in_the_schema_that_an_adapter_asks_for(
    dialect: Dialect, is_stream: bool, mode: Literal["native", "tool"] | None
) -> None:
    sim = Sim(turns=0)
    async with scene(dialect, sim, is_stream=is_stream) as at:
        request = ModelRequest(
            StepId("t1"), "m", Conversation([user_message("Hi")]), output_schema=OUTPUT, settings=ModelSettings(output_mode=mode)
        )
        reply = await at.ask(request)
        assert at.server.refused == []
    jsonschema.validate(json.loads(reply.message.text), OUTPUT)


@both
@dialects
async def test_fake_llm_takes_files_from_people_and_tools(dialect: Dialect, is_stream: bool) -> None:
    image = FilePart.from_bytes(b"\x89PNG", "image/png")
    async with scene(dialect, Sim(turns=1), is_stream=is_stream) as at:
        conversation = Conversation([Message("user", (TextPart("see"), image))])
        reply = await at.ask(question(conversation, 1, ModelSettings()))
        conversation.add(reply.message)
        conversation.add(Message("tool", tuple(ToolResultPart(call.id, "shown", files=(image,)) for call in reply.message.tool_calls)))
        assert (await at.ask(question(conversation, 2, ModelSettings()))).message.parts
        assert at.server.refused == []


RAISED: dict[FaultKind, tuple[type[ModelError], ...]] = {
    "rate_limited": (RateLimited,),
    "overloaded": (Overloaded,),
    "server_error": (Unavailable,),
    "timeout": (Unavailable,),
    "stall": (Unavailable,),
    "closed": (Unavailable,),
    "error_in_stream": (Unavailable, Overloaded),
    "malformed_json": (ReplyInvalid,),
    "html": (ReplyInvalid, Unavailable),
    "context_too_long": (ContextTooLong,),
    "auth_failed": (AuthFailed,),
    "unknown_model": (BadRequest,),
    "filtered": (ContentRefused,),
}


@both
@dialects
@pytest.mark.parametrize("kind", RAISED)
async def test_fake_llm_fails_an_adapter_in_the_class_that_it_means(dialect: Dialect, is_stream: bool, kind: FaultKind) -> None:
    if kind == "error_in_stream" and not is_stream:
        return  # nothing is streamed
    if (dialect, kind) == ("gemini", "filtered"):
        return  # here it is a reply without candidates, which the adapter hands on as refused
    sim = Sim([Fault(kind, retry_after_s=3)] * 4)
    async with scene(dialect, sim, is_stream=is_stream) as at:
        with pytest.raises(RAISED[kind]) as caught:
            await at.ask(question(Conversation([user_message("Hi")]), 1, ModelSettings()))
    if kind == "rate_limited":
        assert caught.value.retry_after_s == 3
    known = caught.value.usage or Usage()
    charged = sim.charges[-1].usage if sim.charges else Usage()
    assert (known.input_tokens, known.output_tokens, known.cached_tokens) == (
        charged.input_tokens,
        charged.output_tokens,
        charged.cached_tokens,
    )


@both
@dialects
@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "refused",
        "unknown_finish",
        "empty",
        "usage_missing",
        "usage_zero",
        "usage_negative",
        "duplicate_call_ids",
        "invalid_arguments",
    ],
)
async def test_fake_llm_replies_that_are_odd_are_replies_all_the_same(dialect: Dialect, is_stream: bool, kind: FaultKind) -> None:
    if (dialect, kind) == ("gemini", "invalid_arguments"):
        return  # here the vendor itself says that it gave the reply up
    sim = Sim([Fault(kind)] * 2)
    async with scene(dialect, sim, is_stream=is_stream) as at:
        reply = await at.ask(question(Conversation([user_message("Hi")]), 1, ModelSettings()))
    assert reply.usage.input_tokens == sum(charge.usage.input_tokens for charge in sim.charges)
    assert len({call.id for call in reply.message.tool_calls}) == len(reply.message.tool_calls)
    stops = {"truncated": {"length"}, "refused": {"refused"}, "unknown_finish": {"other"}}
    assert reply.stop in stops.get(kind, {"end", "tool_calls", "other"})
