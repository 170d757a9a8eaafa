"""The HTTP tools against servers on this machine, friendly and not."""

import asyncio
import gzip
import json
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field

import pytest
import trustme
from pydantic import JsonValue, SecretStr, TypeAdapter

from agent_sdk import Agent, App, Runtime, RunWaits
from agent_sdk.core.errors import NotDone, ToolError
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.testing import Call, ScriptedModel
from agent_sdk.tools.http import (
    CertificateRefused,
    Http,
    HttpBusy,
    HttpFailed,
    HttpReply,
    HttpTooLarge,
    HttpUnreachable,
    Network,
    UrlRefused,
)
from agent_sdk.tools.http.tools import Method

CONTEXT: ToolContext[object] = ToolContext(TenantId("t"), RunId("r"), StepId("s"), attempt=1, idempotency_key="key-1", deps=None)
KEY = "sk-0123456789abcdef"
REPLY = TypeAdapter(HttpReply)
ALL: tuple[Method, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Asked:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers each request with the next of its replies, the last one for ever; `asked` holds what came."""

    port: int = 0
    replies: list[bytes] = field(default_factory=list[bytes])
    asked: list[Asked] = field(default_factory=list[Asked])

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append(Asked(line, headers, body))
        writer.write(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0])


@asynccontextmanager
async def listening(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncGenerator[int]:
    """Let `talk` answer whoever connects; yield the port."""
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(*replies: bytes) -> AsyncGenerator[Server]:
    server = Server(replies=list(replies))
    async with listening(server.talk) as server.port:
        yield server


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    given = {"content-type": "text/plain", "content-length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return f"HTTP/1.1 {status}\r\n".encode() + "".join(f"{name}: {value}\r\n" for name, value in given.items()).encode() + b"\r\n" + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    return reply(b"moved", status, location=to)


async def at_home(host: str, port: int) -> Sequence[str]:
    """Resolve every name to this machine."""
    return ["127.0.0.1"]


def http(
    *ports: int,
    methods: Sequence[Method] = ALL,
    max_bytes: int = 10_000,
    timeout_s: float = 5.0,
    truncates: bool = False,
    idempotency_header: str | None = None,
    network: Network | None = None,
) -> dict[str, Tool]:
    """Return the tools, by method, for `a.test` on the first port and `b.test` on the second."""
    hosts = ["a.test", "b.test"][: len(ports)]
    places = [f"http://{host}:{port}/" for host, port in zip(hosts, ports, strict=True)]
    made = Http(
        places,
        methods=methods,
        headers={places[0]: {"Authorization": SecretStr(f"Bearer {KEY}")}},
        private=hosts,
        max_bytes=max_bytes,
        timeout_s=timeout_s,
        truncates=truncates,
        idempotency_header=idempotency_header,
        network=network or Network(at_home),
    )
    return {tool.spec.name.removeprefix("http_").upper(): tool for tool in made.tools}


async def ask(tool: Tool, url: str, **args: JsonValue) -> HttpReply:
    return REPLY.validate_python(await tool.call({"url": url, **args}, CONTEXT))


async def failure(tool: Tool, url: str, **args: JsonValue) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await tool.call({"url": url, **args}, CONTEXT)
    assert KEY not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    return caught.value


async def test_a_page_is_fetched_with_the_headers_of_its_place_and_no_more() -> None:
    async with serving(reply(b'{"a": [1]}', content_type="application/json", set_cookie="a=b", etag='"1"')) as server:
        get = http(server.port)["GET"]
        found = await ask(get, f"http://A.test.:{server.port}/x/ü?q=%20#part")
        await ask(get, f"http://a.test:{server.port}/")
    assert asdict(found) == {
        "url": f"http://a.test:{server.port}/x/%C3%BC?q=%20",
        "status": 200,
        "headers": {"content-type": "application/json", "content-length": "10", "etag": '"1"'},
        "body": {"a": [1]},
        "is_complete": True,
        "note": None,
    }
    first, second = server.asked
    assert first.line == "GET /x/%C3%BC?q=%20 HTTP/1.1"
    assert (
        first.headers
        == second.headers
        == {
            "host": f"a.test:{server.port}",
            "user-agent": "agent-sdk",
            "accept": "*/*",
            "accept-encoding": "gzip",
            "authorization": f"Bearer {KEY}",
            "connection": "close",
        }
    )


async def test_every_method_is_sent_as_it_is_with_its_body() -> None:
    async with serving(reply(b"done", "201 Created", location="/made/1")) as server:
        tools = http(server.port, idempotency_header="Idempotency-Key")
        for method in ALL[2:]:
            made = await ask(tools[method], f"http://a.test:{server.port}/", body={"ü": 1})
            assert (made.status, made.body, made.headers["location"]) == (201, "done", "/made/1")
        await ask(tools["POST"], f"http://a.test:{server.port}/", body="a=b", content_type="application/x-www-form-urlencoded")
        await ask(tools["DELETE"], f"http://a.test:{server.port}/")
    assert [asked.line.split()[0] for asked in server.asked[:4]] == list(ALL[2:])
    assert [json.loads(asked.body) for asked in server.asked[:4]] == [{"ü": 1}] * 4
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {"key-1"}
    form, bare = server.asked[4:]
    assert (form.headers["content-type"], form.body) == ("application/x-www-form-urlencoded", b"a=b")
    assert "content-type" not in bare.headers or not bare.body


async def test_a_head_has_no_body() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\ncontent-encoding: gzip\r\n\r\n") as server:
        found = await ask(http(server.port)["HEAD"], f"http://a.test:{server.port}/")
    assert (found.status, found.body, found.headers["content-length"]) == (200, None, "99999999")


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "418 Teapot", "500 Oops", "502 Bad Gateway"])
async def test_a_refusal_is_a_reply_that_the_model_can_read(status: str) -> None:
    async with serving(reply(b"no such thing", status)) as server:
        found = await ask(http(server.port)["GET"], f"http://a.test:{server.port}/")
    assert (found.status, found.body) == (int(status[:3]), "no such thing")


@pytest.mark.parametrize("status", ["429 Slow Down", "503 Busy"])
async def test_who_asks_to_come_again_soon_is_heard_where_that_does_no_harm(status: str) -> None:
    async with serving(reply(b"later", status, retry_after="7")) as server:
        url = f"http://a.test:{server.port}/"
        error = await failure(http(server.port)["GET"], url)
        assert isinstance(error, HttpBusy)
        assert (error.retryable, error.retry_after_s) == (True, 7.0)
        assert "later" in error.message
        assert isinstance(await failure(http(server.port, idempotency_header="Idempotency-Key")["POST"], url), HttpBusy)
        assert (await ask(http(server.port)["POST"], url)).status == int(status[:3])
        server.replies = [reply(b"tomorrow", status, retry_after="86400")]
        assert (await ask(http(server.port)["GET"], url)).headers["retry-after"] == "86400"


async def test_redirects_within_the_list_are_followed() -> None:
    async with serving(reply(b"there")) as other, serving(redirect("../y"), redirect(f"//b.test:{other.port}/z")) as server:
        found = await ask(http(server.port, other.port)["GET"], f"http://a.test:{server.port}/x/1")
    assert (found.url, found.body) == (f"http://b.test:{other.port}/z", "there")
    assert [asked.line for asked in server.asked] == ["GET /x/1 HTTP/1.1", "GET /y HTTP/1.1"]
    assert all("authorization" in asked.headers for asked in server.asked)
    assert "authorization" not in other.asked[0].headers, "a secret goes to no other origin"


async def test_who_comes_back_from_another_origin_gets_no_credentials() -> None:
    async with serving(reply(b"home")) as server, serving(redirect(f"http://a.test:{server.port}/wanted")) as other:
        server.replies = [redirect(f"http://b.test:{other.port}/"), reply(b"home")]
        found = await ask(http(server.port, other.port)["GET"], f"http://a.test:{server.port}/")
    assert found.body == "home"
    assert ["authorization" in asked.headers for asked in server.asked] == [True, False]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("http://127.0.0.1:{port}/", "allow list"),
        ("http://169.254.169.254/latest/meta-data/", "allow list"),
        ("http://c.test:{port}/", "allow list"),
        ("https://a.test:{port}/", "allow list"),
        ("http://a.test:1/", "allow list"),
        ("http://a.test@c.test/", "host and port"),
        ("http://a.test:{port}\\@c.test/", "which no URL may hold"),
        ("file:///etc/passwd", "no http"),
        ("gopher://a.test:{port}/", "no http"),
        ("/a b", "which no URL may hold"),
    ],
)
async def test_a_redirect_out_of_the_list_is_shown_and_not_followed(target: str, says: str) -> None:
    async with serving(b"") as server:
        server.replies = [redirect(target.format(port=server.port))]
        found = await ask(http(server.port)["GET"], f"http://a.test:{server.port}/")
    assert (found.status, len(server.asked)) == (302, 1)
    assert found.note is not None
    assert "not followed" in found.note
    assert says in found.note


async def test_a_redirect_to_a_name_with_a_private_address_is_not_followed() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"] if host == "a.test" else ["10.0.0.1"]

    async with serving(redirect("http://b.test/")) as server:
        places = [f"http://a.test:{server.port}", "http://b.test"]
        (get,) = Http(places, private=["a.test"], network=Network(resolve)).tools
        found = await ask(get, f"http://a.test:{server.port}/")
    assert found.status == 302
    assert found.note is not None
    assert "public internet" in found.note


async def test_redirects_end() -> None:
    async with serving(redirect("/again")) as server:
        found = await ask(http(server.port)["GET"], f"http://a.test:{server.port}/")
    assert (found.status, len(server.asked)) == (302, 6)
    assert found.note is not None
    assert "more than 5" in found.note


async def test_a_redirected_effect_turns_into_a_reading_or_goes_to_the_same_origin_alone() -> None:
    async with serving(reply(b"other")) as other, serving(redirect("/seen", "303 See Other"), reply(b"seen")) as server:
        tools = http(server.port, other.port)
        url = f"http://a.test:{server.port}/"
        assert (await ask(tools["POST"], url, body=1)).body == "seen"
        assert [asked.line.split()[0] for asked in server.asked] == ["POST", "GET"]
        assert "content-type" not in server.asked[1].headers
        server.replies = [redirect("/kept", "307 Temporary"), reply(b"kept")]
        assert (await ask(tools["POST"], url, body=1)).body == "kept"
        assert (server.asked[3].line, server.asked[3].body) == ("POST /kept HTTP/1.1", b"1")
        server.replies = [redirect(f"http://b.test:{other.port}/", "308 Moved")]
        found = await ask(tools["POST"], url, body=1)
        assert (found.status, other.asked) == (308, [])
        server.replies = [redirect("/seen", "303 See Other")]
        found = await ask(http(server.port, methods=["POST"])["POST"], url)
        assert found.note is not None
        assert "GET" in found.note


async def test_a_name_that_is_bound_anew_leads_nowhere_else() -> None:
    """The name is asked for once; what it leads to then is what was checked."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    async with serving(reply(b"first")) as server:
        get = http(server.port, network=Network(rebinding))["GET"]
        assert (await ask(get, f"http://a.test:{server.port}/")).body == "first"
        assert answers == [["10.0.0.1"]], "asked for once"
        answers[:] = [["169.254.169.254"]]
        assert isinstance(await failure(get, f"http://a.test:{server.port}/"), UrlRefused)


async def test_neither_proxies_nor_netrc_of_the_environment_play_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(reply(b"proxy")) as proxy, serving(reply(b"direct")) as server:
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"]:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await ask(http(server.port)["GET"], f"http://a.test:{server.port}/")).body == "direct"
    assert proxy.asked == []


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_reply_that_is_too_large_is_an_error_or_cut(is_chunked: bool) -> None:
    body = "ü".encode() * 10_000
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    async with serving(chunked if is_chunked else reply(body)) as server:
        url = f"http://a.test:{server.port}/"
        error = await failure(http(server.port, max_bytes=9_999)["GET"], url)
        assert isinstance(error, HttpTooLarge)
        assert "9,999" in error.message
        for tool in [http(server.port, max_bytes=9_999, truncates=True)["GET"], http(server.port, max_bytes=9_999)["POST"]]:
            found = await ask(tool, url)
            assert (found.body, found.is_complete) == ("ü" * 4_999, False)
            assert found.note is not None
            assert "cut" in found.note
        assert (await ask(http(server.port, max_bytes=20_000)["GET"], url)).body == "ü" * 10_000
        server.replies = [reply(body, "500 Oops")]
        assert not (await ask(http(server.port, max_bytes=9_999)["GET"], url)).is_complete


async def test_a_bomb_is_never_unpacked() -> None:
    bomb = gzip.compress(b"0" * 30_000_000)
    async with serving(reply(bomb, content_encoding="gzip")) as server:
        url = f"http://a.test:{server.port}/"
        assert isinstance(await failure(http(server.port, max_bytes=100_000)["GET"], url), HttpTooLarge)
        found = await ask(http(server.port, max_bytes=100_000, truncates=True)["GET"], url)
        assert found.body == "0" * 100_000
        server.replies = [reply(gzip.compress(b"fine"), content_encoding="GZIP")]
        assert (await ask(http(server.port)["GET"], url)).body == "fine"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no HTTP at all\r\n\r\n", "no HTTP"),
        (b"", "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "broke off"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", "too large headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 10_000 + b"\r\n", "too large headers"),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", "no HTTP"),
        (reply(b"not gzip", content_encoding="gzip"), "compressed data are broken"),
        (reply(gzip.compress(b"x" * 5000)[:-9], content_encoding="gzip"), "break off"),
        (reply(gzip.compress(b"x") + b"more", content_encoding="gzip"), "follows"),
        (reply(b"?", content_encoding="br"), "not asked for"),
        (reply(b"?", content_encoding="gzip, gzip"), "not asked for"),
    ],
)
async def test_what_is_no_proper_reply_fails_and_an_effect_stays_unknown(data: bytes, says: str) -> None:
    async with serving(data) as server:
        for method in ("GET", "POST"):
            error = await failure(http(server.port)[method], f"http://a.test:{server.port}/")
            assert isinstance(error, HttpFailed)
            assert not isinstance(error, NotDone), "what was sent may have been done"
            assert says in error.message


