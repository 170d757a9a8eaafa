"""How runs come into being: their place in a session, and options that no journal can keep."""

import asyncio
from typing import Any

import pytest

from agent_sdk import (
    Agent,
    Budget,
    ConfigError,
    FilePart,
    Limits,
    RequestError,
    RunFilter,
    RunHandle,
    RunId,
    RunInfo,
    Runtime,
    RunWaits,
    StartOptions,
    StepId,
)
from agent_sdk.core.errors import RunBusy
from agent_sdk.core.events import Fact, RunCancelRequested
from agent_sdk.core.ids import PrincipalId, SessionId, TenantId
from agent_sdk.core.run import Run
from agent_sdk.runtime.creation import DEFAULTS, Made, budget_of, created, created_child, make
from agent_sdk.runtime.functions import Instructions
from agent_sdk.testing import Call, ScriptedModel
from tests.unit.runtime.scenes import WAIT, agent, play, rest

TALK = StartOptions(session="talk")
RIGHT_NOW = StartOptions(session="talk", queues=False)


def talker(*script: str | Call) -> tuple[Agent[None, str], ScriptedModel]:
    model = ScriptedModel(script)
    return Agent(name="talker", model=model, tools=[WAIT, rest]), model


def said(model: ScriptedModel, question: int) -> list[str]:
    return [message.text for message in model.requests[question].conversation.messages if message.text]


def test_a_run_knows_what_was_said_in_its_session_before_it() -> None:
    one, model = talker("hello, ann", "you are ann", "bye")

    async def scene(runtime: Runtime) -> None:
        for goal in ("I am ann", "who am I?", "bye"):
            await (await runtime.start(one, goal, options=TALK)).result()
        assert said(model, 0) == ["I am ann"]
        assert said(model, 1) == ["I am ann", "hello, ann", "who am I?"]
        assert said(model, 2) == ["I am ann", "hello, ann", "who am I?", "you are ann", "bye"]

    play(scene)


def test_sessions_do_not_hear_one_another() -> None:
    one, model = talker("a", "b", "c")

    async def scene(runtime: Runtime) -> None:
        for session in ("first", "second", None):
            await (await runtime.start(one, "hi", options=StartOptions(session=session))).result()
        assert [said(model, question) for question in range(3)] == [["hi"]] * 3

    play(scene)


def test_runs_of_a_session_are_performed_one_after_the_other() -> None:
    one, model = talker(Call("rest", {"seconds": 50}), "first", "second")

    async def scene(runtime: Runtime) -> None:
        first = await runtime.start(one, "one", options=TALK)
        second = await runtime.start(one, "two", options=TALK)
        await asyncio.sleep(20)
        row = await runtime.journal.row(runtime.tenant, second.run_id)
        assert (row.state, row.behind, len(model.requests)) == ("queued", first.run_id, 1)
        assert await second.result() == "second"
        assert (await first.state()).state == "succeeded"
        assert said(model, 2) == ["one", "first", "two"]

    play(scene)


def test_a_run_stands_behind_one_that_waits_for_a_person() -> None:
    asker = agent(Call("ask", {"question": "how many?"}), "asked", "second")

    async def scene(runtime: Runtime) -> None:
        first = await runtime.start(asker, "one", options=TALK)
        with pytest.raises(RunWaits):
            await first.result()
        second = await runtime.start(asker, "two", options=TALK)
        await asyncio.sleep(30)
        assert (await second.state()).state == "queued"
        await runtime.answer(first.run_id, StepId("t1.1"), 2)
        assert await second.result() == "second"

    play(scene)


def test_a_run_that_may_not_queue_is_refused_while_an_earlier_one_goes_on() -> None:
    one, _ = talker(Call("rest", {"seconds": 50}), "first", "second")

    async def scene(runtime: Runtime) -> None:
        first = await runtime.start(one, "one", options=TALK)
        with pytest.raises(RunBusy) as caught:
            await runtime.start(one, "two", options=RIGHT_NOW)
        assert caught.value.hint
        assert len(await runtime.runs()) == 1
        await first.result()
        assert await (await runtime.start(one, "two", options=RIGHT_NOW)).result() == "second"

    play(scene)


