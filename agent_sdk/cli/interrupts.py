"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second leaves at once, which loses nothing that the journal holds."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from agent_sdk.cli.errors import ExitCode

SAME_S = 0.2
"""Two signals within this time are one: wrappers pass on the Ctrl-C that the terminal has sent to us as well."""

Handler = Callable[[int, FrameType | None], object] | int | None


@dataclass(slots=True)
class Interrupts:
    """What was asked so far. `last_words` makes what the second signal leaves on the terminal."""

    last_words: Callable[[], bytes] = bytes
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _first_at: float | None = None

    def take(self, now_s: float) -> bool:
        """Take a signal; return whether it is the one that leaves at once."""
        if self._first_at is None:
            self._first_at = now_s
            return False
        return now_s - self._first_at > SAME_S


@contextmanager
def interrupts() -> Generator[Interrupts]:
    """Take both signals while the block is open; it belongs to the main thread's event loop.

    The handlers are the interpreter's own and not the loop's, so that the second signal is heard by a process whose loop a tool keeps busy,
    and on Windows too.
    """
    taken = Interrupts()
    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if taken.take(time.monotonic()):
            with contextlib.suppress(OSError):
                os.write(2, taken.last_words())
            os._exit(ExitCode.SUSPENDED)
        loop.call_soon_threadsafe(taken.asked.set)

    previous: dict[signal.Signals, Handler] = {}
    if threading.current_thread() is threading.main_thread():
        previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield taken
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
