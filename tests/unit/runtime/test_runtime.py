"""Runs in the hands of a runtime: started, followed, stopped, resumed."""

import asyncio
import io
import json
import logging
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk import (
    Agent,
    App,
    Fact,
    Limits,
    RequestError,
    RunCancelled,
    RunExpired,
    RunFailed,
    RunFilter,
    RunSuspended,
    Runtime,
    RunWaits,
    StartOptions,
    ToolContext,
    subagent,
    tool,
)
from agent_sdk.config import load_settings
from agent_sdk.core.errors import AuthFailed, JournalCorrupt, NotFound, RunEnded
from agent_sdk.core.events import RunCreated, StepFailed, StepStarted
from agent_sdk.core.ids import PrincipalId, RunId, StepId, TenantId
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import AttemptStarted, Delta, ModelReply, ModelRequest, ReasoningDelta, ReplyDone, TextDelta
from agent_sdk.core.plan import Plan, ToolStep
from agent_sdk.core.ports import TokenDelta
from agent_sdk.core.usage import NO_USAGE
from agent_sdk.llm.failures import CircuitOpen
from agent_sdk.observability import configure_logging, trace_id_of
from agent_sdk.runtime.replay import replay
from agent_sdk.testing import Call, ScriptedModel, ScriptItem


@tool(effect="read")
async def add(a: int, b: int = 5) -> int:
    """Add two numbers."""
    return a + b


def adder(*script: ScriptItem) -> Agent[None, str]:
    return Agent(name="adder", model=ScriptedModel(script), tools=[add])


