"""The two streams: answers and documents go to stdout, all else to stderr; and text that is not ours, made safe for a terminal."""

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, TextIO

from agent_sdk.core.frozen import frozen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAP = 3
"""Columns of the terminal between two of a table."""


def emit(text: str) -> None:
    """Write to stdout, now: whoever reads a pipe gets it at once, and one that is gone is noticed.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    stream = answers()
    stream.write(f"{text}\n")
    stream.flush()


def tell(text: str) -> None:
    """Write to stderr; that nobody reads it stops nothing."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Aside(io.TextIOBase):
    """Stands for stdout once tools may run: what they print goes to stderr, so that the answer, in `apart`, stays alone.

    That nobody reads it stops no tool.
    """

    encoding = "utf-8"

    def __init__(self, apart: TextIO) -> None:
        self.apart = apart

    @property
    def buffer(self) -> BinaryIO:
        return sys.stderr.buffer

    def fileno(self) -> int:
        return sys.stderr.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def answers() -> TextIO:
    """Return the stream of answers, whatever stands for stdout."""
    return sys.stdout.apart if isinstance(sys.stdout, Aside) else sys.stdout


def set_stdout_aside() -> None:
    """Keep stdout for the answer from now on, to the very end: a thread that a tool left behind may still print."""
    if not isinstance(sys.stdout, Aside):
        sys.stdout = Aside(sys.stdout)


def part_descriptors() -> None:
    """Give `sys.stdout` a descriptor of its own, and lead the standard one to stderr.

    What a program that a tool starts writes there, or a library in C, spoils no answer.
    """
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        with contextlib.suppress(OSError):
            apart = os.dup(stream.fileno())
            os.dup2(sys.stderr.fileno(), stream.fileno())
            sys.stdout = io.TextIOWrapper(os.fdopen(apart, "wb"), encoding=stream.encoding, errors=stream.errors)


def forget_stdout() -> None:
    """Let what is still buffered for a reader that is gone go nowhere, so that the interpreter ends without a complaint."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers().fileno())


def on_terminal(stream: TextIO) -> bool:
    """Say whether a person looks at the stream, on a terminal that knows more than lines."""
    return stream.isatty() and not make_console(stream).is_dumb_terminal


def make_console(stream: TextIO) -> "Console":
    """Return Rich's console over the stream: colours and cursor only on a terminal, and no markup, so that brackets stay brackets."""
    from rich.console import Console

    return Console(file=stream, force_terminal=stream.isatty(), markup=False, highlight=False, emoji=False)


def safe(text: str) -> str:
    """Return the text with its lines, without secrets and without anything that steers a terminal."""
    from agent_sdk.observability import redact_text

    return verbatim(redact_text(text))


def verbatim(text: str) -> str:
    """Return the text with its lines, without anything that steers a terminal."""
    from agent_sdk.observability import one_line

    return "\n".join(one_line(line.expandtabs()) for line in text.split("\n"))


@frozen
class Grid:
    """A table of short texts.

    `styles` has one a row, or none at all. The columns in `spare` go first where a terminal is too narrow for all.
    """

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    styles: Sequence[str] = ()
    spare: tuple[int, ...] = ()

    def plain(self) -> str:
        """Return aligned lines for a pipe or a file."""
        widths = self._widths()
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (self.heads, *self.rows))
        return "\n".join(line.rstrip() for line in lines)

    def rich(self, width: int) -> "Table":
        """Return what Rich shows on a terminal of that width; what still has no room is cut, but for the first column, which is folded."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        shown = self._fitting(width)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in shown:
            table.add_column(self.heads[column], overflow="ellipsis" if column else "fold", no_wrap=column > 0)
        for index, row in enumerate(self.rows):
            table.add_row(*(Text(row[column]) for column in shown), style=self.styles[index] if self.styles else None)
        return table

    def _widths(self) -> list[int]:
        return [max(len(line[column]) for line in (self.heads, *self.rows)) for column in range(len(self.heads))]

    def _fitting(self, width: int) -> list[int]:
        widths = self._widths()
        shown = list(range(len(widths)))
        for column in self.spare:
            if sum(widths[each] + GAP for each in shown) - GAP <= width:
                break
            shown.remove(column)
        return shown


def emit_grid(grid: Grid) -> None:
    """Write a table to stdout: for people on a terminal, in aligned lines elsewhere."""
    if on_terminal(answers()):
        console = make_console(answers())
        console.print(grid.rich(console.width))
    else:
        emit(grid.plain())
