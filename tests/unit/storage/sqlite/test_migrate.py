import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, JournalCorrupt, JournalNewer
from agent_sdk.storage.numbered import Migration
from agent_sdk.storage.sqlite.migrate import migrate, migrations, refuse_foreign

HERE = Path("agent.db")
ONE = Migration(1, "journal", "CREATE TABLE events (a);\n-- why; and more\nCREATE INDEX by_a ON events (a);\n")
TWO = Migration(2, "more", "ALTER TABLE events ADD COLUMN b;\nINSERT INTO events (b) VALUES ('x;y');\n")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def applied(db: sqlite3.Connection) -> list[tuple[int, str, int]]:
    return db.execute("SELECT number, name, applied_at FROM migrations").fetchall()


def test_what_is_missing_is_applied_in_order(db: sqlite3.Connection) -> None:
    migrate(db, HERE, now_us=1, known=[ONE])
    migrate(db, HERE, now_us=2, known=[ONE, TWO])
    migrate(db, HERE, now_us=3, known=[ONE, TWO])
    assert applied(db) == [(1, "journal", 1), (2, "more", 2)]
    assert db.execute("SELECT b FROM events").fetchall() == [("x;y",)]


def test_a_script_that_fails_leaves_nothing(db: sqlite3.Connection) -> None:
    broken = replace(TWO, script="CREATE TABLE half (a);\nCREATE NONSENSE;\n")
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, HERE, now_us=1, known=[ONE, broken])
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == []
    assert not db.in_transaction


def test_a_journal_of_a_newer_version_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, HERE, now_us=1, known=[ONE, TWO])
    with pytest.raises(JournalNewer, match="has migration 2, and this version of agent_sdk knows 1"):
        migrate(db, HERE, now_us=2, known=[ONE])


def test_a_migration_that_was_altered_is_refused(db: sqlite3.Connection) -> None:
    migrate(db, HERE, now_us=1, known=[ONE])
    with pytest.raises(JournalCorrupt, match="migration 1") as refused:
        migrate(db, HERE, now_us=2, known=[replace(ONE, script=ONE.script + "\n"), TWO])
    assert refused.value.hint


def test_another_program_s_database_is_refused(db: sqlite3.Connection) -> None:
    refuse_foreign(db, HERE)
    db.execute("CREATE TABLE bookmarks (a)")
    with pytest.raises(ConfigError, match="another program"):
        refuse_foreign(db, HERE)


def test_what_an_older_journal_holds_is_brought_along(db: sqlite3.Connection) -> None:
    first, *later = migrations()
    migrate(db, HERE, now_us=1, known=[first])
    named = """{"$artifacts":{"output":{"sha256":"abc","size_bytes":40000},"more":{"sha256":"def","size_bytes":40000}}}"""
    db.execute("INSERT INTO runs (tenant, run_id, agent, agent_version, state, head, hash, created_at, updated_at) "
        "VALUES ('acme', 'run-1', 'clerk', '1', 'queued', 2, x'00', 5, 6)")  # fmt: skip
    for seq, meta, body in (
        (1, '{"agent":"clerk","parent":"run-0"}', '{"goal":"say \\"$artifacts\\""}'),
        (2, "{}", named),
        (3, "{}", None),
    ):
        event = (seq, meta.encode(), body.encode() if body is not None else None)
        db.execute("INSERT INTO events VALUES ('acme', 'run-1', ?, 0, 'x', 1, 0, NULL, ?, ?, x'00')", event)
    migrate(db, HERE, now_us=2, known=[first, *later])
    assert db.execute("SELECT parent, queue, priority, behind, ready_at FROM runs").fetchall() == [("run-0", "default", 0, None, 5)]
    assert db.execute("SELECT tenant, run_id, artifact FROM artifact_refs ORDER BY artifact").fetchall() == [
        ("acme", "run-1", "abc"),
        ("acme", "run-1", "def"),
    ]


def test_what_workers_look_for_stands_in_partial_indexes_without_the_held_runs(db: sqlite3.Connection) -> None:
    migrate(db, HERE, now_us=1, known=migrations())
    partial = db.execute("SELECT name FROM pragma_index_list('runs') WHERE partial").fetchall()
    assert {"runs_ready", "runs_unread", "runs_behind"} <= {name for (name,) in partial}


def test_the_journal_s_own_migrations_are_numbered_without_gaps() -> None:
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert found[0].name == "journal"
