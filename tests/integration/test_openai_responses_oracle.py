"""OpenAI's own SDK as an oracle for Responses: the same bytes, read by it and by our adapter, say the same."""

import openai
import pytest
from hypothesis import given, settings, strategies as st
from openai.types.responses import Response, ResponseUsage

from agent_sdk.core.errors import ReplyInvalid, Unavailable
from agent_sdk.core.messages import ReasoningPart
from agent_sdk.core.model import ReasoningDelta, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm import OpenAIOptions
from agent_sdk.llm.openai_responses import RESPONSES, OpenAIResponses
from agent_sdk.llm.openai_responses_reply import ResponseAssembly
from agent_sdk.llm.openai_responses_request import ResponseWriter
from agent_sdk.llm.sse import EventBytes
from agent_sdk.llm.vendor_errors import Place
from tests.integration.exchanges.exchange import (
    Exchange,
    Heard,
    ask,
    canonical,
    heard_by_us,
    judge,
    outcome,
    plain,
    read_in_pieces,
    serving,
)
from tests.integration.exchanges.openai_responses import EXCHANGES

INCOMPLETE = {"max_output_tokens": "length", "content_filter": "refused"}


class Failed(Exception):
    """The SDK handed on a response or an event that says that it failed."""


def usage_of(usage: ResponseUsage) -> Usage:
    asked, said = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        usage.input_tokens, usage.output_tokens, asked.cached_tokens, said.reasoning_tokens, cache_write_tokens=asked.cache_write_tokens
    )


def heard_in(response: Response) -> Heard:
    if response.status == "failed":
        raise Failed(response.error)
    heard = Heard(model=response.model)
    if response.usage is not None:
        heard.usage = usage_of(response.usage)
    is_refused = False
    for item in response.output:
        if item.type == "function_call":
            heard.calls.append((item.name, canonical(item.arguments)))
        elif item.type == "message":
            for content in item.content:
                heard.text += content.refusal if content.type == "refusal" else content.text
                is_refused |= content.type == "refusal"
    reason = response.incomplete_details.reason if response.incomplete_details is not None else None
    ended = "tool_calls" if heard.calls else "end"
    heard.stop = "refused" if is_refused else ended if response.status == "completed" else INCOMPLETE.get(reason or "", "other")
    return heard


def official(url: str) -> openai.AsyncOpenAI:
    unsure = openai.DefaultAsyncHttpxClient(verify=False)  # to read all certificate authorities takes the time of ten exchanges
    return openai.AsyncOpenAI(api_key="sk-1", base_url=f"{url}/v1", max_retries=0, http_client=unsure)


async def officially(exchange: Exchange, url: str) -> Heard:
    async with official(url) as client:
        if not exchange.is_stream:
            return heard_in(await client.responses.create(model="m", input="Hi"))
        deltas: dict[int, str] = {}
        last: Response | None = None
        async for event in await client.responses.create(model="m", input="Hi", stream=True):
            match event.type:
                case "response.output_text.delta" | "response.refusal.delta" | "response.function_call_arguments.delta":
                    deltas[event.output_index] = deltas.get(event.output_index, "") + event.delta
                case "response.completed" | "response.incomplete" | "response.failed":
                    last = event.response
                case "error":
                    raise Failed(event.message)
                case _:
                    pass
    if last is None:
        raise EOFError
    heard = heard_in(last)
    streamed = "".join(text for index, text in deltas.items() if last.output and last.output[index].type == "message")
    assert streamed == heard.text
    return heard


@pytest.mark.parametrize("exchange", EXCHANGES, ids=str)
async def test_an_exchange_says_the_same_to_both(exchange: Exchange) -> None:
    async with serving(exchange) as url:
        model = OpenAIResponses(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            ours = await outcome(ask(model, exchange))
        finally:
            await model.close()
        theirs = await outcome(officially(exchange, url))
    judge(exchange, ours, theirs)


WRITER = ResponseWriter()
STREAMS = [each for each in EXCHANGES if each.is_stream and each.status == 200 and not each.headers.get("Content-Encoding")]
SMALL = [each for each in STREAMS if len(each.body) < 100_000]


def assembly(exchange: Exchange) -> ResponseAssembly:
    offers = WRITER.offers
    names, output = offers.toolbox(exchange.request).names, offers.output(exchange.request)
    return ResponseAssembly(exchange.request.id, Place("here"), RESPONSES, names, output)


@settings(max_examples=300)
@given(st.sampled_from(SMALL), st.lists(st.integers(0, 12_000), max_size=8))
def test_any_cut_of_a_stream_gives_what_came_whole(exchange: Exchange, cuts: list[int]) -> None:
    assert read_in_pieces(assembly(exchange), exchange.body, cuts) == read_in_pieces(assembly(exchange), exchange.body, [])


WHOLE = [each for each in STREAMS if each.error is None and each.request.output_schema is None and each.differs is None]


@pytest.mark.parametrize("exchange", WHOLE, ids=str)
def test_the_deltas_of_a_stream_are_its_reply(exchange: Exchange) -> None:
    made, heard = assembly(exchange), Heard()
    thoughts: list[str] = []
    for event in EventBytes().feed(exchange.body):
        for delta in made.add(event):
            match delta:
                case TextDelta(text=text):
                    heard.text += text
                case ReasoningDelta(text=text):
                    thoughts.append(text)
                case ToolCallDelta(index=index, arguments=arguments, tool=tool):
                    heard.calls += [(tool, "")] if tool is not None else []
                    heard.calls[index] = (heard.calls[index][0], heard.calls[index][1] + arguments)
                case _:
                    raise AssertionError(delta)
    reply = heard_by_us(made.reply())
    assert (heard.text, [(tool, canonical(text)) for tool, text in heard.calls]) == (reply.text, reply.calls)
    assert "".join(thoughts) == "".join(part.text for part in made.reply().message.parts if isinstance(part, ReasoningPart))


async def test_the_vendor_s_id_of_the_exchange_is_kept() -> None:
    async with serving(EXCHANGES[0]) as url:
        model = OpenAIResponses(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            assert (await ask(model, EXCHANGES[0])).request_id == "req_1"
        finally:
            await model.close()


def test_a_failed_stream_says_what_it_used() -> None:
    exchange = next(each for each in EXCHANGES if each.name == "failed with server_error")
    made = assembly(exchange)
    begun, failed = EventBytes().feed(exchange.body)
    made.add(begun)
    with pytest.raises(Unavailable) as caught:
        made.add(failed)
    assert caught.value.usage == Usage(7, 3)


async def test_the_vendor_counts_tokens_and_both_read_the_count() -> None:
    counted = plain("count", {"object": "response.input_tokens", "input_tokens": 11})
    async with serving(counted) as url:
        model = OpenAIResponses(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            ours = await model.count_tokens(counted.request)
        finally:
            await model.close()
        async with official(url) as client:
            theirs = await client.responses.input_tokens.count(model="m", input="Hi")
    assert ours == theirs.input_tokens == 11


async def test_a_count_that_is_none_is_refused() -> None:
    async with serving(plain("count", {"object": "list"})) as url:
        model = OpenAIResponses(OpenAIOptions("sk-1", f"{url}/v1"))
        try:
            with pytest.raises(ReplyInvalid, match="no count of tokens"):
                await model.count_tokens(EXCHANGES[0].request)
        finally:
            await model.close()


def test_the_corpus_is_as_large_as_it_must_be() -> None:
    assert len(EXCHANGES) == len({each.name for each in EXCHANGES}) >= 45
