"""Agents that leave part of their work to others: each call is a run of its own, beneath the one that made it."""

import asyncio

import pytest

from agent_sdk import (
    Agent,
    App,
    Limits,
    RunCancelled,
    RunExpired,
    RunFilter,
    RunHandle,
    RunId,
    Runtime,
    RunWaits,
    StartOptions,
    StepId,
    subagent,
)
from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.events import ChildFinished, RunCancelRequested, RunCreated
from agent_sdk.core.ids import PrincipalId
from agent_sdk.testing import Call, ScriptedModel, run_virtual
from tests.unit.runtime.scenes import Shop, agent, kinds, parent_of, play, world

FIRST = StepId("t1.1")


async def child_of(runtime: Runtime, run: RunHandle[str]) -> RunHandle[str]:
    """Return the run's only child."""
    (row,) = await runtime.runs(RunFilter(parent=run.run_id))
    return runtime.attach(row.run_id)


async def created_of(run: RunHandle[str]) -> RunCreated:
    created = (await run.state()).created
    assert created is not None
    return created


async def finished_child(run: RunHandle[str]) -> ChildFinished:
    events = [fact.event async for fact in run.facts()]
    return next(event for event in events if isinstance(event, ChildFinished))


def test_a_child_answers_its_parent_and_both_name_the_other() -> None:
    parent = parent_of(agent(Call("wait", {"seconds": 30}), "from the child", name="child"))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go", options=StartOptions(tags=["t"], principal=PrincipalId("ann"), queue="q", priority=3))
        assert await run.result() == "done"
        child = await child_of(runtime, run)
        created = await created_of(child)
        assert (created.parent, created.root, created.depth, created.goal) == (run.run_id, run.run_id, 1, "do it")
        assert (created.tags, created.principal, created.queue, created.priority) == (("t",), "ann", "q", 3)
        finished = await finished_child(run)
        assert (finished.child, finished.state, finished.output) == (child.run_id, "succeeded", "from the child")

    play(scene, parent)


def test_a_parent_holds_no_lease_while_its_child_works() -> None:
    parent = parent_of(agent(Call("rest", {"seconds": 500}), "ok", name="child"))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        await asyncio.sleep(100)
        row = await runtime.journal.row(runtime.tenant, run.run_id)
        assert (row.state, row.reason, row.owner) == ("waiting", "child", None)
        assert await run.result() == "done"
        assert (await kinds(run)).count("run.waiting") == 1

    play(scene, parent)


def test_a_childs_failure_is_the_failure_of_its_step_and_the_model_reads_it() -> None:
    child: Agent[None, str] = Agent(name="child", model=ScriptedModel([]))
    model = ScriptedModel([Call("child", {"goal": "do it"}), "it could not"])
    parent: Agent[None, str] = Agent(name="parent", model=model, tools=[subagent(child)])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        assert await run.result() == "it could not"
        finished = await finished_child(run)
        assert (finished.state, finished.code) == ("failed", "script_exhausted")
        assert "no answer to question" in str(model.requests[-1].conversation.messages[-1])

    play(scene, parent)


def test_several_children_work_side_by_side() -> None:
    child = Agent(name="child", model=ScriptedModel([Call("rest", {"seconds": 100})] * 3 + ["ok"] * 3), tools=[*agent().tools])
    calls = [Call("child", {"goal": f"part {part}"}) for part in range(3)]
    parent: Agent[None, str] = Agent(name="parent", model=ScriptedModel([calls, "done"]), tools=[subagent(child)])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        async with asyncio.timeout(150):
            assert await run.result() == "done"
        assert len(await runtime.runs(RunFilter(parent=run.run_id))) == 3

    play(scene, parent)


def test_a_cancel_goes_down_to_the_children_of_children() -> None:
    parent = parent_of(parent_of(agent(Call("rest", {"seconds": 5_000}), "late", name="child"), name="middle"))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        await asyncio.sleep(5)
        await run.cancel(note="enough")
        with pytest.raises(RunCancelled):
            await run.result()
        async with asyncio.timeout(60):
            middle = await child_of(runtime, run)
            assert (await middle.settled()).state == "cancelled"
            grandchild = await child_of(runtime, middle)
            assert (await grandchild.settled()).state == "cancelled"
        asked = next(fact.event for fact in [fact async for fact in middle.facts()] if isinstance(fact.event, RunCancelRequested))
        assert asked.note == f"its parent run {run.run_id} ended: cancelled"

    play(scene, parent)


def test_a_child_has_no_more_time_than_its_parent() -> None:
    child = agent(Call("rest", {"seconds": 5_000}), "late", name="child")
    parent = parent_of(child.with_options(limits=Limits(run_timeout_s=3_000)))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go", options=StartOptions(timeout_s=60))
        with pytest.raises(RunExpired):
            await run.result()
        created = await created_of(await child_of(runtime, run))
        assert created.deadline_at == (await created_of(run)).deadline_at
        assert (await (await child_of(runtime, run)).settled()).state in {"expired", "cancelled"}

    play(scene, parent)


