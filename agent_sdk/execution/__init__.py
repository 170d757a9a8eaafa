"""The engine: performs what planners propose, and journals every fact."""

from agent_sdk.execution.executor import Executor, Outcome, Parts
from agent_sdk.execution.loading import load_facts, load_run

__all__ = ["Executor", "Outcome", "Parts", "load_facts", "load_run"]
