"""Circles among steps, found with the standard library's topological sorter."""

from collections import defaultdict
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
    dependents = defaultdict[StepId, list[StepId]](list)
    for step, sources in needs.items():
        for source in sources:
            dependents[source].append(step)
    stuck, unseen = set(circle), list(circle)
    while unseen:
        more = set(dependents[unseen.pop()]) - stuck
        stuck |= more
        unseen.extend(more)
    return frozenset(stuck - set(circle))
