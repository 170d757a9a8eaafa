import asyncio

from agent_sdk.storage.postgres.crew import Crew


async def test_a_crew_works_until_it_is_closed() -> None:
    crew = Crew()
    await crew.open()
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    crew.start(work(), "work")
    await started.wait()
    await crew.close()
    assert ended.is_set()
