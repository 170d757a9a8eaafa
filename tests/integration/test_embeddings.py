"""Embeddings over a loopback server: what is asked, what comes back, and what cannot be vectors."""

import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import JsonValue

from agent_sdk.core.errors import AuthFailed, ConfigError, ReplyInvalid, Unavailable
from agent_sdk.core.memory import EmbeddingInvalid
from agent_sdk.llm.embeddings import MAX_CHARS, EmbeddingOptions, OpenAIEmbedder, open_embedder
from agent_sdk.llm.options import OpenAIOptions, Timeouts

KEY = "sk-test-4711"
Answer = Callable[[list[str]], web.Response]


def vectors(texts: list[str]) -> web.Response:
    """Answer as the vendor does, but out of order: the index says which is whose."""
    data: list[JsonValue] = [{"object": "embedding", "index": i, "embedding": [float(len(text)), 1.0]} for i, text in enumerate(texts)]
    return web.json_response({"object": "list", "data": data[::-1], "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}})


@dataclass
class Server:
    answer: Answer = vectors
    asked: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    headers: list[str | None] = field(default_factory=list[str | None])
    url: str = ""

    async def embeddings(self, http: web.Request) -> web.Response:
        self.headers.append(http.headers.get("Authorization"))
        question = await http.json()
        self.asked.append(question)
        return self.answer(question["input"])


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    made = Server()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/embeddings", made.embeddings)
    async with TestServer(app) as running:
        made.url = str(running.make_url("/v1"))
        yield made


@pytest.fixture
async def embedder(server: Server) -> AsyncGenerator[OpenAIEmbedder]:
    made = OpenAIEmbedder(EmbeddingOptions("text-embedding-3-small"), OpenAIOptions(KEY, server.url))
    yield made
    await made.close()


async def test_each_text_gets_its_vector(server: Server, embedder: OpenAIEmbedder) -> None:
    assert await embedder.embed(["one", "eleven"], "document") == [[3.0, 1.0], [6.0, 1.0]]
    assert server.asked == [{"model": "text-embedding-3-small", "input": ["one", "eleven"]}]
    assert server.headers == [f"Bearer {KEY}"]
    assert (embedder.name, embedder.dimensions) == ("openai:text-embedding-3-small", None)
    assert await embedder.embed([], "query") == []


async def test_the_vendors_own_sdk_reads_the_same(server: Server, embedder: OpenAIEmbedder) -> None:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=server.url) as sdk:
        reply = await sdk.embeddings.create(model="text-embedding-3-small", input=["one", "eleven"], encoding_format="float")
    ours = await embedder.embed(["one", "eleven"], "document")
    assert [row.embedding for row in sorted(reply.data, key=lambda row: row.index)] == ours
    assert {"encoding_format": "float", **server.asked[1]} == server.asked[0]


async def test_size_and_prefixes_are_said(server: Server) -> None:
    options = EmbeddingOptions("nomic-embed-text", dimensions=2, prefixes={"query": "search_query: "})
    embedder = OpenAIEmbedder(options, OpenAIOptions(KEY, server.url))
    assert await embedder.embed(["tea"], "query") == [[17.0, 1.0]]
    assert await embedder.embed(["tea"], "document") == [[3.0, 1.0]]
    assert server.asked[0] == {"model": "nomic-embed-text", "input": ["search_query: tea"], "dimensions": 2}
    assert embedder.dimensions == 2
    await embedder.close()


async def test_many_and_long_texts_go_in_several_requests_each_by_its_beginning(server: Server, embedder: OpenAIEmbedder) -> None:
    texts = ["x" * 3 * MAX_CHARS, *("y" * MAX_CHARS for _ in range(29)), "ends"]
    found = await embedder.embed(texts, "document")
    assert [vector[0] for vector in found] == [float(MAX_CHARS)] * 30 + [4.0]
    assert [len(str(question["input"])) < 110_000 for question in server.asked] == [True] * 3


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"data": [{"index": 0, "embedding": [1.0]}]}', EmbeddingInvalid),
        ('{"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]}', EmbeddingInvalid),
        ('{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [NaN]}]}', ReplyInvalid),
        ('{"data": [{"index": 0, "embedding": "AACAPw=="}]}', ReplyInvalid),
        ('{"data": null}', ReplyInvalid),
        ("not json", ReplyInvalid),
        ("", ReplyInvalid),
    ],
)
async def test_what_are_no_embeddings_is_refused(server: Server, embedder: OpenAIEmbedder, body: str, error: type[Exception]) -> None:
    server.answer = lambda _: web.Response(body=body.encode(), content_type="application/json")
    with pytest.raises(error) as caught:
        await embedder.embed(["one", "two"], "document")
    assert KEY not in str(caught.value)


async def test_the_servers_refusal_comes_out_as_what_it_is_without_the_key(server: Server, embedder: OpenAIEmbedder) -> None:
    said = {"error": {"message": f"Incorrect API key provided: {KEY}", "type": "invalid_request_error", "code": "invalid_api_key"}}
    server.answer = lambda _: web.Response(status=401, body=json.dumps(said).encode(), content_type="application/json")
    with pytest.raises(AuthFailed) as caught:
        await embedder.embed(["one"], "query")
    assert KEY not in str(caught.value)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    embedder = OpenAIEmbedder(EmbeddingOptions("m"), OpenAIOptions(KEY, "http://127.0.0.1:1/v1", Timeouts(connect_s=1)))
    with pytest.raises(Unavailable):
        await embedder.embed(["one"], "query")
    await embedder.close()


@pytest.mark.parametrize(("model", "dimensions"), [(" ", None), ("m", 0), ("m", -1), ("m", 16_001)])
def test_options_that_cannot_be_are_refused(model: str, dimensions: int | None) -> None:
    with pytest.raises(ConfigError):
        EmbeddingOptions(model, dimensions)


def test_a_model_is_named_as_settings_name_it() -> None:
    server = OpenAIOptions(KEY)
    assert open_embedder("openai:text-embedding-3-small", server, dimensions=512).name == "openai:text-embedding-3-small"
    for wrong in ("", "text-embedding-3-small", "openai:", "nobody:m", "anthropic:m"):
        with pytest.raises(ConfigError):
            open_embedder(wrong, server)


async def test_half_a_character_in_a_text_is_no_reason_to_fail(server: Server, embedder: OpenAIEmbedder) -> None:
    assert await embedder.embed(["what is \udcff?"], "query") == [[10.0, 1.0]]
    assert server.asked[0]["input"] == ["what is ??"]
