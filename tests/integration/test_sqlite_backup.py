"""A SQLite journal is copied while other processes write to it."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent_sdk.core.errors import RequestError
from agent_sdk.core.ids import RunId
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.backup import Tools, create_backup, restore_backup, verify_backup
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import TENANT, created

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
RUNS = [RunId("run-b"), RunId("run-c")]
TOOLS = Tools(SystemClock())


@asynccontextmanager
async def writing(path: Path, run_id: RunId) -> AsyncGenerator[asyncio.StreamReader]:
    """Let another process append to a run without end; it prints the number of each durable event, and is killed at last."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.owner_process", str(path), run_id, f"owner-of-{run_id}", str(10**6),
        stdout=asyncio.subprocess.PIPE, cwd=REPOSITORY,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def test_each_copy_is_whole_and_holds_what_was_durable_before_it_began(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    url = f"sqlite:///{path}"
    journal = await SqliteJournal.open(path, clock=SystemClock())
    for run_id in RUNS:
        await journal.create(TENANT, run_id, [created()])
    async with writing(path, RUNS[0]) as first, writing(path, RUNS[1]) as second:
        for number in range(3):
            durable = [int(await lines.readline()) for lines in (first, second)]
            manifest = await create_backup(url, tmp_path / f"backup-{number}", TOOLS)
            assert manifest.contents.events >= sum(durable)
        with pytest.raises(RequestError, match="is in use"):
            await restore_backup(tmp_path / "backup-0", url, TOOLS, force=True)
    await journal.close()
    for number in range(3):
        verified = await verify_backup(tmp_path / f"backup-{number}", TOOLS)
        assert (verified.how, verified.problems) == ("restored", ())
    verified = await restore_backup(tmp_path / "backup-2", url, TOOLS, force=True)
    restored = await SqliteJournal.open(path, clock=SystemClock())
    heads = [(await restored.row(TENANT, run_id)).head for run_id in RUNS]
    assert sum(heads) == verified.manifest.contents.events
    await restored.close()