class Gate:
    """A tool that says when it began and waits until it may end."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.calls = 0

    @tool(effect="read", name="wait")
    async def read(self) -> str:
        """Wait for leave."""
        return await self._pass()

    @tool(effect="once", name="send")
    async def once(self) -> str:
        """Send something, once."""
        return await self._pass()

    async def _pass(self) -> str:
        self.calls += 1
        self.began.set()
        await self.may_end.wait()
        return "passed"


def gated(gate: Gate, *script: ScriptItem) -> Agent[None, str]:
    return Agent(name="gated", model=ScriptedModel(script), tools=[gate.read, gate.once])


async def test_watch_yields_every_fact_up_to_the_end() -> None:
    agent = adder(Call("add", {"a": 1}), "six")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "add")
        seen = [fact async for fact in run.watch()]
    assert [fact.seq for fact in seen] == list(range(1, len(seen) + 1))
    assert [fact.event.type for fact in seen] == [
        "run.created",
        "run.claimed",
        "model.called",
        "step.started",
        "step.finished",
        "model.called",
        "run.succeeded",
    ]


async def test_the_first_fact_holds_what_the_run_was_started_with() -> None:
    agent = adder("hello")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "greet", options=StartOptions(tags=("a", "b"), principal=PrincipalId("ann")))
        await run.result()
        created = await anext(fact.event async for fact in run.facts())
    assert isinstance(created, RunCreated)
    assert (created.agent, created.goal, created.tags, created.principal) == ("adder", "greet", ("a", "b"), "ann")


async def test_a_failed_run_raises_with_the_code_of_what_ended_it() -> None:
    agent = adder()
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "add")
        with pytest.raises(RunFailed) as error:
            await run.result()
    assert error.value.failure_code == "script_exhausted"


async def test_a_cancelled_run_ends_and_says_so() -> None:
    gate = Gate()
    agent = gated(gate, Call("wait"), "never")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
        await run.cancel(by=PrincipalId("ann"), note="enough")
        with pytest.raises(RunCancelled):
            await run.result()
        assert (await run.state()).state == "cancelled"
        with pytest.raises(RunEnded):
            await run.cancel()


async def test_a_run_past_its_deadline_expires() -> None:
    gate = Gate()
    agent = gated(gate, Call("wait"), "never")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait", options=StartOptions(timeout_s=0.01))
        with pytest.raises(RunExpired):
            await run.result()


async def test_a_suspended_run_is_resumed_where_it_stood() -> None:
    gate = Gate()
    agent = gated(gate, Call("wait"), "done")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
        await run.suspend()
        with pytest.raises(RunSuspended):
            await run.result()
        gate.may_end.set()
        again = await runtime.resume(run.run_id)
        assert await again.result() == "done"
    assert gate.calls == 2


async def test_an_effect_under_way_may_end_before_the_run_is_handed_back() -> None:
    gate = Gate()
    agent = gated(gate, Call("send"), "done")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "send")
        await gate.began.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run.suspend(grace_s=60))
            await asyncio.sleep(0)
            gate.may_end.set()
        assert (await run.state()).graph.steps[StepId("t1.1")].status == "finished"
        assert await (await runtime.resume(run.run_id)).result() == "done"
    assert gate.calls == 1


async def test_an_effect_that_outlasts_the_grace_is_unknown_and_waits_for_a_decision() -> None:
    gate = Gate()
    agent = gated(gate, Call("send"), "done")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "send")
        await gate.began.wait()
        await run.suspend(grace_s=0.01)
        waiting = await runtime.resume(run.run_id)
        with pytest.raises(RunWaits, match="unknown_effect"):
            await waiting.result()
        with pytest.raises(RequestError, match="send returns string, and the output given is None"):
            await runtime.decide(run.run_id, StepId("t1.1"), "done")
        await runtime.decide(run.run_id, StepId("t1.1"), "done", output="passed", by=PrincipalId("ann"))
        assert await (await runtime.resume(run.run_id)).result() == "done"
    assert gate.calls == 1


async def test_leaving_the_runtime_hands_its_runs_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    gate = Gate()
    agent = gated(gate, Call("wait"), "done")
    async with Runtime.open(url, app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
    gate.may_end.set()
    async with Runtime.open(url, app=App([agent])) as runtime:
        assert (await runtime.attach(run.run_id).state()).state == "queued"
        assert await (await runtime.resume(run.run_id)).result() == "done"


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Runtime.open(app=App([])):
            raise ZeroDivisionError


async def test_a_cancelled_task_hands_its_run_back_and_stays_cancelled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    gate = Gate()
    agent = gated(gate, Call("wait"), "done")
    ids: list[RunId] = []

    async def work() -> None:
        async with Runtime.open(url, app=App([agent])) as runtime:
            run = await runtime.start(agent, "wait")
            ids.append(run.run_id)
            await run.result()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        await gate.began.wait()
        task.cancel()
    assert task.cancelled()
    async with Runtime.open(url, app=App([agent])) as runtime:
        assert (await runtime.attach(ids[0]).state()).state == "queued"


async def test_a_message_reaches_the_model_before_its_next_turn() -> None:
    gate = Gate()
    model = ScriptedModel([Call("wait"), "done"])
    agent: Agent[None, str] = Agent(name="gated", model=model, tools=[gate.read])
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
        await runtime.send(run.run_id, "hurry")
        async for fact in run.watch():
            if fact.event.type == "message.received":
                gate.may_end.set()
        await run.result()
    assert [message.role for message in model.requests[1].conversation] == ["user", "assistant", "tool", "user"]


async def test_stream_text_yields_the_reply_as_it_comes() -> None:
    agent = adder("one two three")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "count")
        assert "".join([text async for text in run.stream_text()]) == "one two three"


async def test_stream_text_brings_what_a_slow_reader_missed_of_a_reply() -> None:
    agent = adder(said := "".join(f"word{number} " for number in range(3000)))
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "count")
        pieces = [text async for text in run.stream_text()]
    assert "".join(pieces) == said
    assert len(pieces) < 3000, "the model said it faster than anybody reads"


class Retold:
    """A model that begins twice, and says more in the whole than it streams."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        for delta in (TextDelta("wr"), AttemptStarted(2), ReasoningDelta("so"), TextDelta("righ")):
            yield delta
        yield ReplyDone(await self.complete(request))

    async def complete(self, request: ModelRequest) -> ModelReply:
        return ModelReply(Message("assistant", (TextPart("right"),)), NO_USAGE)


