"""The measurements as a Markdown table."""

import os
import platform
from collections.abc import Iterable

from benchmarks.measure import Line

HEADER = ("what", "unit", "bare", "vendor's SDK", "ours", "ours / bare", "SDK / ours", "target", "met")


def render_table(lines: Iterable[Line]) -> str:
    rows = [HEADER, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    head, *body = [render_row(row, widths) for row in rows]
    return "\n".join([head, render_row(["-" * width for width in widths], widths), *body])


def render_line(line: Line) -> str:
    return render_row(_cells(line), (58, 11, 9, 12, 9, 11, 10, 34, 3))


def render_row(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def render_machine() -> str:
    """Say where the numbers come from: only the ratios travel."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    system = f"{platform.system()} {platform.machine()}"
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs{load}, {system}; medians of interleaved rounds."


def _cells(line: Line) -> tuple[str, ...]:
    met = {True: "yes", False: "no", None: "-"}[line.is_met]
    read = (_number(line.bare), _number(line.sdk), _number(line.ours), _ratio(line.ratio), _ratio(line.gain))
    return line.metric.what, line.metric.unit, *read, line.metric.target or "-", met


def _ratio(value: float | None) -> str:
    return f"{value:.2f}" if value is not None else "-"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
