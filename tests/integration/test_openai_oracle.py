"""OpenAI's own SDK as an oracle: the same traffic through it and through our adapter says the same."""

import openai
import pytest
from hypothesis import given, settings, strategies as st
from openai.types.chat import ChatCompletionMessageParam

from agent_sdk.core.errors import AuthFailed, BadRequest, ContentRefused, ContextTooLong, ModelError, Overloaded, RateLimited, Unavailable
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import ModelReply, ModelRequest, ReplyDone
from agent_sdk.core.usage import Usage
from agent_sdk.llm import OpenAIOptions
from agent_sdk.llm.openai_chat import OpenAIChat
from agent_sdk.llm.openai_reply import ReplyAssembly
from agent_sdk.llm.openai_request import RequestWriter
from agent_sdk.llm.vendor_errors import Place
from agent_sdk.testing import Call, ChatReply, Delivery, FakeOpenAI, RawReply, error_reply
from tests.integration.exchanges.exchange import Exchange, Heard, ask, canonical, heard_by_us, judge, outcome, read_in_pieces, serving
from tests.integration.exchanges.openai_chat import EXCHANGES

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
REQUEST = ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), "Be brief.")
STOPS = {"stop": "end", "tool_calls": "tool_calls", "length": "length", "content_filter": "refused"}


def usage_of(usage: "openai.types.CompletionUsage | None") -> Usage:
    if usage is None:
        return Usage()
    asked, said = usage.prompt_tokens_details, usage.completion_tokens_details
    cached, written = ((asked.cached_tokens or 0), (asked.cache_write_tokens or 0)) if asked else (0, 0)
    thought = (said.reasoning_tokens or 0) if said else 0
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached, thought, cache_write_tokens=written)


def official(url: str) -> openai.AsyncOpenAI:
    unsure = openai.DefaultAsyncHttpxClient(verify=False)  # to read all certificate authorities takes the time of ten exchanges
    return openai.AsyncOpenAI(api_key="sk-1", base_url=url, max_retries=0, http_client=unsure)


async def officially(url: str) -> Heard:
    async with official(url) as client:
        return await read_whole(client)


async def read_whole(client: openai.AsyncOpenAI) -> Heard:
    reply = await client.chat.completions.create(model="m", messages=MESSAGES)
    choice = reply.choices[0]
    heard = Heard((choice.message.content or "") + (choice.message.refusal or ""), usage=usage_of(reply.usage), model=reply.model)
    heard.stop = "refused" if choice.message.refusal else STOPS.get(choice.finish_reason, "other")
    for call in choice.message.tool_calls or ():
        assert call.type == "function"
        heard.calls.append((call.function.name, canonical(call.function.arguments)))
    return heard


async def officially_streamed(url: str) -> Heard:
    async with official(url) as client:
        return await read_streamed(client)


async def read_streamed(client: openai.AsyncOpenAI) -> Heard:
    heard = Heard()
    stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True})
    async for chunk in stream:
        heard.model = chunk.model
        heard.usage = usage_of(chunk.usage)
        for choice in chunk.choices:
            heard.text += (choice.delta.content or "") + (choice.delta.refusal or "")
            if choice.delta.refusal:
                heard.stop = "refused"
            elif choice.finish_reason and heard.stop != "refused":
                heard.stop = STOPS.get(choice.finish_reason, "other")
            for piece in choice.delta.tool_calls or ():
                assert piece.function is not None
                if piece.function.name:
                    heard.calls.append((piece.function.name, ""))
                name, arguments = heard.calls[piece.index]
                heard.calls[piece.index] = (name, arguments + (piece.function.arguments or ""))
    return heard


async def ours(url: str, *, is_stream: bool) -> ModelReply:
    model = OpenAIChat(OpenAIOptions("sk-1", url))
    try:
        if not is_stream:
            return await model.complete(REQUEST)
        deltas = [delta async for delta in model.stream(REQUEST)]
    finally:
        await model.close()
    assert isinstance(deltas[-1], ReplyDone)
    return deltas[-1].reply


both = pytest.mark.parametrize("is_stream", [False, True], ids=["plain", "streamed"])
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


