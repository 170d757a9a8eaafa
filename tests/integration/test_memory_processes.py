"""Memories of many processes, and in databases that are not made for them: what holds when more than one is at work."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError, JournalNewer, StorageError, StorageReadOnly
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.memory import Memory, Person, Scope
from agent_sdk.runtime.memories import LongTermMemory
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memories import KeptMemory, open_memory_rows
from agent_sdk.storage.postgres.journal import PostgresJournal
from agent_sdk.testing.postgres import PrivatePostgres
from agent_sdk.testing.postgres_programs import find_programs
from tests.contract.memory_stores import TopicEmbedder
from tests.contract.postgres_store import connected

TENANT, ANN = TenantId("t"), PrincipalId("ann")
SCOPE = Scope(TENANT, ANN)
WRITERS, EACH = 4, 15
WRITER = f"""
import asyncio, sys
from agent_sdk.core.memory import Person, Scope
from agent_sdk.runtime.memories import LongTermMemory

async def write(url, number):
    async with LongTermMemory(url) as memory:
        for i in range({EACH}):
            await memory.remember(Scope("t", "ann"), f"note {{i}} of all", key=f"same {{i}}")
            made = await memory.remember(Scope("t", "ann"), f"own note {{i}} of {{number}}")
            if i % 3 == 0:
                assert await memory.forget(Person("t", "ann"), made)
            assert (await memory.search(Scope("t", "ann"), "note", 5)).hits

