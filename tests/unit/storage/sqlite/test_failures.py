import sqlite3
from pathlib import Path

import pytest

from agent_sdk.core.errors import JournalCorrupt, StorageBusy, StorageError, StorageFull, StorageReadOnly
from agent_sdk.storage.sqlite.failures import storage_error


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_CORRUPT_INDEX, JournalCorrupt),
        (sqlite3.SQLITE_NOTADB, JournalCorrupt),
        (sqlite3.SQLITE_BUSY_RECOVERY, StorageBusy),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StorageReadOnly),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageError),
    ],
)
def test_each_error_of_sqlite_has_a_class_a_place_and_a_hint(code: int, kind: type[StorageError], tmp_path: Path) -> None:
    error = storage_error(failed(code), tmp_path / "agent.db")
    assert type(error) is kind
    assert "agent.db" in error.message
    assert error.hint


def test_a_file_that_cannot_be_opened_beside_others_is_read_only(tmp_path: Path) -> None:
    assert type(storage_error(failed(sqlite3.SQLITE_CANTOPEN), tmp_path / "missing" / "agent.db")) is StorageReadOnly
    assert type(storage_error(failed(sqlite3.SQLITE_CANTOPEN), tmp_path / "agent.db")) is StorageError


def test_an_error_of_the_module_itself_is_a_storage_error(tmp_path: Path) -> None:
    assert type(storage_error(sqlite3.ProgrammingError("no code"), tmp_path)) is StorageError


def test_only_a_locked_file_is_worth_another_try(tmp_path: Path) -> None:
    codes = [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY]
    assert [storage_error(failed(code), tmp_path).retryable for code in codes] == [True, False, False, False]
