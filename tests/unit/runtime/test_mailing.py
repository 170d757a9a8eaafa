"""What is sent to a run: what is wrong at once is refused to the sender, with a hint, and nothing of it is kept."""

from collections.abc import Awaitable, Callable

import pytest

from agent_sdk import App, PrincipalId, RequestError, RunHandle, RunId, Runtime, RunWaits, StepId
from agent_sdk.core.errors import NotFound, RunEnded
from agent_sdk.core.events import ApprovalDecided, MessageReceived, QuestionAnswered
from agent_sdk.testing import Call, run_virtual
from tests.unit.runtime.scenes import Shop, agent, kinds, play, world

FIRST, SECOND = StepId("t1.1"), StepId("t1.2")
ANN = PrincipalId("ann")


async def parked(runtime: Runtime, shop: Shop) -> RunHandle[str]:
    """Start a run that waits: its first step for an approval, its second for an answer."""
    waiting = agent((Call("pay", {"amount": 5}), Call("ask", {"question": "why?"})), "done", tools=[shop.pay])
    run = await runtime.start(waiting, "go")
    with pytest.raises(RunWaits):
        await run.result()
    return run


def test_a_ruling_names_who_made_it_and_what_was_allowed() -> None:
    shop = Shop()

    async def scene(runtime: Runtime) -> None:
        run = await parked(runtime, shop)
        await runtime.approve(run.run_id, FIRST, note="fine", by=ANN)
        await runtime.answer(run.run_id, SECOND, 3, by=ANN)
        assert await run.result() == "done"
        events = [fact.event async for fact in run.facts()]
        ruling = next(event for event in events if isinstance(event, ApprovalDecided))
        answer = next(event for event in events if isinstance(event, QuestionAnswered))
        assert (ruling.ruling, ruling.by, ruling.note, answer.by, answer.answer) == ("approve", "ann", "fine", "ann", 3)

    play(scene)


def test_the_model_is_told_why_a_call_was_denied() -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 5}), "not paid", tools=[shop.pay])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(payer, "pay")
        with pytest.raises(RunWaits):
            await run.result()
        await runtime.deny(run.run_id, FIRST, "we are broke", by=ANN)
        assert await run.result() == "not paid"
        assert "we are broke" in str((await run.state()).conversation.messages[-2])
        assert shop.paid == []

    play(scene)


def test_a_call_is_made_with_the_arguments_that_a_person_gave_it_and_the_model_is_told() -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 500}), "done", tools=[shop.pay])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(payer, "pay")
        with pytest.raises(RunWaits):
            await run.result()
        await runtime.edit(run.run_id, FIRST, {"amount": 5}, note="less", by=ANN)
        assert await run.result() == "done"
        assert shop.paid == [5]
        assert "paid 5" in str((await run.state()).conversation.messages[-2])

    play(scene, payer)


@pytest.mark.parametrize("args", [{}, {"amount": "much"}, {"amount": "5", "to": "me"}], ids=str)
def test_arguments_that_the_tool_does_not_take_are_refused_to_their_sender(args: dict[str, str]) -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 500}), "done", tools=[shop.pay])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(payer, "pay")
        with pytest.raises(RunWaits):
            await run.result()
        with pytest.raises(RequestError, match="these arguments do not hold for pay") as caught:
            await runtime.edit(run.run_id, FIRST, {**args})
        assert caught.value.hint is not None
        assert (await runtime.journal.row(runtime.tenant, run.run_id)).inbox_head == 0

    play(scene, payer)


def test_arguments_that_an_owner_alone_can_check_are_refused_by_an_event() -> None:
    shop = Shop()
    payer = agent(Call("pay", {"amount": 500}), Call("pay", {"amount": 1}), "done", tools=[shop.pay])

    async def scene() -> None:
        async with Runtime.open(app=App([]), world=world()) as runtime:
            run = await runtime.start(payer, "pay")
            with pytest.raises(RunWaits):
                await run.result()
            await runtime.edit(run.run_id, FIRST, {"amount": "much"})
            with pytest.raises(RunWaits):
                await run.result()
            told = [fact.event async for fact in run.facts() if isinstance(fact.event, MessageReceived)]
            assert [event.refused for event in told if event.refused is not None and "do not hold" in event.refused]
            assert shop.paid == []

    run_virtual(scene())


Sent = Callable[[Runtime, RunId], Awaitable[None]]

