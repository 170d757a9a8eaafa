import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, aclosing
from typing import Any, Self, cast

import pytest

from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.model import TextDelta
from agent_sdk.core.ports import TokenDelta
from agent_sdk.dispatch.tokens import BEAT_S, CAPACITY, FORGET_S, INTEREST, WireTokenLine
from agent_sdk.testing import VirtualClock, run_virtual
from tests.unit.dispatch.fakes import Hub, HubWire

ACME, RUN = TenantId("acme"), RunId("r1")


class Two:
    """A line that performs and one that follows, over a hub that the test may break."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.worker_wire, self.face_wire = self.hub.wire(), self.hub.wire()
        self.worker, self.face = await self.line(self.worker_wire), await self.line(self.face_wire)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def line(self, wire: HubWire) -> WireTokenLine:
        return await self.stack.enter_async_context(WireTokenLine.open(wire, VirtualClock()))

    async def read(self, count: int) -> list[int]:
        async with aclosing(cast("AsyncGenerator[TokenDelta]", self.face.subscribe(ACME, RUN))) as deltas:
            return [(await anext(deltas)).index for _ in range(count)]

    def send(self, *indices: int) -> None:
        for index in indices:
            self.worker.publish(ACME, TokenDelta(RUN, 1, StepId("t1"), 1, index, TextDelta("x")))


def virtual(story: Coroutine[Any, Any, None]) -> None:
    run_virtual(story)


def test_interest_lasts_while_somebody_follows_and_is_forgotten_afterwards() -> None:
    async def story() -> None:
        async with Two() as two, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(two.read(1))
            await asyncio.sleep(20 * FORGET_S)
            assert two.worker.wanted(ACME, RUN)
            reading.cancel()
            await asyncio.sleep(FORGET_S + BEAT_S)
            assert not two.worker.wanted(ACME, RUN)
            assert two.face_wire.listeners.keys() == {INTEREST}

    virtual(story())


def test_nothing_is_said_while_nobody_follows_anything() -> None:
    async def story() -> None:
        async with Two() as two:
            await asyncio.sleep(100 * BEAT_S)
            assert two.face_wire.sent == [(INTEREST, b"[]")]

    virtual(story())


def test_tokens_of_a_moment_go_in_one_message() -> None:
    async def story() -> None:
        async with Two() as two, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(two.read(100))
            await asyncio.sleep(1)
            before = len(two.worker_wire.sent)
            two.send(*range(100))
            assert await reading == list(range(100))
            assert len(two.worker_wire.sent) == before + 1

    virtual(story())


def test_a_wire_that_is_down_loses_tokens_and_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with Two() as two, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(two.read(1))
            await asyncio.sleep(1)
            two.worker_wire.is_down = two.face_wire.is_down = True
            for index in range(10):
                two.send(index)
                await asyncio.sleep(1)
            two.worker_wire.is_down = two.face_wire.is_down = False
            await asyncio.sleep(BEAT_S)
            two.send(10)
            assert await reading == [10]
            assert two.worker.dropped == 10

    with caplog.at_level(logging.WARNING):
        virtual(story())
    assert [record.message for record in caplog.records] == ["streamed tokens do not reach other processes for now: the hub is down"] * 2


def test_what_was_not_listened_to_while_the_wire_was_down_is_afterwards() -> None:
    async def story() -> None:
        async with Two() as two, asyncio.TaskGroup() as tasks:
            two.face_wire.is_down = True
            reading = tasks.create_task(two.read(1))
            await asyncio.sleep(2 * BEAT_S)
            two.face_wire.is_down = False
            await asyncio.sleep(2 * BEAT_S)
            two.send(0)
            assert await reading == [0]

    virtual(story())


def test_a_reader_who_is_slow_misses_the_oldest() -> None:
    async def story() -> None:
        async with Two() as two, aclosing(cast("AsyncGenerator[TokenDelta]", two.face.subscribe(ACME, RUN))) as deltas:
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(anext(deltas))
                await asyncio.sleep(1)
                two.send(0)
            for start in range(1, 6000, 1000):
                two.send(*range(start, start + 1000))
                await asyncio.sleep(1)
            assert first.result().index == 0
            assert (await anext(deltas)).index == 6000 - CAPACITY + 1

    virtual(story())


@pytest.mark.parametrize("data", [b"", b"5", b"{", b'[["song"]]'])
def test_messages_that_nobody_can_read_do_no_harm(data: bytes) -> None:
    async def story() -> None:
        async with Two() as two, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(two.read(1))
            await asyncio.sleep(1)
            for topic in two.face_wire.listeners:
                await two.worker_wire.send([(topic, data)])
            two.send(0)
            assert await reading == [0]

    virtual(story())


def test_what_waits_is_sent_when_the_line_is_closed() -> None:
    async def story() -> None:
        async with Two() as two, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(two.read(2))
            await asyncio.sleep(1)
            two.send(0, 1)
            await two.worker.close()
            assert await reading == [0, 1]
            assert two.worker_wire.is_closed
            two.send(2)

    virtual(story())


def test_an_error_in_the_block_leaves_it_as_it_is() -> None:
    async def story() -> None:
        async with WireTokenLine.open(Hub().wire(), VirtualClock()):
            raise LookupError

    with pytest.raises(LookupError):
        virtual(story())