def test_a_childs_own_limit_holds_where_it_is_shorter() -> None:
    child = agent(Call("rest", {"seconds": 5_000}), "late", name="child").with_options(limits=Limits(run_timeout_s=30))
    parent = parent_of(child)

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go", options=StartOptions(timeout_s=600))
        assert await run.result() == "done"
        assert (await finished_child(run)).state == "expired"

    play(scene, parent)


def test_agents_do_not_nest_deeper_than_their_limits_say() -> None:
    deep = parent_of(parent_of(agent("never", name="child"), name="middle").with_options(limits=Limits(max_depth=1)))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(deep, "go")
        assert await run.result() == "done"
        middle = await child_of(runtime, run)
        refused = await finished_child(middle)
        assert (refused.state, refused.output) == ("failed", None)
        assert refused.message is not None
        assert "1 deep already" in refused.message
        assert await runtime.runs(RunFilter(parent=middle.run_id)) == []

    play(scene, deep)


def test_an_approval_in_a_child_holds_up_its_parent_until_it_is_given() -> None:
    shop = Shop()
    parent = parent_of(agent(Call("pay", {"amount": 5}), "paid", name="child", tools=[shop.pay]))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        await asyncio.sleep(20)
        child = await child_of(runtime, run)
        with pytest.raises(RunWaits, match="approval"):
            await child.result()
        await runtime.approve(child.run_id, FIRST)
        assert await run.result() == "done"
        assert shop.paid == [5]

    play(scene, parent)


def test_a_goal_that_no_run_can_have_fails_its_step_and_makes_no_run() -> None:
    child = agent("never", name="child").with_options(limits=Limits(max_goal_bytes=10))
    parent: Agent[None, str] = Agent(
        name="parent", model=ScriptedModel([Call("child", {"goal": "x" * 11}), "done"]), tools=[subagent(child)]
    )

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        assert await run.result() == "done"
        assert (await finished_child(run)).state == "failed"
        assert len(await runtime.runs()) == 1

    play(scene, parent)


def test_the_tree_of_a_started_agent_needs_not_be_in_the_app() -> None:
    parent = parent_of(parent_of(agent(Call("wait", {"seconds": 30}), "ok", name="child"), name="middle"))

    async def scene() -> None:
        async with Runtime.open(app=App([]), world=world()) as runtime:
            assert await (await runtime.start(parent, "go")).result() == "done"
            assert {row.state for row in await runtime.runs()} == {"succeeded"}

    run_virtual(scene())


def test_a_subagent_is_known_by_a_name_that_models_can_call() -> None:
    tool = subagent(agent(name="my agent.v2"))
    assert (tool.name, tool.spec.kind, tool.spec.effect, tool.spec.returns) == ("my_agent_v2", "child", "read", {"type": "string"})
    named = subagent(agent(name="b"), name="helper", description="Helps.")
    assert (named.name, named.spec.description) == ("helper", "Helps.")


def test_an_answer_of_a_type_is_what_the_step_returns() -> None:
    tool = subagent(Agent(name="counter", model=ScriptedModel([]), output=list[int]))
    assert tool.spec.returns == {"type": "array", "items": {"type": "integer"}}


def test_an_agent_with_live_dependencies_is_no_subagent() -> None:
    live = Agent(name="live", model=ScriptedModel([]), live_deps=object())
    with pytest.raises(ToolDeclarationError, match="live_deps") as caught:
        subagent(live)
    assert caught.value.hint == "give it a factory: deps=..."


@pytest.mark.parametrize("goal", ["", " "], ids=["empty", "blank"])
def test_a_call_without_a_goal_is_refused_before_there_is_a_run(goal: str) -> None:
    model = ScriptedModel([Call("child", {"goal": goal}), "done"])
    parent: Agent[None, str] = Agent(name="parent", model=model, tools=[subagent(agent("never", name="child"))])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        assert await run.result() == "done"
        assert [row.run_id for row in await runtime.runs()] == [RunId(run.run_id)]

    play(scene, parent)


def test_a_parent_whose_child_waits_for_a_person_waits_for_one_too() -> None:
    parent = parent_of(agent(Call("rest", {"seconds": 30}), Call("ask", {"question": "how many?"}), "ok", name="child"))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "go")
        with pytest.raises(RunWaits, match="child"):
            await run.result()
        child = await child_of(runtime, run)
        await runtime.answer(child.run_id, StepId("t2.1"), 3)
        assert await run.result() == "done"

    play(scene, parent)
