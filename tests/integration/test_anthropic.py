"""The adapter for Anthropic over real connections: what it sends is what the vendor's SDK would send, and what goes wrong is said."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest
import trustme
from anthropic.types import ContentBlockParam
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import JsonValue, TypeAdapter

from agent_sdk.core.errors import BadRequest, Overloaded, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Usage
from agent_sdk.llm import CertificateRefused, Timeouts
from agent_sdk.llm.anthropic import Anthropic, MessagesProtocol
from agent_sdk.llm.anthropic_messages import DIALECT
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.options import HttpRequest
from tests.integration.exchanges.anthropic import SEARCHES, WITH_TOOLS, call, message, text, thought
from tests.integration.exchanges.anthropic_errors import refusal
from tests.integration.exchanges.anthropic_streams import HELLO, failure, say, start, stream, use
from tests.integration.exchanges.exchange import REQUEST, Exchange, ask, events, plain, serving, serving_by, streamed

FINE = plain("fine", message(text("Hi")))
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
PNG = FilePart.from_bytes(b"png", "image/png", "a.png")
PDF = FilePart.from_bytes(b"%PDF", "application/pdf", "a.pdf")
CALLED = Message(
    "assistant",
    (
        ReasoningPart("hm", "sig"),
        ReasoningPart("", "redacted:Emw="),
        ReasoningPart("", json.dumps(SEARCHES)),
        TextPart("Let me see."),
        ToolCallPart(StepId("t1.1"), "files.read", {"path": "a"}),
        ToolCallPart(StepId("t1.2"), "search", None, "{half", "no JSON"),
    ),
    DIALECT,
)
RESULTS = Message("tool", (ToolResultPart(StepId("t1.1"), {"x": 1}, files=(PNG, PDF)), ToolResultPart(StepId("t1.2"), "no", is_error=True)))
TALK = Conversation([Message("user", (TextPart("Look"), PNG, PDF)), CALLED, RESULTS, user_message("And?")])

PLAIN: TypeAdapter[MessageCreateParamsNonStreaming] = TypeAdapter(MessageCreateParamsNonStreaming)
STREAMED: TypeAdapter[MessageCreateParamsStreaming] = TypeAdapter(MessageCreateParamsStreaming)
COUNTED: TypeAdapter[MessageCountTokensParams] = TypeAdapter(MessageCountTokensParams)
BLOCK: TypeAdapter[ContentBlockParam] = TypeAdapter(ContentBlockParam)


@asynccontextmanager
async def opened(url: str, **more: object) -> AsyncGenerator[Anthropic]:
    options = AnthropicOptions("sk-secret", url, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (its fields)
    model = Anthropic(options)
    try:
        yield model
    finally:
        await model.close()


def questions() -> Iterator[ModelRequest]:
    tools = (ToolSpec("search", "Search.", {"type": "object", "properties": {"q": {"type": "string"}}}, {}), *WITH_TOOLS.tools[2:])
    whole = ModelRequest(StepId("t2"), "claude-sonnet-5", TALK, "Be brief.", tools)
    yield replace(whole, tools=())
    for settings in (
        ModelSettings(),
        ModelSettings(max_output_tokens=9, stop_sequences=("END",), cache="long", extra={"metadata": {"user_id": "u"}}),
        ModelSettings(reasoning="high", cache="short", parallel_tool_calls=False),
        ModelSettings(reasoning="none", tool_choice="required", parallel_tool_calls=True),
        ModelSettings(force_tool="files.read", output_mode="tool"),
        ModelSettings(tool_choice="none"),
        ModelSettings(extra={"tools": [{"type": "web_search_20260209", "name": "web_search"}], "service_tier": "auto"}),
    ):
        yield replace(whole, settings=settings)
        yield replace(whole, settings=settings, output_schema=SCHEMA)


@pytest.mark.parametrize("request_", list(questions()))
def test_what_is_sent_is_of_the_types_that_the_sdk_sends(request_: ModelRequest) -> None:
    protocol = MessagesProtocol(AnthropicOptions("k"))
    for wire, body in (
        (PLAIN, protocol.outgoing(request_, is_stream=False).body),
        (STREAMED, protocol.outgoing(request_, is_stream=True).body),
        (COUNTED, protocol.counting(request_).body),
    ):
        sent = json.loads(body)
        said = [block for each in sent["messages"] if each["role"] == "assistant" for block in each["content"]]
        sent["messages"] = [each if each["role"] == "user" else {**each, "content": ""} for each in sent["messages"]]
        assert understood(wire, sent) == sent
        assert [understood(BLOCK, block) for block in said] == said


def understood(wire: TypeAdapter[Any], value: JsonValue) -> JsonValue:
    """Return what the SDK's type makes of a value: what it does not know is lost."""
    return cast("JsonValue", json.loads(wire.dump_json(wire.validate_python(value))))


