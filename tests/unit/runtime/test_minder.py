"""Runs that wait go on in the runtime that began them, or in whichever is there: over one journal, and over restarts."""

import asyncio
from pathlib import Path

import pytest

from agent_sdk import App, RunFilter, Runtime, RunWaits, StepId
from agent_sdk.core.ids import OwnerId
from agent_sdk.testing import Call, VirtualClock
from tests.unit.runtime.scenes import Shop, agent, kinds, parent_of, play

FIRST = StepId("t1.1")


def test_a_run_goes_on_with_the_agent_it_was_started_with_though_the_app_has_none() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "go")
        with pytest.raises(RunWaits):
            await run.result()
        await runtime.answer(run.run_id, FIRST, 1)
        assert await run.result() == "done"

    play(scene)


def test_a_hundred_runs_that_wait_for_one_time_all_go_on() -> None:
    async def scene(runtime: Runtime) -> None:
        runs = [await runtime.start(agent(Call("wait", {"seconds": 60}), "done"), "go") for _ in range(100)]
        assert [await run.result() for run in runs] == ["done"] * 100
        assert VirtualClock().monotonic() < 70

    play(scene)


def test_a_run_that_another_owner_took_and_ended_is_minded_no_more() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "go")
        with pytest.raises(RunWaits):
            await run.result()
        claim = await runtime.journal.claim(runtime.tenant, run.run_id, OwnerId("other"), lease_s=30)
        await runtime.stage.give_back(claim, None)
        await runtime.answer(run.run_id, FIRST, 1)
        assert await run.result() == "done"

    play(scene, asker)


async def test_a_runtime_is_left_while_runs_wait_and_another_goes_on_with_them(tmp_path: Path) -> None:
    url, shop = f"sqlite:///{tmp_path}/agent.db", Shop()
    payer = agent(Call("pay", {"amount": 5}), "done", tools=[shop.pay])
    async with Runtime.open(url, app=App([payer])) as runtime:
        run = await runtime.start(payer, "go")
        with pytest.raises(RunWaits):
            await run.result()
    async with Runtime.open(url, app=App([payer])) as runtime:
        (row,) = await runtime.runs(RunFilter(states=frozenset({"waiting"})))
        assert (row.reason, row.owner) == ("approval", None)
        await runtime.approve(run.run_id, FIRST)
        assert await (await runtime.resume(run.run_id)).result() == "done"
    assert shop.paid == [5]


async def test_one_process_approves_and_the_other_goes_on(tmp_path: Path) -> None:
    url, shop = f"sqlite:///{tmp_path}/agent.db", Shop()
    payer = agent(Call("pay", {"amount": 5}), "done", tools=[shop.pay])
    async with Runtime.open(url, app=App([payer])) as ours, Runtime.open(url, app=App([])) as theirs:
        run = await ours.start(payer, "go")
        with pytest.raises(RunWaits):
            await run.result()
        with pytest.raises(RunWaits, match="approval"):
            await theirs.attach(run.run_id, agent=payer).result()
        await theirs.approve(run.run_id, FIRST)
        async with asyncio.timeout(30), asyncio.TaskGroup() as both:
            results = [both.create_task(each.result()) for each in (run, theirs.attach(run.run_id, agent=payer))]
        assert [task.result() for task in results] == ["done", "done"]
        assert shop.paid == [5]
        assert (await kinds(run)).count("approval.decided") == 1


def test_leaving_the_runtime_hands_back_a_child_and_leaves_its_parent_waiting() -> None:
    parent = parent_of(agent(Call("rest", {"seconds": 5_000}), "late", name="child"))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        await asyncio.sleep(10)
        await runtime.stage.shut_down()
        states = {row.run_id: (row.state, row.owner) for row in await runtime.runs()}
        assert states.pop(run.run_id) == ("waiting", None)
        assert list(states.values()) == [("queued", None)]

    play(scene, parent)
