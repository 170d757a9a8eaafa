"""The adapter against a server that speaks its protocol, and against all that goes wrong on the way."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress

import pytest
import trustme
from pydantic import JsonValue

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ModelError,
    OutsideError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReplyDone, TextDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm import CertificateRefused, OpenAIOptions, QuotaExhausted, Timeouts
from agent_sdk.llm.openai_chat import OpenAIChat
from agent_sdk.testing import Call, ChatReply, ChatRequest, Delivery, FakeOpenAI, RawReply, ServerItem, error_reply

REQUEST = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]))
QUICK = Timeouts(connect_s=2.0, first_token_s=0.15, idle_s=0.15, total_s=0.5)
LONG = ChatReply("Grüße " * 40, (Call("search", {"q": "käse"}),), reasoning="hm", usage={"prompt_tokens": 3, "completion_tokens": 4})


@asynccontextmanager
async def asking(
    *script: ServerItem, key: str | None = None, timeouts: Timeouts | None = None, max_bytes: int = 1_000_000
) -> AsyncGenerator[tuple[OpenAIChat, FakeOpenAI]]:
    async with FakeOpenAI(script, api_key=key) as server, opened(server.base_url, key, timeouts, max_bytes) as model:
        yield model, server


@asynccontextmanager
async def opened(
    url: str, key: str | None = None, timeouts: Timeouts | None = None, max_bytes: int = 1_000_000
) -> AsyncGenerator[OpenAIChat]:
    model = OpenAIChat(OpenAIOptions(key, url, timeouts or Timeouts(), organization="org-1", max_reply_bytes=max_bytes))
    try:
        yield model
    finally:
        await model.close()


@asynccontextmanager
async def speaking(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncGenerator[str]:
    """Let `talk` answer whoever connects, be it in HTTP or not; yield the base_url."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


