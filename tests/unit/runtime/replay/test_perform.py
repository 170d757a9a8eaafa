"""Law: a run that is performed again from its record, by the same code, writes the same journal, whatever had happened to it."""

import asyncio
import contextlib
import json

import pytest
from hypothesis import given, settings, strategies as st

from agent_sdk.core.agent import ContextPolicy, Limits
from agent_sdk.core.errors import RateLimited, RunEnded, StorageError
from agent_sdk.core.model import ModelRequest
from agent_sdk.core.ports import Batch
from agent_sdk.testing import Call, ScriptedModel
from tests.unit.execution.fakes import CountingJournal, FakeTool, plan, raiser, ref, sleeper, step
from tests.unit.execution.test_crash import Outside, looping, perform_parked, perform_with_crashes, planned
from tests.unit.execution.test_endings import CALLS, DELAYS_S, STOPS, random_tool
from tests.unit.execution.test_spending import CENT, billed, kept, limit, says, slow, tenacious, thinks
from tests.unit.execution.test_undo import book, failing
from tests.unit.execution.world import World, at
from tests.unit.runtime.replay.worlds import replayed


async def check(world: World) -> None:
    found = await replayed(world)
    assert found.is_identical, found.render()
    assert found.events == len(await world.facts())


@pytest.mark.parametrize("is_durable", [False, True])
@pytest.mark.parametrize("number", range(1, 9, 2))
async def test_a_run_whose_owners_were_lost(number: int, is_durable: bool) -> None:
    for make in (planned, looping):
        await check(await perform_with_crashes(make, Outside(), number, is_durable=is_durable))


@pytest.mark.parametrize("is_durable", [False, True])
@pytest.mark.parametrize("number", range(1, 40, 5))
async def test_a_run_that_waited_for_everything(number: int, is_durable: bool) -> None:
    await check(await perform_parked(Outside(), number, is_durable=is_durable))


async def test_a_run_that_still_goes_on() -> None:
    world = planned(Outside())
    await world.begin()
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.executor.drive())
        await asyncio.sleep(0.025)
        await check(world)
        await driving
    await check(world)


async def test_retries_come_after_the_delays_that_they_had() -> None:
    tools = [
        FakeTool("shaky", raiser(TimeoutError("one"), TimeoutError("two")), retries=3),
        FakeTool("put", raiser(ConnectionError("one")), "idempotent", retries=1),
        FakeTool("slow", sleeper(0.3)),
    ]
    steps = [step("a", "shaky"), step("b", "slow"), step("c", "slow", after=("b",)), step("d", "put")]
    world = World(tools, plan=plan(*steps, result=[ref("a"), ref("c"), ref("d")]))
    assert await world.drive() == "ended"
    assert (await world.folded()).retries == 3
    await check(world)


async def test_a_run_that_fails_and_undoes_what_it_did() -> None:
    world = failing(book())
    assert await world.drive() == "ended"
    assert "effect.compensated b #1" in await world.story()
    await check(world)


@pytest.mark.parametrize("usd", [12, 20, 25, 200])
async def test_tries_that_were_granted_or_waited_for_their_budget(usd: int) -> None:
    world = await limit(tenacious(billed(7), RateLimited("wait"), billed(5), says()), usd=usd * CENT)
    assert await world.drive() == ("ended" if usd > 22 else "waiting")
    await check(world)
    while not world.run.is_ended:
        await limit(world, usd=(usd := usd + 5) * CENT)
        await world.resume()
        await check(world)
    assert world.run.retries == 3


async def test_model_steps_side_by_side_that_ask_their_budget_or_find_enough() -> None:
    world = await limit(thinks(*"abcdef"), usd=1000 * CENT)
    world.model = ScriptedModel([slow(delay_s) for delay_s in (3.0, 4.0, 1.0, 2.0, 5.0, 1.5)])
    assert await world.drive() == "ended"
    assert 1 < sum(line.startswith("budget.reserved") for line in await world.story()) < 6
    await check(world)


async def test_a_plan_for_which_room_was_made() -> None:
    words, good = json.dumps({"note": "y" * 9000}), json.dumps({"steps": [{"id": "a", "tool": "look"}], "result": {"$ref": "a"}})
    world = World([FakeTool("look")], [words, words, good], strategy="plan", context=ContextPolicy(max_tokens=6000))
    assert await world.drive() == "ended"
    assert "context.compacted" in await world.story()
    await check(world)


async def test_a_call_that_was_cut_off_costs_what_it_cost() -> None:
    world = await limit(thinks("a"), usd=1000 * CENT)
    world.model = ScriptedModel([slow(3.0), slow(3.0)])

    async def suspend() -> None:
        world.executor.interrupt("suspend")

    assert await at(world, 1.0, suspend) == "suspended"
    assert await world.resume() == "ended"
    assert (await kept(world))[1].usd_nano == 14 * CENT
    await check(world)


@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(st.lists(CALLS, min_size=1, max_size=4), max_size=3),
    deadline_s=st.sampled_from([None, 0, 1, 2.5]),
    stops=st.lists(st.tuples(DELAYS_S, STOPS), max_size=4),
    journal_delay_s=st.sampled_from([0, 0.25, 0.5]),
    max_parallel=st.integers(1, 3),
)
async def test_any_run_is_performed_again_as_it_was(
    calls: list[list[tuple[str, float]]],
    deadline_s: float | None,
    stops: list[tuple[float, str]],
    journal_delay_s: float,
    max_parallel: int,
) -> None:
    async def answer(request: ModelRequest) -> list[Call] | str:
        await asyncio.sleep(0.5)
        turn = int(request.id.removeprefix("t"))
        return [Call(name, {"s": s, "turn": turn}) for name, s in calls[turn - 1]] if turn <= len(calls) else "done"

    tools = [FakeTool("look", random_tool("look")), FakeTool("pay", random_tool("pay"), "once")]
    journal, limits = CountingJournal(delay_s=journal_delay_s), Limits(max_parallel=max_parallel)
    world = World(tools, [answer] * 50, deadline_s=deadline_s, journal=journal, limits=limits)
    await world.begin()
    left = sorted(stops)
    for _ in range(20):
        await disturbed(world, left)
        await check(world)
        if (await world.folded()).is_ended:
            return
        for state in (await world.folded()).graph.unknown:
            await world.slip("decide", {"step": state, "decision": "done", "output": None})
        await world.again()


async def disturbed(world: World, left: list[tuple[float, str]]) -> None:
    """Drive once, and meanwhile do what is left to be done."""

    def fail(number: int, _batch: Batch) -> None:
        if number % 2:
            raise StorageError("the disk is full")

    async def disturb() -> None:
        while left:
            delay_s, kind = left.pop(0)
            await asyncio.sleep(delay_s)
            if kind == "task":
                driving.cancel()
            elif kind == "storage":
                world.journal.before = world.journal.after = fail
            elif kind in {"suspend", "force"}:
                world.executor.interrupt("suspend", force=kind == "force")
            elif not world.run.is_ended:
                await world.put("message" if kind == "message" else "cancel", "note")

    async def drive() -> None:
        with contextlib.suppress(StorageError, RunEnded):
            await world.executor.drive()

    world.journal.before = world.journal.after = lambda _number, _batch: None
    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(drive())
        disturbing = tasks.create_task(disturb())
        await asyncio.wait([driving])
        disturbing.cancel()
