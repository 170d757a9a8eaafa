"""Tools: functions that models may call, the threads they run in, and those for files that come with the package."""

from agent_sdk.tools.decorator import tool
from agent_sdk.tools.function import FunctionTool
from agent_sdk.tools.threads import NoThreadFree, ThreadPool

__all__ = ["FunctionTool", "NoThreadFree", "ThreadPool", "tool"]
