"""Token lines whose server goes away and comes back, and addresses that lead nowhere."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, closing
from typing import cast

import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.model import TextDelta
from agent_sdk.core.ports import TokenDelta, TokenLine
from agent_sdk.dispatch import open_token_line
from agent_sdk.testing.nats import NatsMissing, PrivateNats
from agent_sdk.testing.postgres import PrivatePostgres
from agent_sdk.testing.postgres_programs import PostgresMissing
from tests.contract.real_time import RealClock

ACME, RUN = TenantId("acme"), RunId("r1")
CLOCK = RealClock()


async def first_of(line: TokenLine) -> TokenDelta:
    async with aclosing(cast("AsyncGenerator[TokenDelta]", line.subscribe(ACME, RUN))) as deltas:
        return await anext(deltas)


async def until_read(worker: TokenLine, reading: asyncio.Task[TokenDelta]) -> TokenDelta:
    """Send until something arrives, as a model that goes on talking does."""
    async with asyncio.timeout(60):
        for index in range(100_000):
            if reading.done():
                break
            if worker.wanted(ACME, RUN):
                worker.publish(ACME, TokenDelta(RUN, 1, StepId("t1"), 1, index, TextDelta("hi")))
            await asyncio.sleep(0.02)
    return reading.result()


async def goes_on(url: str, break_off: Callable[[], None]) -> None:
    async with AsyncExitStack() as stack:
        worker, face = [await stack.enter_async_context(open_token_line(url, clock=CLOCK)) for _ in range(2)]
        for is_broken in (False, True):
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(first_of(face))
                await asyncio.sleep(0.1)
                if is_broken:
                    break_off()
                assert (await until_read(worker, reading)).delta == TextDelta("hi")


@pytest.mark.slow
async def test_a_line_over_nats_goes_on_after_the_server_was_away() -> None:
    server = PrivateNats()
    try:
        server.start()
    except NatsMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    with closing(server):
        await goes_on(server.url, lambda: server.restart("KILL"))


@pytest.mark.slow
async def test_a_line_over_postgres_goes_on_after_the_server_was_away() -> None:
    server = PrivatePostgres()
    try:
        server.start()
    except PostgresMissing as missing:
        pytest.skip(f"{missing.message}: {missing.hint}")
    with closing(server):
        await goes_on(server.url() + "?pool=3", lambda: server.restart("immediate"))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://eve:s3cret@127.0.0.1:1/nothing", "no connection to Postgres can be made: ConnectionRefusedError"),
        ("postgresql://eve:s3cret@[::1/nothing", "malformed"),
        ("nats://eve:s3cret@", "no address of a NATS server"),
        ("redis://eve:s3cret@127.0.0.1", "no token line goes over the scheme 'redis'"),
    ],
)
async def test_an_address_that_leads_nowhere_is_said_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as told:
        async with open_token_line(url, clock=CLOCK):
            pass
    assert "s3cret" not in f"{told.value!r} {told.value.hint} {told.value.__cause__!r}"
