"""What a run is performed with, as `runtime` joins it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field

from agent_sdk.core.agent import AgentSpec
from agent_sdk.core.budget import Meter, NoMeter
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.model import NO_SETTINGS, ModelSettings
from agent_sdk.core.ports import Checker, Clock, Guards, Journal, Model, Planner, Random, TokenSink, Tool
from agent_sdk.core.run import Run

BeginChild = Callable[[Run, StepId, RunId], Awaitable[None]]
"""Makes the child run that a step of a run stands for, if it is not there yet, and sees that somebody performs it."""


async def no_children(_parent: Run, _step: StepId, _child: RunId) -> None:
    """Leave the child run to whoever finds it."""


@frozen
class Parts:
    """The ports of one run. `model_name` is the name that requests give to `model`; `settings` are those of a plan's model steps."""

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
    begin_child: BeginChild = no_children
    meter: Meter = field(default_factory=NoMeter)
    guards: Guards | None = None
    settings: ModelSettings = NO_SETTINGS
