"""How tickets are told apart: a lane for each queue and version of an agent, named by digests, since names may hold anything."""

import json
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Self

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ports import Ticket, Wanted

DEFAULT_QUEUE = "default"


@frozen
class Lane:
    """The tickets of one queue and one version of an agent; both are digests."""

    queue: str
    agent: str

    @classmethod
    def of(cls, ticket: Ticket) -> Self:
        return cls(_digest(ticket.queue), _digest(ticket.agent, ticket.agent_version))

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """Return the lane that a subject's last two words name, or None."""
        words = name.split(".")[-2:]
        return cls(*words) if len(words) == 2 else None

    @property
    def words(self) -> str:
        return f"{self.queue}.{self.agent}"

    @property
    def name(self) -> str:
        return f"{self.queue}-{self.agent}"


def lanes_of(wanted: Wanted, seen: Iterable[Lane]) -> list[Lane]:
    """Return the lanes that hold what is wanted. Where that names no queue or no agent, they are chosen among those `seen` in the queue."""
    queues = None if wanted.queues is None else {_digest(queue) for queue in wanted.queues}
    agents = None if wanted.agents is None else {_digest(*agent) for agent in wanted.agents}
    lanes = {Lane(queue, agent) for queue in queues or {_digest(DEFAULT_QUEUE)} for agent in agents or ()}
    lanes |= {lane for lane in seen if (queues is None or lane.queue in queues) and (agents is None or lane.agent in agents)}
    return sorted(lanes, key=lambda lane: lane.name)


def is_open(wanted: Wanted) -> bool:
    """Say whether the lanes can be told only by looking which there are."""
    return wanted.queues is None or wanted.agents is None


@lru_cache(maxsize=4096)
def _digest(*words: str) -> str:
    return sha256(json.dumps(words).encode()).hexdigest()[:20]
