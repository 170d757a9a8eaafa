"""Brings a database up to this code's schema: numbered files, each applied once, in order, under the database's write lock."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent_sdk.core.errors import ConfigError
from agent_sdk.storage.numbered import Migration, load_migrations, missing_of

_RECORD = """
CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)
"""


def migrations() -> list[Migration]:
    """Return the scripts that this code brings, in order."""
    return load_migrations("sqlite")


def migrate(db: sqlite3.Connection, path: Path, *, now_us: int, known: Sequence[Migration]) -> None:
    """Apply what is missing, all or nothing; processes that open one file at once wait for one another.

    Raises:
        JournalNewer: the database has migrations that this code does not know.
        JournalCorrupt: a migration was applied in another form than this code brings.
    """
    if not lacking(db, path, known=known):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(_RECORD)
        for migration in lacking(db, path, known=known):
            for statement in _statements(migration.script):
                db.execute(statement)
            row = (migration.number, migration.name, migration.checksum, now_us)
            db.execute("INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)", row)
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def lacking(db: sqlite3.Connection, path: Path, *, known: Sequence[Migration]) -> list[Migration]:
    """Return those of `known` that were not applied, having compared the others.

    Raises:
        JournalNewer, JournalCorrupt: as `migrate`.
    """
    is_ours = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone() is not None
    return missing_of(known, dict(db.execute("SELECT number, checksum FROM migrations")) if is_ours else {}, path)


def refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that holds tables, but not ours; nothing was written to it yet.

    Raises:
        ConfigError: it is somebody else's.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not {"migrations", "events"} <= tables:
        raise ConfigError(f"{path} is a database of another program", hint="name another file: this one stays as it is")


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements: `executescript` would commit the transaction that holds the lock."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
