import asyncio
from collections import deque
from collections.abc import AsyncIterator

import pytest

from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import AttemptStarted, Delta, ModelReply, ReplyDone, TextDelta
from agent_sdk.core.ports import TokenDelta, TokenLine, TokenSink
from agent_sdk.core.usage import Usage
from agent_sdk.observability.relay import TenantTokens, TokenRelay
from agent_sdk.observability.tokens import StreamItem, TokensDropped

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
RUN = RunId("run-1")
HOLE = TokensDropped(RUN, 1)
DONE = ReplyDone(ModelReply(Message("assistant", (TextPart("whole"),)), Usage()))


class OneLine:
    """A line whose other end the test holds: it brings `incoming`, and keeps what is sent."""

    def __init__(self, *incoming: TokenDelta, wants: bool = False) -> None:
        self.incoming = deque(incoming)
        self.sent: list[tuple[TenantId, TokenDelta]] = []
        self.followed = 0
        self.wants = wants

    def wanted(self, tenant: TenantId, run_id: RunId) -> bool:
        return self.wants and tenant == ACME

    def publish(self, tenant: TenantId, delta: TokenDelta) -> None:
        self.sent.append((tenant, delta))

    async def subscribe(self, tenant: TenantId, run_id: RunId) -> AsyncIterator[TokenDelta]:
        self.followed += 1
        try:
            while self.incoming:
                yield self.incoming.popleft()
            await asyncio.Event().wait()
        finally:
            self.followed -= 1

    async def close(self) -> None: ...


def delta(index: int, content: Delta | None = None, *, attempt: int = 1) -> TokenDelta:
    return TokenDelta(RUN, 1, StepId("t1"), attempt, index, content if content is not None else TextDelta(f"{index} "))


async def read(tokens: TenantTokens, *, own: TokenDelta | None = None) -> list[StreamItem]:
    async with tokens.subscribe(RUN) as stream:
        await asyncio.sleep(0.001)
        if own is not None:
            tokens.publish(own)
        tokens.end(RUN)
        return [item async for item in stream]


def test_what_it_needs_and_gives_are_the_ports() -> None:
    line: TokenLine = OneLine()
    sink: TokenSink = TokenRelay(line).of(ACME)
    assert not sink.wants(RUN)


async def test_tokens_are_wanted_by_who_follows_here_or_elsewhere() -> None:
    here, elsewhere = TokenRelay().of(ACME), TokenRelay(OneLine(wants=True))
    assert elsewhere.of(ACME).wants(RUN)
    assert not elsewhere.of(GLOBEX).wants(RUN)
    assert not here.wants(RUN)
    async with here.subscribe(RUN):
        assert here.wants(RUN)


async def test_what_is_performed_here_goes_to_followers_here_and_elsewhere() -> None:
    line = OneLine(wants=True)
    tokens = TokenRelay(line).of(ACME)
    assert await read(tokens, own=delta(0)) == [delta(0)]
    assert line.sent == [(ACME, delta(0))]


async def test_nothing_is_sent_that_nobody_wants() -> None:
    line = OneLine()
    TokenRelay(line).of(ACME).publish(delta(0))
    assert line.sent == []


async def test_what_is_performed_elsewhere_comes_to_followers_here() -> None:
    line = OneLine(delta(0), delta(1), delta(2, DONE))
    assert await read(TokenRelay(line).of(ACME)) == [delta(0), delta(1), delta(2, DONE)]
    assert line.followed == 0


async def test_two_tenants_with_a_run_of_one_id_do_not_see_each_other() -> None:
    relay = TokenRelay()
    async with relay.of(GLOBEX).subscribe(RUN) as theirs:
        relay.of(ACME).publish(delta(0))
        relay.of(GLOBEX).end(RUN)
        assert [item async for item in theirs] == []
    kept = relay.of(ACME)
    assert relay.of(ACME) is kept


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ([5, 6], [5, 6]),
        ([0, 1, 3, 4], [0, 1, None]),
        ([0, 2, 0, 1], [0, None, 0, 1]),
    ],
    ids=["one that comes late begins there", "behind a hole nothing is shown", "a first piece stands by itself"],
)
async def test_a_hole_is_told_once_and_nothing_behind_it_is_shown(came: list[int], shown: list[int | None]) -> None:
    line = OneLine(*(delta(index) for index in came))
    assert await read(TokenRelay(line).of(ACME)) == [HOLE if index is None else delta(index) for index in shown]


async def test_a_stream_ends_when_its_run_did_elsewhere() -> None:
    async def ended() -> None:
        await asyncio.sleep(0)

    async with TokenRelay(OneLine(delta(0))).of(ACME).subscribe(RUN, ended) as stream:
        assert [item async for item in stream] == [delta(0)]


async def test_the_whole_reply_and_a_new_attempt_are_shown_behind_a_hole() -> None:
    again = [delta(0, AttemptStarted(2), attempt=2), delta(1, attempt=2)]
    line = OneLine(delta(0), delta(2), *again, delta(4, attempt=2), delta(5, DONE, attempt=2))
    assert await read(TokenRelay(line).of(ACME)) == [delta(0), HOLE, *again, HOLE, delta(5, DONE, attempt=2)]


async def test_an_error_of_the_follower_leaves_the_block_as_it_is() -> None:
    line = OneLine()

    async def follow() -> None:
        async with TokenRelay(line).of(ACME).subscribe(RUN):
            await asyncio.sleep(0)
            assert line.followed == 1
            raise LookupError

    with pytest.raises(LookupError):
        await follow()
    assert line.followed == 0
