"""The engine: performs what planners propose, and journals every fact."""

from agent_sdk.execution.executor import Executor, Outcome, Parts, shape_of
from agent_sdk.execution.loading import decode_all, load_facts, load_run

__all__ = ["Executor", "Outcome", "Parts", "decode_all", "load_facts", "load_run", "shape_of"]
