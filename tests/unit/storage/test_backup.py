"""Backups of a SQLite journal: what they hold, what is found wrong with them, and what they refuse to overwrite."""

import sqlite3
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, JournalCorrupt, NotFound, RequestError, StorageError
from agent_sdk.core.ids import RunId
from agent_sdk.storage.audit import audit_run
from agent_sdk.storage.backup import MANIFEST, Tools, create_backup, read_manifest, restore_backup, verify_backup
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import OTHER_TENANT, RUN, START_US, TENANT, Clock, begin, created, finished

TOOLS = Tools(Clock())
LARGE = "x" * 40_000


async def journal_at(path: Path) -> SqliteJournal:
    """Make a journal with an ended run, a large value in it, and one of another tenant that is queued."""
    journal = await SqliteJournal.open(path, clock=Clock())
    hand = await begin(journal)
    await hand.append(finished(LARGE))
    await hand.end()
    await journal.create(OTHER_TENANT, RunId("run-2"), [created()])
    return journal


@pytest.fixture
async def url(tmp_path: Path) -> str:
    await (await journal_at(tmp_path / "agent.db")).close()
    return f"sqlite:///{tmp_path}/agent.db"


@pytest.fixture
async def backup(url: str, tmp_path: Path) -> Path:
    await create_backup(url, tmp_path / "backup", TOOLS)
    return tmp_path / "backup"


def tamper(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()


async def test_a_backup_is_a_directory_that_says_what_is_in_it(url: str, tmp_path: Path) -> None:
    manifest = await create_backup(url, tmp_path / "backup", TOOLS)
    assert sorted(file.name for file in (tmp_path / "backup").iterdir()) == ["journal.db", MANIFEST]
    assert manifest == read_manifest(tmp_path / "backup")
    assert (manifest.contents.runs, manifest.contents.unfinished, manifest.contents.events) == (2, 1, 5)
    assert manifest.created_at == START_US
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


async def test_a_journal_that_is_open_is_copied_as_it_is_at_that_moment(tmp_path: Path) -> None:
    journal = await journal_at(tmp_path / "agent.db")
    manifest = await create_backup(f"sqlite:///{journal.path}", tmp_path / "backup", TOOLS)
    await journal.create(TENANT, RunId("run-3"), [created()])
    assert manifest.contents.runs == 2
    assert not (await verify_backup(tmp_path / "backup", TOOLS)).problems
    await journal.close()


async def test_a_sound_backup_is_verified_by_bringing_it_back_and_stays_as_it_is(backup: Path) -> None:
    before = {file.name: file.read_bytes() for file in backup.iterdir()}
    verified = await verify_backup(backup, TOOLS)
    assert (verified.how, verified.problems) == ("restored", ())
    assert {file.name: file.read_bytes() for file in backup.iterdir()} == before


async def test_a_backup_with_another_byte_is_not_sound(backup: Path) -> None:
    copy = backup / "journal.db"
    copy.write_bytes(copy.read_bytes()[:-1] + b"!")
    verified = await verify_backup(backup, TOOLS)
    assert verified.how == "listed"
    assert "holds other bytes" in verified.problems[0]


async def test_a_backup_of_a_journal_with_an_altered_event_names_the_event(tmp_path: Path) -> None:
    await (await journal_at(tmp_path / "agent.db")).close()
    tamper(tmp_path / "agent.db", "UPDATE events SET meta = '{}' WHERE seq = 3")
    await create_backup(f"sqlite:///{tmp_path}/agent.db", tmp_path / "backup", TOOLS)
    verified = await verify_backup(tmp_path / "backup", TOOLS)
    assert verified.problems == ("event 3 of run run-1 was altered or is missing",)
    with pytest.raises(JournalCorrupt, match="event 3 of run run-1"):
        await restore_backup(tmp_path / "backup", f"sqlite:///{tmp_path}/new.db", TOOLS)
    assert not (tmp_path / "new.db").exists()


async def test_a_backup_with_fewer_runs_than_its_manifest_says_is_not_sound(tmp_path: Path, url: str) -> None:
    await create_backup(url, tmp_path / "backup", TOOLS)
    manifest = tmp_path / "backup" / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"runs":2', '"runs":3'), encoding="utf-8")
    assert (await verify_backup(tmp_path / "backup", TOOLS)).problems == ("it has 2 runs and 5 events; its manifest says 3 and 5",)


async def test_a_backup_of_a_newer_version_is_told_apart(tmp_path: Path, url: str) -> None:
    tamper(tmp_path / "agent.db", "INSERT INTO migrations VALUES (999, 'later', 'x', 0)")
    await create_backup(url, tmp_path / "backup", TOOLS)
    assert "has migration 999" in (await verify_backup(tmp_path / "backup", TOOLS)).problems[0]


async def test_a_restored_journal_goes_on(backup: Path, tmp_path: Path) -> None:
    await restore_backup(backup, f"sqlite:///{tmp_path}/new.db", TOOLS)
    journal = await SqliteJournal.open(tmp_path / "new.db", clock=Clock())
    assert (await audit_run(journal, TENANT, RUN)).is_sound
    await begin(journal, run_id=RunId("run-4"))
    await journal.close()


async def test_the_log_of_a_database_that_is_gone_does_not_spoil_the_restored_one(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "new.db-wal").write_bytes(b"left behind")
    await restore_backup(backup, f"sqlite:///{tmp_path}/new.db", TOOLS)
    assert not (tmp_path / "new.db-wal").exists()


async def test_a_journal_is_overwritten_by_force_alone(backup: Path, url: str, tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=Clock())
    await journal.create(TENANT, RunId("run-3"), [created()])
    await journal.close()
    with pytest.raises(RequestError, match="there is a journal at"):
        await restore_backup(backup, url, TOOLS)
    await restore_backup(backup, url, TOOLS, force=True)
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=Clock())
    with pytest.raises(NotFound):
        await journal.row(TENANT, RunId("run-3"))
    await journal.close()


