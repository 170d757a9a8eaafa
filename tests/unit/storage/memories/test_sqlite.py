"""Memories in a SQLite file: where it may lie, what is left in it of what was deleted, and what goes on beside."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, JournalNewer, StorageBusy, StorageError
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.memory import Person, Scope
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memories import KeptMemory
from agent_sdk.storage.memories.sqlite import SqliteRows
from agent_sdk.storage.memories.sqlite_lines import SqliteLines
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.memory_stores import TopicEmbedder

TENANT, ANN, BOB = TenantId("t"), PrincipalId("ann"), PrincipalId("bob")
SECRETS = ("quuxzebra", "jabberwock", "xylophone", "vorpalsword")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
async def memory(path: Path) -> AsyncGenerator[KeptMemory]:
    made = KeptMemory(await SqliteRows.open(path, clock=SystemClock()), TopicEmbedder())
    yield made
    await made.close()


def files_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob("memory.db*"))


def left_in(path: Path, *texts: str) -> list[str]:
    """Return those of the texts whose bytes stand in the database or in a file beside it."""
    held = b"".join(file.read_bytes() for file in files_of(path)).lower()
    return [text for text in texts if text.encode() in held]


def rows_in(path: Path) -> dict[str, int]:
    """Count the rows of every table that holds something for each memory, FTS5's shadow tables included."""
    db = sqlite3.connect(path)
    tables = ("memories", "memory_vectors", "memory_words", "memory_words_content", "memory_words_docsize")
    counts: dict[str, int] = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    db.close()
    return counts


def indexed_words(path: Path) -> set[str]:
    """Return the words that the index itself still knows."""
    db = sqlite3.connect(path)
    db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, memory_words, row)")
    words = {word for (word,) in db.execute("SELECT term FROM temp.vocabulary")}
    db.close()
    return words


async def test_the_file_is_its_users_alone(path: Path, memory: KeptMemory) -> None:
    await memory.remember(Scope(TENANT), "tea")
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in files_of(path)] == [
        (name, 0o600) for name in ("memory.db", "memory.db-shm", "memory.db-wal")
    ]


async def test_what_was_erased_is_left_nowhere_in_the_files(path: Path, memory: KeptMemory) -> None:
    for number in range(50):
        await memory.remember(Scope(TENANT, BOB), f"what bob says {number} {SECRETS[3] if number == 25 else ''}")
        await memory.remember(Scope(TENANT, ANN, f"agent{number % 3}"), f"{SECRETS[0]} {number} {SECRETS[1]}", kind=SECRETS[2])
    assert left_in(path, *SECRETS) == list(SECRETS)
    assert await memory.erase(Person(TENANT, ANN)) == 50
    assert left_in(path, *SECRETS) == ["vorpalsword"]
    assert set(rows_in(path).values()) == {50}
    assert not indexed_words(path) & {"quuxzebra", "jabberwock", "xylophon", "quuxz"}


async def test_what_was_forgotten_is_left_nowhere_in_the_files(path: Path, memory: KeptMemory) -> None:
    scope = Scope(TENANT, ANN)
    kept = [await memory.remember(scope, f"{secret} alone") for secret in SECRETS]
    for number, memory_id in enumerate(kept):
        assert await memory.forget(scope, memory_id)
        assert left_in(path, *SECRETS) == list(SECRETS[number + 1 :])
    assert set(rows_in(path).values()) == {0}


async def test_the_index_is_sound_after_many_changes(path: Path, memory: KeptMemory) -> None:
    for number in range(30):
        scope = Scope(TENANT, PrincipalId(f"user{number % 5}"))
        await memory.remember(scope, f"note {number} of many words {number % 7}")
        if number % 4 == 3:
            await memory.erase(scope)
    db = sqlite3.connect(path)
    db.execute("INSERT INTO memory_words (memory_words) VALUES ('integrity-check')")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


async def test_words_are_found_by_their_english_stem(memory: KeptMemory) -> None:
    await memory.remember(Scope(TENANT), "She prefers walking")
    plain = KeptMemory(memory.rows)
    assert len((await plain.search(Scope(TENANT), "did she prefer walks?")).hits) == 1


