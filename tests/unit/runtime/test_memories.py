"""Long-term memory by its URL, and in the hands of an agent."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_sdk import Agent, App, Runtime, StartOptions
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.memory import Person, Scope
from agent_sdk.runtime.memories import LongTermMemory
from agent_sdk.runtime.system import SystemClock
from agent_sdk.testing import Call, ScriptedModel
from agent_sdk.tools.memory import memory_tools
from tests.contract.memory_stores import TopicEmbedder

SCOPE = Scope(TenantId("t"), PrincipalId("ann"))


async def test_it_opens_with_the_first_use_and_again_after_it_was_closed(tmp_path: Path) -> None:
    memory = LongTermMemory(f"sqlite:///{tmp_path}/memory.db")
    assert list(tmp_path.iterdir()) == []
    await memory.close()
    kept = await memory.remember(SCOPE, "tea")
    await memory.close()
    async with memory:
        assert (await memory.search(SCOPE, "tea")).hits[0].memory.id == kept
        assert await memory.forget(SCOPE, kept)
        assert (await memory.list(SCOPE)).memories == ()
        assert await memory.erase(SCOPE) == 0


def test_an_event_loop_that_ended_does_not_end_it(tmp_path: Path) -> None:
    memory = LongTermMemory(f"sqlite:///{tmp_path}/memory.db")
    asyncio.run(memory.remember(SCOPE, "tea"))

    async def search_and_close() -> int:
        async with memory:
            return len((await memory.search(SCOPE, "tea")).hits)

    assert asyncio.run(search_and_close()) == 1


class Together(SystemClock):
    """A clock that those who open a file look at together: nobody is first."""

    def __init__(self) -> None:
        self._all_there = threading.Barrier(2, timeout=20)

    def now_us(self) -> int:
        if not self._all_there.broken and threading.current_thread().name.startswith("loop"):
            self._all_there.wait()
        return super().now_us()


def test_event_loops_of_two_threads_that_open_one_file_at_once_share_it(tmp_path: Path) -> None:
    memory = LongTermMemory(f"sqlite:///{tmp_path}/memory.db", clock=Together())

    def count() -> int:
        return asyncio.run(count_seen(memory))

    with ThreadPoolExecutor(2, thread_name_prefix="loop") as threads:
        assert [looking.result() for looking in [threads.submit(count), threads.submit(count)]] == [0, 0]
    assert sum(thread.name.startswith("write memory.db") for thread in threading.enumerate()) == 1
    asyncio.run(memory.close())
    assert not any("memory.db" in thread.name for thread in threading.enumerate())


async def count_seen(memory: LongTermMemory) -> int:
    return len((await memory.list(SCOPE)).memories)


async def test_what_cannot_be_opened_is_said_at_the_first_use() -> None:
    memory = LongTermMemory("sqlite:///missing/memory.db")
    with pytest.raises(ConfigError, match="does not exist"):
        await memory.remember(SCOPE, "tea")


async def test_an_embedder_makes_vectors(tmp_path: Path) -> None:
    async with LongTermMemory(f"sqlite:///{tmp_path}/memory.db") as words:
        await words.remember(SCOPE, "coffee")
        assert (await words.search(SCOPE, "drink")).hits == ()
    async with LongTermMemory(f"sqlite:///{tmp_path}/memory.db", embedder=TopicEmbedder()) as memory:
        assert await memory.reindex(SCOPE.tenant) == 1
        assert len((await memory.search(SCOPE, "drink")).hits) == 1


async def test_an_agent_remembers_for_the_user_whom_its_run_acts_for() -> None:
    memory = LongTermMemory("memory://")
    model = ScriptedModel([Call("remember", {"text": "Ann drinks tea"}), "Noted."])
    agent = Agent(name="helper", model=model, tools=[*memory_tools(memory)])
    async with memory, Runtime.open("memory://", app=App([agent])) as runtime:
        run = await runtime.start(agent, "I drink tea", options=StartOptions(principal=PrincipalId("ann")))
        assert await run.result() == "Noted."
        (kept,) = (await memory.list(Person(runtime.tenant, PrincipalId("ann")))).memories
        assert (kept.text, kept.scope.agent) == ("Ann drinks tea", "helper")
