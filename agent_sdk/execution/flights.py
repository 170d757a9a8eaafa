"""What is under way in a run, and the one way to stop it: a lone step runs in the walking task itself, several in tasks of their own."""

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from agent_sdk.core.ids import StepId

T = TypeVar("T")
StopKind = Literal["cancel", "suspend", "expire"]


@dataclass(slots=True)
class _Flight:
    """`cancel` lets work begin that has not, so that it can journal its end; `task` is the one that the work runs in."""

    cancel: Callable[[], object]
    task: "asyncio.Task[object]"
    was_cancelled: bool = False


class Flights:
    """The steps and questions being performed. `stop` says how the run was asked to stop, if it was."""

    def __init__(self) -> None:
        self._flights: dict[StepId, _Flight] = {}
        self._walking: asyncio.Task[object] | None = None
        self.stop: StopKind | None = None

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[StepId]:
        return iter(self._flights)

    async def in_place(self, step: StepId, work: Coroutine[object, object, T]) -> T:
        """Await `work` in the walking task, which alone calls this; a cancellation by `cancel_all` ends the work and not the task."""
        task = self._walking = self._walking or cast("asyncio.Task[object]", asyncio.current_task())
        flight = self._flights[step] = _Flight(task.cancel, task)
        cancelling = task.cancelling()
        try:
            return await work
        finally:
            del self._flights[step]
            if flight.was_cancelled:
                await _absorb(task, cancelling)

    def launch(self, tasks: asyncio.TaskGroup, step: StepId, work: Coroutine[object, object, None], landed: Callable[[], None]) -> None:
        """Start `work` in a task of its own and call `landed` when it ends.

        It begins even where it was cancelled before that, so that it can journal its end.
        """

        def land(_task: "asyncio.Task[None]") -> None:
            self._flights.pop(step, None)
            landed()

        task = tasks.create_task(work)
        self._flights[step] = _Flight(lambda: task.get_loop().call_soon(task.cancel), cast("asyncio.Task[object]", task))
        task.add_done_callback(land)

    def was_cancelled(self, step: StepId) -> bool:
        """Say whether the step is under way and was cancelled by `cancel_all`."""
        flight = self._flights.get(step)
        return flight is not None and flight.was_cancelled

    def cancel_now(self, step: StepId) -> None:
        """Cancel the step's work before it takes another step, even where what it waits for has come already."""
        flight = self._flights[step]
        flight.was_cancelled = True
        has_begun = inspect.getcoroutinestate(cast("Coroutine[Any, Any, object]", flight.task.get_coro())) != inspect.CORO_CREATED
        (flight.task.cancel if has_begun else flight.cancel)()

    def cancel_all(self, spared: Collection[StepId]) -> None:
        """Cancel all that is under way, once, but for the spared."""
        for step, flight in self._flights.items():
            if step not in spared and not flight.was_cancelled:
                flight.was_cancelled = True
                flight.cancel()


async def _absorb(task: "asyncio.Task[object]", cancelling: int) -> None:
    """Take back a cancellation that was meant for the work, whether or not the work had met it; one from outside goes on."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    if task.uncancel() > cancelling:
        raise asyncio.CancelledError
