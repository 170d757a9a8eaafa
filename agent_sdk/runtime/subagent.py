"""A subagent: a tool whose call is a run of its own, with a journal of its own, that another worker may perform."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.tools import ToolSpec, Wait
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.tools import WaitTool

_GOAL: Mapping[str, JsonValue] = {
    "type": "object",
    "properties": {"goal": {"type": "string", "minLength": 1, "description": "What the agent shall achieve, with all it needs to know."}},
    "required": ["goal"],
    "additionalProperties": False,
}


class Subagent(WaitTool):
    """The tool that `subagent` makes; `agent` is who performs the child run."""

    def __init__(self, agent: AgentDeclaration[Any, Any], spec: ToolSpec) -> None:
        super().__init__(spec, lambda args: Wait("child", text=str(args["goal"]), name=agent.name))
        self.agent = agent


def subagent(agent: AgentDeclaration[Any, Any], *, name: str | None = None, description: str | None = None) -> Subagent:
    """Return a tool that gives `agent` a goal and returns its answer.

    The child run is journaled by itself and names its parent; a cancel and the deadline go down to it, and an approval that it waits for
    holds up nothing but what depends on its answer.

    Raises:
        ToolDeclarationError: the agent has live dependencies, which no other process can make.
    """
    if agent.live_deps is not None:
        raise ToolDeclarationError(f"agent {agent.name!r} has live_deps, so it cannot be a subagent", hint="give it a factory: deps=...")
    called = name if name is not None else re.sub(r"[^A-Za-z0-9_-]", "_", agent.name)
    text = description if description is not None else f"Give the agent {agent.name} a goal and get its answer."
    output = agent.spec.output_schema
    returns: Mapping[str, JsonValue] = output if output is not None else {"type": "string"}
    return Subagent(agent, ToolSpec(called, text, _GOAL, returns, effect="read", kind="child"))