@both
@pytest.mark.parametrize(
    "said",
    [
        ChatReply("Hello"),
        ChatReply("Grüße aus 東京 🧀\n\n\ttab"),
        ChatReply("data: [DONE]\n\ndata: not an event"),
        ChatReply("x" * 2_000),
        ChatReply(""),
        ChatReply("cut off", finish_reason="length"),
        ChatReply("filtered", finish_reason="content_filter"),
        ChatReply(refusal="I will not."),
        ChatReply('{"n": 1}'),
        ChatReply("counted", usage=USAGE),
        ChatReply(
            "counted",
            usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 7}, "completion_tokens_details": {"reasoning_tokens": 2}},
        ),
        ChatReply("uncounted", has_usage=False),
        ChatReply("thought over", reasoning="hm"),
        ChatReply(calls=(Call("search", {"q": "cats"}),)),
        ChatReply(calls=(Call("search", {}),)),
        ChatReply("Let me see.", calls=(Call("search", {"q": "käse 🧀", "deep": {"list": [1, 2.5, None, True]}}),)),
        ChatReply(calls=tuple(Call(f"tool_{n}", {"n": n, "text": "word " * n}) for n in range(8))),
        ChatReply(calls=(Call("search", '{"half": '),)),
        ChatReply(calls=(Call("search", "prose"), Call("search", {"q": 1}))),
        ChatReply("stops all the same", calls=(Call("search", {"q": 1}),), finish_reason="tool_calls"),
        ChatReply("small pieces: Grüße 🧀", delivery=Delivery(piece_bytes=3)),
        ChatReply(calls=(Call("a", {"b": "ü"}), Call("c", {"d": "🧀"})), delivery=Delivery(piece_bytes=5)),
        ChatReply("compressed", delivery=Delivery(is_gzip=True)),
    ],
)
async def test_a_reply_says_the_same_to_both(said: ChatReply, is_stream: bool) -> None:
    async with FakeOpenAI([said, said]) as server:
        theirs = await (officially_streamed(server.base_url) if is_stream else officially(server.base_url))
        reply = await ours(server.base_url, is_stream=is_stream)
        assert server.requests[0].messages == server.requests[1].messages
    theirs.calls = [(tool, canonical(arguments)) for tool, arguments in theirs.calls]
    assert heard_by_us(reply) == theirs


@both
@pytest.mark.parametrize(
    ("said", "theirs", "kind"),
    [
        (error_reply(400, "bad"), openai.BadRequestError, BadRequest),
        (error_reply(400, "long", code="context_length_exceeded"), openai.BadRequestError, ContextTooLong),
        (error_reply(400, "filtered", code="content_filter"), openai.BadRequestError, ContentRefused),
        (error_reply(401, "who"), openai.AuthenticationError, AuthFailed),
        (error_reply(403, "no"), openai.PermissionDeniedError, AuthFailed),
        (error_reply(404, "no such model"), openai.NotFoundError, BadRequest),
        (error_reply(422, "odd"), openai.UnprocessableEntityError, BadRequest),
        (error_reply(429, "slow", Retry_After="3"), openai.RateLimitError, RateLimited),
        (error_reply(500, "oops"), openai.InternalServerError, Unavailable),
        (error_reply(503, "full"), openai.InternalServerError, Overloaded),
        (RawReply(b"<html>Bad Gateway</html>", 502, "text/html"), openai.InternalServerError, Unavailable),
        (ChatReply("a", delivery=Delivery(closes_after=0)), openai.APIConnectionError, Unavailable),
    ],
)
async def test_a_failure_is_of_one_kind_to_both(
    said: ChatReply | RawReply, theirs: type[openai.APIError], kind: type[ModelError], is_stream: bool
) -> None:
    async with FakeOpenAI([said, said]) as server:
        with pytest.raises(openai.APIError) as caught:
            await (officially_streamed(server.base_url) if is_stream else officially(server.base_url))
        with pytest.raises(kind):
            await ours(server.base_url, is_stream=is_stream)
    assert isinstance(caught.value, theirs)


async def hears(exchange: Exchange, url: str) -> Heard:
    """Return what the SDK reads in an exchange of the corpus."""
    async with official(f"{url}/v1") as client:
        heard = await (read_streamed(client) if exchange.is_stream else read_whole(client))
    heard.calls = [(tool, canonical(arguments)) for tool, arguments in heard.calls]
    if heard.stop == "tool_calls" and not heard.calls:
        heard.stop = "end"
    return heard


@pytest.mark.parametrize("exchange", EXCHANGES, ids=str)
async def test_an_exchange_says_the_same_to_both(exchange: Exchange) -> None:
    async with serving(exchange) as url:
        model = OpenAIChat(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            reply = await outcome(ask(model, exchange))
        finally:
            await model.close()
        theirs = await outcome(hears(exchange, url))
    judge(exchange, reply, theirs)


OFFERS = RequestWriter().offers
STREAMS = [each for each in EXCHANGES if each.is_stream and each.status == 200 and not each.headers.get("Content-Encoding")]
SMALL = [each for each in STREAMS if len(each.body) < 100_000]


def assembly(exchange: Exchange) -> ReplyAssembly:
    names, output = OFFERS.toolbox(exchange.request).names, OFFERS.output(exchange.request)
    return ReplyAssembly(exchange.request.id, Place("here"), names, output)


@settings(max_examples=300)
@given(st.sampled_from(SMALL), st.lists(st.integers(0, 8_000), max_size=8))
def test_any_cut_of_a_stream_gives_what_came_whole(exchange: Exchange, cuts: list[int]) -> None:
    assert read_in_pieces(assembly(exchange), exchange.body, cuts) == read_in_pieces(assembly(exchange), exchange.body, [])


def test_the_corpus_is_as_large_as_it_must_be() -> None:
    assert len(EXCHANGES) == len({each.name for each in EXCHANGES}) >= 45
