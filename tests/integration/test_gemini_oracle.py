"""Google's own SDK as an oracle: the same bytes, read by it and by our adapter, say the same."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pytest
from google import genai
from google.genai import types
from hypothesis import given, settings, strategies as st

from agent_sdk.core.errors import ModelError, RateLimited, ReplyInvalid
from agent_sdk.core.messages import ReasoningPart
from agent_sdk.core.model import ModelReply, ReasoningDelta, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.gemini import Gemini, GeminiProtocol
from agent_sdk.llm.gemini_options import GeminiOptions
from agent_sdk.llm.gemini_reply import ReplyAssembly
from agent_sdk.llm.sse import EventBytes
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
    serving_by,
)
from tests.integration.exchanges.gemini import PLAIN
from tests.integration.exchanges.gemini_errors import ERRORS
from tests.integration.exchanges.gemini_streams import BROKEN_STREAMS, STREAMS, USED_BEFORE_IT_BROKE

pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* is not a valid:UserWarning"),
]
EXCHANGES = [*PLAIN, *STREAMS, *BROKEN_STREAMS, *ERRORS]
STOPS = {"STOP": "end", "MAX_TOKENS": "length"}
REFUSED = {"BLOCKLIST", "ESCALATION", "IMAGE_SAFETY", "MODEL_ARMOR", "PROHIBITED_CONTENT", "RECITATION", "SAFETY", "SPII"}
Outcome = tuple[ModelReply | Exception, Heard | Exception]


def usage_of(usage: types.GenerateContentResponseUsageMetadata) -> Usage:
    thoughts = usage.thoughts_token_count or 0
    asked = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    return Usage(asked, (usage.candidates_token_count or 0) + thoughts, usage.cached_content_token_count or 0, thoughts)


def heard_in(chunks: list[types.GenerateContentResponse]) -> Heard:
    """Return what a reply's chunks say; of a refusal without a word, the SDK's reason is the text."""
    heard, reason, word = Heard(stop="other"), "", ""
    for chunk in chunks:
        heard.model = chunk.model_version or heard.model
        if chunk.usage_metadata is not None:
            heard.usage = usage_of(chunk.usage_metadata)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None:
            reason, word = chunk.prompt_feedback.block_reason.value, chunk.prompt_feedback.block_reason_message or ""
            heard.stop = "refused"
        if chunk.candidates:
            candidate = chunk.candidates[0]
            hear_parts(candidate.content, heard)
            if candidate.finish_reason is not None:
                reason, word = candidate.finish_reason.value, candidate.finish_message or ""
                heard.stop = "refused" if reason in REFUSED else STOPS.get(reason, "other")
    if heard.stop == "refused" and not heard.text:
        heard.text = word or f"blocked: {reason}"
    if heard.stop == "end" and heard.calls:
        heard.stop = "tool_calls"
    return heard


def hear_parts(content: types.Content | None, heard: Heard) -> None:
    for part in (content.parts if content is not None else None) or ():
        if part.text is not None and not part.thought:
            heard.text += part.text
        if part.function_call is not None:
            heard.calls.append((part.function_call.name or "", canonical(json.dumps(part.function_call.args or {}))))


async def officially(client: genai.Client, model: str, *, is_stream: bool) -> Heard:
    models = client.aio.models
    if not is_stream:
        whole = await models.generate_content(model=model, contents="Hi")  # pyright: ignore[reportUnknownMemberType]  (pictures of a library that is not there)
        return heard_in([whole])
    stream = await models.generate_content_stream(model=model, contents="Hi")  # pyright: ignore[reportUnknownMemberType]  (pictures of a library that is not there)
    return heard_in([chunk async for chunk in stream])


def official(url: str) -> genai.Client:
    tries = types.HttpRetryOptions(attempts=1)
    return genai.Client(api_key="k-1", http_options=types.HttpOptions(base_url=url, retry_options=tries))


async def read_all() -> Mapping[str, Outcome]:
    """Put every question to one server, once by each; the model's name says which exchange is meant."""
    outcomes: dict[str, Outcome] = {}
    async with serving_by(lambda path, _: EXCHANGES[int(path.partition("models/x")[2].partition(":")[0])]) as url:
        client, model = official(url), Gemini(GeminiOptions("k-1", url))
        try:
            for index, exchange in enumerate(EXCHANGES):
                asked = replace(exchange, request=replace(exchange.request, model=f"x{index}"))
                ours = await outcome(ask(model, asked))
                outcomes[exchange.name] = ours, await outcome(officially(client, f"x{index}", is_stream=exchange.is_stream))
        finally:
            await model.close()
            await client.aio.aclose()
    return outcomes


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    return asyncio.run(read_all())


