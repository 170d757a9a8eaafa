"""The readings as one table of values and ratios, and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.case import Measure, Reading
from benchmarks.peers.systems import OURS, System
from benchmarks.table import render_row


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the samples of every system, by its name."""

    measure: Measure
    samples: Mapping[str, Sequence[Reading]]

    def value(self, system: System) -> Reading:
        """Return the median; where some samples are no numbers, one of those. A system without samples was not measured."""
        samples = self.samples.get(system.name, ())
        words = [sample for sample in samples if isinstance(sample, str)]
        numbers = [sample for sample in samples if not isinstance(sample, str)]
        return words[0] if words else median(numbers) if numbers else "-"

    def ratio(self, system: System) -> float | None:
        """Return how many times ours the system's value is."""
        ours, value = self.value(OURS), self.value(system)
        return value / ours if isinstance(ours, float) and isinstance(value, float) and ours else None


def render_rows(rows: Sequence[Row], systems: Sequence[System]) -> str:
    """Return the table; behind a value stands how many times ours it is."""
    cells = [("what", "unit", *(system.name for system in systems), "best")]
    cells += [(row.measure.what, row.measure.unit, *(_cell(row, system) for system in systems), _best(row, systems)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *body = [render_row(each, widths) for each in cells]
    return "\n".join([head, render_row(["-" * width for width in widths], widths), *body])


def render_json(rows: Iterable[Row]) -> str:
    return json.dumps([{"what": row.measure.what, "unit": row.measure.unit, "samples": row.samples} for row in rows])


def _cell(row: Row, system: System) -> str:
    value, ratio = row.value(system), row.ratio(system)
    if isinstance(value, str):
        return value
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return shown if ratio is None or system == OURS else f"{shown} ({ratio:.2g} x)" if ratio < 100 else f"{shown} ({ratio:,.0f} x)"


def _best(row: Row, systems: Iterable[System]) -> str:
    """Name the system with the best value; nobody where several have the same and none another."""
    values = {system.name: value for system in systems if isinstance(value := row.value(system), float)}
    if not values or len(values) > len(set(values.values())) == 1:
        return "-"
    return (max if row.measure.is_more_better else min)(values, key=values.__getitem__)