async def test_a_journal_that_is_in_use_is_not_overwritten_even_by_force(backup: Path, url: str, tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=Clock())
    with pytest.raises(RequestError, match="is in use"):
        await restore_backup(backup, url, TOOLS, force=True)
    await journal.create(TENANT, RunId("run-3"), [created()])
    await journal.close()


async def test_a_damaged_journal_can_be_overwritten_by_force(backup: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"this is no database, and a bit longer than its header would be" * 20)
    await restore_backup(backup, url, TOOLS, force=True)
    assert not (await verify_backup(backup, TOOLS)).problems


async def test_a_damaged_journal_whose_owner_lives_is_not_overwritten(backup: Path, tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "held.db", clock=Clock())
    await begin(journal)
    (tmp_path / "new.db").write_bytes(b"damaged" * 1000)
    (tmp_path / "new.db.owners").symlink_to(tmp_path / "held.db.owners")
    with pytest.raises(RequestError, match="is in use"):
        await restore_backup(backup, f"sqlite:///{tmp_path}/new.db", TOOLS, force=True)
    await journal.close()


async def test_another_program_s_database_is_never_overwritten(backup: Path, tmp_path: Path) -> None:
    tamper(tmp_path / "other.db", "CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="another program"):
        await restore_backup(backup, f"sqlite:///{tmp_path}/other.db", TOOLS, force=True)


async def test_a_damaged_journal_gives_no_backup(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"no database" * 1000)
    with pytest.raises(JournalCorrupt):
        await create_backup(f"sqlite:///{tmp_path}/agent.db", tmp_path / "backup", TOOLS)
    assert [file.name for file in tmp_path.iterdir()] == ["agent.db"]


async def test_what_is_there_already_is_no_place_for_a_backup(url: str, backup: Path) -> None:
    with pytest.raises(RequestError, match="there is something at"):
        await create_backup(url, backup, TOOLS)


@pytest.mark.parametrize(
    ("journal", "target", "refused", "match"),
    [
        ("sqlite:///none.db", "backup", NotFound, "no journal at"),
        ("sqlite:///none.db", "none/backup", RequestError, "does not exist"),
        ("memory:", "backup", ConfigError, "has no backups"),
        ("sqlite://host/agent.db", "backup", ConfigError, "has no backups"),
    ],
)
async def test_what_cannot_be_copied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str, target: str, refused: type[Exception], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(refused, match=match):
        await create_backup(journal, Path(target), TOOLS)
    assert list(tmp_path.iterdir()) == []


async def test_a_place_where_nothing_can_be_written_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        await create_backup(url, tmp_path / ("long" * 100), TOOLS)


async def test_what_is_no_backup_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no backup"):
        await verify_backup(tmp_path, TOOLS)
    (tmp_path / MANIFEST).write_text("{}", encoding="utf-8")
    with pytest.raises(JournalCorrupt, match="no manifest"):
        await verify_backup(tmp_path, TOOLS)


async def test_a_manifest_that_names_a_file_elsewhere_is_refused(backup: Path) -> None:
    manifest = backup / MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("journal.db", "../agent.db"), encoding="utf-8")
    with pytest.raises(JournalCorrupt, match="no manifest"):
        await verify_backup(backup, TOOLS)


async def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(StorageError, match="cannot be read"):
        await verify_backup(tmp_path, TOOLS)


async def test_a_backup_of_one_store_is_not_restored_to_another(backup: Path) -> None:
    with pytest.raises(RequestError, match="a sqlite journal, not of postgresql"):
        await restore_backup(backup, "postgresql://localhost/agents", TOOLS)


async def test_a_missing_directory_is_told_before_a_backup_is_verified(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        await restore_backup(backup, f"sqlite:///{tmp_path}/none/new.db", TOOLS)
