"""Runs that wait, and what comes to them twice, too late, too early, or never: on every store, with a runtime for each who takes part."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent_sdk import Agent, App, Plan, PrincipalId, RequestError, RunHandle, RunId, Runtime, StepId, ToolContext, ToolStep, Worker, tool
from agent_sdk.core.errors import JournalCorrupt, NotFound
from agent_sdk.core.events import ApprovalDecided, ApprovalRequested, MessageReceived, RunClaimed, RunWaiting, SignalReceived
from agent_sdk.core.ports import RunFilter, Tool
from agent_sdk.runtime import AgentDeclaration, WorkerOptions
from agent_sdk.runtime.audit import audit
from agent_sdk.runtime.doctor import Examined, examine
from agent_sdk.runtime.system import SystemClock
from agent_sdk.tools import wait_for_signal, wait_until
from tests.contract.postgres_store import connected
from tests.integration.workers_scene import until

ANN, BOB = PrincipalId("ann"), PrincipalId("bob")
PAY = StepId("pay")
paid: Counter[str] = Counter()


@tool(effect="once", approval=True)
async def pay(context: ToolContext[None]) -> str:
    """Pay, if somebody allows it."""
    paid[context.run_id] += 1
    return "paid"


@tool(effect="once", approval=True, approval_s=0.3, name="pay")
async def pay_soon(context: ToolContext[None]) -> str:
    """Pay, if somebody allows it soon."""
    paid[context.run_id] += 1
    return "paid"


def single(used: str, tools: Sequence[Tool]) -> Agent[None, object]:
    plan = Plan((ToolStep(StepId(used), used),), result={"$ref": used})
    return Agent(name=used, strategy="fixed", plan=plan, tools=tools, output=object)


payer, hasty = single("pay", [pay]), single("pay", [pay_soon])


@dataclass(slots=True)
class Place:
    """A journal, and as many runtimes over it as a test asks for, as if each was a process's own."""

    url: str
    stack: AsyncExitStack

    async def runtime(self, *agents: AgentDeclaration[None, object]) -> Runtime:
        return await self.stack.enter_async_context(Runtime.open(self.url, app=App(agents), lease_s=5.0))


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    url = f"sqlite:///{tmp_path / 'agent.db'}" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    async with AsyncExitStack() as stack:
        yield Place(url, stack)


async def at_rest(place: Place, agent: AgentDeclaration[None, object]) -> tuple[Runtime, RunHandle[object]]:
    """Start a run that waits for an approval."""
    runtime = await place.runtime(agent)
    run = await runtime.start(agent, "go")
    assert (await run.settled()).reason == "approval"
    return runtime, run


async def test_an_approval_that_two_people_give_at_once_is_taken_once_and_the_other_is_told_of(place: Place) -> None:
    runtime, run = await at_rest(place, payer)
    others = [await place.runtime() for _ in range(2)]
    async with asyncio.TaskGroup() as tasks:
        for other, who in zip(others, (ANN, BOB), strict=True):
            tasks.create_task(approve_or_be_refused(other, run.run_id, who))
    assert (await run.settled()).state == "succeeded"
    facts = [fact.event async for fact in run.facts()]
    assert len([event for event in facts if isinstance(event, ApprovalDecided)]) == 1
    assert len([event for event in facts if isinstance(event, MessageReceived)]) <= 1
    assert paid[run.run_id] == 1
    assert (await runtime.journal.row(runtime.tenant, run.run_id)).owner is None


async def approve_or_be_refused(runtime: Runtime, run_id: RunId, who: PrincipalId) -> None:
    with contextlib.suppress(RequestError):  # it was decided, or the run has ended
        await runtime.approve(run_id, PAY, by=who)


async def test_an_approval_that_is_given_twice_before_it_is_read_makes_one_call_and_one_refusal(place: Place) -> None:
    async with Runtime.open(place.url, app=App([payer])) as before:
        run_id = (await before.start(payer, "go")).run_id
        assert (await before.attach(run_id).settled()).reason == "approval"
    reader, runtime = await place.runtime(), await place.runtime(payer)
    for who in (ANN, BOB):
        await reader.approve(run_id, PAY, by=who)
    run = await runtime.resume(run_id)
    assert (await run.settled()).state == "succeeded"
    events = [fact.event async for fact in run.facts()]
    assert [event.by for event in events if isinstance(event, ApprovalDecided)] == [ANN]
    assert ["waits for no approval" in (event.refused or "") for event in events if isinstance(event, MessageReceived)] == [True]
    assert len([event for event in events if isinstance(event, ApprovalRequested)]) == 1
    assert paid[run_id] == 1


async def test_an_approval_after_its_time_is_refused_and_the_call_is_never_made(place: Place) -> None:
    runtime, run = await at_rest(place, hasty)
    await asyncio.sleep(0.4)
    with pytest.raises(RequestError):
        await until_refused(runtime, run.run_id)
    assert (await run.settled()).state == "failed"
    rulings = [fact.event.ruling async for fact in run.facts() if isinstance(fact.event, ApprovalDecided)]
    assert rulings == ["expire"]
    assert paid[run.run_id] == 0


async def until_refused(runtime: Runtime, run_id: RunId) -> None:
    """Approve until that is refused, as it is once the run has noted that the time is up."""
    for _ in range(200):
        await runtime.approve(run_id, PAY, by=ANN)
        await asyncio.sleep(0.05)


