"""What is shown of a run while it is performed."""

import asyncio
import io
import sys
import threading

import pytest

from agent_sdk.cli.views import Lines, LiveTable, Silent, View, open_view
from agent_sdk.core.events import StepFinished
from agent_sdk.core.ids import DEFAULT_TENANT
from agent_sdk.core.run import Run, fold
from tests.unit.cli.folded import FIND, RUN, facts_of, started

FACTS = facts_of(started("find"), StepFinished(FIND, 1, 5, output=["a", "b"]), started("prices", items=2))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Held(Terminal):
    """A terminal on which somebody has pressed Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Event()
        self.released = threading.Event()

    def write(self, text: str, /) -> int:
        self.held.set()
        assert self.released.wait(10)
        return super().write(text)


def sit_at_terminal(monkeypatch: pytest.MonkeyPatch, *, lines: int = 24) -> Terminal:
    """Let stderr be a terminal; no fixture can, since pytest takes stderr over between a test and its fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": str(lines)}.items():
        monkeypatch.setenv(name, value)
    return stream


async def let_it_draw(view: View) -> None:
    """Let the view move until it pauses for its next tick."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await view.animate()


def test_lines_tell_the_news_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run, view = Run(DEFAULT_TENANT, RUN), Lines()
    for fact in FACTS:
        run.apply(fact)
        view.take(run, fact, is_news=fact.seq > 5)
    view.note("suspending")
    view.write()
    told = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[-1] for line in told] == ["prices started, 2 items", "suspending"]


async def test_a_live_table_shows_steps_and_what_is_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_at_terminal(monkeypatch)
    with open_view(is_quiet=False, is_logging=False) as view:
        assert isinstance(view, LiveTable)
        run = fold(Run(DEFAULT_TENANT, RUN), FACTS)
        view.take(run, FACTS[-1], is_news=True)
        view.note("suspending the run")
        await let_it_draw(view)
    shown = terminal.getvalue()
    assert "analyst: running; 1 waiting, 2 ready, 1 finished of 4 steps" in shown
    assert "running 0/2" in shown
    assert "suspending the run" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1


async def test_a_live_table_says_who_is_asked_before_there_are_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_at_terminal(monkeypatch)
    with open_view(is_quiet=False, is_logging=False) as view:
        await let_it_draw(view)
        view.take(fold(Run(DEFAULT_TENANT, RUN), FACTS[:2]), FACTS[1], is_news=True)
        await let_it_draw(view)
    assert "starting" in terminal.getvalue()
    assert "analyst asks openai:gpt-5-mini (" in terminal.getvalue()


async def test_a_low_terminal_hides_the_least_telling_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_at_terminal(monkeypatch, lines=9)
    with open_view(is_quiet=False, is_logging=False) as view:
        view.take(fold(Run(DEFAULT_TENANT, RUN), FACTS), FACTS[-1], is_news=True)
        await let_it_draw(view)
    assert "... and 1 waiting, 1 finished" in terminal.getvalue()


async def test_a_terminal_that_stands_still_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Held()
    monkeypatch.setattr(sys, "stderr", terminal)
    with open_view(is_quiet=False, is_logging=True) as view:
        view.note("nobody reads this yet")
        async with asyncio.TaskGroup() as tasks:
            moving = tasks.create_task(view.animate())
            assert await asyncio.to_thread(terminal.held.wait, 10)
            terminal.released.set()
            moving.cancel()
    assert terminal.getvalue() == "nobody reads this yet\n"


async def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_at_terminal(monkeypatch)
    with open_view(is_quiet=True, is_logging=False) as view:
        assert isinstance(view, Silent)
        view.take(Run(DEFAULT_TENANT, RUN), FACTS[0], is_news=True)
        view.note("x")
        await view.animate()
    assert terminal.getvalue() == ""


async def test_a_log_on_the_same_terminal_gets_lines_and_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_at_terminal(monkeypatch)
    with open_view(is_quiet=False, is_logging=True) as view:
        assert isinstance(view, Lines)
        view.note("first")
        await let_it_draw(view)
        assert terminal.getvalue() == "first\n"
        view.note("last")
    assert terminal.getvalue() == "first\nlast\n"
