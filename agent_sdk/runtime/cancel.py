"""The end of a run on request, whoever performs it."""

from typing import Any

from agent_sdk.core.errors import RunBusy, RunEnded
from agent_sdk.core.ids import PrincipalId, RunId
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.handle import RunHandle
from agent_sdk.runtime.runtime import Runtime


async def cancel_run(runtime: Runtime, run_id: RunId, *, by: PrincipalId | None = None, note: str | None = None) -> RunHandle[Any]:
    """Ask for the run's end; where nobody performs the run, take it over and end it here, which needs none of its agent's parts.

    A run with effects to be undone needs its tools for that: it ends here where the App has its agent, else in a process that has it.

    Raises:
        NotFound: no such run. RunEnded: it has ended.
    """
    handle = runtime.attach(run_id)
    await handle.cancel(by=by, note=note)
    run = await handle.state()
    agent: AgentDeclaration[Any, Any] | None = _stand_in()
    if run.undoable and run.created is not None and run.created.compensate:
        agent = next((known for known in runtime.app.known if known.name == run.created.agent), None)
        if agent is None:
            return handle
    try:
        return await runtime.resume(run_id, agent=agent)
    except (RunBusy, RunEnded):
        return handle


def _stand_in() -> AgentDeclaration[object, str]:
    """Return an agent that can do nothing but end."""
    return AgentDeclaration({"name": "cancel"}, output=str, deps=None, live_deps=object())
