"""A cancel in every state that a run can be in: it ends the run, whatever it waits for, and no effect comes after it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agent_sdk import (
    Agent,
    App,
    Limits,
    Plan,
    RunHandle,
    Runtime,
    StartOptions,
    StepId,
    ToolStep,
    ask_person,
    subagent,
    tool,
    wait_for,
    wait_for_signal,
)
from agent_sdk.core.errors import RunEnded
from agent_sdk.core.events import RunCancelled, RunCancelRequested, Terminal
from agent_sdk.core.ports import RunFilter, Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.testing import ScriptedModel
from tests.integration.workers_scene import until


@dataclass
class Outside:
    """What was done outside, and a gate that holds up whoever comes to it."""

    done: list[str] = field(default_factory=list[str])
    came: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    @tool(effect="read")
    async def hold(self) -> str:
        """Come to the gate and wait."""
        self.came.set()
        await self.gate.wait()
        return "held"

    @tool(effect="once", approval=True)
    async def pay(self, context: ToolContext[None]) -> str:
        """Pay, if somebody allows it."""
        self.done.append(context.step_id)
        return "paid"

    @tool(effect="once")
    async def lose(self) -> str:
        """Do something, and nobody knows what."""
        raise ValueError("lost")

    async def _undo(self, output: str) -> None:
        self.came.set()
        await self.gate.wait()
        self.done.append(f"undone {output}")

    @tool(effect="idempotent", compensate=_undo)
    async def book(self) -> str:
        """Book something that can be undone."""
        return "booked"

    @tool(effect="once")
    async def act(self, context: ToolContext[None]) -> str:
        """Act, behind everything else."""
        self.done.append(context.step_id)
        return "acted"


@dataclass
class Stage:
    """A runtime over a journal of its kind, and what is outside."""

    runtime: Runtime
    outside: Outside

    def agent(self, used: str, **args: JsonValue) -> Agent[None, object]:
        """Return an agent that uses the tool and acts then."""
        ask = ToolStep(StepId("ask"), "ask_person", {"question": "?"})
        child = Agent(name="child", strategy="fixed", plan=Plan((ask,), result={"$ref": "ask"}), tools=[ask_person()])
        o = self.outside
        tools: list[Tool] = [o.hold, o.pay, o.lose, o.book, o.act, ask_person(), wait_for(), wait_for_signal("mail"), subagent(child)]
        steps = (ToolStep(StepId("first"), used, args), ToolStep(StepId("act"), "act", after=(StepId("first"),)))
        return Agent(name=used, strategy="fixed", plan=Plan(steps, result={"$ref": "act"}), tools=tools, output=object)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Stage]:
    match str(request.param):
        case "sqlite":
            url = f"sqlite:///{tmp_path / 'agent.db'}"
        case "postgres":
            url = str(request.getfixturevalue("postgres_url"))
        case _:
            url = "memory:"
    async with AsyncExitStack() as stack:
        yield Stage(await stack.enter_async_context(Runtime.open(url, app=App([]))), Outside())


async def check_cancelled(stage: Stage, run: RunHandle[Any]) -> None:
    """Cancel, and check that the run ends so, once, and does nothing more."""
    await run.cancel(note="not needed")

    async def is_over() -> bool:
        return (await run.state()).is_ended

    await until(is_over)
    facts = [fact.event async for fact in run.facts()]
    assert sum(isinstance(event, RunCancelRequested) for event in facts) == 1
    assert [type(event) for event in facts if isinstance(event, Terminal)] == [RunCancelled]
    assert isinstance(facts[-1], RunCancelled)
    assert "act" not in stage.outside.done
    row = await stage.runtime.journal.row(run.tenant, run.run_id)
    assert (row.state, row.owner, row.inbox_head - row.inbox_seen) == ("cancelled", None, 0)
    with pytest.raises(RunEnded):
        await run.cancel()


@pytest.mark.parametrize(
    ("used", "args", "reason"),
    [
        ("pay", {}, "approval"),
        ("ask_person", {"question": "?"}, "question"),
        ("wait_for", {"seconds": 3600.0}, "timer"),
        ("wait_for_mail", {}, "signal"),
        ("lose", {}, "unknown_effect"),
    ],
)
async def test_a_cancel_ends_a_run_that_waits(stage: Stage, used: str, args: dict[str, JsonValue], reason: str) -> None:
    run = await stage.runtime.start(stage.agent(used, **args), "go")
    await until_reason(run, reason)
    await check_cancelled(stage, run)
    assert stage.outside.done == []


async def until_reason(run: RunHandle[Any], reason: str) -> None:
    async def waits() -> bool:
        return (await run.state()).reason == reason

    await until(waits)


async def test_a_cancel_ends_a_run_that_waits_for_its_child_and_the_child_with_it(stage: Stage) -> None:
    run = await stage.runtime.start(stage.agent("child", goal="help"), "go")
    await until_reason(run, "child")
    (child,) = await stage.runtime.runs(RunFilter(parent=run.run_id))
    await until_reason(stage.runtime.attach(child.run_id), "question")
    await check_cancelled(stage, run)

    async def is_over() -> bool:
        return (await stage.runtime.attach(child.run_id).state()).state == "cancelled"

    await until(is_over)


async def test_a_cancel_ends_a_run_in_the_queue_when_somebody_takes_it(stage: Stage) -> None:
    agent = stage.agent("pay")
    run = await stage.runtime.enqueue(agent, "go")
    await run.cancel()
    ended = await (await stage.runtime.resume(run.run_id, agent=agent)).settled()
    assert (ended.state, stage.outside.done) == ("cancelled", [])


async def test_a_cancel_ends_a_run_that_plans(stage: Stage) -> None:
    planner = Agent(name="planner", strategy="plan", model=ScriptedModel(["later"], delay_s=30.0), tools=[stage.outside.act])
    run = await stage.runtime.start(planner, "go")

    async def plans() -> bool:
        return (await run.state()).state == "planning"

    await until(plans)
    await check_cancelled(stage, run)


async def test_a_cancel_ends_a_run_in_the_middle_of_a_step(stage: Stage) -> None:
    run = await stage.runtime.start(stage.agent("hold"), "go")
    await stage.outside.came.wait()
    await check_cancelled(stage, run)


async def test_a_cancel_of_a_run_that_is_being_undone_lets_that_come_to_its_end(stage: Stage) -> None:
    o = stage.outside
    steps = (ToolStep(StepId("book"), "book"), ToolStep(StepId("hold"), "hold", after=(StepId("book"),)))
    plan = Plan(steps, result={"$ref": "hold"})
    undoing = Agent(name="undoing", strategy="fixed", plan=plan, tools=[o.book, o.hold], output=object, compensate=True)
    run = await stage.runtime.start(undoing, "go")
    await o.came.wait()
    o.came.clear()
    await run.cancel()
    await o.came.wait()
    await run.cancel(note="again")
    await asyncio.sleep(0.1)
    assert not (await run.state()).is_ended
    o.gate.set()
    assert (await run.settled()).state == "cancelled"
    assert o.done == ["undone booked"]
    assert [fact.event.type async for fact in run.facts()][-1] == "run.cancelled"


async def test_a_cancel_ends_a_run_that_stands_behind_another_of_its_session_when_its_turn_comes(stage: Stage) -> None:
    o, options = stage.outside, StartOptions(session="chat")
    first = await stage.runtime.start(stage.agent("hold"), "go", options=options)
    second = await stage.runtime.start(stage.agent("pay"), "go too", options=options)
    third = await stage.runtime.start(stage.agent("book"), "and I", options=options)
    await o.came.wait()
    await second.cancel()
    await asyncio.sleep(0.1)
    assert (await stage.runtime.journal.row(second.tenant, second.run_id)).behind == first.run_id
    o.gate.set()
    assert [(await run.settled()).state for run in (first, second, third)] == ["succeeded", "cancelled", "succeeded"]
    assert o.done == ["act", "act"]


async def test_a_cancel_ends_a_run_whose_code_has_changed(stage: Stage) -> None:
    run = await stage.runtime.start(stage.agent("pay"), "go")
    await until_reason(run, "approval")
    changed = stage.agent("pay").with_options(tools=[renamed("pay"), stage.outside.act])
    await (await stage.runtime.resume(run.run_id, agent=changed)).settled()
    await until_reason(run, "code_changed")
    await check_cancelled(stage, run)


def renamed(name: str) -> Tool:
    @tool(effect="once", approval=True, name=name)
    async def other(context: ToolContext[None], much: int = 1) -> str:
        """Pay much."""
        return "paid"

    return other


async def test_a_cancel_ends_a_run_that_is_parked_since_its_owners_were_lost(stage: Stage) -> None:
    agent = stage.agent("book").with_options(limits=Limits(max_crashes=0))
    run = await stage.runtime.enqueue(agent, "go")
    journal = stage.runtime.journal
    for epoch in (1, 2):
        claim = await journal.claim(run.tenant, run.run_id, stage.runtime.stage.owner, lease_s=0.01)
        assert claim.epoch == epoch
        await asyncio.sleep(0.05)
    await (await stage.runtime.resume(run.run_id, agent=agent)).settled()
    await until_reason(run, "crash_loop")
    await check_cancelled(stage, run)
