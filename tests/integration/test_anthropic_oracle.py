"""Anthropic's own SDK as an oracle: the same bytes through it and through our adapter say the same."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anthropic
import pytest
from anthropic.types import Message
from hypothesis import given, settings, strategies as st

from agent_sdk.core.model import ModelReply
from agent_sdk.core.usage import Usage
from agent_sdk.llm.anthropic import ANTHROPIC, Anthropic, MessagesProtocol
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.vendor_errors import Place
from tests.integration.exchanges.anthropic import PLAIN
from tests.integration.exchanges.anthropic_errors import ERRORS
from tests.integration.exchanges.anthropic_streams import BROKEN_STREAMS, STREAMS
from tests.integration.exchanges.exchange import Exchange, Heard, ask, canonical, heard_by_us, read_in_pieces, serving

STOPS = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
REPLIES = [*PLAIN, *STREAMS]
FAILURES = [*BROKEN_STREAMS, *ERRORS]
SMALL = [exchange for exchange in (*STREAMS, *BROKEN_STREAMS) if len(exchange.body) < 20_000]


def heard_by_them(message: Message) -> Heard:
    usage = message.usage
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    thought = usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0
    counted = Usage(usage.input_tokens + cached + written, usage.output_tokens, cached, thought, cache_write_tokens=written)
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.name, canonical(json.dumps(block.input))) for block in message.content if block.type == "tool_use"]
    return Heard(text, calls, counted, STOPS.get(message.stop_reason or "", "other"), message.model)


async def theirs(exchange: Exchange, url: str) -> Heard:
    over = anthropic.DefaultAsyncHttpxClient(verify=False)  # to load the certificates that no test needs takes most of the time
    async with anthropic.AsyncAnthropic(api_key="sk-1", base_url=url, max_retries=0, http_client=over) as client:
        if not exchange.is_stream:
            return heard_by_them(await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]))
        async with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]) as stream:
            return heard_by_them(await stream.get_final_message())


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Anthropic]:
    model = Anthropic(AnthropicOptions("sk-1", url))
    try:
        yield model
    finally:
        await model.close()


async def ours(exchange: Exchange, url: str) -> ModelReply:
    async with opened(url) as model:
        return await ask(model, exchange)


@pytest.mark.parametrize("exchange", REPLIES, ids=str)
async def test_a_reply_says_the_same_to_both(exchange: Exchange) -> None:
    async with serving(exchange) as url:
        reply = await ours(exchange, url)
        expected = exchange.heard if exchange.differs is not None else await theirs(exchange, url)
    assert heard_by_us(reply) == expected
    assert exchange.parts is None or reply.message.parts == exchange.parts


@pytest.mark.parametrize("exchange", FAILURES, ids=str)
async def test_a_failure_is_of_one_kind_to_both(exchange: Exchange) -> None:
    assert exchange.error is not None
    async with serving(exchange) as url:
        with pytest.raises(exchange.error) as caught:
            await ours(exchange, url)
        assert type(caught.value) is exchange.error
        if exchange.differs is None:
            with pytest.raises(anthropic.APIError) as their_error:
                await theirs(exchange, url)
            assert exchange.their_error in {kind.__name__ for kind in type(their_error.value).mro()}


@pytest.mark.parametrize("exchange", [exchange for exchange in REPLIES if exchange.differs is not None and exchange.heard], ids=str)
async def test_where_the_sdk_is_said_to_hear_otherwise_it_does(exchange: Exchange) -> None:
    async with serving(exchange) as url:
        try:
            heard = await theirs(exchange, url)
        except (anthropic.AnthropicError, AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            return
    assert heard != exchange.heard


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_stream_says_the_same_however_it_is_cut(data: st.DataObject) -> None:
    exchange = data.draw(st.sampled_from(SMALL))
    cuts = data.draw(st.lists(st.integers(0, max(len(exchange.body), 1)), max_size=40))
    assert read(exchange, cuts) == read(exchange, [])


def test_a_stream_says_the_same_byte_by_byte() -> None:
    for exchange in SMALL:
        assert read(exchange, list(range(len(exchange.body)))) == read(exchange, [])


def read(exchange: Exchange, cuts: list[int]) -> object:
    protocol = MessagesProtocol(AnthropicOptions("sk-1", "http://127.0.0.1"))
    return read_in_pieces(protocol.assembly(exchange.request, {}), exchange.body, cuts)


def test_the_corpus_is_as_large_as_it_says() -> None:
    names = [exchange.name for exchange in (*REPLIES, *FAILURES)]
    assert len(names) == len(set(names))
    assert len(names) >= 45


def test_the_error_table_names_the_protocol() -> None:
    assert MessagesProtocol(AnthropicOptions("sk-1")).errors is ANTHROPIC
    assert AnthropicOptions("sk-1").place == Place("https://api.anthropic.com", "sk-1")
