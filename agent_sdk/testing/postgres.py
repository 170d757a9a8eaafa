"""A PostgreSQL server of one's own, for tests, demos and development: made in a temporary directory, gone with the process that made it."""

import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from agent_sdk.core.errors import OutsideError
from agent_sdk.testing.postgres_programs import Servant, copy_programs, find_programs, is_open_to, servant

StopMode = Literal["smart", "fast", "immediate"]

_PORTS = range(20_000, 32_000)  # below those that systems give to clients: while it is down, no client may end up connected to itself
_ATTEMPTS = 10
_LONGEST_BASE = 60  # a socket's path may have about 100 characters
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # nothing of ours: no PGHOST or PGOPTIONS leads it elsewhere
_KEEPER = 'read -r _; "$0" stop -D "$1/data" -m immediate; rm -rf "$1"'
_ACCESS = "local all all trust\nhost all all 127.0.0.1/32 password\n"
_HASTY = {"fsync": "off", "full_page_writes": "off"}  # what was committed outlives the server's death, though not the machine's


@dataclass(slots=True)
class PrivatePostgres:
    """A server on a loopback port and a socket in a directory that only its user may enter; `with` starts and closes it.

    `stop` keeps data, port and password for the next `start`; `close` removes all. A process that is killed takes its server with it.
    Where `durable` is False, nothing is forced to disk. `settings` are lines of `postgresql.conf`; `programs` is the directory of
    PostgreSQL's programs, which else is looked for.
    """

    durable: bool = False
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    programs: Path | None = None
    port: int = 0
    _root: Path | None = None
    _keeper: subprocess.Popen[bytes] | None = None
    _servant: Servant | None = None
    _password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def root(self) -> Path:
        """The server's directory: it holds `data`, the socket and `log`."""
        if self._root is None:
            raise OutsideError("this PostgreSQL server was not started", hint="start it by `with` or `start()`")
        return self._root

    @property
    def pid(self) -> int:
        """The number of the server's main process."""
        return int((self.root / "data" / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])

    def url(self, database: str = "postgres") -> str:
        """Return where to reach the database, with the password."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and return when it takes connections.

        Raises:
            PostgresMissing: there are no programs to start.
            OutsideError: it did not start; its log is in the message.
        """
        if self._root is not None:
            self._go()
            return
        self._servant = servant()
        programs = self.programs or find_programs()
        base = Path(tempfile.gettempdir())
        if len(str(base)) > _LONGEST_BASE or not is_open_to(base, self._servant):
            base = Path("/tmp")  # noqa: S108 - the directory in it is made for us alone
        self._root = Path(tempfile.mkdtemp(prefix="postgres-", dir=base))
        try:
            self._settle(programs)
            self._go_on_a_free_port()
        except BaseException:
            self.close()
            raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop, as `pg_ctl stop -m MODE` does, and keep all for the next start."""
        self._run("pg_ctl", "stop", "-w", "-D", str(self.root / "data"), "-m", mode)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start on the same port: `immediate` is a crash, from which the server recovers."""
        self.stop(mode)
        self._go()

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database, a copy of `template`, to which nobody may be connected; return its URL."""
        self._run("createdb", *self._address, "--template", template, name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Delete a database, and throw out who is connected to it."""
        self._run("dropdb", *self._address, "--force", "--if-exists", name)

    def close(self) -> None:
        """Stop, and remove the directory with all in it."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper.stdin is not None:
            keeper.stdin.close()
            keeper.wait()
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    @property
    def _address(self) -> Sequence[str]:
        return ("--host", str(self.root), "--port", str(self.port), "--username", "postgres")

    def _settle(self, programs: Path) -> None:
        """Make the directory and the cluster in it, with a keeper that ends both as soon as this process is gone."""
        root = self.root
        self._hand_over(root)
        if not is_open_to(programs, self._servant):
            programs = copy_programs(programs, root / "programs")
            self._hand_over(root / "programs")
        self.programs = programs
        self._keeper = subprocess.Popen(  # noqa: S603 - a shell line of our own, over paths of our own
            ["/bin/sh", "-c", _KEEPER, str(programs / "pg_ctl"), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=_ENVIRONMENT,
            user=None if self._servant is None else self._servant.uid,
            group=None if self._servant is None else self._servant.gid,
            extra_groups=None if self._servant is None else (),
        )
        secret = root / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password, encoding="utf-8")
        self._hand_over(secret)
        self._run(
            "initdb", "--no-sync", "--username=postgres", "--encoding=UTF8", "--locale=C", "--auth=trust",
            f"--pwfile={secret}", f"--pgdata={root / 'data'}",
        )  # fmt: skip
        secret.unlink()
        (root / "data" / "pg_hba.conf").write_text(_ACCESS, encoding="utf-8")

    def _go_on_a_free_port(self) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = _free_port()
            self._configure()
            try:
                self._go()
            except OutsideError as error:
                if attempt == _ATTEMPTS or "could not bind" not in error.message:
                    raise
            else:
                return

    def _hand_over(self, path: Path) -> None:
        """Give the file, or the directory with all in it, to whom the server runs as."""
        if self._servant is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, self._servant.uid, self._servant.gid, follow_symlinks=False)

    def _configure(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.root),
            "max_connections": "200",
            **({} if self.durable else _HASTY),
            **self.settings,
        }
        lines = [f"{name} = '{value}'\n" for name, value in settings.items()]
        (self.root / "data" / "postgresql.auto.conf").write_text("".join(lines), encoding="utf-8")

    def _go(self) -> None:
        log = self.root / "log"
        log.unlink(missing_ok=True)
        try:
            self._run("pg_ctl", "start", "-w", "-D", str(self.root / "data"), "-l", str(log))
        except OutsideError as error:
            told = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
            raise OutsideError(f"{error.message}\n{told}".strip()) from error

    def _run(self, program: str, *args: str) -> None:
        """Run one of PostgreSQL's programs; a file takes its output, since the server inherits it and would keep a pipe open."""
        with tempfile.TemporaryFile() as output:
            status = subprocess.call(  # noqa: S603 - programs that were looked for, arguments of our own
                [str((self.programs or Path()) / program), *args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env=_ENVIRONMENT,
                user=None if self._servant is None else self._servant.uid,
                group=None if self._servant is None else self._servant.gid,
                extra_groups=None if self._servant is None else (),
            )
            if status:
                output.seek(0)
                raise OutsideError(f"PostgreSQL's {program} failed: {output.read().decode(errors='replace').strip()}")


def _free_port() -> int:
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