asyncio.run(write(sys.argv[1], sys.argv[2]))
"""


def written_by_many(url: str) -> None:
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen([*command, str(number)], stderr=subprocess.PIPE, text=True) for number in range(WRITERS)]
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said


async def check_all_is_there(memory: Memory) -> None:
    texts = sorted(each.text for each in (await memory.list(SCOPE, limit=1000)).memories)
    shared = [f"note {i} of all" for i in range(EACH)]
    own = [f"own note {i} of {number}" for i in range(EACH) for number in range(WRITERS) if i % 3]
    assert texts == sorted(shared + own)
    assert await memory.erase(Person(TENANT, ANN)) == len(texts)
    assert (await memory.search(SCOPE, "note")).hits == ()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_processes_that_write_at_once_lose_and_double_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url: str = f"sqlite:///{tmp_path}/memory.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    await asyncio.to_thread(written_by_many, url)
    async with LongTermMemory(url) as memory:
        await check_all_is_there(memory)


async def test_the_journals_database_may_hold_the_memory_too(postgres_url: str) -> None:
    journal = await PostgresJournal.open(postgres_url)
    async with LongTermMemory(postgres_url) as memory:
        await memory.remember(SCOPE, "tea")
        async with connected(postgres_url) as connection:
            rows = await connection.fetch(
                "SELECT table_schema, count(*) FROM information_schema.tables WHERE table_schema LIKE 'agent%' GROUP BY 1"
            )
        assert {row[0] for row in rows} == {"agent_sdk", "agent_memory"}
    await journal.close()


async def test_processes_that_open_an_empty_database_at_once_make_one_schema(postgres_url: str) -> None:
    memories = [LongTermMemory(postgres_url) for _ in range(5)]
    async with asyncio.TaskGroup() as tasks:
        for number, memory in enumerate(memories):
            tasks.create_task(memory.remember(SCOPE, f"note {number}"))
    assert len((await memories[0].list(SCOPE)).memories) == 5
    for memory in memories:
        await memory.close()


async def test_event_loops_in_threads_keep_the_connections_that_they_have(postgres_url: str) -> None:
    memory, loops = LongTermMemory(postgres_url), 3
    in_turn, all_done = threading.Barrier(loops, timeout=30), threading.Barrier(loops + 1, timeout=30)

    async def remember(number: int) -> None:
        async with memory:
            for turn in range(4):
                await memory.remember(SCOPE, f"note {turn} of {number}")
                in_turn.wait()
            all_done.wait()
            all_done.wait()

    with ThreadPoolExecutor(loops) as threads:
        working = [threads.submit(asyncio.run, remember(number)) for number in range(loops)]
        await asyncio.to_thread(all_done.wait)
        async with connected(postgres_url) as connection:
            ((count,),) = await connection.fetch(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await asyncio.to_thread(all_done.wait)
        for each in working:
            each.result()
    assert count <= loops
    async with memory:
        assert len((await memory.list(SCOPE)).memories) == loops * 4


async def test_nothing_of_an_erased_person_is_left_in_any_table(postgres_url: str) -> None:
    async with LongTermMemory(postgres_url) as memory:
        for number in range(5):
            await memory.remember(SCOPE, f"quuxzebra {number}")
        await memory.remember(Scope(TENANT), "tea")
        assert await memory.erase(Person(TENANT, ANN)) == 5
    async with connected(postgres_url) as connection:
        rows = await connection.fetch("SELECT text, words::text FROM agent_memory.memories")
    assert [row[0] for row in rows] == ["tea"]
    assert "quuxzebra" not in rows[0][1]


async def test_a_server_without_pgvector_is_said_to_lack_it_and_keeps_words(postgres_url: str) -> None:
    async with connected(postgres_url) as connection:
        if await connection.fetch("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
            return  # that of the wheel brings it: what is said then is tried without a server
    async with LongTermMemory(postgres_url) as words:
        await words.remember(SCOPE, "tea")
        with pytest.raises(ConfigError, match="no extension pgvector"):
            await LongTermMemory(postgres_url, embedder=TopicEmbedder()).search(SCOPE, "tea")
        assert len((await words.search(SCOPE, "tea")).hits) == 1


async def test_who_may_not_switch_pgvector_on_is_told_who_must() -> None:
    with PrivatePostgres(programs=find_programs(path="", places=())) as server:
        async with LongTermMemory(server.url()), connected(server.url()) as connection:
            await connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
            await connection.execute("GRANT ALL ON SCHEMA agent_memory TO guest; GRANT ALL ON ALL TABLES IN SCHEMA agent_memory TO guest")
        guest = f"postgresql://guest:guest@127.0.0.1:{server.port}/postgres"
        with pytest.raises(StorageReadOnly, match="pgvector") as caught:
            await open_memory_rows(guest, clock=SystemClock(), with_vectors=True)
        assert "guest:guest" not in str(caught.value)
        async with LongTermMemory(server.url(), embedder=TopicEmbedder()) as memory:
            await memory.remember(SCOPE, "coffee")
            assert await memory.erase(SCOPE) == 1
        async with connected(server.url()) as connection:
            assert await connection.fetch("SELECT * FROM agent_memory.vectors") == []


async def test_a_user_without_rights_is_told_what_to_grant(postgres: PrivatePostgres, postgres_url: str) -> None:
    async with connected(postgres_url) as connection:
        await connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    try:
        url = f"postgresql://reader:reader@127.0.0.1:{postgres.port}/{postgres_url.rpartition('/')[2]}"
        with pytest.raises(StorageReadOnly) as caught:
            await open_memory_rows(url, clock=SystemClock())
        assert "reader:reader" not in str(caught.value)
    finally:
        async with connected(postgres_url) as connection:
            await connection.execute("DROP ROLE reader")


async def test_a_newer_schema_is_refused(postgres_url: str) -> None:
    async with LongTermMemory(postgres_url):
        pass
    async with connected(postgres_url) as connection:
        await connection.execute("INSERT INTO agent_memory.migrations (number, name, checksum) VALUES (99, 'later', '')")
    with pytest.raises(JournalNewer):
        await open_memory_rows(postgres_url, clock=SystemClock())


async def test_a_memory_outlives_its_servers_restart(postgres: PrivatePostgres) -> None:
    with PrivatePostgres() as server:
        memory = KeptMemory(await open_memory_rows(server.url(), clock=SystemClock()))
        await memory.remember(SCOPE, "tea")
        await asyncio.to_thread(server.restart, "immediate")
        assert len((await memory.search(SCOPE, "tea")).hits) == 1
        await memory.close()
        with pytest.raises(StorageError, match="closed"):
            await memory.search(SCOPE, "tea")
