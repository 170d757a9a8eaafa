"""Cassettes: what goes over the wire is recorded once, without a secret, and replayed offline to the byte (fake_llm)."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import ClientPayloadError, ClientSession, web

from agent_sdk.core.errors import ConfigError
from agent_sdk.testing import Call, Cassette, CassetteMiss, Delivery, Fault, Sim, SimReply, SimServer
from agent_sdk.testing.cassette_file import parse_body
from agent_sdk.testing.cassette_secrets import REMOVED, Cleaner
from tests.integration.sim_clients import DIALECTS, Dialect
from tests.integration.sim_http import HEADERS, Body, question

KEY = "sk-proj-very-secret-0123456789abcdef"
KEYS = {**HEADERS, "Authorization": f"Bearer {KEY}", "x-api-key": KEY, "x-goog-api-key": KEY, "Cookie": f"session={KEY}-c; a=b"}
ACCOUNT = "org-aBcDeFgHiJkLmNoPqRsT"

dialects = pytest.mark.parametrize("dialect", DIALECTS)
both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])


async def ask(url: str, path: str, body: Body | bytes, headers: dict[str, str] = KEYS) -> tuple[int, list[bytes]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with ClientSession() as session, session.post(url + path, data=data, headers=headers) as answer:
        return answer.status, [chunk async for chunk in answer.content.iter_any()]


async def echo(http: web.Request) -> web.StreamResponse:
    """Say back all that was told: the key, the cookie, the account, in body and headers."""
    told = {name: value for name, value in http.headers.items() if name.lower() in {"authorization", "x-api-key", "cookie"}}
    body = {"told": told, "query": http.query_string, "body": (await http.read()).decode(errors="replace")}
    headers = {"openai-organization": ACCOUNT, "Set-Cookie": f"id={KEY}", "x-echo": f"you are {KEY}", "x-kept": "yes"}
    return web.json_response(body, headers=headers)


@asynccontextmanager
async def serve(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@both
@dialects
async def test_fake_llm_traffic_is_replayed_as_it_was(tmp_path: Path, dialect: Dialect, is_stream: bool) -> None:
    path, body = question(dialect, is_stream=is_stream)
    file = tmp_path / "new" / "cassette.json"
    async with SimServer(Sim()) as server, Cassette(file, upstream=server.url) as cassette:
        assert cassette.is_recording
        recorded = await ask(cassette.url, path, body)
    async with Cassette(file) as cassette:
        assert not cassette.is_recording
        replayed = await ask(cassette.url, path, dict(reversed(body.items())), headers={})
    assert recorded[0] == replayed[0] == 200
    assert b"".join(replayed[1]) == b"".join(recorded[1])
    exchange = json.loads(file.read_text())["exchanges"][0]
    assert exchange["request"]["path"] == path.partition("?")[0]
    assert KEY not in file.read_text()


async def test_chunks_keep_their_borders_even_within_a_character(tmp_path: Path) -> None:
    pieces = ["Grü".encode()[:3], "ü".encode()[1:] + b"\r\n", b": comment\n\n"]

    async def slowly(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(http)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.03)
        return response

    file = tmp_path / "c.json"
    async with serve(slowly) as url, Cassette(file, upstream=url) as cassette:
        assert (await ask(cassette.url, "/v1/x", b""))[1] == pieces
    stored = json.loads(file.read_text())["exchanges"][0]["response"]["chunks"]
    assert stored == [{"base64": "R3LD"}, {"base64": "vA0K"}, {"text": ": comment\n\n"}]
    async with Cassette(file) as cassette:
        assert b"".join((await ask(cassette.url, "/v1/x", b""))[1]) == b"".join(pieces)


async def test_no_secret_reaches_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    given = 'a "quoted"/täg secret'
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
    body: Body = {"prompt": f"my key is {KEY}, I am {ACCOUNT}", "given": given, "jwt": jwt}
    async with serve(echo) as url, Cassette(file, upstream=url, secrets=[given]) as cassette:
        status, _ = await ask(cassette.url, f"/v1/x/{KEY}?key={KEY}-q&alt=sse&token=abcdefgh", body)
    text = file.read_text()
    assert status == 200
    for secret in (KEY, f"{KEY}-q", f"{KEY}-c", ACCOUNT, given, "quoted", jwt, "abcdefgh"):
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
    exchange = json.loads(text)["exchanges"][0]
    assert exchange["request"]["query"] == "alt=sse&key=[removed]&token=[removed]"
    assert ["x-kept", "yes"] in exchange["response"]["headers"]
    async with Cassette(file, secrets=[given]) as cassette:
        status, _ = await ask(cassette.url, f"/v1/x/{KEY}?key={KEY}&alt=sse&token=abcdefgh", body, headers={})
    assert status == 200


async def test_a_secret_that_reaches_across_chunks_is_found(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    path, body = question("openai_chat", is_stream=True)
    async with SimServer(Sim(["hello there"]), delivery=Delivery(piece_bytes=7)) as server:
        cassette = Cassette(file, upstream=server.url, secrets=["chat.completion.chunk"])
        async with cassette:
            await ask(cassette.url, path, body, headers={})
    assert "chat.completion.chunk" not in file.read_text()


async def test_a_secret_that_is_spelled_piece_by_piece_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    path, body = question("openai_chat", is_stream=True)
    async with SimServer(Sim(["the word is tell-nobody-this, friend"])) as server:
        with pytest.raises(ConfigError, match="piece by piece"):
            async with Cassette(file, upstream=server.url, secrets=["tell-nobody-this"]) as cassette:
                await ask(cassette.url, path, body)
    assert not file.exists()


async def test_a_key_that_a_stream_spells_piece_by_piece_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    path, body = question("openai_chat", is_stream=True)
    async with SimServer(Sim(["the key is tell-nobody-this, friend"])) as server:
        with pytest.raises(ConfigError, match="piece by piece"):
            async with Cassette(file, upstream=server.url) as cassette:
                await ask(cassette.url, path, body, headers={"Authorization": "Bearer tell-nobody-this"})
    assert not file.exists()


@pytest.mark.parametrize(
    ("header", "query"),
    [
        ("Ocp-Apim-Subscription-Key", "subscription-key"),
        ("X-Corp-Token", "X-Amz-Signature"),
        ("X-Corp-Secret", "X-Goog-Credential"),
        ("X-Client-Password", "auth_token"),
    ],
)
async def test_credentials_of_other_names_do_not_reach_the_file_either(tmp_path: Path, header: str, query: str) -> None:
    file = tmp_path / "c.json"
    async with serve(echo) as url, Cassette(file, upstream=url) as cassette:
        headers = {header: "header-4711-word"}
        await ask(
            cassette.url, f"/v1/x?{query}=query-4711-word&page_token=4&max_tokens=12345678", {"a": "header-4711-word"}, headers=headers
        )
    assert "4711" not in file.read_text()
    assert json.loads(file.read_text())["exchanges"][0]["request"]["query"].count("max_tokens=12345678&page_token=4") == 1


async def test_what_was_not_recorded_is_refused_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    path, body = question("openai_chat", is_stream=False)
    async with SimServer(Sim()) as server, Cassette(file, upstream=server.url) as cassette:
        await ask(cassette.url, path, body)
        await ask(cassette.url, *question("gemini", is_stream=False))
    other: Body = {**body, "messages": [{"role": "user", "content": "Bye"}], "seed": 1}
    async with Cassette(file) as cassette:
        status, chunks = await ask(cassette.url, path, other)
        message = json.loads(b"".join(chunks))["error"]["message"]
        assert (status, cassette.misses[0].message) == (400, message)
        assert "nearest is POST /v1/chat/completions" in message
        assert 'body.messages[0].content: recorded "Hi", asked "Bye"' in message
        assert "body.seed: recorded null, asked 1" in message
        await ask(cassette.url, "/v1/other", b"\xff" + b"x" * 200)
        assert isinstance(cassette.misses[1], CassetteMiss)


async def test_an_empty_cassette_says_so(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    async with Cassette(file, upstream="http://127.0.0.1:9"):
        pass
    async with Cassette(file) as cassette:
        _, chunks = await ask(cassette.url, "/v1/x", b"text")
    assert b"the cassette is empty" in b"".join(chunks)


async def test_a_request_that_comes_again_gets_its_next_answer(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    path, body = question("anthropic", is_stream=False)
    async with (
        SimServer(Sim(["one", Fault("overloaded"), "two"])) as server,
        Cassette(file, upstream=server.url, mode="record") as cassette,
    ):
        recorded = [await ask(cassette.url, path, body) for _ in range(3)]
    async with Cassette(file, mode="replay") as cassette:
        replayed = [await ask(cassette.url, path, body) for _ in range(4)]
    assert [status for status, _ in recorded] == [200, 529, 200]
    assert replayed == [*recorded, recorded[-1]]


async def test_a_reply_that_was_cut_off_is_cut_off_again(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    path, body = question("openai_chat", is_stream=True)
    async with SimServer(Sim([Fault("closed")], seed=1)) as server, Cassette(file, upstream=server.url) as cassette:
        with pytest.raises(ClientPayloadError):
            await ask(cassette.url, path, body)
    async with Cassette(file) as cassette:
        with pytest.raises(ClientPayloadError):
            await ask(cassette.url, path, body)


@pytest.mark.parametrize("mode", ["record", "auto"])
async def test_a_cassette_is_never_overwritten_unasked(tmp_path: Path, mode: Literal["record", "auto"]) -> None:
    file = tmp_path / "c.json"
    if mode == "record":
        file.write_text("mine")
        with pytest.raises(ConfigError, match="would be overwritten"):
            await Cassette(file, upstream="http://127.0.0.1:9", mode=mode).__aenter__()
        async with Cassette(file, upstream="http://127.0.0.1:9", mode=mode, overwrite=True):
            pass
        assert json.loads(file.read_text()) == {"version": 1, "exchanges": []}
    else:
        with pytest.raises(ConfigError, match="would be overwritten"):
            async with Cassette(file, upstream="http://127.0.0.1:9", mode=mode):
                file.write_text("mine")
        assert file.read_text() == "mine"


async def test_a_block_that_ends_with_an_error_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    with pytest.raises(KeyError):
        async with Cassette(file, upstream="http://127.0.0.1:9"):
            raise KeyError
    assert list(tmp_path.iterdir()) == []


async def test_an_upstream_out_of_reach_is_said_and_not_recorded(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    async with Cassette(file, upstream="http://127.0.0.1:9") as cassette:
        status, chunks = await ask(cassette.url, "/v1/x", b"{}")
    assert (status, b"was not reached" in b"".join(chunks)) == (502, True)
    assert json.loads(file.read_text())["exchanges"] == []


async def test_a_cassette_that_cannot_be_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    with pytest.raises(ConfigError, match="nothing to record"):
        await Cassette(file).__aenter__()
    with pytest.raises(ConfigError, match="there is no cassette"):
        await Cassette(file, mode="replay").__aenter__()
    file.write_text('{"version": 2, "exchanges": []}')
    with pytest.raises(ConfigError, match="is no cassette: version"):
        await Cassette(file).__aenter__()


def test_what_is_no_secret_stays() -> None:
    cleaner = Cleaner().knowing({"Authorization": "Bearer test", "Accept": "x"}, "key=short")
    assert cleaner.text("a test that is short") == "a test that is short"
    assert cleaner.headers([("Accept", "x"), ("API-Key", "y")]) == [("Accept", "x"), ("API-Key", REMOVED)]
    assert parse_body(b"") is None
    assert parse_body(b"plain") == "plain"
    assert parse_body(b"\xff") == {"base64": "/w=="}


def test_the_replies_of_a_simulated_model_are_plain_values() -> None:
    assert SimReply(calls=(Call("a"),)).stopped == "tool_calls"
