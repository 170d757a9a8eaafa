"""Workers that are blocked, stopped, drained and outdated in the middle of what they do: no run is lost, and no effect repeated."""

import asyncio
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from agent_sdk import PrincipalId, Runtime, StepId
from agent_sdk.core.events import RunClaimed, RunWaiting, RunWoken
from agent_sdk.core.ids import RunId
from tests.integration.crash_matrix.person import Person
from tests.integration.crash_matrix.workers import counting
from tests.integration.terminal import piped
from tests.integration.workers_app import blocker, pair, payer, sender
from tests.integration.workers_scene import LEASE_S, Scene, check_journal, until

ANN = PrincipalId("ann")
pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Scene]:
    url = f"sqlite:///{tmp_path / 'agent.db'}" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    with counting() as counter:
        made = Scene(url, counter, tmp_path)
        yield made
        made.close()


async def test_a_tool_that_blocks_its_process_for_longer_than_the_lease_loses_no_run(scene: Scene) -> None:
    async with scene.runtime() as runtime:
        await scene.worker()
        await scene.worker()
        run = await runtime.enqueue(blocker, "go")
        assert (await run.settled()).state == "succeeded"
        assert await check_journal(runtime, run.run_id) == 1
        assert await scene.asked(f"{run.run_id}/send") == 1


@pytest.mark.parametrize("is_over", [True, False], ids=["when the run has ended", "while the run goes on"])
async def test_a_worker_that_was_stopped_for_longer_than_its_lease_does_nothing_more(scene: Scene, is_over: bool) -> None:
    async with scene.runtime() as runtime:
        zombie = await scene.worker()
        run = await runtime.enqueue(pair, "go")
        await scene.until_asked(f"{run.run_id}/send_0")
        zombie.send(signal.SIGSTOP)
        other = await scene.worker()
        await until_unknown(runtime, run.run_id, "send_0")
        if not is_over:
            zombie.send(signal.SIGCONT)
            await zombie.says("taken over", "stopped")
        await runtime.decide(run.run_id, StepId("send_0"), "done", output="send_0 done", by=ANN)
        assert (await run.settled()).state == "succeeded"
        zombie.send(signal.SIGCONT)
        await zombie.says("taken over", "stopped")
        assert await check_journal(runtime, run.run_id) >= 2
        for worker in (zombie, other):
            worker.send(signal.SIGTERM)
            assert await worker.ends() == 0
        assert [await scene.asked(f"{run.run_id}/send_{number}") for number in (0, 1)] == [1, 1]


async def until_unknown(runtime: Runtime, run_id: RunId, step: str) -> None:
    async def is_unknown() -> bool:
        return StepId(step) in (await runtime.attach(run_id).state()).graph.unknown

    await until(is_unknown)


@pytest.mark.parametrize("grace_s", ["5", "1", "0"])
async def test_a_worker_that_is_told_to_end_in_the_middle_of_effects_loses_nothing(scene: Scene, grace_s: str) -> None:
    person = Person(scene.counter)
    async with scene.runtime() as runtime, asyncio.TaskGroup() as tasks:
        attending = tasks.create_task(person.attend(runtime))
        first = await scene.worker("--grace", grace_s)
        runs = [await runtime.enqueue(sender, f"letter {number}") for number in range(5)]
        await scene.until_asked(*(f"{run.run_id}/send_0" for run in runs))
        first.send(signal.SIGTERM)
        assert await first.ends() == 0
        assert [row.owner for row in await runtime.runs()] == [None] * 5
        await scene.worker()
        keys = [f"{run.run_id}/send_{number}" for run in runs for number in range(6)]
        await scene.until_asked(*keys)

        async def are_over() -> bool:
            return all(row.state == "succeeded" for row in await runtime.runs())

        await until(are_over)
        attending.cancel()
        assert [await scene.asked(key) for key in keys] == [1] * len(keys)
        claims = [await check_journal(runtime, run.run_id) for run in runs]
        assert min(claims) >= (1 if grace_s == "5" else 2)
        assert not person.decided if grace_s == "5" else True


async def test_a_worker_with_other_code_leaves_a_run_alone_until_somebody_accepts_the_code(scene: Scene) -> None:
    async with scene.runtime() as runtime:
        first = await scene.worker()
        run = await runtime.enqueue(payer, "pay")
        assert (await run.settled()).reason == "approval"
        first.send(signal.SIGTERM)
        assert await first.ends() == 0
        await scene.worker(version="2")
        await runtime.approve(run.run_id, StepId("pay"), by=ANN)
        await asyncio.sleep(2 * LEASE_S)
        row = await runtime.journal.row(runtime.tenant, run.run_id)
        assert (row.state, row.reason, row.owner, row.inbox_head - row.inbox_seen) == ("waiting", "approval", None, 1)

        resumed = command(scene, "runs", "resume", run.run_id, "--app", "tests.integration.workers_app:app")
        assert resumed[0] != 0
        assert "code_changed" in resumed[1]
        (waiting,) = [fact.event async for fact in run.facts() if isinstance(fact.event, RunWaiting) and fact.event.changes]
        (change,) = waiting.changes
        assert change.part == "tool:pay"
        assert change.pinned == payer.digests["tool:pay"]
        assert change.current is not None
        assert change.current != change.pinned
        assert "code_changed" in command(scene, "runs", "show", run.run_id)[1]
        shown = command(scene, "runs", "events", run.run_id, "--json")[1]
        assert f'"part":"tool:pay","pinned":"{change.pinned}","current":"{change.current}"' in shown

        assert command(scene, "runs", "wake", run.run_id)[0] == 0
        assert command(scene, "runs", "wake", run.run_id, "--accept-code", "--by", "ann")[0] == 0
        command(scene, "runs", "resume", run.run_id, "--app", "tests.integration.workers_app:app")
        assert (await run.settled()).state == "succeeded"
        (woken,) = [fact.event async for fact in run.facts() if isinstance(fact.event, RunWoken)]
        assert (woken.by, woken.agent_version) == ("ann", "2")
        assert await scene.asked(f"{run.run_id}/pay") == 1


def command(scene: Scene, *words: str) -> tuple[int, str]:
    done = piped(scene.directory, *words, environ=scene.environ("2"))
    return done.returncode, done.stdout + done.stderr


async def test_two_runs_that_two_processes_start_on_one_session_go_one_after_the_other(scene: Scene) -> None:
    words = ("run", "-q", "--app", "tests.integration.workers_app:app", "--agent", "pair", "--session", "chat")
    async with scene.runtime() as runtime:
        async with asyncio.TaskGroup() as tasks:
            begun = [tasks.create_task(asyncio.to_thread(piped, scene.directory, *words, goal, environ=scene.environ())) for goal in "ab"]
        assert [task.result().returncode for task in begun] == [0, 0], [task.result().stderr for task in begun]
        later, earlier = await runtime.runs()
        assert [row.state for row in (earlier, later)] == ["succeeded"] * 2
        folded = await runtime.attach(later.run_id).state()
        assert folded.created is not None
        assert folded.created.previous == earlier.run_id
        ended_at = (await runtime.attach(earlier.run_id).state()).ended_at
        claimed_at = [fact.at async for fact in runtime.attach(later.run_id).facts() if isinstance(fact.event, RunClaimed)]
        assert ended_at is not None
        assert min(claimed_at) >= ended_at
