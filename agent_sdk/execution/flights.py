"""What is under way in a run, and the one way to cancel it: a lone step runs in the walking task itself, several in tasks of their own."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

from agent_sdk.core.ids import StepId

T = TypeVar("T")


@dataclass(slots=True)
class _Flight:
    task: "asyncio.Task[object]"
    was_cancelled: bool = False


class Flights:
    """The steps and questions being performed."""

    def __init__(self) -> None:
        self._flights: dict[StepId, _Flight] = {}
        self.is_asking = False

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[StepId]:
        return iter(self._flights)

    @contextlib.contextmanager
    def asking(self) -> Generator[None]:
        """Mark that the planner's question is under way."""
        self.is_asking = True
        try:
            yield
        finally:
            self.is_asking = False

    async def in_place(self, step: StepId, work: Coroutine[object, object, T]) -> T:
        """Await `work` in the current task; a cancellation through `cancel_all` ends the work and not the task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a step is performed inside a task")
        flight = self._flights[step] = _Flight(task)
        cancelling = task.cancelling()
        try:
            return await work
        finally:
            del self._flights[step]
            if flight.was_cancelled:
                await _absorb(task, cancelling)

    def launch(self, tasks: asyncio.TaskGroup, step: StepId, work: Coroutine[object, object, None], landed: Callable[[], None]) -> None:
        """Start `work` in a task of its own and call `landed` when it ends."""

        def land(_task: "asyncio.Task[None]") -> None:
            self._flights.pop(step, None)
            landed()

        task = tasks.create_task(work)
        self._flights[step] = _Flight(task)
        task.add_done_callback(land)

    def cancel_all(self, spared: Collection[StepId]) -> None:
        """Cancel all that is under way, once, but for the spared."""
        for step, flight in self._flights.items():
            if step not in spared and not flight.was_cancelled:
                flight.was_cancelled = True
                flight.task.cancel()


async def _absorb(task: "asyncio.Task[object]", cancelling: int) -> None:
    """Take back a cancellation that was meant for the work, whether or not the work had met it; one from outside goes on."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    if task.uncancel() > cancelling:
        raise asyncio.CancelledError
