import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

import pytest

from agent_sdk.core.errors import NotDone, RequestError, ToolError
from agent_sdk.tools import NoThreadFree, ThreadPool

LIMIT_S = 5


class Gate:
    """A call that says when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        self.open.wait(LIMIT_S)
        self.ended.set()
        return "late"


async def until(claim: Callable[[], bool]) -> None:
    """Let threads go on until the claim holds; they do within microseconds, so it is a fault when they do not."""
    async with asyncio.timeout(LIMIT_S):
        while not claim():  # noqa: ASYNC110  (threads set no event of the loop)
            await asyncio.sleep(0)


async def abandon(pool: ThreadPool, gate: Gate) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pool.run(gate))
        await until(gate.begun.is_set)
        task.cancel()


async def test_a_call_runs_in_another_thread_and_returns(pool: ThreadPool) -> None:
    assert await pool.run(threading.get_ident) != threading.get_ident()


async def test_threads_start_when_they_are_needed_and_are_used_again(pool: ThreadPool) -> None:
    assert pool.threads == 0
    for _ in range(10):
        await pool.run(int)
    assert pool.threads == 1


async def test_as_many_calls_run_side_by_side_as_the_pool_has_threads(pool: ThreadPool) -> None:
    together = threading.Barrier(4)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(pool.run(lambda: together.wait(LIMIT_S)))
    assert pool.threads == 4


async def test_the_default_size_holds_32_calls() -> None:
    pool = ThreadPool()
    together = threading.Barrier(32)
    async with asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(pool.run(lambda: together.wait(LIMIT_S)))
    assert pool.threads == 32
    pool.close()


async def test_more_calls_than_threads_wait_their_turn() -> None:
    pool = ThreadPool(2)
    done: list[int] = []
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(pool.run(partial(done.append, number)))
    assert sorted(done) == list(range(50))
    assert pool.threads == 2
    pool.close()


async def test_context_variables_are_those_of_the_caller(pool: ThreadPool) -> None:
    trace: ContextVar[str] = ContextVar("trace", default="none")
    trace.set("abc")

    def inner() -> str:
        before = trace.get()
        trace.set("changed")
        return before

    assert (await pool.run(inner), trace.get()) == ("abc", "abc")


async def test_an_error_comes_back_as_it_is(pool: ThreadPool) -> None:
    def broken() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await pool.run(broken)
    assert await pool.run(int) == 0


async def test_exit_comes_back_to_the_caller_and_the_thread_lives(pool: ThreadPool) -> None:
    caught: SystemExit | None = None
    try:
        await pool.run(lambda: sys.exit(3))
    except SystemExit as error:
        caught = error
    assert caught is not None
    assert caught.code == 3
    assert (await pool.run(int), pool.threads) == (0, 1)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopIteration, StopAsyncIteration])
async def test_what_means_something_else_to_a_loop_comes_as_a_tool_error(pool: ThreadPool, kind: type[BaseException]) -> None:
    def broken() -> None:
        raise kind("x")

    with pytest.raises(ToolError, match=f"the tool raised {kind.__name__}") as caught:
        await pool.run(broken)
    assert isinstance(caught.value.__cause__, kind)
    assert (await pool.run(int), pool.threads) == (0, 1)


async def test_a_cancelled_call_is_counted_replaced_and_its_result_dropped() -> None:
    pool = ThreadPool(1)
    gate = Gate()
    await abandon(pool, gate)
    assert pool.abandoned == 1
    assert await pool.run(lambda: "next") == "next"
    assert pool.threads == 2
    gate.open.set()
    await until(lambda: pool.abandoned == 0)
    await until(lambda: pool.threads == 1)
    assert await pool.run(lambda: "after") == "after"
    pool.close()


async def test_a_call_over_its_time_limit_is_abandoned() -> None:
    pool = ThreadPool(1)
    gate = Gate()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await pool.run(gate)
    gate.open.set()
    await until(lambda: pool.abandoned == 0)
    pool.close()


async def test_waiting_calls_go_on_when_the_one_before_them_is_abandoned() -> None:
    pool = ThreadPool(1)
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(pool.run(gate))
        await until(gate.begun.is_set)
        waiting = group.create_task(pool.run(lambda: "went on"))
        await asyncio.sleep(0)
        hanging.cancel()
    assert waiting.result() == "went on"
    gate.open.set()
    pool.close()


async def test_a_call_cancelled_before_it_began_never_begins() -> None:
    pool = ThreadPool(1)
    gate, called = Gate(), threading.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run(gate))
        await until(gate.begun.is_set)
        waiting = group.create_task(pool.run(called.set))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        gate.open.set()
    assert await pool.run(called.is_set) is False
    assert pool.abandoned == 0
    pool.close()


async def test_calls_are_refused_when_every_thread_hangs() -> None:
    pool = ThreadPool(1, max_abandoned=1)
    gates = [Gate(), Gate()]
    for gate in gates:
        await abandon(pool, gate)
    with pytest.raises(NoThreadFree, match="2 tool calls were given up") as caught:
        await pool.run(int)
    assert isinstance(caught.value, NotDone)
    for gate in gates:
        gate.open.set()
    await until(lambda: pool.abandoned == 0)
    assert await pool.run(int) == 0
    assert pool.threads == 1
    pool.close()


async def test_waiting_calls_are_refused_when_the_last_thread_hangs() -> None:
    pool = ThreadPool(1, max_abandoned=0)
    gate = Gate()
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(pool.run(gate))
        await until(gate.begun.is_set)
        waiting = group.create_task(refusal(pool))
        await asyncio.sleep(0)
        pool.close()
        hanging.cancel()
    assert isinstance(waiting.result(), NoThreadFree)
    gate.open.set()
    await until(lambda: pool.threads == 0)


async def refusal(pool: ThreadPool) -> BaseException | None:
    try:
        await pool.run(int)
    except NoThreadFree as error:
        return error
    return None


async def test_a_closed_pool_ends_its_threads_and_takes_no_calls() -> None:
    pool = ThreadPool(2)
    together = threading.Barrier(2)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(pool.run(lambda: together.wait(LIMIT_S)))
    pool.close()
    pool.close()
    await until(lambda: pool.threads == 0)
    with pytest.raises(NoThreadFree, match="closed"):
        await pool.run(int)


def test_a_result_for_a_loop_that_has_closed_is_dropped() -> None:
    pool = ThreadPool(1)
    gate = Gate()
    call = pool.run(gate)

    async def begin() -> None:
        call.send(None)
        await until(gate.begun.is_set)

    asyncio.run(begin())
    gate.open.set()
    assert asyncio.run(pool.run(lambda: 1)) == 1
    call.close()
    assert (pool.threads, pool.abandoned) == (1, 0)
    pool.close()


async def test_calls_are_refused_when_the_system_starts_no_threads(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(NoThreadFree, match="starts no more threads"):
        await pool.run(int)
    monkeypatch.undo()
    assert await pool.run(int) == 0


def test_one_pool_serves_several_loops() -> None:
    pool = ThreadPool(2)
    assert [asyncio.run(pool.run(lambda: 1)), asyncio.run(pool.run(lambda: 2))] == [1, 2]
    pool.close()


async def test_an_idle_thread_keeps_nothing_of_its_last_call_alive(pool: ThreadPool) -> None:
    class Large:
        pass

    async def call() -> "weakref.ref[Large]":
        large = Large()
        assert await pool.run(lambda: large) is large
        return weakref.ref(large)

    gone = await call()
    await pool.run(int)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(("size", "max_abandoned"), [(0, 1), (1, -1)])
def test_a_pool_without_threads_is_refused(size: int, max_abandoned: int) -> None:
    with pytest.raises(RequestError, match="at least one thread"):
        ThreadPool(size, max_abandoned=max_abandoned)


@pytest.mark.slow
def test_a_hanging_thread_does_not_hold_up_the_exit() -> None:
    program = """
import asyncio, threading
from agent_sdk.tools import ThreadPool

async def main():
    async with asyncio.timeout(0.01):
        await ThreadPool().run(threading.Event().wait)

try:
    asyncio.run(main())
except TimeoutError:
    print("left", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "left\n"
