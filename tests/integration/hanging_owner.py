"""A process whose tool hangs in a process of its own: `python -m tests.integration.hanging_owner PIDS`."""

import asyncio
import sys

from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import ProcessPool, ThreadPool
from tests.integration.isolated_tools import hang

if __name__ == "__main__":
    context: ToolContext[object] = ToolContext(TenantId("t"), RunId("r"), StepId("s"), 1, "k", None)
    asyncio.run(hang.bound_to(ThreadPool(), ProcessPool()).call({"pids": sys.argv[1]}, context))
