"""What goes out beside a question: headers, a query, a proxy's address and a signature; and questions of another kind."""

import asyncio
import contextlib
import re
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
import trustme

from agent_sdk.core.errors import AuthFailed, ConfigError, ModelError, ReplyInvalid, Unavailable
from agent_sdk.core.model import Delta, ReplyDone
from agent_sdk.core.usage import Usage
from agent_sdk.llm import CertificateRefused, OpenAIOptions, Timeouts
from agent_sdk.llm.openai_chat import OpenAIChat
from agent_sdk.llm.openai_responses import OpenAIResponses
from agent_sdk.llm.options import HttpRequest, VendorOptions
from agent_sdk.llm.transport import HttpModel, Outgoing
from tests.integration.exchanges.exchange import REQUEST, plain
from tests.integration.exchanges.openai_chat import said, whole


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as a server got it; the names of headers are in lower case."""

    target: str
    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def listening(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncGenerator[tuple[str, list[Heard]]]:
    heard: list[Heard] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        heard.append(Heard(head[0].split()[1], headers, await reader.readexactly(int(headers["content-length"]))))
        length = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
        writer.write(length.encode() + answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


@asynccontextmanager
async def replying(answer: Callable[[bytes], bytes]) -> AsyncGenerator[int]:
    """Serve raw answers to the heads of requests, and give the port."""
    ended: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(end := asyncio.Event())
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
                await reader.readexactly(int(length[1]))
            writer.write(answer(head))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        end.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for end in ended:
            await end.wait()


KEY = "sk-secret"
CHAT = plain("hello", whole(said("Hello."))).body


async def asked(options: OpenAIOptions) -> str:
    model = OpenAIChat(options)
    try:
        return (await model.complete(REQUEST)).message.text
    finally:
        await model.close()


async def test_headers_and_query_of_the_operator_go_with_every_question() -> None:
    async with listening(CHAT) as (url, heard):
        options = OpenAIOptions(
            None, f"{url}/openai/v1", headers={"api-key": "k 1", "User-Agent": "mine"}, query={"api-version": "2026-11 ü"}
        )
        assert await asked(options) == "Hello."
    assert heard[0].target == "/openai/v1/chat/completions?api-version=2026-11+%C3%BC"
    assert (heard[0].headers["api-key"], heard[0].headers["user-agent"]) == ("k 1", "mine")
    assert "authorization" not in heard[0].headers


async def test_a_proxy_is_asked_in_the_server_s_place() -> None:
    async with listening(CHAT) as (proxy, heard):
        assert await asked(OpenAIOptions("sk-1", "http://models.example/v1", proxy=proxy)) == "Hello."
    assert heard[0].target == "http://models.example/v1/chat/completions"
    assert heard[0].headers["authorization"] == "Bearer sk-1"


async def test_a_proxy_that_is_not_there_is_named_as_such() -> None:
    async with listening(CHAT) as (proxy, _):
        pass
    with pytest.raises(Unavailable, match="the proxy in front of"):
        await asked(OpenAIOptions("sk-1", "http://models.example/v1", proxy=proxy))


async def test_a_signature_goes_last_and_may_change_and_take_away_anything() -> None:
    async def sign(request: HttpRequest) -> HttpRequest:
        headers = {name: value for name, value in request.headers.items() if name != "X-Inner"}
        return replace(request, url=f"{request.url}?signed=1", headers={**headers, "Authorization": "AWS4 abc"}, body=request.body + b" ")

    async with listening(CHAT) as (url, heard):
        options = OpenAIOptions("sk-1", f"{url}/v1", headers={"X-Inner": "secret"}, sign=sign)
        assert await asked(options) == "Hello."
    assert heard[0].target == "/v1/chat/completions?signed=1"
    assert (heard[0].headers["authorization"], heard[0].headers["content-type"]) == ("AWS4 abc", "application/json")
    assert "x-inner" not in heard[0].headers
    assert heard[0].body.endswith(b"} ")


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (ValueError("no role for sk-secret"), Unavailable, r"could not be signed: ValueError: no role for \[secret\]"),
        (OSError(), Unavailable, "could not be signed: OSError"),
        (AuthFailed("the token has expired"), AuthFailed, "the token has expired"),
    ],
)
async def test_a_signature_that_fails_is_an_error_of_the_call(raised: Exception, kind: type[ModelError], says: str) -> None:
    async def sign(request: HttpRequest) -> HttpRequest:
        raise raised

    with pytest.raises(kind, match=says) as caught:
        await asked(OpenAIOptions(KEY, "http://models.example/v1", sign=sign))
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "change", [{"url": "ftp://x/sk-secret"}, {"url": "http://[sk-secret"}, {"headers": {"X-New": "a\nsk-secret: b"}}, None], ids=str
)
async def test_what_a_signature_makes_unsendable_is_an_error_of_the_call_without_the_key(change: dict[str, object] | None) -> None:
    async def sign(request: HttpRequest) -> HttpRequest:
        return cast("HttpRequest", None if change is None else replace(request, **cast("dict[str, Any]", change)))

    async with replying(lambda _: b"") as port:
        with pytest.raises(Unavailable, match="could not be signed") as caught:
            await asked(OpenAIOptions(KEY, f"http://127.0.0.1:{port}/v1", sign=sign))
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_server_that_repeats_all_it_was_sent_is_quoted_without_secrets() -> None:
    def repeated(head: bytes) -> bytes:
        return b"HTTP/1.1 401 No\r\nContent-Type: text/plain\r\nX-Request-Id: sk-secret\r\nConnection: close\r\n\r\n" + head

    async with replying(repeated) as port:
        options = OpenAIOptions(
            KEY,
            "http://there.example/v1",
            headers={"X-Corp": "header-secret"},
            query={"sig": "query secret"},
            proxy=f"http://me:proxy-secret@127.0.0.1:{port}",
        )
        with pytest.raises(AuthFailed) as caught:
            await asked(options)
    assert caught.value.message.count("[secret]") >= 4
    assert "secret" not in caught.value.message.replace("[secret]", "")
    assert b64encode(b"me:proxy-secret").decode() not in caught.value.message


async def test_a_connection_that_takes_too_long_is_told_without_the_query() -> None:
    async with replying(lambda _: b"") as port:  # which waits for a head, and gets the greeting of TLS
        options = OpenAIOptions(KEY, f"https://127.0.0.1:{port}/v1", Timeouts(connect_s=0.05), query={"sig": KEY})
        with pytest.raises(Unavailable, match="no connection") as caught:
            await asked(options)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_lets_nobody_through_is_named_as_what_to_mend(scheme: str) -> None:
    async with replying(lambda _: b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as port:
        with pytest.raises(AuthFailed, match="407") as caught:
            await asked(OpenAIOptions("sk-1", f"{scheme}://there.example/v1", proxy=f"http://me:secret@127.0.0.1:{port}"))
    assert "the setting `proxy`" in (caught.value.hint or "")


async def test_a_question_of_another_kind_carries_headers_of_its_own() -> None:
    async with listening(b'{"n": 7}') as (url, heard):
        model = OpenAIChat(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            assert await model.fetch(Outgoing("/count?a=1", b"{}", {"X-Kind": "count"})) == b'{"n": 7}'
        finally:
            await model.close()
    assert (heard[0].target, heard[0].headers["x-kind"], heard[0].headers["authorization"]) == ("/v1/count?a=1", "count", "Bearer sk-1")


async def test_a_path_with_a_query_takes_the_operator_s_too() -> None:
    assert VendorOptions(base_url="http://x/v1/", query={"b": "2"}).url("/count?a=1") == "http://x/v1/count?a=1&b=2"


MODELS: list[Callable[[OpenAIOptions], HttpModel]] = [OpenAIChat, OpenAIResponses]


@pytest.mark.parametrize("kind", MODELS)
async def test_a_certificate_that_nobody_vouches_for_is_refused_by_every_adapter(kind: Callable[[OpenAIOptions], HttpModel]) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType]  (it takes pyOpenSSL's contexts too)
    async with listening(b"", tls) as (url, heard):
        model = kind(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            with pytest.raises(CertificateRefused):
                await model.complete(REQUEST)
        finally:
            await model.close()
    assert not heard


@pytest.mark.parametrize("key", ["sk-1\n", "sk 1", "sk-é", " "])
def test_a_key_that_no_header_can_carry_is_refused_before_it_is_sent(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIOptions(key)
    assert key.strip() not in str(caught.value) or not key.strip()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_reply_that_cannot_be_read_tells_what_it_was_billed(*, is_stream: bool) -> None:
    async with listening(b'{"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 100}}') as (url, _):
        model = OpenAIChat(OpenAIOptions(KEY, url))
        try:
            with pytest.raises(ReplyInvalid) as caught:
                await (collected(model.stream(REQUEST)) if is_stream else model.complete(REQUEST))
        finally:
            await model.close()
    assert caught.value.usage == Usage(40, 100)


async def collected(deltas: AsyncGenerator[Delta, None]) -> list[Delta]:
    return [delta async for delta in deltas]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_what_a_server_calls_itself_and_the_exchange_can_be_kept_and_shown(*, is_stream: bool) -> None:
    body = CHAT.replace(b'"model":"', b'"model":"\\u001b[31m%b' % (b"m" * 10_000))
    assert body != CHAT
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: \xff\xfe\x1b[2Jreq %b\r\nConnection: close\r\n\r\n"
    async with replying(lambda _: head % KEY.encode() + body) as port:
        model = OpenAIChat(OpenAIOptions(KEY, f"http://127.0.0.1:{port}/v1"))
        try:
            deltas = await collected(model.stream(REQUEST)) if is_stream else [ReplyDone(await model.complete(REQUEST))]
        finally:
            await model.close()
    last = deltas[-1]
    assert isinstance(last, ReplyDone)
    assert last.reply.request_id == "\ufffd\ufffd\ufffd[2Jreq [secret]"
    assert last.reply.model.startswith("\ufffd[31mmmm")
    assert len(last.reply.model) < 1000


def test_a_model_is_asked_from_one_event_loop_after_another_and_from_two_at_once() -> None:
    async def scene() -> None:
        async with listening(CHAT) as (url, heard):
            model = OpenAIChat(OpenAIOptions(KEY, url))

            async def ask() -> str:
                try:
                    return (await model.complete(REQUEST)).message.text
                finally:
                    await model.close()

            async def ask_twice() -> list[str]:
                return [(await model.complete(REQUEST)).message.text, await asyncio.to_thread(asyncio.run, ask()), await ask()]

            for _ in range(2):
                assert await asyncio.to_thread(asyncio.run, ask_twice()) == ["Hello."] * 3
            assert len(heard) == 6

    asyncio.run(scene())


def test_a_loop_that_ended_without_a_word_leaves_the_model_to_the_next() -> None:
    async def scene() -> None:
        async with listening(CHAT) as (url, _):
            model = OpenAIChat(OpenAIOptions(KEY, url))
            assert (await asyncio.to_thread(asyncio.run, model.complete(REQUEST))).message.text == "Hello."
            assert (await model.complete(REQUEST)).message.text == "Hello."
            await model.close()

    asyncio.run(scene())