async def test_a_signal_that_comes_before_the_run_waits_for_it_is_kept_for_it(place: Place) -> None:
    hearer = single("wait_for_mail", [wait_for_signal("mail", payload=str)])
    runtime = await place.runtime(hearer)
    run = await runtime.enqueue(hearer, "go")
    await (await place.runtime()).signal(run.run_id, "mail", "early", by=ANN)
    ended = await (await runtime.resume(run.run_id)).settled()
    assert (ended.state, ended.answer) == ("succeeded", "early")
    assert [fact.event.name async for fact in run.facts() if isinstance(fact.event, SignalReceived)] == ["mail"]
    assert [fact async for fact in run.facts() if isinstance(fact.event, RunWaiting)] == []


@tool(effect="read")
async def gather() -> str:
    """Gather so much that it is kept as an artifact."""
    return "grain " * 20_000


async def test_an_artifact_whose_bytes_were_altered_is_named_and_nothing_is_built_on_it(place: Place) -> None:
    plan = Plan((ToolStep(StepId("gather"), "gather"), ToolStep(PAY, "pay", after=(StepId("gather"),))), result={"$ref": "pay"})
    agent = Agent(name="gatherer", strategy="fixed", plan=plan, tools=[gather, pay], output=object)
    runtime, run = await at_rest(place, agent)
    assert (await audit(runtime.journal, runtime.tenant, run.run_id)).unsound == ()
    await alter_artifacts(place.url)
    with pytest.raises(JournalCorrupt, match="artifact"):
        await runtime.resume(run.run_id)
    (found,) = (await audit(runtime.journal, runtime.tenant)).unsound
    assert found.run_id == run.run_id
    (artifact,) = found.artifacts
    assert f"artifact {artifact} of run {run.run_id}" in found.problems[0]
    assert paid[run.run_id] == 0
    assert (await runtime.journal.row(runtime.tenant, run.run_id)).owner is None


async def alter_artifacts(url: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
            db.execute("UPDATE artifacts SET data = CAST(replace(CAST(data AS TEXT), 'grain', 'chaff') AS BLOB)")
        return
    async with connected(url) as connection:
        await connection.execute("UPDATE agent_sdk.artifacts SET data = overlay(data placing 'chaff'::bytea from 3)")


async def test_a_run_whose_agent_is_gone_from_the_code_is_left_alone_and_named(place: Place) -> None:
    runtime = await place.runtime(payer)
    run = await runtime.enqueue(payer, "go")
    elsewhere = await place.runtime(single("wait_for_mail", [wait_for_signal("mail")]))
    worker = Worker(elsewhere)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        await asyncio.sleep(0.5)
        worker.drain()
    assert worker.taken == 0
    with pytest.raises(NotFound, match="no agent 'pay'"):
        await elsewhere.resume(run.run_id)
    row = await runtime.journal.row(runtime.tenant, run.run_id)
    assert row.owner is None
    checks = await examine(place.url, Examined(runtime.tenant, LateClock(), agents={("wait_for_mail", "1")}))
    named = [(check.name, check.status, "does not carry pay 1" in check.said) for check in checks if check.status != "ok"]
    assert named == ([("due runs", "warn", True)] if place.url.startswith("sqlite") else [("clock", "warn", False)])
    assert (await (await runtime.resume(run.run_id)).settled()).reason == "approval"


class LateClock(SystemClock):
    """An hour on, when nobody should wait any longer; a PostgreSQL journal goes by its own time."""

    def now_us(self) -> int:
        return super().now_us() + 3_600_000_000


@pytest.mark.slow
async def test_a_thousand_runs_that_wake_at_the_same_second_are_each_performed_once(place: Place) -> None:
    done: Counter[str] = Counter()

    @tool(effect="once")
    async def act(context: ToolContext[None]) -> str:
        """Act."""
        done[context.run_id] += 1
        return "done"

    at = datetime.now(UTC) + timedelta(seconds=15)
    steps = (ToolStep(StepId("rise"), "wait_until", {"until": at.isoformat()}), ToolStep(StepId("act"), "act", after=(StepId("rise"),)))
    riser = Agent(name="riser", strategy="fixed", plan=Plan(steps, result={"$ref": "act"}), tools=[wait_until(), act], output=object)
    workers = [Worker(await place.runtime(riser), WorkerOptions(concurrency=100)) for _ in range(2)]
    runtime = workers[0].runtime
    async with asyncio.TaskGroup() as tasks:
        for worker in workers:
            tasks.create_task(worker.run())
        for number in range(1000):
            await runtime.enqueue(riser, f"rise {number}")

        async def are_over() -> bool:
            return len(await runtime.runs(RunFilter(frozenset({"succeeded"}), limit=1001))) == 1000

        await until(are_over)
        for worker in workers:
            worker.drain()
    assert set(done.values()) == {1}
    assert len(done) == 1000
    rows = await runtime.runs(RunFilter(limit=1001))
    assert {(row.state, row.owner) for row in rows} == {("succeeded", None)}
    claims = [len([fact async for fact in runtime.attach(row.run_id).facts() if isinstance(fact.event, RunClaimed)]) for row in rows[::50]]
    assert max(claims) <= 2
    assert all(worker.taken for worker in workers)
