"""What every token line promises to those who perform runs and to those who follow them."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import cast

import pytest

from agent_sdk.core.errors import OutsideError
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import (
    AttemptStarted,
    Delta,
    ModelReply,
    Progress,
    ReasoningDelta,
    ReplyDone,
    TextDelta,
    ToolCallDelta,
)
from agent_sdk.core.ports import TokenDelta, TokenLine
from agent_sdk.core.usage import Usage
from agent_sdk.dispatch.nats_link import NatsOptions
from agent_sdk.dispatch.nats_wire import NatsWire
from agent_sdk.dispatch.postgres_wire import PostgresWire
from agent_sdk.dispatch.tokens import CAPACITY, WireTokenLine
from agent_sdk.dispatch.wire import Wire
from tests.contract.real_time import RealClock
from tests.unit.dispatch.fakes import Hub

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
RUN, OTHER = RunId("run 1, of <many>"), RunId("run-2")
CLOCK = RealClock()
LAST = "the last"


@dataclass
class Bench:
    """Makes lines that reach one another, each as if it was a process's own."""

    name: str
    url: str
    stack: AsyncExitStack
    hub: Hub = field(default_factory=Hub)
    own: str = field(default_factory=lambda: f"test_{secrets.token_hex(8)}")

    async def line(self) -> WireTokenLine:
        return await self.stack.enter_async_context(WireTokenLine.open(await self.wire(), CLOCK))

    async def wire(self) -> Wire:
        match self.name:
            case "nats":
                return await NatsWire.open(NatsOptions(self.url, name=self.own))
            case "postgres":
                return await PostgresWire.open(self.url, CLOCK)
            case _:
                return self.hub.wire()


@pytest.fixture(params=["memory", "nats", "postgres"])
async def bench(request: pytest.FixtureRequest) -> AsyncGenerator[Bench]:
    url = "" if request.param == "memory" else str(request.getfixturevalue(f"{request.param}_url"))
    async with AsyncExitStack() as stack:
        yield Bench(str(request.param), url, stack)


def delta(index: int, content: Delta | Progress | None = None, *, run_id: RunId = RUN) -> TokenDelta:
    return TokenDelta(run_id, 3, StepId("t1"), 1, index, content if content is not None else TextDelta(f"{index} "))


def last(index: int, *, run_id: RunId = RUN) -> TokenDelta:
    return delta(index, TextDelta(LAST), run_id=run_id)


async def read(items: AsyncIterator[TokenDelta]) -> list[TokenDelta]:
    """Take all, up to and with the last."""
    taken: list[TokenDelta] = []
    async with asyncio.timeout(10), aclosing(cast("AsyncGenerator[TokenDelta]", items)) as open_items:
        async for item in open_items:
            taken.append(item)
            if item.delta == TextDelta(LAST):
                break
    return taken


async def until_wanted(line: TokenLine, tenant: TenantId = ACME, run_id: RunId = RUN) -> None:
    for _ in range(1000):
        if line.wanted(tenant, run_id):
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


def send(line: TokenLine, deltas: Sequence[TokenDelta], tenant: TenantId = ACME) -> None:
    for each in deltas:
        line.publish(tenant, each)


