"""A Redis server of one's own, for tests and development: nothing on disk, gone with who made it."""

import random
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent_sdk.core.errors import ConfigError, OutsideError

_PROGRAMS = ("redis-server", "valkey-server")
_PORTS = range(20_000, 32_000)  # below those that systems give to clients: while it is down, no client may end up connected to itself
_ATTEMPTS = 10
_PATIENCE_S = 10.0
_KEEPER = '"$@" & read -r _; kill -s KILL "$!"; wait "$!"'


class RedisMissing(ConfigError):
    """There is no Redis server on this machine."""

    code = "redis_missing"


@dataclass(slots=True)
class PrivateRedis:
    """A server on a loopback port; `with` starts and closes it. A process that is killed takes its server with it.

    `program` is the server's file, which else is looked for on the path.
    """

    program: Path | None = None
    port: int = 0
    _keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where to reach the server."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and return when it takes connections.

        Raises:
            RedisMissing: there is no program to start.
            OutsideError: it did not start.
        """
        found = self.program or next(filter(None, map(shutil.which, _PROGRAMS)), None)
        if found is None:
            raise RedisMissing("there is no redis-server on the path", hint="install it: `apt-get install redis-server`, or see redis.io")
        for _ in range(_ATTEMPTS):
            self.port = random.SystemRandom().choice(_PORTS)
            if self._go(str(found)):
                return
            self.close()
        raise OutsideError("the Redis server did not start")

    def close(self) -> None:
        """End the server, and all that it holds."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.communicate(b"\n")

    def _go(self, program: str) -> bool:
        """Start the server behind a keeper, which ends it as soon as it is told to, or this process is gone; say whether it answers."""
        server = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no", "--daemonize", "no"]
        self._keeper = subprocess.Popen(  # noqa: S603 - a shell line of our own
            ["/bin/sh", "-c", _KEEPER, "keeper", *server],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    return probe.recv(5) == b"+PONG"
            except OSError:
                time.sleep(0.01)
        return False
