"""Whatever budgets, prices and crashes come together: no run spends what was not granted, and none keeps what it did not spend."""

import asyncio
from random import Random

from hypothesis import given, settings as effort, strategies as st

from agent_sdk.core.budget import NOTHING, Amounts
from agent_sdk.core.errors import StorageError
from agent_sdk.core.events import ModelCalled
from agent_sdk.core.ids import StepId
from agent_sdk.core.model import ModelReply, ModelRequest
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Batch
from agent_sdk.testing import ScriptedModel
from agent_sdk.testing.virtual_time import run_virtual
from tests.unit.execution.fakes import plan, ref
from tests.unit.execution.test_spending import CENT, SCOPE, Fixed, kept, limit, says
from tests.unit.execution.world import World

EVERY = Amounts(10 * CENT, 100, 1)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 9), st.integers(0, 2**32), st.integers(0, 12))
@effort(max_examples=60, deadline=None)
def test_what_is_spent_was_granted_and_what_was_granted_is_settled(steps: int, parallel: int, calls: int, seed: int, crash_at: int) -> None:
    run_virtual(spend(steps, parallel, calls, Random(seed), crash_at))


async def spend(steps: int, parallel: int, calls: int, chance: Random, crash_at: int) -> None:
    """Perform a plan of model steps, its budget raised as often as it waits for that, and one of its appends refused."""

    async def answer(request: ModelRequest) -> ModelReply:
        await asyncio.sleep(chance.uniform(0, 3))
        return says(str(request.id), cents=chance.randint(0, 10), tokens=chance.randint(11, 100))

    names = [f"s{index}" for index in range(steps)]
    world = World(plan=plan(*(ModelStep(StepId(name), "Think.") for name in names), result=[ref(name) for name in names]))
    world.budgets, world.meter, world.model = (SCOPE,), Fixed(), ScriptedModel([answer] * 99)
    allowed = calls
    await limit(world, calls=allowed, usd=allowed * EVERY.usd_nano, tokens=allowed * EVERY.tokens)

    def crash(number: int, _batch: Batch) -> None:
        if number == crash_at:
            raise StorageError("it is down")

    world.journal.before = crash
    await world.begin()
    for _ in range(99):
        try:
            outcome = await world.executor.drive()
        except StorageError:
            await world.again()
            continue
        reserved, settled = await kept(world)
        assert reserved == NOTHING
        assert (EVERY * allowed).covers(settled)
        if outcome == "ended":
            break
        allowed += 1
        await limit(world, calls=allowed, usd=allowed * EVERY.usd_nano, tokens=allowed * EVERY.tokens)
        await world.again()
    assert world.run.answer == names
    used = [Amounts.of(fact.event.usage) for fact in await world.facts() if isinstance(fact.event, ModelCalled)]
    assert (await kept(world))[1] == sum(used, NOTHING)
    assert len(used) == steps, "what was answered is not asked again"
    assert (await world.folded()).purse == world.run.purse
