"""The systems that are measured, and what each can and cannot do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class System:
    """A system in one way of using it: the module that its processes run, and what they are started with.

    `is_peer` says that it runs in the peers' environment; `has_queue` that its processes take runs from a queue.
    """

    name: str
    module: str
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    is_peer: bool = True
    has_queue: bool = True


LEASE_S = 5.0
AT_ONCE = 32

OURS = System("ours", "benchmarks.peers.ours", {"tool": "effect", "lease_s": LEASE_S, "at_once": AT_ONCE}, is_peer=False)
OURS_READ = System("ours, reads", "benchmarks.peers.ours", {"tool": "read"}, is_peer=False)
LANGGRAPH = System("LangGraph", "benchmarks.peers.on_langgraph", {"durability": "sync"}, has_queue=False)
LANGGRAPH_DELTAS = System("LangGraph, deltas", "benchmarks.peers.on_langgraph", {"durability": "sync", "delta": True}, has_queue=False)
DBOS = System("Pydantic AI, DBOS", "benchmarks.peers.on_dbos", {"polling_s": 1.0, "at_once": AT_ONCE})
DBOS_EAGER = System("Pydantic AI, DBOS eager", "benchmarks.peers.on_dbos", {"polling_s": 0.05, "at_once": AT_ONCE})

SYSTEMS: Sequence[System] = (OURS, OURS_READ, LANGGRAPH, LANGGRAPH_DELTAS, DBOS, DBOS_EAGER)

NOTES = ""
