"""A NATS server of one's own, for tests, demos and development: JetStream in a temporary directory, gone with who made it."""

import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from agent_sdk.core.errors import ConfigError, OutsideError

StopSignal = Literal["TERM", "KILL"]

_PROGRAM = "nats-server"
_PORTS = range(20_000, 32_000)  # below those that systems give to clients: while it is down, no client may end up connected to itself
_ATTEMPTS = 10
_PATIENCE_S = 10.0
_KEEPER = '"$@" & read -r signal; kill -s "${signal:-KILL}" "$!"; wait "$!"; [ -n "$signal" ] || rm -rf "$0"'


class NatsMissing(ConfigError):
    """There is no NATS server on this machine."""

    code = "nats_missing"


@dataclass(slots=True)
class PrivateNats:
    """A server with JetStream on a loopback port; `with` starts and closes it.

    `stop` keeps the streams and the port for the next `start`; `close` removes all. A process that is killed takes its server with it.
    `options` are further ones of its command line; `program` is the server's file, which else is looked for on the path.
    """

    options: Sequence[str] = ()
    program: Path | None = None
    port: int = 0
    _root: Path | None = None
    _keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where to reach the server."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it takes connections.

        Raises:
            NatsMissing: there is no program to start.
            OutsideError: it did not start; its log is in the message.
        """
        found = self.program or shutil.which(_PROGRAM)
        if found is None:
            raise NatsMissing("there is no nats-server on the path", hint="install it: `apt-get install nats-server`, or see nats.io")
        if self._root is not None:
            self._go(str(found))
            return
        self._root = Path(tempfile.mkdtemp(prefix="nats-"))
        try:
            self._go_on_a_free_port(str(found))
        except BaseException:
            self.close()
            raise

    def stop(self, signal: StopSignal = "TERM") -> None:
        """End the server, and keep all for the next start; `KILL` gives it no time for anything."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.communicate(f"{signal}\n".encode())

    def restart(self, signal: StopSignal = "TERM") -> None:
        """Stop and start on the same port."""
        self.stop(signal)
        self.start()

    def close(self) -> None:
        """End the server, and remove the directory with all in it."""
        self.stop("KILL")
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    def _go_on_a_free_port(self, program: str) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = random.SystemRandom().choice(_PORTS)
            try:
                self._go(program)
            except OutsideError as error:
                self.stop("KILL")
                if attempt == _ATTEMPTS or "address already in use" not in error.message:
                    raise
            else:
                return

    def _go(self, program: str) -> None:
        """Start the server behind a keeper, which ends it as soon as it is told to, or this process is gone."""
        root = self._root or Path()
        log, output = root / "log", root / "output"
        log.unlink(missing_ok=True)
        server = [program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(root / "data"), "-l", str(log), *self.options]
        with output.open("wb") as errors:
            self._keeper = subprocess.Popen(  # noqa: S603 - a shell line of our own, over paths of our own
                ["/bin/sh", "-c", _KEEPER, str(root), *server],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                cwd="/",
            )
        until = time.monotonic() + _PATIENCE_S
        while not _is_ready(log):
            told = "".join(each.read_text(encoding="utf-8", errors="replace") for each in (output, log) if each.exists())[-2000:]
            if "[FTL]" in told or output.stat().st_size or time.monotonic() > until:  # with a log file, it prints only why it cannot start
                raise OutsideError(f"the NATS server did not start:\n{told}".strip())
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_S):
            pass


def _is_ready(log: Path) -> bool:
    return log.exists() and "Server is ready" in log.read_text(encoding="utf-8", errors="replace")
