"""Tables fit their terminal, and texts that are not ours do it no harm."""

import io
import sys

import pytest

from agent_sdk.cli.terminal import Grid, emit, emit_grid, forget_stdout, make_console, on_terminal, safe, tell, verbatim

GRID = Grid(("step", "tool", "state"), [("find", "search", "finished"), ("total", "add", "running")], ("green", "cyan"), spare=(1,))


class Gone(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(grid: Grid, width: int) -> list[str]:
    stream = io.StringIO()
    console = make_console(stream)
    console.width = width
    console.print(grid.rich(width))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_pipe_gets_aligned_lines() -> None:
    assert GRID.plain().splitlines() == ["step   tool    state", "find   search  finished", "total  add     running"]


def test_a_wide_terminal_gets_all_columns() -> None:
    assert drawn(GRID, 80)[0].split() == ["step", "tool", "state"]


def test_a_narrow_terminal_loses_the_column_that_can_be_spared() -> None:
    assert drawn(GRID, 18)[0].split() == ["step", "state"]


def test_the_first_column_is_folded_and_never_cut() -> None:
    lines = drawn(Grid(("run", "state"), [("run_1m84khbxwqs1", "succeeded")]), 14)
    assert "…" not in "".join(line.split("  ")[0] for line in lines[2:])


def test_brackets_are_no_markup() -> None:
    assert any("[bold]x[/bold]" in line for line in drawn(Grid(("a",), [("[bold]x[/bold]",)]), 40))


def test_a_text_keeps_its_lines_and_loses_what_steers_a_terminal() -> None:
    assert verbatim("a\tb\n\x1b[2Jc\r") == "a       b\n\\x1b[2Jc\\r"


def test_a_secret_is_masked_for_people() -> None:
    assert safe("password=hunter2") == "password=[redacted]"


def test_an_answer_for_a_reader_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(BrokenPipeError):
        emit("x")
    forget_stdout()


def test_news_for_a_reader_that_is_gone_stop_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    tell("x")


def test_a_table_is_plain_in_a_pipe_and_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for stream, is_drawn in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stdout", stream)
        emit_grid(GRID)
        assert ("\x1b[" in stream.getvalue()) is is_drawn


def test_a_terminal_that_knows_lines_alone_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not on_terminal(Terminal())


def test_no_colour_is_used_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    make_console(stream).print(GRID.rich(80))
    assert "\x1b[3" not in stream.getvalue()
