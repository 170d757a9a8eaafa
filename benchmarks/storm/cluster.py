"""The processes of a storm: PostgreSQL, the counter, and workers that are started anew whenever they die."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from agent_sdk.testing.postgres import PrivatePostgres

LEASE_S = 3


@dataclass(slots=True)
class Cluster:
    """A server, a counter and `workers` workers. `with` starts and ends them."""

    workers: int
    step_ms: int
    concurrency: int
    log: Path
    postgres: PrivatePostgres = field(default_factory=lambda: PrivatePostgres(durable=True))
    counter_url: str = ""
    started: int = 0
    _counter: subprocess.Popen[str] | None = None
    _workers: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])
    _stopped: set[int] = field(default_factory=set[int])

    def __enter__(self) -> Self:
        self.postgres.start()
        try:
            self._counter = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.storm.counter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert self._counter.stdout is not None
            self.counter_url = f"http://127.0.0.1:{json.loads(self._counter.stdout.readline())['port']}"
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    @property
    def journal(self) -> str:
        return self.postgres.url()

    @property
    def environment(self) -> Mapping[str, str]:
        """What a worker is told: the journal stands here and not on the command line, where everybody could read its password."""
        return {
            **os.environ,
            "AGENT_SDK__JOURNAL": self.journal,
            "AGENT_SDK__WORKER__LEASE_S": str(LEASE_S),
            "STORM_COUNTER": self.counter_url,
            "STORM_STEP_MS": str(self.step_ms),
        }

    def start_workers(self) -> None:
        """Start the workers that are missing."""
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        while len(self._workers) < self.workers:
            program = Path(sys.executable).with_name("agent-sdk")
            command = [str(program), "worker", "--app", "benchmarks.storm.app:app", "--concurrency", str(self.concurrency)]
            with self.log.open("ab") as log:
                self._workers.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            self.started += 1

    async def supervise(self) -> None:
        """Start each worker anew that died, as an operator's supervisor does."""
        while True:
            self.start_workers()
            await asyncio.sleep(0.25)

    def kill(self, index: int) -> None:
        """End a worker in the middle of what it does."""
        self._running(index).kill()

    async def stun(self, index: int, stunned_s: float) -> None:
        """Stop a worker for longer than its leases, then let it go on as if nothing had been."""
        worker = self._running(index)
        if worker.pid in self._stopped:
            return
        self._stopped.add(worker.pid)
        try:
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(stunned_s)
        finally:
            self._stopped.discard(worker.pid)
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)

    def drain(self) -> list[int]:
        """Ask all workers to end in order, and return the exit codes of those that had begun.

        One that the signal itself ended was still loading its modules: once a worker listens to signals, it ends with a code.
        """
        running = [worker for worker in self._workers if worker.poll() is None]
        for worker in running:
            worker.terminate()
        return [code for worker in running if (code := worker.wait(60)) != -signal.SIGTERM]

    def close(self) -> None:
        for worker in self._workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        if self._counter is not None and self._counter.stdin is not None:
            self._counter.stdin.close()
            self._counter.wait(10)
            if self._counter.stdout is not None:
                self._counter.stdout.close()
        self.postgres.close()

    def _running(self, index: int) -> subprocess.Popen[bytes]:
        """Return a worker that runs: one that is not stunned, where there is one."""
        self.start_workers()
        awake = [worker for worker in self._workers if worker.pid not in self._stopped] or self._workers
        return awake[index % len(awake)]
