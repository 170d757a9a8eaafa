"""A run while it is performed: a live table for people, one line an event for a pipe, or nothing. All of it goes to stderr.

It is written by a thread: a terminal that is held with Ctrl-S, or a pipe that nobody empties, holds up no run.
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent_sdk.cli.steps import count_states, render_counts, step_grid, step_rows, telling_rows
from agent_sdk.cli.terminal import make_console, on_terminal, safe, tell
from agent_sdk.core.events import Fact
from agent_sdk.core.run import Run
from agent_sdk.observability import render_fact
from agent_sdk.observability.taxonomy import render_duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

TICK_S = 0.125
LEFT_FREE = 8
"""Lines of the terminal that the live table leaves to its own head and foot, and to what stood there before."""


class View(Protocol):
    """Shows a run. `run` has taken `fact` already; what is no news happened before this process began."""

    def take(self, run: Run, fact: Fact, *, is_news: bool) -> None: ...

    def note(self, text: str) -> None:
        """Show what is not in the journal."""
        ...

    async def animate(self) -> None:
        """Keep what is shown moving, until cancelled."""
        ...


class Silent:
    """Shows nothing."""

    def take(self, run: Run, fact: Fact, *, is_news: bool) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    async def animate(self) -> None:
        pass


class Lines:
    """Tells each event in a line."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._writing = threading.Lock()

    def take(self, run: Run, fact: Fact, *, is_news: bool) -> None:
        if is_news:
            self._waiting.append(render_fact(run.run_id, fact))

    def note(self, text: str) -> None:
        self._waiting.append(text)

    async def animate(self) -> None:
        while True:
            if self._waiting:
                await asyncio.to_thread(self.write)
            await asyncio.sleep(TICK_S)

    def write(self) -> None:
        """Write what waits."""
        with self._writing:
            while self._waiting:
                tell(self._waiting.popleft())


@dataclass(slots=True)
class LiveTable:
    """Shows the steps in a table that changes in place, and is gone at the end."""

    live: "Live"
    run: Run | None = None
    last_at: int = 0
    said: str = ""

    def take(self, run: Run, fact: Fact, *, is_news: bool) -> None:
        self.run, self.last_at = run, fact.at

    def note(self, text: str) -> None:
        self.said = text

    async def animate(self) -> None:
        while True:
            await asyncio.to_thread(self.draw, self._picture(_now_us()))
            await asyncio.sleep(TICK_S)

    def draw(self, picture: "RenderableType") -> None:
        """Put the picture in place of the one before."""
        with contextlib.suppress(OSError):
            self.live.update(picture, refresh=True)

    def _picture(self, now_us: int) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        run = self.run
        if run is None:
            return Text(self.said or "starting")
        rows = step_rows(run, run.ended_at or now_us)
        shown, hidden = telling_rows(rows, max(1, self.live.console.height - LEFT_FREE))
        parts: list[RenderableType] = [Text(f"{_doing(run, now_us - self.last_at)}; {count_states(rows)}", style="bold")]
        if shown:
            parts.append(step_grid(shown).rich(self.live.console.width))
        if hidden:
            parts.append(Text(f"... and {render_counts(hidden)}", style="dim"))
        if self.said:
            parts.append(Text(self.said, style="yellow"))
        return Group(*parts)


@contextmanager
def open_view(*, is_quiet: bool, is_logging: bool) -> Generator[View]:
    """Hand out the view that fits: nothing if quiet, a live table on a terminal that no log is written to, else lines."""
    if is_quiet:
        yield Silent()
    elif is_logging or not on_terminal(sys.stderr):
        lines = Lines()
        try:
            yield lines
        finally:
            lines.write()
    else:
        from rich.live import Live

        console = make_console(sys.stderr)
        with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop") as live:
            yield LiveTable(live)


def _doing(run: Run, quiet_us: int) -> str:
    """Say what the run is about: who is asked while no step runs, else its state."""
    agent = safe(run.created.agent) if run.created is not None else ""
    if run.state == "planning":
        model = safe(run.created.model or "its model") if run.created is not None else "its model"
        return f"{agent} asks {model} ({render_duration(max(0, quiet_us))})"
    return f"{agent}: {run.state}"


def _now_us() -> int:
    return time.time_ns() // 1000
