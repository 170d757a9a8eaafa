"""Brings a database up to this code's schema: numbered files, each applied once, in order, under the database's write lock."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from agent_sdk.core.errors import ConfigError, JournalCorrupt, JournalNewer

_RECORD = """
CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered script; its file is named `{number}_{name}.sql`."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the scripts that this code brings, in order."""
    found: list[Migration] = []
    for file in files("agent_sdk.storage").joinpath("migrations", "sqlite").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def migrate(db: sqlite3.Connection, path: Path, *, now_us: int, known: Sequence[Migration]) -> None:
    """Apply what is missing, all or nothing; processes that open one file at once wait for one another.

    Raises:
        JournalNewer: the database has migrations that this code does not know.
        JournalCorrupt: a migration was applied in another form than this code brings.
    """
    if _applied(db, known, path) == len(known):
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(_RECORD)
        for migration in known[_applied(db, known, path) :]:
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
    return list(known[_applied(db, known, path) :])


def refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a database that holds tables, but not ours; nothing was written to it yet.

    Raises:
        ConfigError: it is somebody else's.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not {"migrations", "events"} <= tables:
        raise ConfigError(f"{path} is a database of another program", hint="name another file: this one stays as it is")


def _applied(db: sqlite3.Connection, known: Sequence[Migration], path: Path) -> int:
    """Return how many migrations were applied, having compared them with those that are known."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
        return 0
    checksums = {migration.number: migration.checksum for migration in known}
    applied: list[tuple[int, str]] = db.execute("SELECT number, checksum FROM migrations ORDER BY number").fetchall()
    for number, checksum in applied:
        if number not in checksums:
            raise JournalNewer(f"{path} has migration {number}, and this version of agent_sdk knows {len(known)}")
        if checksum != checksums[number]:
            raise JournalCorrupt(
                f"migration {number} of {path} is not the one that this version of agent_sdk brings",
                hint="open it with the version that made it; a migration is never changed once it was released",
            )
    return len(applied)


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements: `executescript` would commit the transaction that holds the lock."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
