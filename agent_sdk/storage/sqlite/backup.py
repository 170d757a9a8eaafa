"""Copies of a SQLite journal, made while others write to it, and brought back in one step."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from agent_sdk.core.errors import NotFound, RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import OwnerId, TenantId
from agent_sdk.storage.copier import Contents, Scratch
from agent_sdk.storage.durable import sync
from agent_sdk.storage.sqlite.connect import connect_reader
from agent_sdk.storage.sqlite.failures import corrupt, storage_error
from agent_sdk.storage.sqlite.migrate import refuse_foreign
from agent_sdk.storage.sqlite.owners import Owners

_BUSY_TIMEOUT_S = 10.0
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CONTENTS = """
SELECT (SELECT max(number) FROM migrations), (SELECT count(*) FROM runs),
    (SELECT count(*) FROM runs WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'expired')), (SELECT count(*) FROM events)
"""


@frozen
class SqliteCopier:
    """The journal in one file."""

    path: Path
    store: Literal["sqlite"] = "sqlite"
    file: str = "journal.db"

    async def copy(self, to: Path) -> Contents:
        return await asyncio.to_thread(_copy, self.path, to)

    async def require_free(self, *, force: bool) -> None:
        def check() -> None:
            with _free(self.path, force=force):
                pass

        await asyncio.to_thread(check)

    async def restore(self, copy: Path, *, force: bool) -> None:
        await asyncio.to_thread(_restore, copy, self.path, force=force)

    @asynccontextmanager
    async def scratch(self, copy: Path) -> AsyncGenerator[Scratch]:
        with tempfile.TemporaryDirectory(prefix="agent-sdk-verify-") as directory:
            path = Path(directory, self.file)
            await asyncio.to_thread(shutil.copyfile, copy, path)
            yield Scratch(f"sqlite:///{quote(str(path))}", await asyncio.to_thread(_tenants, path))


def _copy(path: Path, to: Path) -> Contents:
    """Copy all pages in one read transaction: in WAL mode it holds up no writer, and none can make it begin anew."""
    if not path.is_file():
        raise NotFound(f"there is no journal at {path}", hint="name the one that has the runs")
    with _errors_of(path), closing(connect_reader(path, busy_timeout_s=_BUSY_TIMEOUT_S)) as source:
        refuse_foreign(source, path)
        with _errors_of(to), closing(sqlite3.connect(to, isolation_level=None)) as copy:
            source.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
            found = [problem for (problem,) in copy.execute("PRAGMA quick_check")]
            if found != ["ok"]:
                raise corrupt(path, "; ".join(found[:3]))
            return Contents(*copy.execute(_CONTENTS).fetchone())


def _tenants(path: Path) -> tuple[TenantId, ...]:
    with _errors_of(path), closing(connect_reader(path, busy_timeout_s=_BUSY_TIMEOUT_S)) as db:
        return tuple(TenantId(tenant) for (tenant,) in db.execute("SELECT DISTINCT tenant FROM runs ORDER BY tenant"))


def _restore(copy: Path, path: Path, *, force: bool) -> None:
    with _free(path, force=force):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(descriptor)
        try:
            shutil.copyfile(copy, name)
            sync(Path(name))
            for suffix in ("-wal", "-shm", "-journal"):  # the log of another database: SQLite would play it over this one
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            Path(name).replace(path)
            sync(path.parent)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def _free(path: Path, *, force: bool) -> Generator[None]:
    """Keep everybody else out of the file for as long as the block lasts, if there is one.

    Raises:
        RequestError: it is a journal and may not be overwritten, or somebody uses it. ConfigError: it is another program's database.
    """
    if not path.parent.is_dir():
        raise NotFound(f"the directory {path.parent} does not exist", hint=f"make it: mkdir -p {path.parent}")
    if not path.exists() or not path.stat().st_size:
        yield
        return
    if not force:
        raise RequestError(f"there is a journal at {path}", hint="restore to another file, or overwrite this one with --force")
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
        try:
            refuse_foreign(db, path)
            db.execute("PRAGMA journal_mode = DELETE")  # only whoever is alone can leave the write-ahead log
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            _require_damaged(path, error)
        yield


def _require_damaged(path: Path, error: sqlite3.Error) -> None:
    """Let a damaged file be overwritten, which cannot be locked, if the lock files say that no owner of runs lives."""
    if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} or _has_owner(path):
        raise RequestError(f"{path} is in use", hint="end the processes that have it open, then restore") from error
    if error.sqlite_errorcode & 0xFF not in _DAMAGED:
        raise storage_error(error, path) from error


def _has_owner(path: Path) -> bool:
    owners = Owners(path)
    files = path.with_name(path.name + ".owners").glob("*.lock")
    return any(not owners.is_dead(OwnerId(unquote(file.stem))) for file in files)


@contextmanager
def _errors_of(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