async def test_stream_text_goes_on_from_what_the_newest_attempt_said() -> None:
    agent: Agent[None, str] = Agent(name="a", model=Retold())
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "count")
        assert [text async for text in run.stream_text()] == ["wr", "righ", "t"]


async def test_stream_yields_deltas_with_their_place() -> None:
    agent = adder("one two")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "count")
        items = [item async for item in run.stream()]
    assert all(isinstance(item, TokenDelta) and (item.step, item.attempt) == ("t1", 1) for item in items)
    assert [item.index for item in items if isinstance(item, TokenDelta)] == list(range(len(items)))


class Total(BaseModel):
    total: int


async def test_text_of_a_validated_answer_is_not_streamed() -> None:
    agent = Agent(name="a", model=ScriptedModel([{"total": 1}]), output=Total)
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "count")
        with pytest.raises(RequestError, match="validated"):
            _ = [text async for text in run.stream_text()]


async def test_runs_lists_newest_first_and_by_state() -> None:
    agent = adder("a", "b")
    async with Runtime.open(app=App([agent])) as runtime:
        first, second = await runtime.start(agent, "a"), await runtime.start(agent, "b")
        await first.result()
        await second.result()
        assert {row.run_id for row in await runtime.runs()} == {first.run_id, second.run_id}
        assert await runtime.runs(RunFilter(states=frozenset({"failed"}))) == []


async def test_tenants_do_not_see_one_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    agent = adder("a")
    async with Runtime.open(url, app=App([agent]), tenant="ours") as runtime:
        run = await runtime.start(agent, "a")
        await run.result()
    async with Runtime.open(url, app=App([agent]), tenant="theirs") as runtime:
        assert await runtime.runs() == []
        with pytest.raises(NotFound):
            await runtime.attach(run.run_id).state()


async def test_an_ended_run_is_not_resumed() -> None:
    agent = adder("a")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "a")
        await run.result()
        with pytest.raises(RunEnded):
            await runtime.resume(run.run_id)


