"""Tools in processes of their own: what crosses, what ends them, and that nothing of them is left."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from agent_sdk.core.errors import NotDone, ToolError
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import NoProcessFree, ProcessPool, ThreadPool, ToolProcessDied
from tests.integration import isolated_tools

pytestmark = pytest.mark.slow

CONTEXT: ToolContext[object] = ToolContext(TenantId("t"), RunId("r"), StepId("s"), attempt=2, idempotency_key="k", deps={"db": "open"})
PROC = Path("/proc")
SCRIPT = """
import asyncio
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import ProcessPool, ThreadPool, refuse_second_main, tool

@tool(isolation="process")
def double(value: int) -> int:
    return 2 * value

def main():
    context = ToolContext(TenantId("t"), RunId("r"), StepId("s"), 1, "k", None)
    print(asyncio.run(double.bound_to(ThreadPool(), ProcessPool()).call({"value": 4}, context)))

"""


@pytest.fixture
def threads() -> Generator[ThreadPool, None, None]:
    pool = ThreadPool(1)
    yield pool
    pool.close()


@pytest.fixture
def processes() -> Generator[ProcessPool, None, None]:
    pool = ProcessPool(2)
    yield pool
    pool.close()


def lives(pid: int) -> bool:
    """Say whether the process runs; one that has ended and was not asked after does not."""
    try:
        os.kill(pid, 0)
        return not PROC.exists() or (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


async def gone(pids: list[int]) -> None:
    """Wait until none of the processes runs; the system takes its time to end what was killed."""
    async with asyncio.timeout(30):
        while any(map(lives, pids)):  # noqa: ASYNC110  (another process sets no event of the loop)
            await asyncio.sleep(0.01)


async def written(pids: Path) -> list[int]:
    async with asyncio.timeout(30):
        while not pids.exists() or len(found := pids.read_text().split()) < 2:  # noqa: ASYNC110  (the same)
            await asyncio.sleep(0.01)
    return [int(pid) for pid in found]


async def test_values_cross_in_both_directions(threads: ThreadPool, processes: ProcessPool) -> None:
    assert await isolated_tools.move.bound_to(threads, processes).call({"spot": {"x": 1}}, CONTEXT) == {"x": 2}
    assert processes.processes == 0


async def test_the_process_is_a_new_one_and_knows_the_call_alone(
    threads: ThreadPool, processes: ProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_tools, "HERE", [1])
    found = await isolated_tools.look_around.bound_to(threads, processes).call({}, CONTEXT)
    assert isinstance(found, dict)
    assert found["context"] == ["t", "r", "s", 2, "k"]
    assert found["here"] == []
    assert found["pid"] != os.getpid()


async def test_the_tools_own_word_crosses(threads: ThreadPool, processes: ProcessPool) -> None:
    with pytest.raises(NotDone, match="nothing was sent"):
        await isolated_tools.refuse.bound_to(threads, processes).call({}, CONTEXT)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS holds no limit of memory, and the declaration says so")
async def test_a_process_over_its_memory_is_the_end_of_the_call_alone(threads: ThreadPool, processes: ProcessPool) -> None:
    fill = isolated_tools.fill.bound_to(threads, processes)
    with pytest.raises(ToolProcessDied, match="ran out of memory: memory_mb is 800") as caught:
        await fill.call({"mib": 900}, CONTEXT)
    assert (caught.value.code, caught.value.hint) == ("tool_process_died", "raise memory_mb, or give it less at a time")
    assert not isinstance(caught.value, NotDone)
    assert await fill.call({"mib": 1}, CONTEXT) == 1024 * 1024


async def test_a_process_over_its_time_is_ended_by_the_system(threads: ThreadPool, processes: ProcessPool) -> None:
    with pytest.raises(ToolProcessDied, match=r"used up its processor time: cpu_s is 0\.5"):
        await isolated_tools.spin.bound_to(threads, processes).call({}, CONTEXT)


async def test_a_process_that_ends_itself_gave_no_answer(threads: ThreadPool, processes: ProcessPool) -> None:
    with pytest.raises(ToolProcessDied, match="ended with exit code 3 and gave no answer"):
        await isolated_tools.die.bound_to(threads, processes).call({}, CONTEXT)


async def test_a_cancel_kills_the_process_and_what_it_started(threads: ThreadPool, processes: ProcessPool, tmp_path: Path) -> None:
    hang = isolated_tools.hang.bound_to(threads, processes)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(hang.call({"pids": str(tmp_path / "pids")}, CONTEXT))
        pids = await written(tmp_path / "pids")
        assert all(map(lives, pids))
        call.cancel()
    assert not lives(pids[0])  # it is gone when the call has ended, and not some time after
    await gone(pids)
    assert processes.processes == 0


async def test_a_call_that_is_cancelled_at_once_leaves_no_process(threads: ThreadPool, processes: ProcessPool, tmp_path: Path) -> None:
    hang = isolated_tools.hang.bound_to(threads, processes)
    for turns in range(4):
        async with asyncio.TaskGroup() as group:
            call = group.create_task(hang.call({"pids": str(tmp_path / "pids")}, CONTEXT))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
        assert processes.processes == 0
    await asyncio.sleep(0.5)
    assert not (tmp_path / "pids").exists()


async def test_closing_the_pool_kills_what_runs(threads: ThreadPool, tmp_path: Path) -> None:
    processes = ProcessPool(1)
    hang = isolated_tools.hang.bound_to(threads, processes)

    async def call() -> None:
        with pytest.raises(ToolProcessDied, match="was killed"):
            await hang.call({"pids": str(tmp_path / "pids")}, CONTEXT)

    async with asyncio.TaskGroup() as group:
        group.create_task(call())
        pids = await written(tmp_path / "pids")
        processes.close()
    await gone(pids)
    with pytest.raises(NoProcessFree):
        await hang.call({"pids": str(tmp_path / "pids")}, CONTEXT)


async def test_no_more_processes_run_at_once_than_the_pool_has_room_for(threads: ThreadPool) -> None:
    processes = ProcessPool(1)
    most = 0

    async def call() -> None:
        nonlocal most
        await isolated_tools.move.bound_to(threads, processes).call({"spot": {"x": 1}}, CONTEXT)

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(call()) for _ in range(2)]
        while not all(each.done() for each in calls):
            most = max(most, processes.processes)
            await asyncio.sleep(0.005)
    assert most == 1


async def test_a_process_ends_with_the_one_that_asked_for_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    owner = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.integration.hanging_owner", str(pids))
    found = await written(pids)
    owner.kill()
    await owner.wait()
    await gone(found)


@pytest.mark.parametrize("guard", ['if __name__ == "__main__":\n    main()\n', ""], ids=["guarded", "unguarded"])
def test_a_script_is_imported_again_and_its_runs_are_not_started_twice(guard: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + (guard or "refuse_second_main()\nmain()\n"))
    began = time.monotonic()
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=20, check=False)
    assert time.monotonic() - began < 10
    if guard:
        assert (done.returncode, done.stdout, done.stderr) == (0, "8\n", "")
    else:
        assert done.stdout == ""
        assert "a tool's process came to the line that starts its parent's runs" in done.stderr
        assert "if __name__ ==" in done.stderr


def test_the_errors_are_a_tools() -> None:
    assert issubclass(ToolProcessDied, ToolError)
    assert issubclass(NoProcessFree, NotDone)
