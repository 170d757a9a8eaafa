"""Time that tests own: an event loop whose clock jumps to the next timer instead of waiting, and the ports of time, names and chance on it.

It knows what happens in the loop alone. A thread that the loop waits for is not seen: to wait for one is a deadlock here, or a time limit
that passes at once.
"""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.ids import RunId

T = TypeVar("T")
START_US = 1_767_225_600_000_000
"""The wall clock when a virtual loop begins: 2026-01-01 00:00 UTC."""


class Deadlock(AgentSDKError):
    """Nothing is ready and no timer is set: what the loop waits for never comes."""

    code = "deadlock"
    default_hint: ClassVar[str | None] = "look at where each task waits; a thread or a socket that it waits for is not seen in virtual time"


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` begins at 0 and moves only when nothing is ready: to the next timer, at once."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now_s

    def pass_time(self, delay_s: float) -> None:
        """Let time pass without a suspension, as code does that computes."""
        self._now_s += delay_s


class _JumpingSelector(selectors.SelectSelector):
    """Takes what is ready; where nothing is, lets its loop's time pass as if it had waited."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            waiting = "".join(f"\n- {_place_of(task)}" for task in asyncio.all_tasks(self._loop))
            raise Deadlock(f"after {self._loop.time():g} s nothing is ready and no timer is set; waiting:{waiting or ' nobody'}")
        self._loop.pass_time(timeout)
        return ready


def _place_of(task: "asyncio.Task[Any]") -> str:
    frame = next(iter(task.get_stack(limit=1)), None)
    return f"{task.get_name()} at {frame.f_code.co_qualname}, line {frame.f_lineno}" if frame is not None else task.get_name()


class VirtualClock:
    """The `Clock` port on the virtual loop that runs: wall clock and monotonic clock move together.

    From another thread, such as the one that renews leases, it tells the time of the loop that asked it last.
    """

    def __init__(self) -> None:
        self._last: VirtualTimeLoop | None = None

    def now_us(self) -> int:
        return START_US + round(self.monotonic() * 1_000_000)

    def monotonic(self) -> float:
        try:
            self._last = _loop()
        except RuntimeError:
            if self._last is None:
                raise
        return self._last.time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)

    def advance(self, delay_s: float) -> None:
        """Let time pass without a suspension, as code does that computes."""
        _loop().pass_time(delay_s)


class SeededRandom:
    """The `Random` port: the same chance at every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311  (a test's chance)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


class CountingIds:
    """The `Ids` port: `run_1`, `run_2` and so on."""

    def __init__(self) -> None:
        self._given = 0

    def run_id(self) -> RunId:
        self._given += 1
        return RunId(f"run_{self._given}")


def run_virtual(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end in a loop of its own, in virtual time.

    Raises:
        Deadlock: it waits for what never comes.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)


def _loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError("a VirtualClock tells the time of a VirtualTimeLoop alone: start the code with `run_virtual`")
    return loop
