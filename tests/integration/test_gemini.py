"""Gemini's adapter against a server: what is asked where, what the server does not understand, and what goes wrong on the way."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
import trustme
from aiohttp import web
from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ReplyInvalid, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message, ToolResultPart, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm import CertificateRefused, Timeouts
from agent_sdk.llm.gemini import Gemini, GeminiProtocol
from agent_sdk.llm.gemini_options import GeminiOptions
from agent_sdk.llm.options import HttpRequest
from tests.integration.exchanges.exchange import EVENT_STREAM, ask, encoded, events, streamed
from tests.integration.exchanges.gemini import call, said, text
from tests.integration.exchanges.gemini_errors import problem

MODEL = "gemini-3.8-flash"
SEARCH = ToolSpec("search", "", {"type": "object", "properties": {"q": {"type": "string"}}}, {})
REQUEST = ModelRequest(StepId("t1"), MODEL, Conversation([user_message("Hi")]), tools=(SEARCH,))
SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NO_MINIMAL = problem(
    400, "INVALID_ARGUMENT", "Thinking level MINIMAL is not supported for this model. Please retry with other thinking level."
)
NO_THINKING = problem(400, "INVALID_ARGUMENT", "Thinking is not enabled for this model")
NO_SCHEMA = problem(400, "INVALID_ARGUMENT", "Unknown name \"responseJsonSchema\" at 'generation_config': Cannot find field.")


@dataclass(slots=True)
class Server:
    """Answers from a script of statuses and documents, over and over its last, and keeps what it was asked."""

    script: list[tuple[int, JsonValue]]
    base_url: str = ""
    asked: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    urls: list[str] = field(default_factory=list[str])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def answer(self, http: web.Request) -> web.Response:
        self.asked.append(cast("dict[str, JsonValue]", json.loads(await http.read())))
        self.urls.append(str(http.rel_url))
        self.headers.append(dict(http.headers))
        status, document = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if http.path.endswith(":streamGenerateContent") and status == 200:
            return web.Response(body=events(document), content_type=EVENT_STREAM)
        return web.Response(body=encoded(document), status=status, content_type="application/json")


@asynccontextmanager
async def serving(*script: tuple[int, JsonValue], tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    server = Server(list(script))
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.base_url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(options: GeminiOptions) -> AsyncGenerator[Gemini]:
    model = Gemini(options)
    try:
        yield model
    finally:
        await model.close()


async def test_the_key_goes_in_a_header_and_a_stream_is_asked_for_as_events() -> None:
    async with serving((200, said(text("Hi")))) as server, opened(GeminiOptions("k-1", server.base_url, query={"team": "a b"})) as model:
        await model.complete(REQUEST)
        await ask(model, streamed("hi", b"", request=REQUEST))
    assert server.urls == [
        f"/v1beta/models/{MODEL}:generateContent?team=a+b",
        f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse&team=a+b",
    ]
    assert {headers["x-goog-api-key"] for headers in server.headers} == {"k-1"}
    assert server.asked[0] == server.asked[1]


async def test_vertex_is_asked_below_its_address_and_signed() -> None:
    async def sign(request: HttpRequest) -> HttpRequest:
        return replace(request, headers={**request.headers, "Authorization": "Bearer t-1"})

    async with serving((200, said(text("Hi")))) as server:
        base_url = f"{server.base_url}/v1/projects/p/locations/global/publishers/google"
        async with opened(GeminiOptions(base_url=base_url, sign=sign)) as model:
            await model.complete(REQUEST)
    assert server.urls == [f"/v1/projects/p/locations/global/publishers/google/models/{MODEL}:generateContent"]
    assert server.headers[0]["Authorization"] == "Bearer t-1"
    assert "x-goog-api-key" not in server.headers[0]


async def test_a_turn_with_calls_goes_back_signed() -> None:
    first = said(call("search", {"q": "a"}, thoughtSignature="c2ln"), call("search", {"q": "b"}))
    async with serving((200, first), (200, said(text("Done")))) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        reply = await model.complete(REQUEST)
        results = Message("tool", tuple(ToolResultPart(each.id, {"ok": True}) for each in reply.message.tool_calls))
        conversation = Conversation([user_message("Hi"), reply.message, results])
        answer = await model.complete(replace(REQUEST, id=StepId("t2"), conversation=conversation))
    assert answer.message.text == "Done"
    assert reply.message.protocol == "gemini"
    contents = json.dumps(server.asked[1]["contents"])
    assert contents.count("c2ln") == 1
    assert contents.count('"functionResponse"') == 2


async def test_an_effort_that_a_model_does_not_know_is_said_otherwise_from_then_on() -> None:
    request = replace(REQUEST, settings=ModelSettings(reasoning="minimal"))
    async with serving((400, NO_MINIMAL), (200, said(text("Hi")))) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        for _ in range(2):
            await model.complete(request)
    said_so = [json.dumps(asked["generationConfig"]) for asked in server.asked]
    assert ["MINIMAL" in said_so[0], "LOW" in said_so[1], "LOW" in said_so[2]] == [True, True, True]
    assert len(said_so) == 3


async def test_a_model_that_does_not_think_is_not_told_to() -> None:
    request = replace(REQUEST, settings=ModelSettings(reasoning="high"))
    async with serving((400, NO_THINKING), (200, said(text("Hi")))) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        await model.complete(request)
    assert "generationConfig" not in server.asked[1]


async def test_a_server_that_always_speaks_of_thinking_is_not_asked_for_ever() -> None:
    request = replace(REQUEST, settings=ModelSettings(reasoning="minimal"))
    async with serving((400, NO_THINKING)) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        for _ in range(2):
            with pytest.raises(BadRequest, match="Thinking is not enabled"):
                await model.complete(request)
    assert len(server.asked) == 4


async def test_many_first_questions_at_once_all_find_the_effort_that_is_known() -> None:
    request = replace(REQUEST, settings=ModelSettings(reasoning="minimal"))
    refusals = [(400, NO_MINIMAL)] * 8
    async with serving(*refusals, (200, said(text("Hi")))) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(model.complete(request)) for _ in range(8)]
        assert {task.result().message.text for task in asked} == {"Hi"}


async def test_a_server_that_knows_no_schema_gets_it_in_words_from_then_on() -> None:
    request = replace(REQUEST, output_schema=SCHEMA)
    async with serving((400, NO_SCHEMA), (200, said(text('{"n":1}')))) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        for _ in range(2):
            assert (await model.complete(request)).message.text == '{"n":1}'
    assert ["generationConfig" in asked for asked in server.asked] == [True, False, False]
    assert "JSON Schema" in json.dumps(server.asked[2]["systemInstruction"])


async def test_tokens_are_counted_in_the_whole_question() -> None:
    request = replace(REQUEST, instructions="Be brief.", settings=ModelSettings(temperature=1, reasoning="high"), output_schema=SCHEMA)
    async with serving((200, {"totalTokens": 9})) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        assert await model.count_tokens(request) == 9
    counted = server.asked[0]["generateContentRequest"]
    assert isinstance(counted, dict)
    assert counted["model"] == f"models/{MODEL}"
    assert counted.keys() == {"model", "contents", "systemInstruction", "tools", "generationConfig"}
    assert server.urls == [f"/v1beta/models/{MODEL}:countTokens"]


def test_vertex_counts_what_is_said_and_no_more() -> None:
    options = GeminiOptions("k-1", "https://aiplatform.googleapis.com/v1/publishers/google")
    counting = GeminiProtocol(options).counting(replace(REQUEST, output_schema=SCHEMA))
    assert json.loads(counting.body).keys() == {"contents", "tools"}
    assert counting.path == f"/models/{MODEL}:countTokens"


@pytest.mark.parametrize("document", [{}, {"totalTokens": -1}, {"totalTokens": "9"}])
async def test_a_count_that_is_none_is_refused(document: JsonValue) -> None:
    async with serving((200, document)) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        with pytest.raises(ReplyInvalid, match="no count of tokens"):
            await model.count_tokens(REQUEST)


async def test_an_error_shows_no_key() -> None:
    refusal = problem(400, "INVALID_ARGUMENT", "API key k-secret-1 not valid.")
    async with serving((400, refusal)) as server, opened(GeminiOptions("k-secret-1", server.base_url)) as model:
        with pytest.raises(BadRequest) as caught:
            await model.complete(REQUEST)
    assert "k-secret-1" not in str(caught.value)


async def test_a_certificate_that_is_not_trusted_sends_nothing() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]  (it takes pyOpenSSL's contexts too)
    async with serving((200, {}), tls=context) as server, opened(GeminiOptions("k-1", server.base_url)) as model:
        with pytest.raises(CertificateRefused):
            await model.complete(REQUEST)
    assert server.asked == []


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with opened(GeminiOptions("k-1", "http://127.0.0.1:9", Timeouts(connect_s=2.0))) as model:
        with pytest.raises(Unavailable):
            await model.complete(REQUEST)
