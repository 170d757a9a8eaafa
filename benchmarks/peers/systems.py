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
OURS_READ = System("ours, reads", "benchmarks.peers.ours", {"tool": "read", "lease_s": LEASE_S}, is_peer=False)
LANGGRAPH = System("LangGraph", "benchmarks.peers.on_langgraph", {"durability": "sync", "at_once": AT_ONCE}, has_queue=False)
LANGGRAPH_DELTAS = System("LangGraph, deltas", "benchmarks.peers.on_langgraph", {"durability": "sync", "delta": True}, has_queue=False)
DBOS = System("Pydantic AI, DBOS", "benchmarks.peers.on_dbos", {"polling_s": 1.0, "at_once": AT_ONCE})
DBOS_EAGER = System("Pydantic AI, DBOS eager", "benchmarks.peers.on_dbos", {"polling_s": 0.05, "at_once": AT_ONCE})

SYSTEMS: Sequence[System] = (OURS, OURS_READ, LANGGRAPH, LANGGRAPH_DELTAS, DBOS, DBOS_EAGER)

NOTES = f"""\
Behind a value stands how many times ours it is. A step is one turn of a model in process and one call of a tool that returns 198 bytes;
every finished step is durable before the next begins: SQLite with synchronous=FULL, Postgres with fsync and synchronous_commit on.

- ours: the tool is an effect, whose start is durable before it acts. "ours, reads": it only reads, and is durable within 50 ms; no peer
  tells the two apart.
- LangGraph: StateGraph, ToolNode and the saver, durability="sync"; its default "async" takes as long in one run, and is up to a sixth
  faster in many. "LangGraph, deltas": its DeltaChannel, in beta, which ends most of the growth. It has no queue and no workers: two
  processes perform a half each, and whoever resumes a run after a crash must know its id. So its resumption is a start of Python and
  nothing more.
- Pydantic AI, DBOS: each run is a workflow, the model's calls and the tool are its steps; SQLite is in the rollback mode that DBOS ships.
  Its queue is polled every second, and every 50 ms where it is "eager"; {AT_ONCE} runs at once in a process, as everywhere. Another worker
  takes over the runs of a dead one through the Conductor service alone; without it they wait for a process of the dead one's executor id.
- Resumption: the start of a process counts. Ours waits on Postgres until the lease of {LEASE_S:g} s has run out, and on SQLite for nothing:
  the lock of a dead owner's file is free."""
