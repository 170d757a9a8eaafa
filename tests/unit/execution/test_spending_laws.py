"""Whatever budgets, prices and crashes come together: no run spends what was not granted, and none keeps what it did not spend."""

import asyncio
from random import Random

from hypothesis import given, settings as effort, strategies as st

from agent_sdk.core.budget import NOTHING, Amounts
from agent_sdk.core.errors import RateLimited, StorageError
from agent_sdk.core.events import ModelCalled, StepRetried
from agent_sdk.core.ids import StepId
from agent_sdk.core.model import ModelReply, ModelRequest
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Batch
from agent_sdk.llm import RetryingModel, RetryPolicy
from agent_sdk.testing import ScriptedModel
from agent_sdk.testing.virtual_time import run_virtual
from tests.unit.execution.fakes import plan, ref
from tests.unit.execution.test_spending import CENT, SCOPE, Fixed, billed, kept, limit, says
from tests.unit.execution.world import World

EVERY = Amounts(10 * CENT, 100, 1)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32), st.integers(0, 12), st.sampled_from([0, 0.4]))
@effort(max_examples=80, deadline=None)
def test_what_is_spent_was_granted_and_what_was_granted_is_settled(steps: int, calls: int, seed: int, crash_at: int, breaks: float) -> None:
    run_virtual(spend(steps, calls, Random(seed), crash_at, breaks))


async def spend(steps: int, calls: int, chance: Random, crash_at: int, breaks: float) -> None:
    """Perform a plan of model steps, its budget raised as often as it waits for that, and one of its appends refused.

    The share `breaks` of all tries fails, and some of these are billed.
    """

    async def answer(request: ModelRequest) -> ModelReply:
        await asyncio.sleep(chance.uniform(0, 3))
        if chance.random() < breaks:
            raise billed(chance.randint(0, 10), chance.randint(11, 100)) if chance.random() < 0.7 else RateLimited("wait")
        return says(str(request.id), cents=chance.randint(0, 10), tokens=chance.randint(11, 100))

    names = [f"s{index}" for index in range(steps)]
    world = World(plan=plan(*(ModelStep(StepId(name), "Think.") for name in names), result=[ref(name) for name in names]))
    world.budgets, world.meter = (SCOPE,), Fixed()
    world.model = RetryingModel(ScriptedModel([answer] * 999), RetryPolicy(max_attempts=99), world.clock, world.random)
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
    facts = [fact.event for fact in await world.facts()]
    answers = [event for event in facts if isinstance(event, ModelCalled)]
    tries = [attempt.usage for event in answers for attempt in event.attempts]
    tries += [event.usage for event in facts if isinstance(event, StepRetried)]
    used = [*(event.usage for event in answers), *(usage for usage in tries if usage is not None)]
    assert (await kept(world))[1] == sum(map(Amounts.of, used), NOTHING)
    assert len(answers) == steps, "what was answered is not asked again"
    assert world.run.retries == len(tries) - steps
    assert (await world.folded()).purse == world.run.purse
