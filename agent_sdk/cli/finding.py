"""Runs by what people type of their ids, and what is known of one before it is shown."""

from dataclasses import dataclass
from typing import Any

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import NotFound, RequestError
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.ports import RunFilter
from agent_sdk.core.run import Run
from agent_sdk.runtime import RunHandle, Runtime

PAGE = 500
"""How many of the newest runs are looked at for a part of an id."""
ID_LENGTH = len("run_") + 24


@dataclass(slots=True)
class Followed:
    """A run as far as its facts were shown; `at` is the time of the last one."""

    run: Run
    at: int = 0


async def find_run(runtime: Runtime, name: str) -> RunHandle[Any]:
    """Return the run of that id, or the only recent one whose id has `name` in it.

    Raises:
        NotFound: no such run. RequestError: several, or `name` is no text.
    """
    require_text("the run's id", name)
    if name.startswith("run_") and len(name) == ID_LENGTH:
        return runtime.attach(RunId(name))
    if not name.strip():  # every id has the empty text in it: an unset variable must name no run, least of all to `cancel`
        raise RequestError("the run's id is empty", hint="list the runs with `agent-sdk runs list`")
    found = [row.run_id for row in await runtime.runs(RunFilter(limit=PAGE)) if name in row.run_id]
    if len(found) > 1 and name not in found:
        raise RequestError(f"{len(found)} runs have {name!r} in their ids", hint=f"give more of it, such as {found[0]}")
    if not found:
        raise NotFound(f"there is no run {name}", hint="list the runs with `agent-sdk runs list`")
    return runtime.attach(RunId(name) if name in found else found[0])


async def fold_of(handle: RunHandle[Any]) -> Followed:
    """Return the run as its journal has it now."""
    followed = Followed(Run(handle.tenant, handle.run_id, Limits()))
    async for fact in handle.facts():
        followed.run.apply(fact)
        followed.at = fact.at
    return followed


async def unread_decisions(runtime: Runtime, run_id: RunId) -> dict[StepId, str]:
    """Return what was decided since somebody last performed the run; of two decisions on a step the first counts."""
    row = await runtime.journal.row(runtime.tenant, run_id)
    decided: dict[StepId, str] = {}
    for item in await runtime.journal.inbox(runtime.tenant, run_id, after=row.inbox_seen):
        match item.body:
            case {"step": str(step), "decision": str(said)} if item.kind == "decide":
                decided.setdefault(StepId(step), said)
            case {"step": str(step), "ruling": str(said)} if item.kind == "approve":
                decided.setdefault(StepId(step), said)
            case {"step": str(step)} if item.kind == "answer":
                decided.setdefault(StepId(step), "answered")
            case _:
                pass
    return decided


def require_text(name: str, text: str | None) -> None:
    """Refuse what a shell passed on that is no UTF-8."""
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{name} is no valid text: {text!r}", hint="write it in UTF-8") from error
