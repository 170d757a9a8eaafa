"""Connections: one that writes, one that renews leases, and those that read."""

import sqlite3
import time
from pathlib import Path

from agent_sdk.core.errors import ConfigError
from agent_sdk.storage.sqlite.migrate import migrate, migrations, refuse_foreign

OLDEST = (3, 31, 0)
"""The first SQLite with generated columns."""
_CACHE_KIB = 16 * 1024
_CHECKPOINT_PAGES = 4000
_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_RETRY_S = 0.01


def connect_writer(path: Path, *, now_us: int, busy_timeout_s: float, max_bytes: int | None) -> sqlite3.Connection:
    """Open a prepared file for writing, and bring its schema up to date.

    Raises:
        sqlite3.Error: SQLite cannot open it.
        ConfigError, JournalNewer, JournalCorrupt: it holds something else than this code's journal.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old", hint="use a Python that is built with SQLite 3.31 or newer")
    db = _connect(path, busy_timeout_s)
    try:
        _use_wal(db, path, busy_timeout_s)
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")  # a build's own default may leave what retention deletes in free pages
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
        migrate(db, path, now_us=now_us, known=migrations())
        if max_bytes is not None:
            (page_size,) = db.execute("PRAGMA page_size").fetchone()
            db.execute(f"PRAGMA max_page_count = {max_bytes // page_size}")
    except BaseException:
        db.close()
        raise
    return db


def connect_lease_line(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a database that was migrated, for renewing leases alone: without a sync at each commit."""
    db = _connect(path, busy_timeout_s)
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def connect_reader(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a database that was migrated, for reading alone."""
    db = _connect(path, busy_timeout_s)
    db.execute("PRAGMA query_only = ON")
    return db


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)


def _use_wal(db: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    """Switch to the write-ahead log. SQLite does not wait by itself while another process does the same."""
    deadline = time.monotonic() + busy_timeout_s
    while True:
        try:
            refuse_foreign(db, path)
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return
