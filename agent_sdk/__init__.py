"""LLM agents that may be trusted with production: every run is a typed plan, checked before it acts and journaled as it acts.

Names load at first use, so that an import costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_sdk.core.agent import ContextPolicy, Limits
    from agent_sdk.core.budget import Budget
    from agent_sdk.core.errors import (
        AgentSDKError,
        ConfigError,
        LimitError,
        NotDone,
        OutsideError,
        RequestError,
        RunCancelled,
        RunExpired,
        RunFailed,
        RunSuspended,
        RunWaits,
        ToolError,
    )
    from agent_sdk.core.events import Fact
    from agent_sdk.core.ids import PrincipalId, RunId, StepId
    from agent_sdk.core.labels import TRUSTED, Label
    from agent_sdk.core.messages import FilePart
    from agent_sdk.core.model import ModelSettings
    from agent_sdk.core.plan import ModelStep, Plan, ToolStep, When
    from agent_sdk.core.ports import RunFilter
    from agent_sdk.core.tools import ToolContext
    from agent_sdk.runtime.agent import Agent
    from agent_sdk.runtime.app import App
    from agent_sdk.runtime.creation import StartOptions
    from agent_sdk.runtime.functions import GuardedCall, RunInfo, inline
    from agent_sdk.runtime.handle import RunHandle
    from agent_sdk.runtime.memories import LongTermMemory
    from agent_sdk.runtime.plan_file import load_plan
    from agent_sdk.runtime.runtime import Runtime
    from agent_sdk.runtime.subagent import subagent
    from agent_sdk.runtime.worker import Worker, WorkerOptions
    from agent_sdk.tools import ask_person, tool, wait_for, wait_for_signal, wait_until
    from agent_sdk.tools.files import Files
    from agent_sdk.tools.http import Http
    from agent_sdk.tools.memory import memory_tools

__all__ = [
    "TRUSTED",
    "Agent",
    "AgentSDKError",
    "App",
    "Budget",
    "ConfigError",
    "ContextPolicy",
    "Fact",
    "FilePart",
    "Files",
    "GuardedCall",
    "Http",
    "Label",
    "LimitError",
    "Limits",
    "LongTermMemory",
    "ModelSettings",
    "ModelStep",
    "NotDone",
    "OutsideError",
    "Plan",
    "PrincipalId",
    "RequestError",
    "RunCancelled",
    "RunExpired",
    "RunFailed",
    "RunFilter",
    "RunHandle",
    "RunId",
    "RunInfo",
    "RunSuspended",
    "RunWaits",
    "Runtime",
    "StartOptions",
    "StepId",
    "ToolContext",
    "ToolError",
    "ToolStep",
    "When",
    "Worker",
    "WorkerOptions",
    "ask_person",
    "inline",
    "load_plan",
    "memory_tools",
    "subagent",
    "tool",
    "wait_for",
    "wait_for_signal",
    "wait_until",
]

_PLACES = {
    "Agent": "agent_sdk.runtime.agent",
    "AgentSDKError": "agent_sdk.core.errors",
    "App": "agent_sdk.runtime.app",
    "Budget": "agent_sdk.core.budget",
    "ConfigError": "agent_sdk.core.errors",
    "ContextPolicy": "agent_sdk.core.agent",
    "Fact": "agent_sdk.core.events",
    "FilePart": "agent_sdk.core.messages",
    "Files": "agent_sdk.tools.files",
    "GuardedCall": "agent_sdk.runtime.functions",
    "Http": "agent_sdk.tools.http",
    "Label": "agent_sdk.core.labels",
    "LimitError": "agent_sdk.core.errors",
    "Limits": "agent_sdk.core.agent",
    "LongTermMemory": "agent_sdk.runtime.memories",
    "ModelSettings": "agent_sdk.core.model",
    "ModelStep": "agent_sdk.core.plan",
    "NotDone": "agent_sdk.core.errors",
    "OutsideError": "agent_sdk.core.errors",
    "Plan": "agent_sdk.core.plan",
    "PrincipalId": "agent_sdk.core.ids",
    "RequestError": "agent_sdk.core.errors",
    "RunCancelled": "agent_sdk.core.errors",
    "RunExpired": "agent_sdk.core.errors",
    "RunFailed": "agent_sdk.core.errors",
    "RunFilter": "agent_sdk.core.ports",
    "RunHandle": "agent_sdk.runtime.handle",
    "RunId": "agent_sdk.core.ids",
    "RunInfo": "agent_sdk.runtime.functions",
    "RunSuspended": "agent_sdk.core.errors",
    "RunWaits": "agent_sdk.core.errors",
    "Runtime": "agent_sdk.runtime.runtime",
    "StartOptions": "agent_sdk.runtime.creation",
    "StepId": "agent_sdk.core.ids",
    "TRUSTED": "agent_sdk.core.labels",
    "ToolContext": "agent_sdk.core.tools",
    "ToolError": "agent_sdk.core.errors",
    "ToolStep": "agent_sdk.core.plan",
    "When": "agent_sdk.core.plan",
    "Worker": "agent_sdk.runtime.worker",
    "WorkerOptions": "agent_sdk.runtime.worker",
    "ask_person": "agent_sdk.tools",
    "inline": "agent_sdk.runtime.functions",
    "load_plan": "agent_sdk.runtime.plan_file",
    "memory_tools": "agent_sdk.tools.memory",
    "subagent": "agent_sdk.runtime.subagent",
    "tool": "agent_sdk.tools",
    "wait_for": "agent_sdk.tools",
    "wait_for_signal": "agent_sdk.tools",
    "wait_until": "agent_sdk.tools",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
