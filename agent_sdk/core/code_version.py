"""Whether a run may go on with the code at hand: what it pinned when it was created, against what its unfinished steps depend on now."""

from collections.abc import Iterator, Mapping

from agent_sdk.core.events import CodeChange
from agent_sdk.core.run import Run

_SETTLED = frozenset({"finished", "failed", "skipped", "refused"})


def code_changes(run: Run, current: Mapping[str, str]) -> tuple[CodeChange, ...]:
    """Return the parts that the rest of the run depends on and whose digests are not those it pinned; `current` are the code's."""
    return tuple(
        CodeChange(part, pinned, current.get(part))
        for part in dict.fromkeys(_parts(run))
        if (pinned := run.pinned.get(part)) is not None and current.get(part) != pinned
    )


def _parts(run: Run) -> Iterator[str]:
    """Yield what may still be used: by a planner that will be asked again all there is, else the tools of the steps to come."""
    if run.plan is None or run.to_repair or run.answer_findings:
        yield from run.pinned
        return
    yield "output"
    for state in run.graph.steps.values():
        if state.status not in _SETTLED and state.tool is not None:
            yield f"tool:{state.tool}"
