"""The Responses adapter against a simulated vendor as strict as the real one, and against the vendor's own types for requests."""

import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import JsonValue, TypeAdapter

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
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ModelSettings, OutputMode, ReplyDone
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm import OpenAIOptions, Timeouts
from agent_sdk.llm.openai_responses import OpenAIResponses
from agent_sdk.llm.openai_responses_request import PROTOCOL, ResponseWriter
from agent_sdk.testing import RawReply, error_reply
from agent_sdk.testing.sim import FAULT_KINDS, FaultKind, Faults, Sim, SimRequest, SimServer
from tests.integration.exchanges.exchange import outcome

SEARCH = ToolSpec("files.search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}, {})
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
IMAGE = FilePart.from_bytes(b"\x89PNG", "image/png")
both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


@asynccontextmanager
async def asking(sim: Sim, timeouts: Timeouts | None = None) -> AsyncGenerator[tuple[OpenAIResponses, SimServer]]:
    async with SimServer(sim) as server:
        model = OpenAIResponses(OpenAIOptions("sk-1", server.openai_url, timeouts or Timeouts()))
        try:
            yield model, server
        finally:
            await model.close()


async def ask(model: OpenAIResponses, request: ModelRequest, *, is_stream: bool) -> ModelReply:
    if not is_stream:
        return await model.complete(request)
    deltas = [delta async for delta in model.stream(request)]
    assert isinstance(deltas[-1], ReplyDone)
    return deltas[-1].reply


@both
async def test_a_conversation_with_sealed_thoughts_calls_and_files_is_taken_at_every_turn(is_stream: bool) -> None:
    talk = Conversation([Message("user", (TextPart("Look at this"), IMAGE))])
    sim = Sim(turns=3, thinks=True, api_key="sk-1")
    async with asking(sim) as (model, server):
        reply = await ask(model, ModelRequest(StepId("t1"), "m", talk, "Be brief.", (SEARCH,)), is_stream=is_stream)
        while reply.message.tool_calls:
            talk.add(reply.message)
            talk.add(Message("tool", tuple(ToolResultPart(call.id, {"hits": 3}, files=(IMAGE,)) for call in reply.message.tool_calls)))
            reply = await ask(model, ModelRequest(StepId(f"t{len(talk)}"), "m", talk, "Be brief.", (SEARCH,)), is_stream=is_stream)
        assert server.refused == []
    sealed = [part for message in (*talk, reply.message) for part in message.parts if isinstance(part, ReasoningPart) and part.signature]
    assert len(sealed) == len(sim.requests) > 1
    assert {call.tool for message in talk for call in message.tool_calls} == {"files.search"}
    assert reply.stop == "end"
    assert reply.request_id


@both
@pytest.mark.parametrize("mode", ["native", "tool", "prompt"])
async def test_structured_output_is_of_its_schema_whichever_way_it_is_asked_for(mode: OutputMode, is_stream: bool) -> None:
    sim = Sim(script=lambda request: '{"n": 7}') if mode == "prompt" else Sim(turns=0 if mode == "native" else 1)
    settings = ModelSettings(output_mode=mode)
    request = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), output_schema=SCHEMA, settings=settings)
    async with asking(sim) as (model, server):
        reply = await ask(model, request, is_stream=is_stream)
        assert server.refused == []
    assert json.loads(reply.message.text).keys() == {"n"}
    assert reply.stop == "end"


@both
async def test_a_server_that_knows_no_schemas_is_asked_without_from_then_on(is_stream: bool) -> None:
    def answer(request: SimRequest) -> str | RawReply:
        return error_reply(400, "Invalid value for text.format") if request.wanted.output_schema is not None else '{"n": 1}'

    request = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), output_schema=SCHEMA)
    sim = Sim(script=answer)
    async with asking(sim) as (model, _):
        for _turn in range(2):
            assert (await ask(model, request, is_stream=is_stream)).message.text == '{"n": 1}'
    assert len(sim.requests) == 3


async def test_tokens_are_counted_by_the_vendor() -> None:
    request = ModelRequest(StepId("t1"), "m", Conversation([user_message("word " * 100)]), "Be brief.", (SEARCH,))
    async with asking(Sim()) as (model, server):
        assert await model.count_tokens(request) > 100
        assert server.refused == []


async def test_a_wrong_key_and_a_model_that_does_not_exist_are_told_apart() -> None:
    request = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]))
    async with asking(Sim(api_key="sk-2")) as (model, _):
        with pytest.raises(AuthFailed):
            await model.complete(request)
    async with asking(Sim(models=frozenset({"other"}))) as (model, _):
        with pytest.raises(BadRequest):
            await model.complete(request)


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
    "error_in_stream": Unavailable,
    "malformed_json": ReplyInvalid,
    "html": Unavailable,
}


WAYS = [(kind, is_stream) for kind in FAULT_KINDS for is_stream in (False, True) if is_stream or kind != "error_in_stream"]


@pytest.mark.parametrize(("kind", "is_stream"), WAYS)
async def test_each_way_to_fail_is_an_error_of_its_kind_or_a_reply(kind: FaultKind, is_stream: bool) -> None:
    quick = Timeouts(first_token_s=0.1, idle_s=0.1, total_s=0.2)
    request = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), tools=(SEARCH,))
    async with asking(Sim(faults=Faults(1.0, kinds=(kind,))), timeouts=quick) as (model, _):
        made = await outcome(ask(model, request, is_stream=is_stream))
    if kind in FAILURES:
        assert type(made) is FAILURES[kind]
    else:
        assert isinstance(made, ModelReply)
        assert made.stop == {"truncated": "length", "refused": "refused", "unknown_finish": "other", "empty": "end"}.get(kind, "tool_calls")
        assert min(made.usage.input_tokens, made.usage.output_tokens) >= 0


def test_what_is_asked_fits_the_vendor_s_own_types() -> None:
    call = ToolCallPart(StepId("t1.1"), "files.search", {"q": "cats"})
    seal = '{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"gAAAA"}'
    talk = Conversation(
        [
            Message("user", (TextPart("Look"), IMAGE, FilePart("https://example.org/a.pdf", "application/pdf"))),
            Message("assistant", (ReasoningPart("hm", seal), TextPart("Let me see.", "commentary"), call), PROTOCOL),
            Message("tool", (ToolResultPart(call.id, "found", files=(IMAGE,)),)),
        ]
    )
    settings = ModelSettings(0.5, 0.9, None, 100, (), "low", "auto", "files.search", parallel_tool_calls=False, cache="long")
    request = ModelRequest(StepId("t2"), "m", talk, "Be brief.", (SEARCH,), SCHEMA, settings)
    body = json.loads(ResponseWriter(is_openai=True).body(request, is_stream=False, has_schema=True))
    taken = TypeAdapter(ResponseCreateParamsNonStreaming).validate_python(body, strict=True)
    assert taken.keys() == body.keys()
    assert [item.get("type", "message") for item in cast("Iterable[dict[str, str]]", taken.get("input", ()))] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
    ]
