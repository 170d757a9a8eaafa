"""The tasks of an open journal: a group that lives from `open` to `close`, since the journal is no block of anybody's code."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Crew:
    """Owns tasks, which are cancelled at the close. None of them lets an error out: it would end the others."""

    def __init__(self) -> None:
        self._open: asyncio.Future[asyncio.TaskGroup] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="postgres journal")
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self._open

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin to do `work`."""
        task = self._open.result().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self._closing.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.wait([self._keeper])

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._open.set_result(tasks)
            await self._closing.wait()