async def test_tokens_of_every_kind_reach_who_follows_the_run_in_order(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    reply = ModelReply(Message("assistant", (TextPart("Straße 日本 🎉"),)), Usage(), request_id="r")
    kinds: list[Delta | Progress] = [
        AttemptStarted(1),
        ReasoningDelta("hm"),
        TextDelta("Straße 日本 🎉"),
        ToolCallDelta(0, '{"a":', "add"),
        Progress("half", 0.5),
    ]
    deltas = [*(delta(index, kind) for index, kind in enumerate([*kinds, ReplyDone(reply)])), last(6)]
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        send(worker, deltas)
    assert reading.result() == deltas


async def test_tokens_are_wanted_only_where_somebody_else_follows_them(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        assert not worker.wanted(ACME, OTHER)
        assert not worker.wanted(GLOBEX, RUN)
        assert not face.wanted(ACME, RUN)
        reading.cancel()


async def test_a_line_opened_later_learns_at_once_what_is_wanted(bench: Bench) -> None:
    face = await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await asyncio.sleep(0.2)
        worker = await bench.line()
        async with asyncio.timeout(1):
            await until_wanted(worker)
        send(worker, [last(0)])
    assert reading.result() == [last(0)]


async def test_another_tenant_s_run_of_the_same_id_is_not_followed(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        send(worker, [delta(0)], GLOBEX)
        send(worker, [delta(0, run_id=OTHER)])
        send(worker, [last(1)])
    assert reading.result() == [last(1)]


async def test_nothing_comes_back_to_its_own_sender(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        own, others = tasks.create_task(read(worker.subscribe(ACME, RUN))), tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        await until_wanted(face)
        send(worker, [delta(0), last(1)])
        await asyncio.sleep(0.2)
        send(face, [last(2)])
    assert (own.result(), others.result()) == ([last(2)], [delta(0), last(1)])


async def test_all_who_follow_a_run_get_its_tokens(bench: Bench) -> None:
    worker, first, second = await bench.line(), await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(read(line.subscribe(ACME, RUN))) for line in (first, first, second)]
        await asyncio.sleep(0.3)
        send(worker, [delta(0), last(1)])
    assert [each.result() for each in reading] == [[delta(0), last(1)]] * 3


async def test_a_long_reply_arrives_whole(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    whole = ReplyDone(ModelReply(Message("assistant", (TextPart("日本🎉x" * 20_000),)), Usage()))
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        send(worker, [delta(0), delta(1, whole), last(2)])
    assert reading.result() == [delta(0), delta(1, whole), last(2)]


async def test_a_thousand_tokens_a_moment_arrive_all(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        for start in range(0, 3000, 1000):
            send(worker, [delta(index) for index in range(start, start + 1000)])
            await asyncio.sleep(0.06)
        send(worker, [last(3000)])
    assert [each.index for each in reading.result()] == list(range(3001))


async def test_too_many_at_once_leave_a_gap_and_the_newest(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        send(worker, [delta(index) for index in range(2 * CAPACITY)])
        send(worker, [last(2 * CAPACITY)])
    kept = [each.index for each in reading.result()]
    assert kept == list(range(CAPACITY + 1, 2 * CAPACITY + 1))
    assert worker.dropped == CAPACITY + 1


async def test_a_wire_brings_what_is_listened_to_and_nothing_else(bench: Bench) -> None:
    here, there = await bench.wire(), await bench.wire()
    came: list[tuple[str, bytes]] = []
    for topic in ("one", "two"):
        await there.listen(topic, lambda topic, data: came.append((topic, data)))
    async with asyncio.timeout(10):
        while not came:  # until the server has heard of the listener, what is sent is for nobody
            await here.send([("two", b"[0]")])
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    came.clear()
    await here.send([("one", b"[1]"), ("two", b"[2]"), ("three", b"[3]")])
    async with asyncio.timeout(10):
        while len(came) < 2:  # noqa: ASYNC110 - a wire calls nobody else
            await asyncio.sleep(0.02)
    await there.ignore("one")
    await there.ignore("three")
    await here.send([("one", b"[4]"), ("two", b"[5]")])
    async with asyncio.timeout(10):
        while ("two", b"[5]") not in came:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)
    assert sorted(came) == [("one", b"[1]"), ("two", b"[2]"), ("two", b"[5]")]
    await here.close()
    await there.close()


async def test_a_message_beyond_all_measure_is_dropped_and_holds_up_nothing(bench: Bench) -> None:
    if bench.name == "memory":
        return
    here, there = await bench.wire(), await bench.wire()
    came: list[bytes] = []
    await there.listen("one", lambda _, data: came.append(data))
    await here.send([("one", b"x" * 2_000_000), ("one", b"[1]")])
    await asyncio.sleep(0.2)
    assert came == [b"[1]"]
    await here.close()
    await there.close()


async def test_a_closed_wire_says_that_it_is_down(bench: Bench) -> None:
    if bench.name == "memory":
        return
    wire = await bench.wire()
    await wire.listen("one", lambda _, __: None)
    await wire.close()
    with pytest.raises(OutsideError):
        await wire.send([("one", b"[]")])
    with pytest.raises(OutsideError):
        await wire.listen("two", lambda _, __: None)
    with pytest.raises(OutsideError):
        await wire.ignore("one")


async def test_a_closed_line_takes_no_more_and_harms_nobody(bench: Bench) -> None:
    worker, face = await bench.line(), await bench.line()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(face.subscribe(ACME, RUN)))
        await until_wanted(worker)
        send(worker, [delta(0), last(1)])
        await worker.close()
        send(worker, [delta(2)])
        await worker.close()
    assert reading.result() == [delta(0), last(1)]
