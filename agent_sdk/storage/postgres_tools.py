"""PostgreSQL's own client programs: where they are, how old they may be, and how they get a password that no list of processes shows."""

import asyncio
import re
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.core.frozen import frozen

_OPTIONS = frozenset({"host", "port", "user", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"})
"""What PostgreSQL's programs know of a URL's options, and may be seen by all."""
_DATABASE = frozenset({"dbname", "database"})
_MAX_ERROR = 2000


@frozen
class PostgresTools:
    """The programs `pg_dump` and `pg_restore` of one directory; None is whatever the PATH has."""

    directory: Path | None = None

    async def run(self, program: str, *args: str, url: str | None = None) -> str:
        """Run a program, on the database of `url` if it is given, and return what it prints.

        Raises:
            ConfigError: there is no such program. StorageError: it failed; its own words are in the message.
        """
        with _login(url) as options:
            process = await asyncio.create_subprocess_exec(self._found(program), *options, *args, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
            try:
                printed, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise StorageError(f"{program} failed: {said.decode(errors='replace').strip()[-_MAX_ERROR:]}")
        return printed.decode(errors="replace")

    async def require_newest(self, program: str, server: int) -> None:
        """Refuse a program that is older than the server (its major version), whose catalogues it would not know.

        Raises:
            ConfigError: it is older, or there is none.
        """
        words = await self.run(program, "--version")
        number = re.search(r"\d+", words)
        if number is None or int(number[0]) < server:
            raise ConfigError(
                f"{self._found(program)} is older than the server: {words.strip()}, and the server is PostgreSQL {server}",
                hint=f"install PostgreSQL's client programs of version {server}, and name their directory: --programs DIR",
            )

    def _found(self, program: str) -> str:
        found = shutil.which(program, path=None if self.directory is None else str(self.directory))
        if found is None:
            where = "on the PATH" if self.directory is None else f"in {self.directory}"
            raise ConfigError(
                f"the program {program} is not {where}",
                hint="install PostgreSQL's client programs (Debian: postgresql-client), or name their directory: --programs DIR",
            )
        return found


@contextmanager
def _login(url: str | None) -> Generator[list[str]]:
    """Hand out how to reach the database: arguments are seen by all, so the password goes into a file of our own."""
    if url is None:
        yield []
        return
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    password = given.get("password") if parts.password is None else unquote(parts.password)
    options = {name: value for name, value in given.items() if name in _OPTIONS}
    server = parts.netloc.rpartition("@")[2]
    address = f"{parts.username}@{server}" if parts.username else server
    with tempfile.TemporaryDirectory(prefix="agent-sdk-") as directory:
        if password is not None:
            file = Path(directory) / "pgpass"
            file.touch(mode=0o600)
            file.write_text(f"*:*:*:*:{_escaped(password)}\n", encoding="utf-8")
            options["passfile"] = str(file)
        yield ["--no-password", f"--dbname={_written(address, _database(url), options)}"]


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    parts = urlsplit(url)
    return _written(parts.netloc, name, {key: value for key, value in parse_qsl(parts.query) if key not in _DATABASE})


def _database(url: str) -> str:
    """Return the database's name: for asyncpg that in the path counts, for PostgreSQL's own programs it would be that in the options."""
    parts = urlsplit(url)
    named = [value for key, value in parse_qsl(parts.query) if key in _DATABASE]
    return unquote(parts.path[1:]) or (named[0] if named else "")


def _written(address: str, database: str, options: Mapping[str, str]) -> str:
    query = urlencode(options, quote_via=quote)
    return f"postgresql://{address}/{quote(database)}{f'?{query}' if query else ''}"


def _escaped(word: str) -> str:
    """Write a word as a password file wants it (PostgreSQL's documentation, "The Password File")."""
    return word.replace("\\", "\\\\").replace(":", "\\:")
