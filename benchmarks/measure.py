"""How a measurement is taken: ours and the bare limit in turns, within one run of one machine, and the medians of all rounds."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")
Readings = Mapping[str, float]
"""What one sample read, by the key of the metric."""
Sample = Callable[[], Readings]
Ceiling = Callable[[float], float]
"""The most that ours may be, given the bare reading."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table: what is read, its unit, and the target in words and as a ceiling; None where none was set."""

    key: str
    what: str
    unit: str
    target: str = ""
    ceiling: Ceiling | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured, in one or more metrics; `bare` is None where nothing bare does the same.

    `rounds` is how many samples it takes where that is not for the caller to say.
    """

    name: str
    metrics: Sequence[Metric]
    ours: Sample
    bare: Sample | None = None
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A metric with the medians of what was read."""

    metric: Metric
    ours: float
    bare: float | None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.bare if self.bare else None

    @property
    def is_met(self) -> bool | None:
        if self.metric.ceiling is None:
            return None
        return self.ours <= self.metric.ceiling(self.bare or 0.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: all, or under `quick` just enough to see that each measurement still works."""

    quick: bool = False

    def pick(self, whole: T, quick: T) -> T:
        return quick if self.quick else whole


def run_case(case: Case, rounds: int) -> list[Line]:
    """Take both samples by turns; each begins on a collected heap, and the collector stays on for both, as it does in life."""
    ours: list[Readings] = []
    bare: list[Readings] = []
    for _ in range(case.rounds or rounds):
        if case.bare is not None:
            bare.append(_sampled(case.bare))
        ours.append(_sampled(case.ours))
    return [_line(metric, ours, bare) for metric in case.metrics]


def cpu_us(work: Callable[[], object], times: int = 1) -> float:
    """Return the microseconds of this process's CPU, all threads together, that one of `times` took."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / times * 1e6


async def cpu_us_of(work: Coroutine[Any, Any, object], times: int = 1) -> float:
    """Do the same for what is awaited."""
    began = time.process_time()
    await work
    return (time.process_time() - began) / times * 1e6


async def wall_s_of(work: Coroutine[Any, Any, object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def at_most(limit: float) -> Ceiling:
    """Return a ceiling that the bare reading does not move."""
    return lambda _bare: limit


def sampled_by(key: str, work: Callable[[], Coroutine[Any, Any, float]]) -> Sample:
    """Return a sample of one metric, taken in an event loop of its own."""
    return lambda: {key: asyncio.run(work())}


def _sampled(sample: Sample) -> Readings:
    gc.collect()
    return sample()


def _line(metric: Metric, ours: Sequence[Readings], bare: Sequence[Readings]) -> Line:
    beside = [readings[metric.key] for readings in bare if metric.key in readings]
    return Line(metric, median(readings[metric.key] for readings in ours), median(beside) if beside else None)
