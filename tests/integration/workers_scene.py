"""Workers as an operator starts them, each in a process of its own, over a journal that a test opens as well."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from agent_sdk import App, Runtime
from agent_sdk.core.events import RunClaimed, Terminal
from agent_sdk.core.ids import RunId
from agent_sdk.storage import verify_chain
from tests.integration.crash_matrix.person import report
from tests.integration.terminal import MAIN, ROOT, surroundings
from tests.integration.workers_app import app

LEASE_S = 1.5
PATIENCE_S = 120.0


@dataclass(slots=True)
class Worker:
    """A worker's process, and where it writes what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def says(self, *texts: str) -> None:
        """Return when it has said one of the texts."""

        async def said() -> bool:
            return any(text in self.log.read_text() for text in texts)

        await until(said)

    async def ends(self) -> int:
        return await asyncio.to_thread(self.process.wait, PATIENCE_S)


@dataclass(slots=True)
class Scene:
    """A journal, the counter, and the workers that were started; `close` leaves none behind."""

    url: str
    counter: str
    directory: Path
    workers: list[Worker] = field(default_factory=list[Worker])

    def runtime(self, of: App = app) -> AbstractAsyncContextManager[Runtime]:
        return Runtime.open(self.url, app=of, lease_s=LEASE_S)

    def environ(self, version: str = "1") -> dict[str, str]:
        return surroundings(
            {
                "AGENT_SDK__JOURNAL": self.url,
                "AGENT_SDK__WORKER__LEASE_S": str(LEASE_S),
                "TEST_COUNTER": self.counter,
                "TEST_VERSION": version,
            }
        )

    async def worker(self, *words: str, version: str = "1") -> Worker:
        """Start a worker, and return when it works."""
        worker = self._begun(words, version)
        await worker.says("working on")
        return worker

    def _begun(self, words: tuple[str, ...], version: str) -> Worker:
        log = self.directory / f"worker-{len(self.workers)}.log"
        command = [sys.executable, "-c", MAIN, "worker", "--app", "tests.integration.workers_app:app", *words]
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environ(version), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    async def asked(self, key: str) -> int:
        return (await report(self.counter))["asked"].get(key, 0)

    async def until_asked(self, *keys: str) -> None:
        async def were() -> bool:
            asked = (await report(self.counter))["asked"]
            return all(key in asked for key in keys)

        await until(were)

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    began = time.monotonic()
    while not await holds():
        assert time.monotonic() - began < PATIENCE_S, "it never came"
        await asyncio.sleep(0.03)


async def check_journal(runtime: Runtime, run_id: RunId) -> int:
    """Check that the run's journal is whole and has one end; return how often the run was claimed."""
    facts = [fact async for fact in runtime.attach(run_id).facts()]
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert await verify_chain(runtime.journal, runtime.tenant, run_id) is None
    assert [fact.seq for fact in facts if isinstance(fact.event, Terminal)] == [len(facts)]
    return sum(isinstance(fact.event, RunClaimed) for fact in facts)
