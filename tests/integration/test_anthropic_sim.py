"""The adapter for Anthropic against a simulated vendor as strict as the real one."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

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
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ModelSettings, OutputMode, ReplyDone
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm import Timeouts
from agent_sdk.llm.anthropic import Anthropic
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.testing.sim import FAULT_KINDS, FaultKind, Faults, Sim, SimServer
from tests.integration.exchanges.exchange import outcome

SEARCH = ToolSpec("files.search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {})
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
FREE: dict[str, JsonValue] = {"type": "object", "additionalProperties": {"type": "integer"}}
IMAGE = FilePart.from_bytes(b"\x89PNG", "image/png")
REQUEST = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), "Be brief.")
both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


@asynccontextmanager
async def asking(sim: Sim, timeouts: Timeouts | None = None) -> AsyncGenerator[tuple[Anthropic, SimServer]]:
    async with SimServer(sim) as server:
        model = Anthropic(AnthropicOptions("sk-1", server.url, timeouts or Timeouts()))
        try:
            yield model, server
        finally:
            await model.close()


async def ask(model: Anthropic, request: ModelRequest, *, is_stream: bool) -> ModelReply:
    if not is_stream:
        return await model.complete(request)
    deltas = [delta async for delta in model.stream(request)]
    assert isinstance(deltas[-1], ReplyDone)
    return deltas[-1].reply


@both
async def test_a_conversation_with_sealed_thoughts_calls_and_files_is_taken_at_every_turn(is_stream: bool) -> None:
    talk = Conversation([Message("user", (TextPart("Look at this"), IMAGE))])
    asked = replace(REQUEST, conversation=talk, tools=(SEARCH,), settings=ModelSettings(cache="short", reasoning="low"))
    sim = Sim(turns=3, thinks=True, api_key="sk-1")
    async with asking(sim) as (model, server):
        reply = await ask(model, asked, is_stream=is_stream)
        while reply.message.tool_calls:
            talk.add(reply.message)
            talk.add(Message("tool", tuple(ToolResultPart(call.id, {"hits": 3}, files=(IMAGE,)) for call in reply.message.tool_calls)))
            reply = await ask(model, replace(asked, id=StepId(f"t{len(talk)}")), is_stream=is_stream)
        assert server.refused == []
    sealed = [part for message in (*talk, reply.message) for part in message.parts if isinstance(part, ReasoningPart) and part.signature]
    assert len(sealed) == len(sim.requests) > 1
    assert {call.tool for message in talk for call in message.tool_calls} == {"files.search"}
    assert reply.stop == "end"


@both
@pytest.mark.parametrize("schema", [SCHEMA, FREE], ids=["closed", "free"])
@pytest.mark.parametrize("mode", [None, "native", "tool"])
async def test_structured_output_is_of_its_schema_whichever_way_it_is_asked_for(
    mode: OutputMode | None, schema: dict[str, JsonValue], is_stream: bool
) -> None:
    is_native = mode != "tool" and schema is SCHEMA
    request = replace(REQUEST, output_schema=schema, settings=ModelSettings(output_mode=mode))
    async with asking(Sim(turns=0 if is_native else 1)) as (model, server):
        reply = await ask(model, request, is_stream=is_stream)
        assert server.refused == []
    assert isinstance(json.loads(reply.message.text), dict)
    assert reply.stop == "end"


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(temperature=0.5, max_output_tokens=99, stop_sequences=("END",)),
        ModelSettings(reasoning="none", tool_choice="required", parallel_tool_calls=False),
        ModelSettings(force_tool="files.search", cache="long"),
        ModelSettings(tool_choice="none"),
    ],
)
async def test_settings_are_taken(settings: ModelSettings) -> None:
    async with asking(Sim()) as (model, server):
        await model.complete(replace(REQUEST, tools=(SEARCH,), settings=settings))
        assert server.refused == []


async def test_tokens_are_counted_by_the_vendor() -> None:
    request = replace(REQUEST, conversation=Conversation([user_message("word " * 100)]), tools=(SEARCH,))
    async with asking(Sim()) as (model, server):
        assert await model.count_tokens(request) > 100
        assert server.refused == []


async def test_a_wrong_key_and_a_model_that_does_not_exist_are_told_apart() -> None:
    async with asking(Sim(api_key="sk-2")) as (model, _):
        with pytest.raises(AuthFailed):
            await model.complete(REQUEST)
    async with asking(Sim(models=frozenset({"other"}))) as (model, _):
        with pytest.raises(BadRequest):
            await model.complete(REQUEST)


FAILURES: dict[FaultKind, type[ModelError]] = {
    "rate_limited": RateLimited,
    "overloaded": Overloaded,
    "server_error": Unavailable,
    "context_too_long": ContextTooLong,
    "auth_failed": AuthFailed,
    "unknown_model": BadRequest,
    "filtered": ContentRefused,
    "timeout": Unavailable,
    "stall": Unavailable,
    "closed": Unavailable,
    "error_in_stream": Overloaded,
    "malformed_json": ReplyInvalid,
}
STOPS = {"truncated": "length", "refused": "refused", "unknown_finish": "other", "empty": "end"}
WAYS = [(kind, is_stream) for kind in FAULT_KINDS for is_stream in (False, True) if is_stream or kind != "error_in_stream"]


@pytest.mark.parametrize(("kind", "is_stream"), WAYS)
async def test_each_way_to_fail_is_an_error_of_its_kind_or_a_reply(kind: FaultKind, is_stream: bool) -> None:
    quick = Timeouts(first_token_s=0.1, idle_s=0.1, total_s=0.2)
    async with asking(Sim(faults=Faults(1.0, kinds=(kind,))), timeouts=quick) as (model, _):
        made = await outcome(ask(model, replace(REQUEST, tools=(SEARCH,)), is_stream=is_stream))
    if kind == "html":
        assert isinstance(made, Unavailable | ReplyInvalid)  # by the status that the page came with
    elif kind in FAILURES:
        assert type(made) is FAILURES[kind]
    else:
        assert isinstance(made, ModelReply)
        assert made.stop == STOPS.get(kind, "tool_calls")
        assert min(made.usage.input_tokens, made.usage.output_tokens) >= 0
