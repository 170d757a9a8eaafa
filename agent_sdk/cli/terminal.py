"""The two streams: answers and documents go to stdout, all else to stderr; and text that is not ours, made safe for a terminal."""

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from agent_sdk.observability import one_line, redact_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def emit(text: str) -> None:
    """Write to stdout, now: whoever reads a pipe gets it at once, and one that is gone is noticed.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Write to stderr; that nobody reads it stops nothing."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def forget_stdout() -> None:
    """Let what is still buffered for a reader that is gone go nowhere, so that the interpreter ends without a complaint."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def on_terminal(stream: TextIO) -> bool:
    """Say whether a person looks at the stream, on a terminal that knows more than lines."""
    return stream.isatty() and not make_console(stream).is_dumb_terminal


def make_console(stream: TextIO) -> "Console":
    """Return Rich's console over the stream: colours and cursor only on a terminal, and no markup, so that brackets stay brackets."""
    from rich.console import Console

    return Console(file=stream, force_terminal=stream.isatty(), markup=False, highlight=False, emoji=False)


def safe(text: str) -> str:
    """Return the text with its lines, without secrets and without anything that steers a terminal."""
    return verbatim(redact_text(text))


def verbatim(text: str) -> str:
    """Return the text with its lines, without anything that steers a terminal."""
    return "\n".join(one_line(line.expandtabs()) for line in text.split("\n"))


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of short texts. The first column is never cut; `styles` has one a row, or none at all."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    styles: Sequence[str] = ()

    def plain(self) -> str:
        """Return aligned lines for a pipe or a file."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heads))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)

    def rich(self) -> "Table":
        """Return what Rich shows on a terminal of any width."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index, head in enumerate(self.heads):
            table.add_column(head, overflow="ellipsis" if index else "fold", no_wrap=index > 0)
        for index, row in enumerate(self.rows):
            table.add_row(*(Text(cell) for cell in row), style=self.styles[index] if self.styles else None)
        return table


def emit_grid(grid: Grid) -> None:
    """Write a table to stdout: for people on a terminal, in aligned lines elsewhere."""
    if on_terminal(sys.stdout):
        make_console(sys.stdout).print(grid.rich())
    else:
        emit(grid.plain())