def test_twenty_messages_at_once_are_answered_in_one_order_and_each_knows_all_before_it() -> None:
    one, model = talker(*(f"answer {turn}" for turn in range(20)))

    async def scene(runtime: Runtime) -> None:
        async with asyncio.TaskGroup() as tasks:
            starts = [tasks.create_task(runtime.start(one, f"goal {turn}", options=TALK)) for turn in range(20)]
        async with asyncio.TaskGroup() as tasks:
            for start in starts:
                tasks.create_task(start.result().result())
        rows = await runtime.runs(RunFilter(session=SessionId("talk")))
        assert {row.state for row in rows} == {"succeeded"}
        assert [len(request.conversation.messages) for request in model.requests] == list(range(1, 40, 2))

    play(scene)


def test_a_cancelled_run_lets_the_next_of_its_session_go_on() -> None:
    one, model = talker(Call("rest", {"seconds": 5_000}), "second")

    async def scene(runtime: Runtime) -> None:
        first = await runtime.start(one, "one", options=TALK)
        second = await runtime.start(one, "two", options=TALK)
        await asyncio.sleep(1)
        await first.cancel()
        assert await second.result() == "second"
        assert said(model, 1)[-1] == "two"

    play(scene)


def test_a_run_that_stands_behind_another_can_be_cancelled_and_ends_in_its_turn() -> None:
    one, model = talker(Call("rest", {"seconds": 50}), "first")

    async def scene(runtime: Runtime) -> None:
        first = await runtime.start(one, "one", options=TALK)
        second = await runtime.start(one, "two", options=TALK)
        await second.cancel(note="never mind")
        assert (await second.settled()).state == "cancelled"
        assert (await first.state()).state == "succeeded"
        assert any(isinstance(fact.event, RunCancelRequested) for fact in [fact async for fact in second.facts()])
        assert len(model.requests) == 2

    play(scene)


def test_enqueued_runs_of_a_session_keep_their_order_too() -> None:
    one, _ = talker("a", "b")

    async def scene(runtime: Runtime) -> None:
        handles: list[RunHandle[str]] = [await runtime.enqueue(one, goal, options=TALK) for goal in ("one", "two")]
        rows = [await runtime.journal.row(runtime.tenant, handle.run_id) for handle in handles]
        assert [row.behind for row in rows] == [None, handles[0].run_id]

    play(scene)


BAD: dict[str, tuple[StartOptions, str]] = {
    "session without a name": (StartOptions(session=""), "name is empty"),
    "queue without a name": (StartOptions(queue=""), "queue's name is empty"),
    "principal without a name": (StartOptions(principal=PrincipalId("")), "principal's name is empty"),
    "principal with a NUL": (StartOptions(principal=PrincipalId("a\0b")), "holds the character NUL"),
    "principal with too long a name": (StartOptions(principal=PrincipalId("a" * 5000)), "the principal cannot be kept: a name has 5,000"),
    "session that is no text": (StartOptions(session="\ud800"), "not valid text"),
    "session with a character that no store keeps": (StartOptions(session="a\0"), "the character NUL"),
    "queue that is too long": (StartOptions(queue="q" * 1025), "at most 1,024"),
    "tag that is no text": (StartOptions(tags=["\ud800"]), "not valid text"),
    "priority too high": (StartOptions(priority=1001), "priority is 1001"),
    "file of this machine": (StartOptions(files=[FilePart("file:///etc/passwd", "text/plain")]), "file 1 is neither at an https URL"),
    "file without a kind": (StartOptions(files=[FilePart("https://x/a.png", "image")]), "file 1 has no media type"),
    "file whose name is no text": (StartOptions(files=[FilePart("https://x/a", "image/png", "\ud800")]), "file 1 cannot be kept"),
    "file that is too large": (StartOptions(files=[FilePart.from_bytes(bytes(13 * 2**20), "image/png")]), "16,777,216 are allowed"),
    "priority too low": (StartOptions(priority=-1001), "priority is -1001"),
}