def saying(data: bytes, tls: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[str]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(data)

    return speaking(talk, tls)


async def ask(model: OpenAIChat, *, is_stream: bool, request: ModelRequest = REQUEST) -> ModelReply:
    if not is_stream:
        return await model.complete(request)
    deltas = [delta async for delta in model.stream(request)]
    assert isinstance(deltas[-1], ReplyDone)
    return deltas[-1].reply


async def settled(server: FakeOpenAI, *, hung_up: int) -> None:
    """Let the server notice what its client did."""
    async with asyncio.timeout(30):
        while server.hung_up < hung_up:  # noqa: ASYNC110 - the server counts, and signals nobody
            await asyncio.sleep(0.001)


both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


@both
async def test_a_reply_comes_whole_with_usage_and_the_vendor_s_id(is_stream: bool) -> None:
    async with asking(LONG) as (model, _):
        reply = await ask(model, is_stream=is_stream)
    assert reply.message.text == LONG.text
    assert reply.message.tool_calls[0].args == {"q": "käse"}
    assert (reply.usage, reply.stop, reply.model, reply.request_id) == (Usage(3, 4), "tool_calls", "m", "req_1")


@both
async def test_one_connection_serves_question_after_question(is_stream: bool) -> None:
    async with asking("a", "b", error_reply(500, "no"), "c") as (model, server):
        for _ in range(2):
            await ask(model, is_stream=is_stream)
        with pytest.raises(Unavailable):
            await ask(model, is_stream=is_stream)
        await ask(model, is_stream=is_stream)
        assert len(server.peers) == 1


@both
@pytest.mark.parametrize("delivery", [Delivery(piece_bytes=1), Delivery(piece_bytes=7), Delivery(is_gzip=True)])
async def test_how_the_bytes_travel_makes_no_difference(is_stream: bool, delivery: Delivery) -> None:
    said = ChatReply("Grüße 🧀", (Call("a", {"b": "ü"}),), delivery=delivery)
    async with asking(said) as (model, _):
        reply = await ask(model, is_stream=is_stream)
    assert (reply.message.text, reply.message.tool_calls[0].args) == ("Grüße 🧀", {"b": "ü"})


@both
async def test_a_reply_without_usage_counts_nothing(is_stream: bool) -> None:
    async with asking(ChatReply("a", has_usage=False)) as (model, _):
        assert (await ask(model, is_stream=is_stream)).usage == Usage()


@both
@pytest.mark.parametrize(
    ("said", "kind", "wait_s"),
    [
        (error_reply(400, "bad"), BadRequest, None),
        (error_reply(401, "who are you"), AuthFailed, None),
        (error_reply(404, "no such model", code="model_not_found"), BadRequest, None),
        (error_reply(429, "slow down"), RateLimited, None),
        (error_reply(429, "slow down", Retry_After="7"), RateLimited, 7.0),
        (error_reply(429, "pay first", code="insufficient_quota", Retry_After="7"), QuotaExhausted, None),
        (error_reply(500, "oops"), Unavailable, None),
        (error_reply(503, "full", retry_after_ms="1500"), Overloaded, 1.5),
        (RawReply(b"<html><title>Bad Gateway</title></html>", 502, "text/html"), Unavailable, None),
        (RawReply(b"", 504), Unavailable, None),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind(is_stream: bool, said: RawReply, kind: type[ModelError], wait_s: float | None) -> None:
    async with asking(said) as (model, _):
        with pytest.raises(kind) as caught:
            await ask(model, is_stream=is_stream)
    assert type(caught.value) is kind
    assert caught.value.retry_after_s == wait_s


@both
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (RawReply(b"<html><title>Log in</title></html>", content_type="text/html; charset=utf-8"), ReplyInvalid),
        (RawReply(b"I am a teapot"), ReplyInvalid),
        (RawReply(b""), ReplyInvalid),
        (RawReply(b'{"choices": [{"message"'), ReplyInvalid),
        (RawReply(b'{"choices": "none"}'), ReplyInvalid),
        (RawReply(b'{"error": {"message": "busy", "code": 429}}'), RateLimited),
        (RawReply(b'{"choices": [{"message": {"content": "a"}}]}', headers={"Content-Encoding": "gzip"}), OutsideError),
    ],
)
async def test_a_reply_that_is_none_is_an_error_and_never_a_message(is_stream: bool, said: RawReply, kind: type[ModelError]) -> None:
    async with asking(said) as (model, _):
        with pytest.raises(kind):
            await ask(model, is_stream=is_stream)


@pytest.mark.parametrize(
    ("sent", "kind", "says"),
    [
        (b"", Unavailable, "middle of the reply"),
        (b"data: [DONE]\n\n", ReplyInvalid, "without choices"),
        (b"data: {half\n\n", ReplyInvalid, "not JSON"),
        (b'data: {"choices": [{"delta": {"content": 5}}]}\n\n', ReplyInvalid, "choices.0.delta.content"),
        (b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', Unavailable, "middle of the reply"),
        (
            b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: {"error": {"message": "busy", "type": "overloaded"}}\n\n',
            Overloaded,
            "busy",
        ),
        (b'event: error\ndata: {"error": "broke"}\n\n', Unavailable, "broke"),
    ],
)
async def test_a_stream_that_breaks_its_protocol_is_an_error(sent: bytes, kind: type[ModelError], says: str) -> None:
    async with asking(RawReply(sent, content_type="text/event-stream")) as (model, _):
        with pytest.raises(kind, match=says):
            await ask(model, is_stream=True)


async def test_a_stream_may_end_without_done_once_it_said_why_it_stopped() -> None:
    sent = b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n'
    async with asking(RawReply(sent, content_type="text/event-stream")) as (model, _):
        assert (await ask(model, is_stream=True)).message.text == "a"


async def test_a_server_that_does_not_stream_is_understood() -> None:
    async with asking(RawReply(b'{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}')) as (model, _):
        deltas: list[Delta] = [delta async for delta in model.stream(REQUEST)]
    assert deltas[0] == TextDelta("a")
    assert isinstance(deltas[1], ReplyDone)


@both
async def test_a_socket_closed_anywhere_gives_the_whole_reply_or_an_error_that_may_be_retried(is_stream: bool) -> None:
    async with asking(*(ChatReply("Grüße", (Call("a", {"b": 1}),), delivery=Delivery(closes_after=n * 40)) for n in range(60))) as (
        model,
        _,
    ):
        whole = 0
        for _n in range(60):
            try:
                reply = await ask(model, is_stream=is_stream)
            except ModelError as error:
                assert error.retryable  # noqa: PT017 - either outcome is right
            else:
                whole += 1
                assert (reply.message.text, len(reply.message.tool_calls), reply.message.tool_calls[0].args) == ("Grüße", 1, {"b": 1})
    assert whole < 60


async def test_a_stall_before_the_first_token_is_given_up() -> None:
    async with asking(ChatReply("a", delivery=Delivery(stalls_after=0)), timeouts=QUICK) as (model, server):
        with pytest.raises(Unavailable, match=r"did not begin its reply within 0\.15 s"):
            await ask(model, is_stream=True)
        await settled(server, hung_up=1)


async def test_a_stall_in_mid_stream_is_given_up() -> None:
    async with asking(ChatReply("abc def ghi", delivery=Delivery(stalls_after=300)), timeouts=QUICK) as (model, server):
        with pytest.raises(Unavailable, match=r"fell silent for 0\.15 s"):
            await ask(model, is_stream=True)
        await settled(server, hung_up=1)


@both
async def test_a_stall_of_everything_is_given_up_in_the_end(is_stream: bool) -> None:
    timeouts = Timeouts(first_token_s=60, idle_s=60, total_s=0.15)
    async with asking(ChatReply("abc def ghi", delivery=Delivery(stalls_after=300)), timeouts=timeouts) as (model, server):
        with pytest.raises(Unavailable, match=r"within 0\.15 s"):
            await ask(model, is_stream=is_stream)
        await settled(server, hung_up=1)


async def test_a_connection_kept_open_by_comments_alone_is_given_up() -> None:
    async def comments(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while not writer.is_closing():
            writer.write(b": still here\n\n")
            await asyncio.sleep(0.02)

    async with speaking(comments) as url, opened(url, timeouts=QUICK) as model:
        with pytest.raises(Unavailable, match="did not begin"):
            await ask(model, is_stream=True)


async def test_a_slow_reader_is_not_taken_for_a_silent_server() -> None:
    async with asking("one two three four", timeouts=QUICK) as (model, _):
        deltas: list[Delta] = []
        async for delta in model.stream(REQUEST):
            await asyncio.sleep(0 if deltas else 0.25)
            deltas.append(delta)
        assert isinstance(deltas[-1], ReplyDone)


@both
async def test_cancelling_closes_the_socket(is_stream: bool) -> None:
    async with asking(ChatReply("abc def", delivery=Delivery(stalls_after=250))) as (model, server):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ask(model, is_stream=is_stream))
            while not server.requests:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
            task.cancel()
        await settled(server, hung_up=1)


async def test_leaving_a_stream_early_closes_the_socket() -> None:
    async with asking(ChatReply("abc def " * 10, delivery=Delivery(stalls_after=600))) as (model, server):
        async with aclosing(model.stream(REQUEST)) as deltas:
            assert isinstance(await anext(deltas), TextDelta)
        await settled(server, hung_up=1)


@both
@pytest.mark.parametrize("delivery", [Delivery(), Delivery(is_gzip=True)])
async def test_a_reply_over_the_cap_is_refused(is_stream: bool, delivery: Delivery) -> None:
    async with asking(ChatReply("x" * 50_000, delivery=delivery), max_bytes=10_000) as (model, _):
        with pytest.raises(ReplyInvalid, match="more than 10,000 bytes"):
            await ask(model, is_stream=is_stream)


@both
async def test_a_redirect_is_not_followed_with_the_key(is_stream: bool) -> None:
    async with FakeOpenAI(["never"]) as other:
        to = RawReply(b"", 307, headers={"Location": f"{other.base_url}/chat/completions"})
        async with asking(to, key="sk-secret") as (model, _):
            with pytest.raises(BadRequest, match="redirects to"):
                await ask(model, is_stream=is_stream)
        assert other.keys == []


async def test_the_key_is_sent_and_never_shown() -> None:
    async with asking("a", key="sk-secret") as (model, server):
        await ask(model, is_stream=False)
        assert server.keys == ["sk-secret"]
        async with opened(server.base_url, "sk-wrong") as stranger:
            with pytest.raises(AuthFailed) as caught:
                await ask(stranger, is_stream=False)
    assert "sk-wrong" not in str(caught.value)
    assert "Incorrect API key provided: [secret]" in str(caught.value)


@both
async def test_a_server_that_is_not_there_is_named(is_stream: bool) -> None:
    async with saying(b"") as url:
        pass
    async with opened(url) as model:
        with pytest.raises(Unavailable, match=r"cannot connect to http://127\.0\.0\.1") as caught:
            await ask(model, is_stream=is_stream)
    assert "base_url" in (caught.value.hint or "")


async def test_a_host_that_does_not_exist_is_named() -> None:
    async with opened("http://nowhere.invalid/v1") as model:
        with pytest.raises(Unavailable, match="cannot be found"):
            await ask(model, is_stream=False)


@both
async def test_what_is_not_http_is_no_reply_and_does_not_carry_the_key_along(is_stream: bool) -> None:
    async with saying(b"SSH-2.0-OpenSSH_9.6\r\n") as url, opened(url, "sk-secret") as model:
        with pytest.raises(ReplyInvalid, match="not HTTP") as caught:
            await ask(model, is_stream=is_stream)
    assert caught.value.__cause__ is None


@both
async def test_a_connection_closed_without_a_word_may_be_tried_again(is_stream: bool) -> None:
    async with saying(b"") as url, opened(url) as model:
        with pytest.raises(Unavailable, match="closed the connection"):
            await ask(model, is_stream=is_stream)


async def test_a_certificate_that_nobody_vouches_for_is_refused_for_good() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType]  (it takes pyOpenSSL's contexts too)
    async with saying(b"", tls) as url, opened(url, "sk-secret") as model:
        with pytest.raises(CertificateRefused, match="is not trusted") as caught:
            await ask(model, is_stream=False)
    assert not caught.value.retryable


async def test_plain_http_behind_https_is_a_failed_connection() -> None:
    async with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, opened(url.replace("http:", "https:")) as model:
        with pytest.raises(Unavailable, match="cannot connect"):
            await ask(model, is_stream=False)


async def test_a_handshake_that_never_ends_is_given_up() -> None:
    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with speaking(listen) as url, opened(url.replace("http:", "https:"), timeouts=Timeouts(connect_s=0.1)) as model:
        with pytest.raises(Unavailable, match=r"no connection to .* within 0\.1 s"):
            await ask(model, is_stream=False)


SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@both
async def test_a_server_that_knows_no_schemas_is_asked_without_from_then_on(is_stream: bool) -> None:
    def answer(request: ChatRequest) -> str | RawReply:
        if request.output_schema is not None:
            return error_reply(400, "This response_format type is unavailable now")
        return '{"n": 1}'

    request = ModelRequest(StepId("t1"), "m", REQUEST.conversation, output_schema=SCHEMA)
    async with FakeOpenAI(answer) as server, opened(server.base_url) as model:
        for _ in range(2):
            assert (await ask(model, is_stream=is_stream, request=request)).message.text == '{"n": 1}'
        assert [each.response_format.type for each in server.requests if each.response_format] == [
            "json_schema",
            "json_object",
            "json_object",
        ]


@both
async def test_another_bad_request_is_not_taken_for_a_refused_schema(is_stream: bool) -> None:
    request = ModelRequest(StepId("t1"), "m", REQUEST.conversation, output_schema=SCHEMA)
    async with asking(error_reply(400, "temperature is out of range"), "never") as (model, server):
        with pytest.raises(BadRequest, match="temperature"):
            await ask(model, is_stream=is_stream, request=request)
        assert len(server.requests) == 1


@both
async def test_an_output_that_is_no_object_comes_back_bare(is_stream: bool) -> None:
    request = ModelRequest(StepId("t1"), "m", REQUEST.conversation, output_schema={"type": "array", "items": {"type": "integer"}})
    async with asking({"value": [1, 2]}) as (model, _):
        assert json.loads((await ask(model, is_stream=is_stream, request=request)).message.text) == [1, 2]


async def test_the_organization_is_named() -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))

    async with speaking(listen) as url, opened(url) as model:
        with pytest.raises(Unavailable):
            await model.complete(REQUEST)
    assert b"OpenAI-Organization: org-1" in heard[0]


async def test_a_closed_model_opens_again_when_it_is_asked() -> None:
    async with asking("a", "b") as (model, _):
        for text in "ab":
            assert (await model.complete(REQUEST)).message.text == text
            await model.close()


def test_the_server_can_serve_from_a_thread() -> None:
    async def ask_once(url: str) -> str:
        async with opened(url) as model:
            return (await model.complete(REQUEST)).message.text

    with FakeOpenAI(lambda request: request.goal.upper()).start_in_thread() as server:
        assert asyncio.run(ask_once(server.base_url)) == "HI"
