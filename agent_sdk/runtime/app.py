"""The agents that a process knows: what `--app module:app` names, and what workers load."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agent_sdk.core.errors import ConfigError, NotFound
from agent_sdk.core.nearest import nearest
from agent_sdk.core.ports import Sink
from agent_sdk.observability import Hook
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.references import missing_module
from agent_sdk.runtime.subagent import Subagent


@dataclass(frozen=True)
class App:
    """Agents by name, and the sinks and hooks that follow their runs, behind the journal.

    Raises:
        ConfigError: two agents have one name.
    """

    agents: Sequence[AgentDeclaration[Any, Any]]
    sinks: Sequence[Sink] = ()
    hooks: Sequence[Hook] = ()

    def __post_init__(self) -> None:
        names = [agent.name for agent in self.agents]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"two agents are named {next(name for name in names if names.count(name) > 1)!r}", hint="names are unique in an App"
            )

    @cached_property
    def known(self) -> Sequence[AgentDeclaration[Any, Any]]:
        """The agents, and behind them the subagents that they call."""
        known: dict[str, AgentDeclaration[Any, Any]] = {agent.name: agent for agent in self.agents}
        waiting = list(self.agents)
        while waiting:
            for tool in waiting.pop().tools:
                if isinstance(tool, Subagent) and tool.agent.name not in known:
                    known[tool.agent.name] = tool.agent
                    waiting.append(tool.agent)
        return tuple(known.values())

    def agent(self, name: str) -> AgentDeclaration[Any, Any]:
        """Return the agent of that name, or the subagent.

        Raises:
            NotFound: there is none.
        """
        for agent in self.known:
            if agent.name == name:
                return agent
        names = [agent.name for agent in self.known]
        near = nearest(name, names)
        raise NotFound(
            f"there is no agent {name!r}", hint=f"did you mean {near!r}?" if near else f"the agents are: {', '.join(names) or 'none'}"
        )


def load_app(reference: str) -> App:
    """Import `module:name` and return the App there; an Agent there becomes an App of one.

    Raises:
        ConfigError: there is no such module or name, it is no App, or the module fails on import.
    """
    module_name, _, name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise missing_module(module_name, error) from error
    except Exception as error:
        raise ConfigError(
            f"module {module_name!r} fails on import: {type(error).__name__}: {error}", hint="agent-sdk --debug shows where"
        ) from error
    found = getattr(module, name or "app", None)
    match found:
        case App():
            return found
        case AgentDeclaration():
            alone: AgentDeclaration[Any, Any] = found  # pyright: ignore[reportUnknownVariableType]  (a class pattern forgets the parameters)
            return App([alone])
        case None:
            known = [key for key, value in vars(module).items() if isinstance(value, App | AgentDeclaration)]
            raise ConfigError(
                f"module {module_name!r} has no {name or 'app'!r}",
                hint=f"it has {', '.join(known)}" if known else "define app = App(agents=[...])",
            )
        case _:
            raise ConfigError(f"{reference!r} is a {type(found).__name__}, and no App or Agent")