@pytest.mark.parametrize("exchange", EXCHANGES, ids=str)
def test_an_exchange_says_the_same_to_both(exchange: Exchange, outcomes: Mapping[str, Outcome]) -> None:
    judge(exchange, *outcomes[exchange.name])


@pytest.mark.parametrize("exchange", [each for each in EXCHANGES if each.differs is not None and each.error is None], ids=str)
def test_where_the_sdk_is_said_to_hear_otherwise_it_does(exchange: Exchange, outcomes: Mapping[str, Outcome]) -> None:
    assert outcomes[exchange.name][1] != exchange.heard


READ = [each for each in (*STREAMS, *BROKEN_STREAMS) if len(each.body) < 100_000 and each.body]


def assembly(exchange: Exchange) -> ReplyAssembly:
    return GeminiProtocol(GeminiOptions("k-1")).assembly(exchange.request, {})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(READ), st.lists(st.integers(0, 12_000), max_size=8))
def test_any_cut_of_a_stream_gives_what_came_whole(exchange: Exchange, cuts: list[int]) -> None:
    assert read_in_pieces(assembly(exchange), exchange.body, cuts) == read_in_pieces(assembly(exchange), exchange.body, [])


def test_a_stream_says_the_same_byte_by_byte() -> None:
    for exchange in READ:
        bytewise = read_in_pieces(assembly(exchange), exchange.body, range(len(exchange.body)))
        assert bytewise == read_in_pieces(assembly(exchange), exchange.body, [])


@pytest.mark.parametrize("exchange", [each for each in STREAMS if each.request.output_schema is None and each.body[:1] != b"{"], ids=str)
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


def test_a_broken_stream_says_what_it_used() -> None:
    exchange, used = USED_BEFORE_IT_BROKE
    made = assembly(exchange)
    begun, failed = EventBytes().feed(exchange.body)
    made.add(begun)
    with pytest.raises(RateLimited) as caught:
        made.add(failed)
    assert caught.value.usage == used


def test_a_stream_that_goes_wrong_says_what_it_used() -> None:
    made = assembly(STREAMS[0])
    made.add(EventBytes().feed(USED_BEFORE_IT_BROKE[0].body)[0])
    with pytest.raises(ReplyInvalid) as caught:
        made.add(b"{half")
    assert caught.value.usage == USED_BEFORE_IT_BROKE[1]


def test_a_stream_that_ends_early_says_what_it_used(outcomes: Mapping[str, Outcome]) -> None:
    assert cast("ModelError", outcomes["a stream without its end"][0]).usage == Usage(12)


def test_how_long_to_wait_is_read_from_the_error(outcomes: Mapping[str, Outcome]) -> None:
    minute, day = (cast("ModelError", outcomes[f"a quota of a {length}"][0]) for length in ("minute", "day"))
    assert (minute.retry_after_s, minute.retryable) == (33.5, True)
    assert (day.retry_after_s, day.retryable) == (None, False)


def test_the_vendor_s_id_of_the_exchange_is_kept(outcomes: Mapping[str, Outcome]) -> None:
    reply = outcomes["a text"][0]
    assert isinstance(reply, ModelReply)
    assert reply.request_id == "r1"


async def test_the_vendor_counts_tokens_and_both_read_the_count() -> None:
    counted = plain("count", {"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]})
    async with serving(counted) as url:
        model = Gemini(GeminiOptions("k-1", url))
        client = official(url)
        try:
            theirs = await client.aio.models.count_tokens(model="m", contents="Hi")  # pyright: ignore[reportUnknownMemberType]  (pictures of a library that is not there)
            assert await model.count_tokens(counted.request) == theirs.total_tokens == 31
        finally:
            await model.close()
            await client.aio.aclose()


def test_the_corpus_is_as_large_as_it_must_be() -> None:
    assert len(EXCHANGES) == len({each.name for each in EXCHANGES}) >= 45
