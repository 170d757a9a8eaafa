"""Joins the parts: an agent's model with what asks it, an agent with what performs it."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from agent_sdk.core.agent import AgentSpec, Limits
from agent_sdk.core.budget import Meter, NoMeter
from agent_sdk.core.errors import ConfigError, ModelNotNamed
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Checker, Model, Planner, Tool
from agent_sdk.core.run import Run
from agent_sdk.planning import FixedPlanner, LoopPlanner, PlanChecker, PlanOnly, WholePlanner
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.models import Models, bounded
from agent_sdk.runtime.options import tool_name
from agent_sdk.tools import FunctionTool, ProcessPool, ThreadPool

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")


@frozen
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


@frozen
class Asking:
    """How an agent's runs ask their model. `model` is None where they ask none."""

    model: Model | None
    name: str
    meter: Meter
    settings: ModelSettings

    @classmethod
    def of(cls, agent: AgentDeclaration[Any, Any], models: Models) -> "Asking":
        """Join the agent's model with all that its calls go through.

        Raises:
            ConfigError: it cannot be had, or would refuse what the agent asks of it.
        """
        spec = agent.spec
        if agent.model is None or not asks_model(agent):
            return cls(None, "", NoMeter(), spec.settings)
        fallbacks = models.fallbacks(agent.model, agent.fallbacks)
        settings = models.asked(agent.model, spec.settings, has_fallbacks=bool(fallbacks))
        models.require_possible(agent.model, settings, has_tools=bool(spec.tools), has_schema=spec.output_schema is not None)
        model, name = models.model(agent.model, fallbacks)
        return cls(model, name, models.meter(agent.model, fallbacks), settings)

    def for_run(self, run: Run) -> ModelSettings:
        """Return the settings of a run's questions: what a budget must grant has a bound."""
        return bounded(self.settings) if run.purse.scopes else self.settings


def make_planner(agent: AgentDeclaration[Any, Any], run: Run, asking: Asking, checker: Checker, *, plan_only: bool) -> Planner:
    """Return what plans this run.

    Raises:
        ConfigError: an author's plan is asked for, and there is none.
    """
    spec: AgentSpec = agent.spec
    settings = asking.for_run(run)
    match run.created.strategy if run.created is not None else spec.strategy:
        case "loop":
            return LoopPlanner(spec, asking.name, settings, asking.meter.window(asking.name))
        case "plan":
            whole = WholePlanner(spec, asking.name, settings, asking.meter.window(asking.name))
            return PlanOnly(whole, checker) if plan_only else whole
        case "fixed":
            plan = run.plan or spec.plan
            if plan is None:
                raise ConfigError(f"run {run.run_id} performs an author's plan, and neither its journal nor the agent holds one")
            return FixedPlanner(plan)


def make_checker(agent: AgentDeclaration[Any, Any], tools: Mapping[str, Tool], *, plan_only: bool = False) -> PlanChecker:
    """Return what checks the agent's plans, calls and answers; under `plan_only` the plan itself is the answer."""
    return PlanChecker(agent.spec, tools, agent.answers if not plan_only else type(agent.answers)())


def with_settings(agent: AgentDeclaration[DepsT, OutputT], models: Models) -> AgentDeclaration[DepsT, OutputT]:
    """Return the agent with what the settings say where it says nothing: of its model, if it asks one, and of its limits.

    No settings are read for an agent that needs no model, or whose model is an object.
    """
    loaded = models.loaded() if needs_settings(agent) else models.settings
    if loaded is None:
        return agent
    settings = loaded.settings
    if agent.model is None and settings.model is not None and needs_settings(agent):
        agent = agent.with_options(model=settings.model)
    return agent if agent.has_limits else agent.with_options(limits=Limits(**settings.limits.model_dump()))


def needs_settings(agent: AgentDeclaration[Any, Any]) -> bool:
    """Say whether the settings know the agent's model: it has a vendor's, or needs one and names none."""
    return isinstance(agent.model, str) or (agent.model is None and asks_model(agent))


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
