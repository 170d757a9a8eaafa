"""The processes of the crash matrix, as a test starts and ends them: the counter, and one after another the workers that die."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.crash_matrix.process import Order

ROOT = Path(__file__).parents[3]


@contextmanager
def counting() -> Generator[str]:
    """Start the counter; hand out its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.storm.counter"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as counter:
        try:
            assert counter.stdout is not None
            yield f"http://127.0.0.1:{json.loads(counter.stdout.readline())['port']}"
        finally:
            counter.kill()


class Nursery:
    """Starts workers, one at a time, out of a process that is ready to become one."""

    def __init__(self, errors: Path) -> None:
        self._errors = errors
        errors.touch()
        command = [sys.executable, "-m", "tests.integration.crash_matrix.process", str(errors)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def start(self, order: Order) -> int:
        """Start a worker and return its number."""
        assert self._process.stdin is not None
        self._process.stdin.write(order.model_dump_json() + "\n")
        self._process.stdin.flush()
        return self._heard("worker")

    def wait(self) -> int:
        """Return the worker's exit code when it is over: -9 where it was killed."""
        code = self._heard("code")
        assert code in {0, -9}, self._errors.read_text()
        return code

    def _heard(self, name: str) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._errors.read_text()
        told: dict[str, int] = json.loads(line)
        return told[name]
