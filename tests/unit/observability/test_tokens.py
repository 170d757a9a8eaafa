import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import AttemptStarted, Delta, ModelReply, ReplyDone, TextDelta
from agent_sdk.core.ports import TokenDelta, TokenSink
from agent_sdk.core.usage import Usage
from agent_sdk.observability.tokens import StreamItem, TokenChannel, TokensDropped, TokenStream

RUN = RunId("run-1")
STEP = StepId("t1")


def delta(index: int, content: Delta | None = None, *, step: StepId = STEP, attempt: int = 1, run_id: RunId = RUN) -> TokenDelta:
    return TokenDelta(run_id, 1, step, attempt, index, content if content is not None else TextDelta(f"{index} "))


def done(index: int, text: str = "whole", *, step: StepId = STEP, attempt: int = 1) -> TokenDelta:
    return delta(index, ReplyDone(ModelReply(Message("assistant", (TextPart(text),)), Usage())), step=step, attempt=attempt)


async def rest_of(channel: TokenChannel, stream: TokenStream) -> list[StreamItem]:
    channel.end(RUN)
    return [item async for item in stream]


def test_a_channel_is_a_token_sink() -> None:
    sink: TokenSink = TokenChannel()
    assert not sink.wants(RUN)


def test_a_channel_without_room_for_a_delta_and_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        TokenChannel(capacity=1)


async def test_tokens_are_wanted_only_while_somebody_follows_the_run() -> None:
    channel = TokenChannel()
    async with channel.subscribe(RUN):
        async with channel.subscribe(RUN):
            assert channel.wants(RUN)
        assert channel.wants(RUN)
        assert not channel.wants(RunId("run-2"))
    assert not channel.wants(RUN)


async def test_every_subscriber_gets_the_deltas_of_its_run_in_order() -> None:
    channel = TokenChannel()
    async with channel.subscribe(RUN) as first, channel.subscribe(RUN) as second:
        sent = [delta(0), delta(1), done(2)]
        for item in (*sent, delta(0, run_id=RunId("run-2"))):
            channel.publish(item)
        assert await rest_of(channel, first) == sent
        assert await rest_of(channel, second) == sent


async def test_a_reader_that_came_first_is_woken() -> None:
    channel = TokenChannel()
    async with channel.subscribe(RUN) as stream, asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(anext(stream))
        await asyncio.sleep(0)
        channel.publish(delta(0))
        assert await reading == delta(0)


async def test_a_late_subscriber_gets_what_comes() -> None:
    channel = TokenChannel()
    channel.publish(delta(0))
    async with channel.subscribe(RUN) as stream:
        channel.publish(delta(1))
        assert await rest_of(channel, stream) == [delta(1)]


async def test_a_stream_ends_for_a_waiting_reader_when_the_run_ends_or_the_block_is_left() -> None:
    channel = TokenChannel()
    async with asyncio.TaskGroup() as tasks:
        async with channel.subscribe(RUN) as first, channel.subscribe(RUN) as second:
            reading = [tasks.create_task(anext(stream, None)) for stream in (first, second)]
            await asyncio.sleep(0)
            channel.end(RUN)
            assert [await each for each in reading] == [None, None]
        async with channel.subscribe(RUN) as third:
            late = tasks.create_task(anext(third, None))
            await asyncio.sleep(0)
        assert await late is None


async def test_a_slow_subscriber_is_told_what_is_void_and_gets_no_text_with_a_hole() -> None:
    channel = TokenChannel(capacity=3)
    async with channel.subscribe(RUN) as slow, channel.subscribe(RUN) as fast:
        seen: list[StreamItem] = []
        for item in [delta(0), delta(1), delta(2), delta(3), delta(4), done(5)]:
            channel.publish(item)
            seen.append(await anext(fast))
        assert await rest_of(channel, slow) == [TokensDropped(RUN, 3), done(5)]
        assert (slow.dropped, fast.dropped, channel.dropped) == (5, 0, 5)
        assert seen == [delta(0), delta(1), delta(2), delta(3), delta(4), done(5)]


async def test_a_new_attempt_goes_on_after_a_drop() -> None:
    channel = TokenChannel(capacity=2)
    async with channel.subscribe(RUN) as stream:
        for item in [delta(0), delta(1), delta(2)]:
            channel.publish(item)
        again = [delta(3, AttemptStarted(2)), delta(0, attempt=2), delta(1, attempt=2)]
        taken = [await anext(stream)]
        for item in again:
            channel.publish(item)
            taken.append(await anext(stream))
        assert taken == [TokensDropped(RUN, 2), *again]


async def test_a_step_that_begins_when_another_overflows_is_shown_from_its_beginning() -> None:
    channel = TokenChannel(capacity=2)
    other = StepId("t2")
    async with channel.subscribe(RUN) as stream:
        for item in [delta(0), delta(1), delta(0, step=other), delta(2)]:
            channel.publish(item)
        assert await rest_of(channel, stream) == [TokensDropped(RUN, 2), delta(0, step=other)]


async def test_two_overflows_before_a_read_are_one_word() -> None:
    channel = TokenChannel(capacity=2)
    async with channel.subscribe(RUN) as stream:
        for number in range(5):
            channel.publish(delta(0, step=StepId(f"s{number}")))
        assert await rest_of(channel, stream) == [TokensDropped(RUN, 4), delta(0, step=StepId("s4"))]
        assert stream.dropped == 4


async def test_a_block_may_be_left_after_the_run_has_ended_and_begun_again() -> None:
    channel = TokenChannel()
    async with channel.subscribe(RUN):
        channel.end(RUN)
        async with channel.subscribe(RUN):
            assert channel.wants(RUN)
    assert not channel.wants(RUN)


PACES = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60)
"""Which step streams its next piece, and whether the subscriber reads one item afterwards."""


@given(PACES, st.integers(2, 5))
async def test_text_that_is_shown_never_has_a_hole_and_the_queue_never_grows(paces: list[tuple[int, bool]], capacity: int) -> None:
    channel = TokenChannel(capacity)
    sent = [0, 0, 0]
    shown: dict[StepId, list[int]] = {}
    got: list[StreamItem] = []
    async with channel.subscribe(RUN) as stream:
        for which, reads in paces:
            step = StepId(f"s{which}")
            is_last = sent[which] == 4
            channel.publish(done(4, step=step) if is_last else delta(sent[which], step=step))
            sent[which] = 0 if is_last else sent[which] + 1
            if reads:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0):
                        got.append(await anext(stream))
        tail = await rest_of(channel, stream)
    assert len(tail) <= capacity
    for item in (*got, *tail):
        if isinstance(item, TokensDropped):
            shown.clear()
        elif isinstance(item.delta, ReplyDone):
            shown.pop(item.step, None)
        else:
            pieces = shown.setdefault(item.step, [])
            pieces.append(item.index)
            assert pieces == list(range(len(pieces)))
