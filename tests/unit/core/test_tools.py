import pytest

from agent_sdk.core.errors import NotFound
from agent_sdk.core.ids import DEFAULT_TENANT, RunId, StepId
from agent_sdk.core.tools import ToolContext, no_outputs


def test_a_context_needs_neither_log_nor_watcher() -> None:
    context = ToolContext(DEFAULT_TENANT, RunId("r"), StepId("a"), 1, "key", deps=5)
    context.report("half", 0.5)
    context.log.info("%s of %s", 1, 2)
    context.log.debug("d")
    context.log.warning("w")
    context.log.error("e")
    assert (context.deps, context.deadline_s) == (5, None)


async def test_a_tool_that_is_called_outside_a_run_finds_no_outputs() -> None:
    with pytest.raises(NotFound, match=r"there is no output 't1\.1'"):
        await no_outputs("t1.1")
