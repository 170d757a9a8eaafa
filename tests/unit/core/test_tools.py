from agent_sdk.core.ids import DEFAULT_TENANT, RunId, StepId
from agent_sdk.core.tools import ToolContext


def test_a_context_needs_neither_log_nor_watcher() -> None:
    context = ToolContext(DEFAULT_TENANT, RunId("r"), StepId("a"), 1, "key", deps=5)
    context.report("half", 0.5)
    context.log.info("%s of %s", 1, 2)
    context.log.debug("d")
    context.log.warning("w")
    context.log.error("e")
    assert (context.deps, context.deadline_s) == (5, None)