SENSELESS: dict[str, tuple[Sent, str]] = {
    "approve a question": (lambda runtime, run: runtime.approve(run, SECOND), "waits for no approval"),
    "deny nothing": (lambda runtime, run: runtime.deny(run, StepId("t9.9")), "waits for no approval"),
    "edit nothing": (lambda runtime, run: runtime.edit(run, StepId(""), {}), "waits for no approval"),
    "answer an approval": (lambda runtime, run: runtime.answer(run, FIRST, 1), "waits for no answer"),
    "answer nothing": (lambda runtime, run: runtime.answer(run, StepId("t1"), 1), "waits for no answer"),
    "signal without a name": (lambda runtime, run: runtime.signal(run, ""), "a signal has a name"),
    "signal that is no text": (lambda runtime, run: runtime.signal(run, "\ud800"), "cannot be kept"),
    "message that is no text": (lambda runtime, run: runtime.send(run, "\ud800"), "cannot be kept"),
}


@pytest.mark.parametrize(("send", "told"), SENSELESS.values(), ids=SENSELESS)
def test_what_cannot_be_meant_is_refused_at_once(send: Sent, told: str) -> None:
    async def scene(runtime: Runtime) -> None:
        run = await parked(runtime, Shop())
        with pytest.raises(RequestError, match=told) as caught:
            await send(runtime, run.run_id)
        assert caught.value.hint
        assert (await runtime.journal.row(runtime.tenant, run.run_id)).inbox_head == 0

    play(scene)


def test_a_refusal_names_the_steps_that_do_wait() -> None:
    async def scene(runtime: Runtime) -> None:
        run = await parked(runtime, Shop())
        with pytest.raises(RequestError) as caught:
            await runtime.approve(run.run_id, SECOND)
        assert caught.value.hint == "these do: t1.1"
        await runtime.approve(run.run_id, FIRST)
        with pytest.raises(RunWaits, match=r"step t1\.2"):
            await run.result()
        with pytest.raises(RequestError) as caught:
            await runtime.approve(run.run_id, FIRST)
        assert caught.value.hint is not None
        assert "decided already" in caught.value.hint

    play(scene)


def test_an_answer_of_another_type_than_was_asked_for_is_refused() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(asker, "ask")
        with pytest.raises(RunWaits):
            await run.result()
        with pytest.raises(RequestError, match="cannot have this output") as caught:
            await runtime.answer(run.run_id, FIRST, "a few")
        assert caught.value.hint
        await runtime.answer(run.run_id, FIRST, 3)
        assert await run.result() == "done"

    play(scene, asker)


ANYTHING: dict[str, Sent] = {
    "approve": lambda runtime, run: runtime.approve(run, FIRST),
    "deny": lambda runtime, run: runtime.deny(run, FIRST),
    "edit": lambda runtime, run: runtime.edit(run, FIRST, {}),
    "answer": lambda runtime, run: runtime.answer(run, FIRST, 1),
    "signal": lambda runtime, run: runtime.signal(run, "paid"),
    "wake": lambda runtime, run: runtime.wake(run),
    "decide": lambda runtime, run: runtime.decide(run, FIRST, "skip"),
    "cancel": lambda runtime, run: runtime.cancel(run),
    "send": lambda runtime, run: runtime.send(run, "hello"),
}


@pytest.mark.parametrize("send", ANYTHING.values(), ids=ANYTHING)
def test_a_run_that_has_ended_or_never_was_takes_nothing(send: Sent) -> None:
    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(agent("done"), "go")
        await run.result()
        with pytest.raises(RunEnded):
            await send(runtime, run.run_id)
        with pytest.raises(NotFound):
            await send(runtime, RunId("run_nobody"))

    play(scene)


def test_the_same_signal_sent_again_under_its_key_counts_once() -> None:
    twice = agent((Call("wait_for_paid"), Call("wait_for_paid")), "done")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(twice, "wait")
        with pytest.raises(RunWaits):
            await run.result()
        for _ in range(3):
            await runtime.signal(run.run_id, "paid", 1, key="invoice 1")
        with pytest.raises(RunWaits, match="signal"):
            await run.result()
        await runtime.signal(run.run_id, "paid", 2, key="invoice 2")
        assert await run.result() == "done"
        assert (await kinds(run)).count("signal.received") == 2

    play(scene, twice)


def test_a_wake_that_nobody_waits_for_is_refused_by_an_event_and_changes_nothing() -> None:
    async def scene(runtime: Runtime) -> None:
        run = await parked(runtime, Shop())
        await runtime.wake(run.run_id, by=ANN)
        with pytest.raises(RunWaits, match="approval"):
            await run.result()
        told = [fact.event.refused async for fact in run.facts() if isinstance(fact.event, MessageReceived)]
        assert told == ["the run does not wait for somebody to let it go on"]

    play(scene)
