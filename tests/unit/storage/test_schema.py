"""How far a SQLite journal is behind, and bringing it up to date."""

import sqlite3
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, JournalCorrupt, JournalNewer, NotFound
from agent_sdk.storage.schema import migrate_journal, pending_migrations, store_time_us
from agent_sdk.storage.sqlite.migrate import migrate, migrations
from tests.contract.batches import Clock


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal with the first migration alone."""
    path = tmp_path / "agent.db"
    db = sqlite3.connect(path, isolation_level=None)
    migrate(db, path, now_us=0, known=migrations()[:1])
    db.close()
    return path


def tamper(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()


async def test_what_is_missing_is_told_and_nothing_is_changed(old: Path) -> None:
    before = old.read_bytes()
    assert await pending_migrations(f"sqlite:///{old}") == [migration.number for migration in migrations()[1:]]
    assert old.read_bytes() == before


async def test_what_is_missing_is_applied_once(old: Path) -> None:
    url = f"sqlite:///{old}"
    assert await migrate_journal(url, clock=Clock()) == [migration.number for migration in migrations()[1:]]
    assert await migrate_journal(url, clock=Clock()) == []
    assert await pending_migrations(url) == []


async def test_a_journal_that_is_not_there_is_made_by_migrating_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    with pytest.raises(NotFound):
        await pending_migrations(url)
    assert not (tmp_path / "agent.db").exists()
    await migrate_journal(url, clock=Clock())
    assert await pending_migrations(url) == []


async def test_a_journal_of_another_version_is_refused(old: Path) -> None:
    tamper(old, "UPDATE migrations SET checksum = 'other'")
    with pytest.raises(JournalCorrupt):
        await pending_migrations(f"sqlite:///{old}")
    tamper(old, "INSERT INTO migrations VALUES (999, 'later', 'x', 0)")
    tamper(old, "DELETE FROM migrations WHERE number = 1")
    with pytest.raises(JournalNewer):
        await pending_migrations(f"sqlite:///{old}")


async def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    tamper(tmp_path / "other.db", "CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="another program"):
        await pending_migrations(f"sqlite:///{tmp_path}/other.db")
    (tmp_path / "text.db").write_text("hello" * 1000, encoding="utf-8")
    with pytest.raises(JournalCorrupt):
        await pending_migrations(f"sqlite:///{tmp_path}/text.db")


async def test_a_journal_in_memory_lacks_nothing_and_goes_by_our_clock() -> None:
    assert await pending_migrations("memory:") == []
    assert await migrate_journal("memory:", clock=Clock()) == []
    assert await store_time_us("memory:") is None
