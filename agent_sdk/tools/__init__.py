"""Tools: functions that models may call, waits, the threads and processes they run in, and those for files that come with the package."""

from agent_sdk.tools.decorator import tool
from agent_sdk.tools.function import FunctionTool
from agent_sdk.tools.processes import NoProcessFree, ProcessPool, ToolProcessDied, refuse_second_main
from agent_sdk.tools.threads import NoThreadFree, ThreadPool
from agent_sdk.tools.waits import MAX_WAIT_S, WaitTool, ask_person, wait_for, wait_for_signal, wait_until

__all__ = [
    "MAX_WAIT_S",
    "FunctionTool",
    "NoProcessFree",
    "NoThreadFree",
    "ProcessPool",
    "ThreadPool",
    "ToolProcessDied",
    "WaitTool",
    "ask_person",
    "refuse_second_main",
    "tool",
    "wait_for",
    "wait_for_signal",
    "wait_until",
]
