"""A measured process: started, given orders, listened to, and killed."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from benchmarks.peers.systems import System

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
Report = dict[str, Any]


class Child:
    """One process of a system. What it answers to an order is for `ask`; what else it says goes to `told`, which children may share."""

    def __init__(self, system: System, python: str, given: Report, told: SimpleQueue[Report]) -> None:
        self._told = told
        self._answers: SimpleQueue[Report] = SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (it is closed with the process)
        self._process = subprocess.Popen(
            [python, "-m", system.module, json.dumps({**system.options, **given})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def order(self, **order: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def ask(self, **order: object) -> Report:
        self.order(**order)
        return self.answer()

    def answer(self) -> Report:
        try:
            report = self._answers.get(timeout=PATIENCE_S)
        except Empty:
            raise TimeoutError(self._failure("said nothing")) from None
        if not report:
            raise ChildProcessError(self._failure("ended"))
        return report

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let it end by itself, for a while."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=15)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.kill()
        self._reader.join(timeout=5)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith("{"):
                continue
            report: Report = json.loads(line)
            (self._answers if "answer" in report else self._told).put(report)
        self._answers.put({})

    def _failure(self, what: str) -> str:
        self._errors.seek(0)
        return f"{self._process.args!r} {what}:\n{self._errors.read().decode(errors='replace')[-3000:]}"


class Crew:
    """The processes of one sample; what they say without being asked comes in one line."""

    def __init__(self, system: System, peers: str) -> None:
        self._system = system
        self._python = peers if system.is_peer else sys.executable
        self._told: SimpleQueue[Report] = SimpleQueue()
        self._children = ExitStack()

    def start(self, **given: object) -> Child:
        """Start a process, and return it when it is ready."""
        child = Child(self._system, self._python, dict(given), self._told)
        self._children.callback(child.close)
        child.answer()
        return child

    def told(self, key: str, *, timeout_s: float = PATIENCE_S) -> Iterator[Report]:
        """Yield what is said of that kind, until nothing more comes for so long."""
        while True:
            try:
                report = self._told.get(timeout=timeout_s)
            except Empty:
                return
            if key in report:
                yield report

    def hear(self, key: str, count: int = 1) -> list[Report]:
        """Return so many reports of that kind."""
        reports = list(islice(self.told(key), count))
        if len(reports) < count:
            raise TimeoutError(f"{self._system.name}: of {count} reports {key!r} came {len(reports)}")
        return reports

    def close(self) -> None:
        self._children.close()


@contextmanager
def crew_of(system: System, peers: str) -> Generator[Crew]:
    crew = Crew(system, peers)
    try:
        yield crew
    finally:
        crew.close()
