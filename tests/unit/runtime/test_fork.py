"""Forks of real runs: they go on where the others ended, and say first what they may repeat."""

import pytest

from agent_sdk import Agent, Runtime, tool
from agent_sdk.core.errors import RequestError, RunFailed
from agent_sdk.core.ids import StepId
from agent_sdk.core.run import ENDS
from agent_sdk.runtime.fork import fork_run
from agent_sdk.runtime.replay import replay
from agent_sdk.testing import Call, ScriptedModel, ScriptItem
from tests.unit.runtime.scenes import parent_of, play


class Till:
    """Books, and keeps what was booked."""

    def __init__(self) -> None:
        self.booked: list[str] = []

    @tool(effect="once")
    async def book(self, what: str) -> str:
        """Book something."""
        self.booked.append(what)
        return f"booked {what}"


def test_a_failed_run_goes_on_as_a_fork_and_repeats_nothing_that_was_done() -> None:
    till = Till()
    error = RuntimeError("the model is down")
    seller: Agent[None, str] = Agent(name="seller", model=ScriptedModel([Call("book", {"what": "a"}), error, "done"]), tools=[till.book])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(seller, "book it")
        with pytest.raises(RunFailed):
            await run.result()
        plan = await fork_run(runtime, run.run_id)
        assert plan.effects == []
        made = await plan.create()
        row = await runtime.journal.row(runtime.tenant, made)
        assert (row.state, row.inbox_seen, row.epoch) == ("queued", 0, 0)
        assert await (await runtime.resume(made)).result() == "done"
        assert till.booked == ["a"]
        assert (await runtime.attach(run.run_id).state()).state in ENDS
        assert (await replay(runtime.journal, runtime.tenant, made, seller)).is_identical

    play(scene, seller)


def test_a_fork_from_before_an_effect_does_it_again_under_a_key_of_its_own() -> None:
    till = Till()
    script: list[ScriptItem] = [Call("book", {"what": "a"}), "done", "done again"]
    seller: Agent[None, str] = Agent(name="seller", model=ScriptedModel(script), tools=[till.book])

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(seller, "book it")
        await run.result()
        plan = await fork_run(runtime, run.run_id, 3)
        assert [(each.step, each.tool, each.key, each.became, each.in_fork) for each in plan.effects] == [
            ("t1.1", "book", f"{run.run_id}/t1.1", "confirmed", "repeated")
        ]
        made = await plan.create()
        assert await (await runtime.resume(made)).result() == "done again"
        assert till.booked == ["a", "a"]
        assert (await runtime.attach(made).state()).graph.steps[StepId("t1.1")].key == f"{made}/t1.1"

    play(scene, seller)


def test_the_effects_of_a_child_stand_behind_it() -> None:
    till = Till()
    child: Agent[None, str] = Agent(name="child", model=ScriptedModel([Call("book", {"what": "a"}), "did it"]), tools=[till.book])
    parent = parent_of(child)

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(parent, "have it booked")
        assert await run.result() == "done"
        effects = (await fork_run(runtime, run.run_id, 2)).effects
        assert [(each.step, each.effect) for each in effects] == [("t1.1", "child"), ("t1.1/t1.1", "once")]
        assert (await replay(runtime.journal, runtime.tenant, run.run_id, parent)).is_identical

    play(scene, parent, child)


def test_a_fork_may_pin_the_code_as_it_is_now() -> None:
    seller: Agent[None, str] = Agent(name="seller", model=ScriptedModel(["one", "two"]), instructions="be brief")

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(seller, "say something")
        await run.result()
        changed = seller.with_options(instructions="be long", version="2")
        made = await (await fork_run(runtime, run.run_id, 1, agent=changed)).create()
        forked = await runtime.attach(made).state()
        assert forked.pinned == changed.digests
        assert forked.created is not None
        assert forked.created.agent_version == "2"

    play(scene, seller)


def test_a_place_that_cannot_be_forked_is_refused_before_anybody_is_asked() -> None:
    seller: Agent[None, str] = Agent(name="seller", model=ScriptedModel(["one"]))

    async def scene(runtime: Runtime) -> None:
        run = await runtime.start(seller, "say something")
        await run.result()
        with pytest.raises(RequestError, match="no event 99"):
            await fork_run(runtime, run.run_id, 99)

    play(scene, seller)