async def test_who_drips_bytes_or_says_nothing_is_given_up_in_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    for talk in (drip, silent):
        async with listening(talk) as port:
            error = await failure(http(port, timeout_s=0.15)["GET"], f"http://a.test:{port}/")
            assert isinstance(error, HttpFailed)
            assert "0.15 s" in error.message


async def test_where_nobody_listens_nothing_was_done() -> None:
    async with serving(b"") as server:
        port = server.port
    error = await failure(http(port)["POST"], f"http://a.test:{port}/")
    assert isinstance(error, HttpUnreachable)


async def test_a_redirect_to_where_nobody_listens_leaves_the_first_effect_unknown() -> None:
    async with serving(b"") as gone:
        pass
    async with serving(redirect(f"http://b.test:{gone.port}/", "303 See Other")) as server:
        error = await failure(http(server.port, gone.port)["POST"], f"http://a.test:{server.port}/")
    assert isinstance(error, HttpFailed)


async def test_a_certificate_must_vouch_for_the_name_and_not_the_address() -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)  # pyright: ignore[reportUnknownMemberType]  (pyOpenSSL, which it also takes, is not here)
    names: list[str | None] = []

    def served(*identities: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        authority.issue_cert(*identities).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]  (the same)
        return context

    async def ask_over_tls(identity: str, network: Network) -> HttpReply:
        server = Server(replies=[reply(b"safe")])
        async with listening(server.talk, served(identity)) as port:
            (post,) = Http([f"https://a.test:{port}"], methods=["POST"], private=["a.test"], network=network).tools
            return await ask(post, f"https://a.test:{port}/")

    assert (await ask_over_tls("a.test", Network(at_home, trusting))).body == "safe"
    assert names == ["a.test"]
    for identity, network in [
        ("b.test", Network(at_home, trusting)),
        ("127.0.0.1", Network(at_home, trusting)),
        ("a.test", Network(at_home)),
    ]:
        with pytest.raises(CertificateRefused):
            await ask_over_tls(identity, network)


