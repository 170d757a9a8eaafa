"""Where the parts are joined."""

from agent_sdk.runtime.agent import Agent
from agent_sdk.runtime.app import App, load_app
from agent_sdk.runtime.declaration import AgentDeclaration, RunInfo
from agent_sdk.runtime.handle import RunHandle
from agent_sdk.runtime.runtime import Runtime, StartOptions, World

__all__ = ["Agent", "AgentDeclaration", "App", "RunHandle", "RunInfo", "Runtime", "StartOptions", "World", "load_app"]
