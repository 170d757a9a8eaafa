"""A circuit breaker around a model."""

import asyncio

import pytest

from agent_sdk.core.errors import BadRequest, ModelError, RateLimited, ReplyInvalid, Unavailable
from agent_sdk.core.model import ModelReply, ModelRequest
from agent_sdk.llm.breaker import BreakerModel
from agent_sdk.llm.circuit import BreakerPolicy, Circuit
from agent_sdk.llm.failures import CircuitOpen
from tests.unit.llm.chains import REQUEST, Clock, Told, read, reply


def broken(model: Told, clock: Clock | None = None) -> tuple[BreakerModel, Circuit]:
    circuit = Circuit("m", BreakerPolicy(failures=2, open_s=10), clock or Clock())
    return BreakerModel(model, circuit), circuit


async def ask(model: BreakerModel, *, is_stream: bool) -> None:
    if is_stream:
        await read(model.stream(REQUEST))
    else:
        await model.complete(REQUEST)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_an_outage_opens_it_and_then_nothing_is_sent(is_stream: bool) -> None:
    told = Told([Unavailable("a"), ReplyInvalid("b"), reply()])
    model, _ = broken(told)
    for _ in range(2):
        with pytest.raises(ModelError):
            await ask(model, is_stream=is_stream)
    with pytest.raises(CircuitOpen):
        await ask(model, is_stream=is_stream)
    assert len(told.asked) == 2


@pytest.mark.parametrize("is_stream", [False, True])
async def test_an_answer_of_any_kind_speaks_for_the_vendor(is_stream: bool) -> None:
    model, circuit = broken(Told([Unavailable("a"), BadRequest("b"), Unavailable("c"), RateLimited("d"), Unavailable("e"), reply()]))
    for _ in range(5):
        with pytest.raises(ModelError):
            await ask(model, is_stream=is_stream)
    await ask(model, is_stream=is_stream)
    assert circuit.state.status == "closed"


async def test_a_stream_without_a_reply_counts_as_a_failure() -> None:
    model, circuit = broken(Told([None, None]))
    for _ in range(2):
        with pytest.raises(ReplyInvalid):
            await read(model.stream(REQUEST))
    assert circuit.state.status == "open"


async def test_a_probe_that_is_left_early_frees_its_place_and_closes_its_stream() -> None:
    clock, told = Clock(), Told([Unavailable("a"), Unavailable("b"), reply(), reply()])
    model, circuit = broken(told, clock)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await read(model.stream(REQUEST))
    clock.now += 10
    left = model.stream(REQUEST)
    await anext(left)
    await left.aclose()
    assert told.closed == 3
    assert circuit.state.status == "half_open"
    await read(model.stream(REQUEST))
    assert await circuit.enter() is None


class Hanging(Told):
    async def complete(self, request: ModelRequest) -> ModelReply:
        await asyncio.Event().wait()
        raise NotImplementedError


async def test_a_probe_that_is_cancelled_frees_its_place() -> None:
    clock, told = Clock(), Told([Unavailable("a"), Unavailable("b"), reply()])
    model, circuit = broken(told, clock)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await model.complete(REQUEST)
    clock.now += 10
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await BreakerModel(Hanging([]), circuit).complete(REQUEST)
    await model.complete(REQUEST)
    assert circuit.state.status == "closed"