async def test_an_echoed_secret_is_cut_out_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(b"") as server:
        url = f"http://a.test:{server.port}/"
        for echo in [
            reply(f"you sent Bearer {KEY}".encode()),
            reply(json.dumps({"headers": {"authorization": f"Bearer {KEY}"}}).encode(), content_type="application/json"),
            reply(f"Bearer {KEY}".encode(), "401 Unauthorized", www_authenticate=f'Bearer error="{KEY}"'),
            redirect(f"http://evil.test/?{KEY}"),
            reply(("x" * 9_990 + KEY).encode(), "500 Oops"),
        ]:
            server.replies = [echo]
            found = await ask(http(server.port)["GET"], url)
            assert KEY[:10] not in str(found)
            assert "[secret]" in str(found)
        server.replies = [redirect(f"/{KEY}"), reply(b"x")]
        assert KEY not in str(await ask(http(server.port)["GET"], url))
        server.replies = [reply(KEY.encode(), "503 Busy")]
        await failure(http(server.port)["GET"], url)
        server.replies = [f"HTTP/1.1 200 OK\r\nbad header {KEY}\r\n\r\n".encode()]
        await failure(http(server.port)["GET"], url)
    assert KEY not in caplog.text


async def test_this_machine_is_reached_by_its_own_name_where_that_is_allowed() -> None:
    async with serving(reply(b"here")) as server:
        url = f"http://localhost:{server.port}/"
        (get,) = Http([url], private=["localhost"]).tools
        assert (await ask(get, url)).body == "here"
        (get,) = Http([url]).tools
        assert isinstance(await failure(get, url), UrlRefused)


async def test_a_run_labels_what_it_read_and_leaves_an_effect_that_broke_off_unknown() -> None:
    async with serving(reply(b"read me")) as server, serving(b"") as broken:
        url, other = f"http://a.test:{server.port}/", f"http://b.test:{broken.port}/"
        tools = Http([url, other], methods=["GET", "POST"], private=["a.test", "b.test"], network=Network(at_home)).tools
        calls = [Call("http_get", {"url": url}), Call("http_get", {"url": "http://evil.test/"}), Call("http_post", {"url": other})]
        agent = Agent(name="reader", model=ScriptedModel(calls), tools=tools)
        async with Runtime.open(app=App([agent])) as runtime:
            run = await runtime.start(agent, "read")
            with pytest.raises(RunWaits, match="unknown_effect"):
                await run.result()
            state = await run.state()
    read, refused, sent = state.graph.steps.values()
    assert read.label.untrusted == ("http:a.test", "http:b.test")
    assert (refused.status, sent.status) == ("failed", "unknown")
    assert len(server.asked) == len(broken.asked) == 1