async def test_the_key_and_the_version_go_with_every_question() -> None:
    seen: list[HttpRequest] = []

    async def sign(request: HttpRequest) -> HttpRequest:
        seen.append(request)
        return request

    async with serving(FINE) as url, opened(url, sign=sign, beta=("x-2026",), query={"a": "b"}) as model:
        await model.complete(REQUEST)
        await model.complete(replace(REQUEST, settings=ModelSettings(temperature=0.0)))
        assert [each.url for each in seen] == [f"{url}/v1/messages?a=b"] * 2
    wanted = {"x-api-key": "sk-secret", "anthropic-beta": "x-2026", "Content-Type": "application/json"}
    assert all(wanted.items() <= each.headers.items() for each in seen)
    assert [each.headers["anthropic-version"] for each in seen] == ["2026-10-21", "2023-06-01"]


async def test_the_vendor_counts_tokens() -> None:
    asked: list[tuple[str, bytes]] = []

    def answer(path: str, body: bytes) -> Exchange:
        asked.append((path, body))
        return plain("count", {"input_tokens": 2095})

    async with serving_by(answer) as url, opened(url) as model:
        assert await model.count_tokens(REQUEST) == 2095
    assert asked[0][0] == "/v1/messages/count_tokens"
    assert "max_tokens" not in json.loads(asked[0][1])


@pytest.mark.parametrize("answer", [FINE, plain("below nothing", {"input_tokens": -1}), plain("no number", {"input_tokens": True})])
async def test_a_count_that_is_none_is_refused(answer: Exchange) -> None:
    async with serving(answer) as url, opened(url) as model:
        with pytest.raises(ReplyInvalid, match="no count of tokens"):
            await model.count_tokens(REQUEST)


@pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])
async def test_an_older_model_is_asked_again_with_a_budget_and_from_then_on(is_stream: bool) -> None:
    thinking: list[JsonValue] = []

    def answer(_path: str, body: bytes) -> Exchange:
        thinking.append(json.loads(body)["thinking"]["type"])
        if thinking[-1] == "adaptive":
            return refusal(400, "invalid_request_error", "adaptive thinking is not supported on this model", BadRequest, "")
        return streamed("fine", HELLO) if is_stream else FINE

    request = replace(REQUEST, settings=ModelSettings(reasoning="low"))
    async with serving_by(answer) as url, opened(url) as model:
        for _ in range(2):
            await ask(model, replace(FINE, is_stream=is_stream, request=request))
    assert thinking == ["adaptive", "enabled", "enabled"]


async def test_what_a_broken_stream_had_used_is_said() -> None:
    usage: JsonValue = {"input_tokens": 40, "cache_read_input_tokens": 2, "output_tokens": 1}
    broken = events(start(usage), *say(0, "Hi")[:2], is_named=True)
    failed = broken + events(failure("overloaded_error", "Overloaded"), is_named=True)
    for body, kind in ((broken, Unavailable), (failed, Overloaded)):
        async with serving(streamed("broken", body)) as url, opened(url) as model:
            with pytest.raises(kind) as caught:
                await ask(model, streamed("broken", body))
        assert caught.value.usage == Usage(42, 1, 2)


