"""The measurements as a Markdown table."""

import os
import platform
from collections.abc import Iterable

from benchmarks.measure import Line

HEADER = ("what", "unit", "bare", "ours", "ours / bare", "target", "met")


def render_table(lines: Iterable[Line]) -> str:
    rows = [HEADER, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    head, *body = [render_row(row, widths) for row in rows]
    return "\n".join([head, render_row(["-" * width for width in widths], widths), *body])


def render_line(line: Line) -> str:
    return render_row(_cells(line), (58, 11, 9, 9, 11, 34, 3))


def render_row(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def render_machine() -> str:
    """Say where the numbers come from: only the ratios travel."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    system = f"{platform.system()} {platform.machine()}"
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs{load}, {system}; medians of interleaved rounds."


def _cells(line: Line) -> tuple[str, ...]:
    ratio = f"{line.ratio:.2f}" if line.ratio is not None else "-"
    bare = _number(line.bare) if line.bare is not None else "-"
    met = {True: "yes", False: "no", None: "-"}[line.is_met]
    return line.metric.what, line.metric.unit, bare, _number(line.ours), ratio, line.metric.target or "-", met


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
