"""What whoever holds a run gets to know: that it waits for a person, that it goes on, how it ends."""

import asyncio

import pytest

from agent_sdk import RunExpired, RunFailed, RunSuspended, Runtime, RunWaits, StartOptions, StepId
from agent_sdk.testing import Call, VirtualClock
from tests.unit.runtime.scenes import Shop, agent, kinds, play

FIRST = StepId("t1.1")


def test_a_run_that_waits_for_an_approval_says_so_and_goes_on_once_it_has_it() -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 5}), "done", tools=[shop.pay])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(payer, "pay")
        with pytest.raises(RunWaits, match=r"waits: approval: step t1\.1 \(approval: it costs money\)"):
            await run.result()
        assert shop.paid == []
        await runtime.approve(run.run_id, FIRST)
        assert await run.result() == "done"
        assert shop.paid == [5]

    play(scene, payer)


def test_a_run_that_asks_a_person_goes_on_with_the_answer() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "ask")
        with pytest.raises(RunWaits, match="how many"):
            await run.result()
        await runtime.answer(run.run_id, FIRST, 7)
        assert await run.result() == "done"
        assert (await run.state()).graph.outputs[FIRST] == 7

    play(scene, asker)


def test_a_run_that_waits_for_a_signal_goes_on_with_what_it_brings() -> None:
    waiting = agent(Call("wait_for_paid"), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(waiting, "wait")
        with pytest.raises(RunWaits, match="signal: paid"):
            await run.result()
        await runtime.signal(run.run_id, "paid", 12)
        assert await run.result() == "done"
        assert (await run.state()).graph.outputs[FIRST] == 12

    play(scene, waiting)


def test_a_signal_may_come_before_the_run_waits_for_it() -> None:
    early = agent(Call("rest", {"seconds": 10}), Call("wait_for_paid"), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(early, "wait")
        await runtime.signal(run.run_id, "paid", 12)
        assert await run.result() == "done"
        assert "run.waiting" not in await kinds(run)

    play(scene, early)


def test_nobody_is_needed_for_a_timer() -> None:
    sleeper = agent(Call("wait", {"seconds": 1_000}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(sleeper, "wait")
        assert await run.result() == "done"
        assert 999 < VirtualClock().monotonic() < 1_010
        assert (await kinds(run)).count("run.waiting") == 1

    play(scene, sleeper)


def test_the_result_is_waited_for_by_many_and_from_before_the_run_goes_on() -> None:
    asker = agent(Call("wait", {"seconds": 100}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "ask")
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(runtime.attach(run.run_id, agent=asker).result()) for _ in range(20)]
        assert {task.result() for task in waiting} == {"done"}

    play(scene, asker)


def test_an_approval_that_never_comes_is_a_denial_and_the_model_hears_of_it() -> None:
    shop = Shop()
    payer = agent(Call("pay_soon", {"amount": 5}), "not paid", tools=[shop.pay_soon])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(payer, "pay")
        with pytest.raises(RunWaits):
            await run.result()
        await asyncio.sleep(100)
        assert await run.result() == "not paid"
        assert shop.paid == []

    play(scene, payer)


def test_a_question_that_nobody_answers_fails_its_step_alone() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "nobody knows")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "ask")
        await asyncio.sleep(200)
        assert await run.result() == "nobody knows"
        failure = (await run.state()).graph.steps[FIRST].failure
        assert failure is not None
        assert failure.code == "wait_expired"

    play(scene, asker)


def test_a_run_that_waits_past_its_deadline_expires() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "ask", options=StartOptions(timeout_s=60))
        await asyncio.sleep(100)
        with pytest.raises(RunExpired):
            await run.result()

    play(scene, asker)


def test_several_waits_of_one_run_are_ended_in_any_order() -> None:
    shop = Shop()
    calls = (Call("pay", {"amount": 1}), Call("pay", {"amount": 2}), Call("ask", {"question": "why?"}))
    busy = agent(calls, "done", tools=[shop.pay])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(busy, "go")
        with pytest.raises(RunWaits):
            await run.result()
        await runtime.answer(run.run_id, StepId("t1.3"), 3)
        await runtime.approve(run.run_id, StepId("t1.2"))
        with pytest.raises(RunWaits, match=r"step t1\.1"):
            await run.result()
        assert shop.paid == [2]
        await runtime.deny(run.run_id, StepId("t1.1"), "once is enough")
        assert await run.result() == "done"
        assert shop.paid == [2]

    play(scene, busy)


def test_what_was_decided_at_once_counts_as_going_on_though_nobody_took_it_up_yet() -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 5}), "done", tools=[shop.pay])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(payer, "pay")
        with pytest.raises(RunWaits):
            await run.result()
        for _ in range(3):
            await runtime.approve(run.run_id, FIRST)
        assert await run.result() == "done"
        assert shop.paid == [5]
        assert (await kinds(run)).count("approval.decided") == 1

    play(scene, payer)


def test_a_run_that_was_handed_back_is_suspended_for_whoever_waits() -> None:
    sleeper = agent(Call("rest", {"seconds": 1000}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(sleeper, "rest")
        await asyncio.sleep(1)
        await run.suspend()
        with pytest.raises(RunSuspended, match="suspended"):
            await run.result()
        assert await (await runtime.resume(run.run_id)).result() == "done"

    play(scene, sleeper)


def test_a_failure_names_its_step_and_its_code() -> None:
    failing = agent()

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(failing, "fail")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        assert caught.value.failure_code == "script_exhausted"
        assert repr(run) == f"RunHandle({run.run_id!r})"

    play(scene, failing)
