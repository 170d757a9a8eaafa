"""Where the parts are joined."""

from agent_sdk.runtime.agent import Agent
from agent_sdk.runtime.app import App, load_app
from agent_sdk.runtime.creation import StartOptions
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import GuardedCall, RunInfo
from agent_sdk.runtime.handle import RunHandle
from agent_sdk.runtime.runtime import Runtime
from agent_sdk.runtime.stage import World
from agent_sdk.runtime.subagent import subagent
from agent_sdk.runtime.worker import Worker, WorkerOptions

__all__ = [
    "Agent",
    "AgentDeclaration",
    "App",
    "GuardedCall",
    "RunHandle",
    "RunInfo",
    "Runtime",
    "StartOptions",
    "Worker",
    "WorkerOptions",
    "World",
    "load_app",
    "subagent",
]
