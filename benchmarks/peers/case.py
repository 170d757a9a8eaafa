"""What a measurement is: its lines of the table, the systems it takes by turns, and how one sample is taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers.stores import Kind, Store
from benchmarks.peers.systems import System

Reading = float | str
"""A number, or why there is none."""
Readings = Mapping[str, Reading]
Sample = Callable[[System, Store, str], Readings]
"""Takes one sample of a system on a store; the last is the interpreter of the peers."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table."""

    key: str
    what: str
    unit: str
    is_more_better: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """What one sample reads, and on which kind of store; `rounds` is how many it takes where that is not for the caller to say."""

    name: str
    kind: Kind
    measures: Sequence[Measure]
    systems: Sequence[System]
    sample: Sample
    rounds: int | None = None