async def test_a_stream_that_falls_silent_has_used_what_it_said() -> None:
    silent = streamed("silent", events(start(), is_named=True), headers={"Content-Length": "100000"})
    patience = Timeouts(first_token_s=0.1, idle_s=0.1, total_s=1.0)
    async with serving(silent) as url, opened(url, timeouts=patience) as model:
        with pytest.raises(Unavailable, match="fell silent") as caught:
            await ask(model, silent)
    assert caught.value.usage == Usage(25, 1)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        (
            {
                "Date": "Mon, 23 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-requests-remaining": "3",
                "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:00Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-23T10:00:09Z",
            },
            9.0,
        ),
        ({"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "soon"}, None),
        ({}, None),
    ],
)
async def test_a_limit_says_how_long_it_lasts(headers: dict[str, str], wait_s: float | None) -> None:
    limited = refusal(429, "rate_limit_error", "slow down", RateLimited, "")
    async with serving(replace(limited, headers=headers)) as url, opened(url) as model:
        with pytest.raises(RateLimited) as caught:
            await model.complete(REQUEST)
    assert caught.value.retry_after_s == wait_s


async def test_a_refusal_names_the_exchange_and_not_the_key() -> None:
    async with serving(refusal(400, "invalid_request_error", "sk-secret is odd", BadRequest, "")) as url, opened(url) as model:
        with pytest.raises(BadRequest, match=r"\[secret\] is odd \(request req_011\)") as caught:
            await model.complete(REQUEST)
    assert "sk-secret" not in str(caught.value)


async def test_a_model_that_does_not_exist_is_named_with_a_hint() -> None:
    async with serving(refusal(404, "not_found_error", "model: claude-9", BadRequest, "")) as url, opened(url) as model:
        with pytest.raises(BadRequest, match="claude-9") as caught:
            await model.complete(REQUEST)
    assert "model's name" in (caught.value.hint or "")


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType]  (it takes pyOpenSSL's contexts too)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
    async with server, opened(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as model:
        with pytest.raises(CertificateRefused):
            await model.complete(REQUEST)


async def test_a_whole_reply_to_a_question_for_a_stream_is_read() -> None:
    async with serving(FINE) as url, opened(url) as model:
        reply = await ask(model, replace(FINE, is_stream=True))
    assert reply.message.text == "Hi"


async def test_a_reply_goes_back_as_it_came() -> None:
    bodies: list[dict[str, JsonValue]] = []
    said: list[JsonValue] = [
        thought("hm"),
        {"type": "redacted_thinking", "data": "Emw="},
        SEARCHES,
        text("Let me see."),
        call("search", {"q": 1}),
    ]

    def answer(_path: str, body: bytes) -> Exchange:
        bodies.append(json.loads(body))
        return plain("called", message(*said, stop="tool_use"))

    talk = Conversation([user_message("Hi")])
    async with serving_by(answer) as url, opened(url) as model:
        reply = await model.complete(replace(WITH_TOOLS, conversation=talk))
        talk.add(reply.message)
        talk.add(Message("tool", (ToolResultPart(StepId("t1.1"), 3),)))
        await model.complete(replace(WITH_TOOLS, id=StepId("t2"), conversation=talk))
    returned = cast("list[dict[str, JsonValue]]", bodies[1]["messages"])[1]["content"]
    assert returned == [*said[:-1], call("search", {"q": 1}, "t1_2e_1")]


async def test_calls_stream_under_their_own_names() -> None:
    body = stream(*use(0, "files_read_601e4eb6", '{"path":', '"a"}'), stop="tool_use")
    exchange = streamed("calls", body, request=WITH_TOOLS)
    async with serving(exchange) as url, opened(url) as model:
        reply = await ask(model, exchange)
    assert [(each.id, each.tool, each.args) for each in reply.message.tool_calls] == [("t1.1", "files.read", {"path": "a"})]
    assert reply.stop == "tool_calls"
