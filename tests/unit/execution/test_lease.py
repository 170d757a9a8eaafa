"""A hold on a run, and the look at it before each effect."""

from collections.abc import Awaitable, Callable

import pytest

from agent_sdk.core.errors import Fenced
from agent_sdk.core.ids import OwnerId
from agent_sdk.core.ports import Batch
from agent_sdk.core.tools import Effect
from agent_sdk.testing import Call
from tests.unit.execution.fakes import LEASE_S, RUN, TENANT, FakeTool, raiser
from tests.unit.execution.world import World


def stopped_at(world: World, line: str, *, is_taken: bool) -> Callable[[int, Batch], Awaitable[None]]:
    """Let the process stand still, as under SIGSTOP, behind the append of a step's start, until its lease has run out."""

    async def stand_still(_number: int, batch: Batch) -> None:
        if any(fact.event.type == "step.started" and line in str(fact.event) for fact in batch.facts):
            world.clock.advance(LEASE_S + 1)
            if is_taken:
                await world.journal.claim(TENANT, RUN, OwnerId("other"), lease_s=LEASE_S)

    return stand_still


@pytest.mark.parametrize("effect", ["idempotent", "verify", "once"])
async def test_an_effect_is_not_begun_by_one_who_lost_the_run_meanwhile(effect: Effect) -> None:
    tool = FakeTool("pay", effect=effect)
    world = World([tool], [Call("pay"), "done"])
    world.journal.after = stopped_at(world, "attempt=1", is_taken=True)
    with pytest.raises(Fenced):
        await world.drive()
    assert tool.calls == []


async def test_a_lease_that_ran_out_and_that_nobody_took_is_renewed_before_an_effect() -> None:
    tool = FakeTool("pay", effect="once")
    world = World([tool], [Call("pay"), "done"])
    world.journal.after = stopped_at(world, "attempt=1", is_taken=False)
    assert await world.drive() == "ended"
    assert tool.steps == ["t1.1"]
    assert world.lease.left_s(world.clock) == LEASE_S
    assert world.lease.claim.lease_until == world.clock.now_us() + int(LEASE_S * 1e6)


async def test_a_further_attempt_looks_at_the_lease_too() -> None:
    tool = FakeTool("put", raiser(TimeoutError(), then="done"), "idempotent", retries=1)
    world = World([tool], [Call("put"), "done"])
    world.journal.after = stopped_at(world, "attempt=2", is_taken=True)
    with pytest.raises(Fenced):
        await world.drive()
    assert tool.steps == ["t1.1"]


async def test_a_lease_shows_how_far_the_stores_clock_is_ahead() -> None:
    world = World([], ["done"])
    await world.begin()
    assert world.lease.ahead_us(world.clock) == 0
    world.lease.until += 2
    assert world.lease.ahead_us(world.clock) == -2_000_000
