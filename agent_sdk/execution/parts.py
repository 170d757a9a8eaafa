"""What a run is performed with, as `runtime` joins it."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.ports import Checker, Clock, Journal, Model, Planner, Random, TokenSink, Tool


@dataclass(frozen=True, slots=True)
class Parts:
    """The ports of one run. `model_name` is the name that requests give to `model`."""

    journal: Journal
    agent: AgentSpec
    model_name: str
    planner: Planner
    checker: Checker
    tools: Mapping[str, Tool]
    model: Model | None
    clock: Clock
    random: Random
    tokens: TokenSink
    deps: object = None
