"""What SQLite's errors mean: which of the storage errors they are, and how to mend them."""

import os
import sqlite3
from pathlib import Path

from agent_sdk.core.errors import JournalCorrupt, StorageBusy, StorageError, StorageFull, StorageReadOnly

_PRIMARY = 0xFF
"""The part of an extended result code that holds the primary one."""


def storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    """Return the error to raise in place of SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    match code:
        case sqlite3.SQLITE_FULL:
            return StorageFull(f"the disk that holds {path} is full")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return corrupt(path, str(error))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageBusy(f"{path} is locked by another process", hint="try again; if it stays so, look which process holds the file")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return read_only(path)
        case sqlite3.SQLITE_CANTOPEN if not _may_write(path.parent):
            return read_only(path)
        case _:
            return StorageError(f"SQLite failed on {path}: {error}", hint="look at the disk and at the system's log")


def corrupt(path: Path, what: str) -> JournalCorrupt:
    """Say that the file's bytes are not what SQLite wrote, or no database at all."""
    return JournalCorrupt(f"{path} is damaged or no SQLite database: {what}", hint="name another file, or restore this one from a backup")


def read_only(path: Path) -> StorageReadOnly:
    """Say that this process may not write the file, or beside it."""
    return StorageReadOnly(
        f"{path} cannot be written",
        hint="SQLite writes the file and two more beside it: give this user the right to write in its directory",
    )


def closed(path: Path) -> StorageError:
    """Say that the journal takes nothing more in this process."""
    return StorageError(f"the journal {path} is closed", hint="open it again")


def _may_write(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
