"""Circles among steps, found with the standard library's topological sorter."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from agent_sdk.core.ids import StepId

Needs = Mapping[StepId, Sequence[StepId]]


def cycle_in(needs: Needs) -> tuple[StepId, ...]:
    """Return the steps of one circle, in order; empty where there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle: Sequence[StepId] = error.args[1]
        return tuple(circle[:-1])
    return ()


def stuck_behind(needs: Needs, circle: Sequence[StepId]) -> frozenset[StepId]:
    """Return the steps outside the circle that wait for it, directly or not."""
    stuck = set(circle)
    grown = True
    while grown:
        more = {step for step, sources in needs.items() if step not in stuck and any(source in stuck for source in sources)}
        stuck |= more
        grown = bool(more)
    return frozenset(stuck - set(circle))
