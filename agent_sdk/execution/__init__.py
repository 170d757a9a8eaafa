"""The engine: performs what planners propose, and journals every fact."""

from agent_sdk.execution.executor import Executor
from agent_sdk.execution.exits import Outcome
from agent_sdk.execution.judging import GOAL_REFUSED
from agent_sdk.execution.lease import Lease
from agent_sdk.execution.loading import decode_all, load_claimed, load_facts, load_history, load_run
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.proposals import shape_of

__all__ = [
    "GOAL_REFUSED",
    "Executor",
    "Lease",
    "Outcome",
    "Parts",
    "decode_all",
    "load_claimed",
    "load_facts",
    "load_history",
    "load_run",
    "shape_of",
]
