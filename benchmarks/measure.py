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
    """One line of the table: what is read, its unit, and the target in words and as a ceiling; None where none was set.

    `within` sets one too: so many times what ours read under another key of the same case.
    """

    key: str
    what: str
    unit: str
    target: str = ""
    ceiling: Ceiling | None = None
    within: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured, in one or more metrics; `bare` is None where nothing bare does the same.

    `sdk` is the same by the vendors' own libraries, where there are any. `rounds` is how many samples it takes where that is not for the
    caller to say.
    """

    name: str
    metrics: Sequence[Metric]
    ours: Sample
    bare: Sample | None = None
    rounds: int | None = None
    sdk: Sample | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A metric with the medians of what was read, and the most that ours may be."""

    metric: Metric
    ours: float
    bare: float | None
    sdk: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.bare if self.bare else None

    @property
    def gain(self) -> float | None:
        """How many times ours the vendor's own costs."""
        return self.sdk / self.ours if self.sdk is not None and self.ours else None

    @property
    def is_met(self) -> bool | None:
        return self.ours <= self.limit if self.limit is not None else None


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: all, or under `quick` just enough to see that each measurement still works."""

    quick: bool = False

    def pick(self, whole: T, quick: T) -> T:
        return quick if self.quick else whole


def run_case(case: Case, rounds: int) -> list[Line]:
    """Take all samples by turns; each begins on a collected heap, and the collector stays on for all, as it does in life."""
    sides = {name: sample for name, sample in (("bare", case.bare), ("sdk", case.sdk), ("ours", case.ours)) if sample is not None}
    read: dict[str, list[Readings]] = {name: [] for name in sides}
    for _ in range(case.rounds or rounds):
        for name, sample in sides.items():
            read[name].append(_sampled(sample))
    medians = {name: _medians(readings) for name, readings in read.items()}
    return [_line(metric, medians["ours"], medians.get("bare", {}), medians.get("sdk", {})) for metric in case.metrics]


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


def _medians(readings: Sequence[Readings]) -> Readings:
    keys = dict.fromkeys(key for each in readings for key in each)
    return {key: median(each[key] for each in readings if key in each) for key in keys}


def _line(metric: Metric, ours: Readings, bare: Readings, sdk: Readings) -> Line:
    beside = bare.get(metric.key)
    limit = metric.ceiling(beside or 0.0) if metric.ceiling is not None else None
    if metric.within is not None:
        factor, key = metric.within
        limit = factor * ours[key]
    return Line(metric, ours[metric.key], beside, sdk.get(metric.key), limit)
