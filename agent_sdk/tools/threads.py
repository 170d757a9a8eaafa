"""Threads for synchronous tools: a bounded pool of daemon threads, which a call that hangs neither stalls nor holds up at exit."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Literal, TypeVar

from agent_sdk.core.errors import NotDone, RequestError, ToolError

T = TypeVar("T")

_State = Literal["waiting", "running", "left", "done"]


class NoThreadFree(NotDone):
    """So many calls hang in their threads that none is left for another, or the pool is closed; the function was not called."""

    code = "tool_no_thread"
    default_hint: ClassVar[str | None] = "give the hanging tool's own input and output a time limit, make it async, or raise max_abandoned"


@dataclass(slots=True, eq=False)
class _Job:
    """One call on its way through the pool; `state` changes under the pool's lock alone. `left` means that nobody waits for it."""

    function: Callable[[], object]
    context: Context
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    state: _State = "waiting"

    def perform(self) -> Callable[[], None]:
        """Call the function, and return what tells the loop of its end."""
        try:
            result = self.context.run(self.function)
        except BaseException as error:  # noqa: BLE001  (the boundary to a tool: whatever it raises goes to its caller, never to the worker)
            return partial(_fail, self.future, _deliverable(error))
        return partial(_finish, self.future, result)

    def tell(self, end: Callable[[], None]) -> None:
        try:
            self.loop.call_soon_threadsafe(end)
        except RuntimeError:
            return  # the loop has closed: nobody waits any more


class ThreadPool:
    """Runs functions in up to `size` daemon threads, which start when they are first needed.

    A thread cannot be stopped: where its caller was cancelled or timed out it is counted in `abandoned`, its late result is dropped, and
    another thread takes its place, up to `max_abandoned` of them. When every thread hangs, calls are refused.
    """

    def __init__(self, size: int = 32, *, max_abandoned: int = 32) -> None:
        if size < 1 or max_abandoned < 0:
            raise RequestError("a thread pool has at least one thread, and max_abandoned is not negative")
        self._size = size
        self._max_abandoned = max_abandoned
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._free = 0  # threads without work, less the jobs that wait for one
        self._abandoned = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """Count the threads that live, abandoned ones with them."""
        return self._threads

    @property
    def abandoned(self) -> int:
        """Count the threads whose call nobody waits for."""
        return self._abandoned

    async def run(self, function: Callable[[], T]) -> T:
        """Call the function in a thread, with the caller's context variables, and return or raise what it does.

        `SystemExit` comes back as it is; what an event loop takes otherwise (`KeyboardInterrupt`, `StopIteration`) as a `ToolError`.

        Raises:
            NoThreadFree: every thread hangs in a call that nobody waits for, or the pool is closed.
        """
        loop = asyncio.get_running_loop()
        job = _Job(function, copy_context(), loop, loop.create_future())
        self._submit(job)
        try:
            result: T = await job.future
        finally:
            if job.state != "done":
                self._leave(job)
        return result

    def close(self) -> None:
        """Let the threads end once what waits is done, without waiting for them."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise NoThreadFree("the thread pool is closed", hint="a runtime that was closed calls no more tools: open another")
            self._free -= 1
            self._grow()
            if self._threads == self._abandoned:
                self._free += 1
                raise self._exhausted()
            self._queue.put(job)

    def _grow(self) -> None:
        if self._free < 0 and self._threads < self._limit():
            try:
                threading.Thread(target=self._work, name=f"agent-sdk-tool-{self._threads}", daemon=True).start()
            except RuntimeError:
                return  # the system gives no more threads: those there are go on
            self._threads += 1
            self._free += 1

    def _limit(self) -> int:
        return self._size + min(self._abandoned, self._max_abandoned)

    def _leave(self, job: _Job) -> None:
        """Take note that nobody waits for the job any more, and replace its thread."""
        with self._lock:
            if job.state == "running":
                self._abandoned += 1
                self._grow()
                if self._threads == self._abandoned:
                    self._refuse_waiting()
            if job.state != "done":
                job.state = "left"

    def _refuse_waiting(self) -> None:
        try:
            while (job := self._queue.get_nowait()) is not None:
                self._free += 1
                job.state = "done"
                job.tell(partial(_fail, job.future, self._exhausted()))
        except Empty:
            return
        self._queue.put(None)

    def _exhausted(self) -> NoThreadFree:
        if self._abandoned == 0:
            return NoThreadFree("the system starts no more threads", hint="raise its limit of threads, or lower the load")
        return NoThreadFree(f"no thread is free: {self._abandoned} tool calls were given up and still run")

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            goes_on = self._turn(job)
            del job  # an idle thread keeps nothing alive
            if not goes_on:
                return
        self._queue.put(None)  # the end is for every thread
        with self._lock:
            self._threads -= 1

    def _turn(self, job: _Job) -> bool:
        """Perform one job; say whether the thread is still needed."""
        if not self._begin(job):
            return True
        end = job.perform()
        is_awaited, goes_on = self._end(job)
        if is_awaited:
            job.tell(end)
        return goes_on

    def _begin(self, job: _Job) -> bool:
        with self._lock:
            if job.state == "left":
                self._free += 1
                return False
            job.state = "running"
            return True

    def _end(self, job: _Job) -> tuple[bool, bool]:
        """Take note that the call returned; say whether somebody waits for it, and whether the thread is still needed."""
        with self._lock:
            is_awaited = job.state == "running"
            job.state = "done"
            self._abandoned -= not is_awaited
            goes_on = self._threads <= self._limit()
            if goes_on:
                self._free += 1
            else:
                self._threads -= 1
            return is_awaited, goes_on


def _finish(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _deliverable(error: BaseException) -> BaseException:
    """Return what may pass through a future and a task without being taken for something else."""
    if isinstance(error, Exception | SystemExit) and not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    delivered = ToolError(
        f"the tool raised {type(error).__name__}", hint="this exception means nothing to a tool's caller: raise ToolError instead"
    )
    delivered.__cause__ = error
    return delivered
