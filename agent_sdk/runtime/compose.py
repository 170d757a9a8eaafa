"""Joins the parts: a model's name to an adapter with its retries, an agent to what performs it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agent_sdk.core.agent import AgentSpec, Limits
from agent_sdk.core.errors import ConfigError, ModelNotNamed
from agent_sdk.core.model import NO_SETTINGS, ModelSettings
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Checker, Clock, Model, Planner, Random, Tool
from agent_sdk.core.run import Run
from agent_sdk.llm import (
    OpenAIOptions,
    OwnModel,
    RetryingModel,
    RetryPolicy,
    Streaming,
    Timeouts,
    open_model,
    parse_model_name,
    with_complete,
)
from agent_sdk.planning import FixedPlanner, LoopPlanner, PlanChecker, PlanOnly, WholePlanner
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.options import tool_name
from agent_sdk.tools import FunctionTool, ProcessPool, ThreadPool

if TYPE_CHECKING:  # the settings' models load with the first settings
    from agent_sdk.config import LoadedSettings


DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")


@dataclass(slots=True)
class Models:
    """The models of one runtime: one adapter, with one pool of connections, a vendor.

    Where no settings were handed in, they are read when a vendor's model is first named.
    """

    clock: Clock
    random: Random
    settings: "LoadedSettings | None" = None
    _open: dict[str, tuple[Model, Callable[[], Awaitable[None]]]] = field(
        default_factory=dict[str, tuple[Model, Callable[[], Awaitable[None]]]]
    )

    def model(self, named: str | Model | Streaming) -> tuple[Model, str]:
        """Return the model with its retries, and the name that requests give it.

        Raises:
            ConfigError: the vendor is unknown, or its key is missing.
        """
        if not isinstance(named, str):
            return self._wrapped(OwnModel(with_complete(named))), f"object:{type(named).__name__}"
        vendor, name = parse_model_name(named)
        if vendor not in self._open:
            model, close = open_model(vendor, self._options())
            self._open[vendor] = self._wrapped(model), close
        return self._open[vendor][0], name

    async def close(self) -> None:
        for _, close in self._open.values():
            await close()
        self._open.clear()

    def loaded(self) -> "LoadedSettings":
        if self.settings is None:
            from agent_sdk.config import load_settings, read_environ  # noqa: PLC0415  (the same)

            self.settings = load_settings(environ=read_environ(), cwd=Path.cwd())
        return self.settings

    def _wrapped(self, model: Model) -> Model:
        policy = RetryPolicy() if self.settings is None else RetryPolicy(max_attempts=self.settings.settings.model_call.max_attempts)
        return RetryingModel(model, policy, self.clock, self.random)

    def _options(self) -> OpenAIOptions:
        loaded = self.loaded()
        openai, call = loaded.settings.openai, loaded.settings.model_call
        timeouts = Timeouts(call.connect_timeout_s, call.first_token_timeout_s, call.idle_timeout_s, call.total_timeout_s)
        return OpenAIOptions(openai.key(loaded.environ, loaded.cwd), openai.base_url, timeouts, organization=openai.organization)


@dataclass(frozen=True, slots=True)
class Pools:
    """Where tools run that are not async: in threads, or in processes of their own."""

    threads: ThreadPool
    processes: ProcessPool

    def close(self) -> None:
        self.threads.close()
        self.processes.close()


def bind_tools(agent: AgentDeclaration[Any, Any], pools: Pools) -> Mapping[str, Tool]:
    """Return the agent's tools by name, each bound to the pools that it may run in."""
    return {tool_name(tool): _bound(tool, pools) for tool in agent.tools}


def _bound(tool: Tool, pools: Pools) -> Tool:
    if not isinstance(tool, FunctionTool):
        return tool
    return cast("FunctionTool[..., object]", tool).bound_to(pools.threads, pools.processes)


def make_planner(
    agent: AgentDeclaration[Any, Any], run: Run, model: str, checker: Checker, *, plan_only: bool, loaded: "LoadedSettings | None"
) -> Planner:
    """Return what plans this run.

    Raises:
        ConfigError: an author's plan is asked for, and there is none.
    """
    spec: AgentSpec = agent.spec
    call = loaded.settings.model_call if loaded is not None else None
    settings = ModelSettings(temperature=call.temperature, max_output_tokens=call.max_output_tokens) if call is not None else NO_SETTINGS
    match run.created.strategy if run.created is not None else spec.strategy:
        case "loop":
            return LoopPlanner(spec, model, settings)
        case "plan":
            whole = WholePlanner(spec, model, settings)
            return PlanOnly(whole, checker) if plan_only else whole
        case "fixed":
            plan = run.plan or spec.plan
            if plan is None:
                raise ConfigError(f"run {run.run_id} performs an author's plan, and neither its journal nor the agent holds one")
            return FixedPlanner(plan)


def make_checker(agent: AgentDeclaration[Any, Any], tools: Mapping[str, Tool], *, plan_only: bool = False) -> PlanChecker:
    """Return what checks the agent's plans, calls and answers; under `plan_only` the plan itself is the answer."""
    return PlanChecker(agent.spec, tools, agent.answers if not plan_only else type(agent.answers)())


def with_limits(agent: AgentDeclaration[DepsT, OutputT], models: Models) -> AgentDeclaration[DepsT, OutputT]:
    """Return an agent that says nothing of its limits with those of the settings; no settings are read for a model that is an object."""
    loaded = models.loaded() if isinstance(agent.model, str) else models.settings
    if loaded is None or agent.has_limits:
        return agent
    return agent.with_options(limits=Limits(**loaded.settings.limits.model_dump()))


def asks_model(agent: AgentDeclaration[Any, Any]) -> bool:
    """Say whether the agent's runs ask a model: all do, but for an author's plan without model steps."""
    plan = agent.spec.plan
    return plan is None or any(isinstance(step, ModelStep) for step in plan.steps)


def require_model(agent: AgentDeclaration[Any, Any]) -> None:
    """Refuse an agent that cannot begin without a model and names none.

    Raises:
        ModelNotNamed: it names none.
    """
    if agent.model is None and agent.spec.strategy != "fixed":
        raise ModelNotNamed(f"agent {agent.name!r} names no model")