@pytest.mark.parametrize(("options", "told"), BAD.values(), ids=BAD)
def test_options_that_make_no_sense_are_refused_before_there_is_a_run(options: StartOptions, told: str) -> None:
    async def scene(runtime: Runtime) -> None:
        with pytest.raises(RequestError, match=told) as caught:
            await runtime.start(agent("never"), "go", options=options)
        assert caught.value.hint
        with pytest.raises(RequestError, match=told):
            await runtime.enqueue(agent("never"), "go", options=options)
        assert await runtime.runs() == []

    play(scene)


INFO = RunInfo(TenantId("t"), RunId("run_1"), "a")


async def later(info: RunInfo) -> str:
    return f"for {info.run_id}"


async def test_instructions_are_made_once_for_each_run() -> None:
    assert await make(Agent(name="a", instructions="fixed"), INFO, (), None) == Made()
    assert await make(Agent(name="a", instructions=lambda info: f"for {info.tenant}"), INFO, (), None) == Made("for t")
    made = await make(Agent(name="a", instructions=later), INFO, (), None)
    first = created(Agent(name="a", instructions=later), "go", DEFAULTS, 0, made=made)
    assert (first.instructions, first.budgets, first.files) == ("for run_1", None, None)


def broken(_info: RunInfo) -> str:
    raise KeyError("team")


def nothing(info: RunInfo) -> Any:  # noqa: ANN401  (what no type checker sees)
    return info.principal


BROKEN: dict[str, tuple[Instructions, str]] = {
    "fails": (broken, "could not be made: KeyError: 'team'"),
    "no text": (nothing, "are NoneType, and no text"),
    "half a character": (lambda _info: "\ud800", "cannot be kept"),
}


@pytest.mark.parametrize(("function", "told"), BROKEN.values(), ids=BROKEN)
async def test_instructions_that_cannot_be_made_are_refused_before_there_is_a_run(function: Instructions, told: str) -> None:
    agent = Agent(name="a", instructions=function)
    with pytest.raises(ConfigError, match=told) as caught:
        await make(agent, INFO, (), None)
    assert caught.value.hint


def test_a_runs_own_budget_comes_from_its_options_first() -> None:
    thrifty, rich = Agent(name="a", budget=Budget(calls=1)), StartOptions(budget=Budget(calls=9))
    assert budget_of(thrifty, DEFAULTS) == Budget(calls=1)
    assert budget_of(thrifty, rich) == Budget(calls=9)
    assert budget_of(thrifty, StartOptions(budget=Budget())) is None
    assert budget_of(Agent(name="a"), DEFAULTS) is None


async def test_a_child_spends_from_the_budgets_above_it_and_from_its_own() -> None:
    agent, files = Agent(name="a"), [FilePart.from_bytes(b"x", "image/png")]
    made = await make(agent, INFO, ("tenant",), Budget(calls=1))
    first = created(agent, "go", StartOptions(files=files), 0, made=made)
    assert (first.budgets, first.files) == (("tenant", "run/run_1"), tuple(files))
    parent = Run(INFO.tenant, INFO.run_id, Limits())
    parent.apply(Fact(1, 0, 0, first))
    assert created_child(agent, "go", parent, 0).budgets == first.budgets
    below = await make(agent, RunInfo(INFO.tenant, RunId("run_2"), "a"), first.budgets or (), Budget(calls=1))
    assert created_child(agent, "go", parent, 0, below).budgets == ("tenant", "run/run_1", "run/run_2")
