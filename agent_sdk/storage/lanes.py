"""Whose turn it is among runs that are due: lanes of runs that one worker can or cannot take, and tenants that are served in turn."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple, TypeVar

from agent_sdk.core.ids import TenantId
from agent_sdk.core.ports import Wanted

T = TypeVar("T")


class Lane(NamedTuple):
    """What the runs have in common that wait in one line."""

    tenant: TenantId
    queue: str
    agent: str
    agent_version: str
    priority: int


def is_wanted(lane: Lane, wanted: Wanted) -> bool:
    """Say whether a worker takes runs of this lane; which ones of them is another matter."""
    return (
        (wanted.tenants is None or lane.tenant in wanted.tenants)
        and (wanted.queues is None or lane.queue in wanted.queues)
        and (wanted.agents is None or (lane.agent, lane.agent_version) in wanted.agents)
    )


class Turns:
    """Serves tenants in turn, and remembers who came last: a worker that takes one run at a time is as fair as one that takes a hundred."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._served: dict[TenantId, int] = {}

    def share(self, lines: Mapping[TenantId, Iterator[T]], limit: int) -> Iterator[T]:
        """Yield up to `limit` items, one of each tenant's line in turn; what a line yields may depend on what became of the item before."""
        waiting = deque(sorted(lines, key=lambda tenant: self._served.get(tenant, 0)))
        while waiting and limit > 0:
            tenant = waiting.popleft()
            for item in lines[tenant]:
                self._served[tenant] = next(self._numbers)
                waiting.append(tenant)
                limit -= 1
                yield item
                break