async def test_a_run_of_an_agent_that_the_app_does_not_know_stays_claimable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    gate = Gate()
    agent = gated(gate, Call("wait"), "done")
    async with Runtime.open(url, app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
    gate.may_end.set()
    async with Runtime.open(url, app=App([])) as runtime:
        with pytest.raises(NotFound, match="no agent 'gated'"):
            await runtime.resume(run.run_id)
    async with Runtime.open(url, app=App([agent])) as runtime:
        assert await (await runtime.resume(run.run_id)).result() == "done"


async def test_a_run_with_live_dependencies_is_not_resumed_without_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    gate = Gate()
    agent = Agent(name="gated", model=ScriptedModel([Call("wait"), "done"]), tools=[gate.read], live_deps=object())
    async with Runtime.open(url, app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
    async with Runtime.open(url, app=App([gated(gate)])) as runtime:
        with pytest.raises(RequestError, match="live dependencies"):
            await runtime.resume(run.run_id)


async def test_hooks_and_sinks_see_every_fact_and_a_failing_hook_stops_nothing() -> None:
    seen: list[str] = []

    def hook(_tenant: TenantId, _run_id: RunId, fact: Fact) -> None:
        seen.append(fact.event.type)
        if isinstance(fact.event, StepStarted):
            raise RuntimeError("a broken hook")

    agent = adder(Call("add", {"a": 1}), "six")
    async with Runtime.open(app=App([agent], hooks=[hook])) as runtime:
        assert await (await runtime.start(agent, "add")).result() == "six"
    assert seen == ["run.created", "run.claimed", "model.called", "step.started", "step.finished", "model.called", "run.succeeded"]


async def test_plan_only_answers_with_the_checked_plan_and_performs_nothing() -> None:
    plan: dict[str, JsonValue] = {"steps": [{"id": "sum", "tool": "add", "args": {"a": 1}}], "result": {"$ref": "sum"}}
    bad: dict[str, JsonValue] = {"steps": [{"id": "sum", "tool": "plus", "args": {"a": 1}}], "result": {"$ref": "sum"}}
    agent: Agent[None, str] = Agent(name="planner", model=ScriptedModel([bad, plan]), tools=[add], strategy="plan")
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "add", options=StartOptions(plan_only=True))
        settled = await run.settled()
        kinds = [fact.event.type async for fact in run.facts()]
    assert settled.state == "succeeded"
    assert isinstance(settled.answer, dict)
    assert kinds == ["run.created", "run.claimed", "model.called", "plan.rejected", "model.called", "run.succeeded"]


async def test_a_run_with_an_altered_event_is_not_resumed_and_the_event_is_named(tmp_path: Path) -> None:
    gate = Gate()
    agent = gated(gate, Call("wait"), "done")
    async with Runtime.open(f"sqlite:///{tmp_path}/agent.db", app=App([agent])) as runtime:
        run = await runtime.start(agent, "wait")
        await gate.began.wait()
    with closing(sqlite3.connect(tmp_path / "agent.db")) as db, db:
        db.execute("UPDATE events SET meta = replace(meta, 'turn', 'plan') WHERE seq = 3")
    async with Runtime.open(f"sqlite:///{tmp_path}/agent.db", app=App([agent])) as runtime:
        with pytest.raises(JournalCorrupt, match="event 3 of run"):
            await runtime.resume(run.run_id)
    assert gate.calls == 1


async def test_a_plan_only_run_that_is_resumed_still_performs_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    asked = asyncio.Event()
    plan: dict[str, JsonValue] = {"steps": [{"id": "sum", "tool": "add", "args": {"a": 1}}], "result": {"$ref": "sum"}}

    async def never(_: ModelRequest) -> str:
        asked.set()
        await asyncio.Event().wait()
        return ""

    planner: Agent[None, str] = Agent(name="planner", model=ScriptedModel([never]), tools=[add], strategy="plan")
    async with Runtime.open(url, app=App([planner])) as runtime:
        run = await runtime.start(planner, "add", options=StartOptions(plan_only=True))
        await asked.wait()
    async with Runtime.open(url, app=App([])) as runtime:
        again = await runtime.resume(run.run_id, agent=planner.with_options(model=ScriptedModel([plan])))
        settled = await again.settled()
    assert isinstance(settled.answer, dict)
    assert settled.graph.steps == {}


async def test_plan_only_is_refused_for_an_agent_that_makes_no_plan() -> None:
    agent = adder("six")
    async with Runtime.open(app=App([agent])) as runtime:
        with pytest.raises(RequestError, match="makes no plan"):
            await runtime.start(agent, "add", options=StartOptions(plan_only=True))
        assert await runtime.runs() == []


@pytest.mark.parametrize(("named", "found"), [(None, "acme"), ("other", "other"), ("default", "default")])
async def test_runs_belong_to_the_tenant_that_is_named_else_to_that_of_the_settings(named: str | None, found: str, tmp_path: Path) -> None:
    settings = load_settings(overrides={"tenant": "acme"}, environ={}, cwd=tmp_path)
    agent = Agent(name="a", model=ScriptedModel(["done"]))
    async with Runtime.open(app=App([agent]), tenant=named, settings=settings) as runtime:
        run = await runtime.start(agent, "go")
        assert (await run.state()).tenant == runtime.tenant == found


@pytest.mark.parametrize(("own", "turns"), [(None, 2), (5, 5)])
async def test_an_agent_that_says_nothing_of_its_limits_takes_those_of_the_settings(own: int | None, turns: int, tmp_path: Path) -> None:
    model = ScriptedModel([Call("add", {"a": turn}) for turn in range(9)])
    agent: Agent[None, str] = Agent(name="adder", model=model, tools=[add])
    if own is not None:
        agent = agent.with_options(limits=Limits(max_turns=own))
    settings = load_settings(overrides={"limits.max_turns": 2}, environ={}, cwd=tmp_path)
    async with Runtime.open(app=App([agent]), settings=settings) as runtime:
        with pytest.raises(RunFailed, match="turns") as error:
            await (await runtime.start(agent, "add")).result()
    assert error.value.failure_code == "turn_limit"
    assert len(model.requests) == turns


@pytest.mark.parametrize("where", ["handed in", "environment"])
async def test_an_agent_that_names_no_model_has_that_of_the_settings(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT_SDK__MODEL", "openai:of-the-environment")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    handed = load_settings(overrides={"model": "openai:handed-in"}, environ={"OPENAI_API_KEY": "k"}, cwd=tmp_path)
    child: Agent[None, str] = Agent(name="child")
    agent: Agent[None, str] = Agent(name="asker", tools=[subagent(child, description="Help.")])
    async with Runtime.open(app=App([agent]), settings=handed if where == "handed in" else None) as runtime:
        run = await runtime.enqueue(agent, "go")
        created = (await run.state()).created
        assert created is not None
        assert created.model == f"openai:{'handed-in' if where == 'handed in' else 'of-the-environment'}"
        assert runtime.stage.completed(child).model == created.model


async def test_an_agent_that_needs_no_model_or_names_one_has_none_of_the_settings(tmp_path: Path) -> None:
    settings = load_settings(overrides={"model": "openai:m"}, environ={}, cwd=tmp_path)
    plan = Plan(steps=(ToolStep(id=StepId("one"), tool="add", args={"a": 1}),), result={"$ref": "one"})
    fixed: Agent[None, str] = Agent(name="fixed", strategy="fixed", plan=plan, tools=[add])
    own = adder("six")
    async with Runtime.open(app=App([fixed, own]), settings=settings) as runtime:
        assert runtime.stage.completed(fixed).model is None
        assert runtime.stage.completed(own).model is own.model


async def test_what_a_tool_logs_carries_run_step_and_trace() -> None:
    @tool(effect="read")
    async def look(ctx: ToolContext[None]) -> str:
        """Look."""
        ctx.log.warning("seen %s", "something")
        logging.getLogger("agent_sdk.elsewhere").warning("by the way")
        return "looked"

    stream = io.StringIO()
    logger = logging.getLogger("agent_sdk")
    before = (list(logger.handlers), logger.level, logger.propagate)
    configure_logging("INFO", "json", stream)
    agent: Agent[None, str] = Agent(name="looker", model=ScriptedModel([Call("look"), "done"]), tools=[look])
    try:
        async with Runtime.open(app=App([agent])) as runtime:
            run = await runtime.start(agent, "look")
            await run.result()
    finally:
        logger.handlers, logger.level, logger.propagate = before
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    seen, aside = (next(line for line in lines if line["message"] == message) for message in ("seen something", "by the way"))
    assert (seen["run_id"], seen["step_id"], seen["tenant"]) == (run.run_id, "t1.1", "default")
    assert aside["run_id"] == run.run_id
    assert seen["trace_id"] == aside["trace_id"] == trace_id_of(run.run_id)


class Broken:
    """A model of the author's that always fails."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise AuthFailed("its key is no key")

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        raise NotImplementedError


class Away(Broken):
    async def complete(self, request: ModelRequest) -> ModelReply:
        raise CircuitOpen("it is left alone")


async def test_a_run_whose_models_all_failed_names_each_of_them_and_replays() -> None:
    agent: Agent[None, str] = Agent(name="asker", model=Away(), fallbacks=[Broken()])
    async with Runtime.open(app=App([agent])) as runtime:
        run = await runtime.start(agent, "go")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        told = "its key is no key (tried the model asked for: circuit_open, object:Broken: model_auth_failed)"
        assert told in caught.value.message
        failure = (await run.state()).failure
        assert failure is not None
        assert failure.message == told
        assert [fact.event.message async for fact in run.facts() if isinstance(fact.event, StepFailed)] == [told]
        assert (await replay(runtime.journal, runtime.tenant, run.run_id, agent)).is_identical