async def test_a_journals_file_and_another_programs_are_refused_and_stay_as_they_are(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "agent.db", clock=SystemClock())
    await journal.close()
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("CREATE TABLE songs (title)")
    db.close()
    for name, what in (("agent.db", "is a journal"), ("other.db", "another program")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ConfigError, match=what):
            await SqliteRows.open(tmp_path / name, clock=SystemClock())
        assert (tmp_path / name).read_bytes() == before


async def test_a_file_of_memories_is_no_journal(path: Path, memory: KeptMemory) -> None:
    with pytest.raises(ConfigError, match="another program"):
        await SqliteJournal.open(path, clock=SystemClock())


async def test_a_place_that_holds_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        await SqliteRows.open(tmp_path / "missing" / "memory.db", clock=SystemClock())
    with pytest.raises(ConfigError, match="a directory"):
        await SqliteRows.open(tmp_path, clock=SystemClock())


async def test_what_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StorageError, match="no SQLite database"):
        await SqliteRows.open(path, clock=SystemClock())


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await (await SqliteRows.open(path, clock=SystemClock())).close()
    db = sqlite3.connect(path)
    db.execute("INSERT INTO migrations VALUES (99, 'later', '', 0)")
    db.commit()
    db.close()
    with pytest.raises(JournalNewer):
        await SqliteRows.open(path, clock=SystemClock())


async def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        opening = [tasks.create_task(SqliteRows.open(path, clock=SystemClock())) for _ in range(6)]
    for task in opening:
        await task.result().close()


async def test_a_writer_that_is_locked_out_says_so_and_readers_go_on(path: Path) -> None:
    lines = await SqliteLines.open(path, now_us=0, busy_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageBusy):
        await lines.write(lambda db: db.execute("DELETE FROM memories"))
    assert await lines.read(lambda db: db.execute("SELECT count(*) FROM memories").fetchone()) == (0,)
    other.close()
    await lines.close()


async def test_a_change_that_fails_is_taken_back_whole(path: Path) -> None:
    lines = await SqliteLines.open(path, now_us=0)

    def fail(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO memory_vectors VALUES (1, 'm', x'00')")
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await lines.write(fail)
    assert await lines.read(lambda db: db.execute("SELECT count(*) FROM memory_vectors").fetchone()) == (0,)
    await lines.close()


async def test_a_closed_memory_takes_nothing_more(memory: KeptMemory) -> None:
    await memory.close()
    await memory.close()
    with pytest.raises(StorageError, match="is closed"):
        await memory.remember(Scope(TENANT), "tea")


async def test_what_is_kept_is_synced_to_the_disk(path: Path) -> None:
    lines = await SqliteLines.open(path, now_us=0)
    settings = await lines.write(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode", "secure_delete")]
    )
    assert settings == [2, "wal", 1]
    await lines.close()


async def test_who_erases_is_told_while_a_reader_keeps_the_bytes_in_the_file_and_may_do_it_again(path: Path) -> None:
    rows = SqliteRows(await SqliteLines.open(path, now_us=0, busy_s=0.05), SystemClock())
    memory, scope = KeptMemory(rows), Scope(TENANT, ANN)
    await memory.remember(scope, SECRETS[0])
    await rows.delete(Scope(TENANT, BOB), None)  # empties the log into the file
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM memories").fetchone() == (1,)
    with pytest.raises(StorageBusy, match="reads"):
        await memory.erase(Person(TENANT, ANN))
    assert not (await memory.list(Person(TENANT, ANN))).memories
    assert left_in(path, SECRETS[0]) == [SECRETS[0]]
    reader.close()
    assert await memory.erase(Person(TENANT, ANN)) == 0
    assert left_in(path, SECRETS[0]) == []
    await memory.close()


async def test_those_who_delete_at_once_wait_for_one_another_and_leave_nothing(path: Path) -> None:
    memories = [KeptMemory(await SqliteRows.open(path, clock=SystemClock())) for _ in range(3)]

    async def forget(memory: KeptMemory, secret: str) -> None:
        for _ in range(8):
            assert await memory.forget(Scope(TENANT), await memory.remember(Scope(TENANT), secret))

    async with asyncio.TaskGroup() as tasks:
        for memory, secret in zip(memories, SECRETS, strict=False):
            tasks.create_task(forget(memory, secret))
    assert left_in(path, *SECRETS) == []
    for memory in memories:
        await memory.close()
