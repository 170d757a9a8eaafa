"""A budget that is raised between the refusal of a call and the run's wait: nobody saw the run wait, so it looks itself."""

import pytest

from agent_sdk.core.events import Fact, RunCancelled, RunClaimed, RunWoken
from agent_sdk.core.ids import OwnerId
from agent_sdk.core.ports import Batch
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import Call
from tests.unit.execution.fakes import TENANT, FakeTool
from tests.unit.execution.test_spending import events, limit, says, world_of
from tests.unit.execution.world import World


async def out_of_calls() -> World:
    """Return a run that may ask once, and needs to twice."""
    return await limit(world_of([Call("look"), says()], FakeTool("look")), calls=1)


@pytest.mark.parametrize("calls", [9, None])
async def test_a_run_whose_budget_is_raised_just_before_it_waits_goes_on(calls: int | None) -> None:
    world = await out_of_calls()

    async def raised(_number: int, batch: Batch) -> None:
        if batch.reason == "budget":
            await limit(world, calls=calls)

    world.journal.before = raised
    assert await world.drive() == "waiting"
    row = await world.journal.row(TENANT, world.run.run_id)
    assert row.inbox_head > row.inbox_seen, "whoever looks for runs that are due finds it"
    await world.again()
    assert await world.executor.drive() == "ended"
    assert len(await events(world, RunWoken)) == 1


async def test_a_run_whose_budget_stays_as_it_is_waits() -> None:
    world = await out_of_calls()
    assert await world.drive() == "waiting"
    row = await world.journal.row(TENANT, world.run.run_id)
    assert row.inbox_head == row.inbox_seen


async def test_a_run_that_others_ended_meanwhile_needs_no_word_of_the_raise() -> None:
    world = await out_of_calls()

    async def raised(_number: int, batch: Batch) -> None:
        if batch.reason == "budget":
            await limit(world, calls=9)

    async def ended(_number: int, batch: Batch) -> None:
        if batch.reason == "budget":
            claim = await world.journal.claim(TENANT, batch.run_id, OwnerId("other"), lease_s=60)
            facts = [Fact(claim.head + 1, claim.epoch, 0, RunClaimed(claim.owner)), Fact(claim.head + 2, claim.epoch, 0, RunCancelled())]
            end = Batch(TENANT, batch.run_id, claim.epoch, claim.head, facts, "cancelled", releases=True)
            await MemoryJournal.append(world.journal, end)

    world.journal.before, world.journal.after = raised, ended
    assert await world.drive() == "waiting"
    assert await world.state() == "cancelled"
