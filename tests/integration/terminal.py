"""The command in a process of its own, on a terminal of its own, as a person has it in front of them."""

import codecs
import fcntl
import os
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN = "from agent_sdk.cli.main import main; main()"
HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # also where the tests run in the background
ON_TERMINAL = f"{HEARS_CTRL_C}; import fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); {MAIN}"
CTRL_C = b"\x03"
PATIENCE_S = 60.0
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A process and what it has written to its terminal so far; `answer` is what went to stdout, where that is a file."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, stdout: Path | None) -> None:
        self.process = process
        self.raw = ""
        self._master = master
        self._stdout = stdout
        self._decode = codecs.getincrementaldecoder("utf-8")().decode

    @property
    def text(self) -> str:
        return without_controls(self.raw)

    @property
    def answer(self) -> str:
        return self._stdout.read_text() if self._stdout is not None else ""

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def wait_for(self, text: str) -> None:
        """Read on until the text is there."""
        until = time.monotonic() + PATIENCE_S
        while text not in self.text:
            if time.monotonic() > until or not self._read():
                raise AssertionError(f"{text!r} never came; the terminal shows:\n{self.text}")

    def wait(self) -> int:
        """Read to the end and return the exit code."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self._read():
            pass
        return self.process.wait(timeout=PATIENCE_S)

    def _read(self) -> bool:
        """Take what comes within a second; return False when nothing more can come."""
        ready, _, _ = select.select([self._master], [], [], 1.0)
        if not ready:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the last writer is gone
            return False
        self.raw += self._decode(data)
        return bool(data)


@contextmanager
def terminal(
    directory: Path,
    *words: str,
    columns: int = 100,
    lines: int = 30,
    environ: Mapping[str, str] | None = None,
    stdout: Path | None = None,
) -> Generator[Terminal]:
    """Start the command on a terminal of that size; `stdout` sends the answer into a file instead."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    out = stdout.open("wb") if stdout is not None else None
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *words],
        cwd=directory,
        env=surroundings(environ),
        stdin=slave,
        stdout=out if out is not None else slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    if out is not None:
        out.close()
    try:
        yield Terminal(process, master, stdout)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        os.close(master)


def piped(
    directory: Path, *words: str, stdin: str = "", environ: Mapping[str, str] | None = None, timeout_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run the command without any terminal."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, *words],
        cwd=directory,
        env=surroundings(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def without_controls(raw: str) -> str:
    """Return what a person reads."""
    return _CONTROL.sub("", raw)


def surroundings(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without what a terminal's owner or CI may have set."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}}  # noqa: TID251  (a child process gets its environment from here)
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **(environ or {})}


def offered(text: str, label: str) -> list[str]:
    """Return the words of the command that the terminal offers behind the label."""
    line = next(line for line in text.splitlines() if label in line)
    words = shlex.split(line.partition(label)[2])
    assert words[0] == "agent-sdk"
    return words[1:]
