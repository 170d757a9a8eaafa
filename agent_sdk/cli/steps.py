"""The steps of a run as rows of a table: `for_each` groups folded into one, and only the telling ones where there are too many."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from agent_sdk.cli.terminal import Grid, safe
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import Failure, Status, StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.run import Run
from agent_sdk.observability.taxonomy import render_duration

Shown = Status | Literal["interrupted"]
"""A step's status; `interrupted` is one that runs no more, since nobody performs the run, and will start again or be decided."""

STYLES: dict[Shown, str] = {
    "waiting": "dim",
    "ready": "dim",
    "running": "cyan",
    "interrupted": "yellow",
    "parked": "magenta",
    "finished": "green",
    "failed": "red",
    "skipped": "dim",
    "unknown": "bold yellow",
    "refused": "red",
}
_TELLING: dict[Shown, int] = {
    "failed": 0,
    "unknown": 0,
    "running": 0,
    "interrupted": 0,
    "parked": 0,
    "refused": 1,
    "ready": 2,
    "finished": 3,
    "skipped": 4,
    "waiting": 4,
}
"""What is shown first where there is no room for all; of equals, the later one."""


@frozen
class StepRow:
    """`members` counts the states of a group's elements, None for a single step; `time_us` is None before the start."""

    id: StepId
    tool: str
    status: Shown
    attempt: int
    time_us: int | None
    members: Counter[Shown] | None = None
    items: int | None = None
    failure: Failure | None = None

    @property
    def state(self) -> str:
        """The state in words: `running 12/40, 1 failed`, `failed: tool_timed_out`."""
        text: str = self.status
        if self.members is not None:
            text += f" {self.members['finished']}/{self.items}"
            text += "".join(f", {self.members[status]} {status}" for status in ("failed", "unknown") if self.members[status])
        return f"{text}: {self.failure.code}" if self.failure is not None and self.status != "finished" else text


def step_rows(run: Run, now_us: int) -> list[StepRow]:
    """Return a row for each step of the run, in its order."""
    is_performed = run.state in {"planning", "running"}
    members: dict[StepId, Counter[Shown]] = {}
    attempts: dict[StepId, int] = {}
    for state in run.graph.steps.values():
        if state.group is not None:
            members.setdefault(state.group, Counter())[_shown(state, is_performed)] += 1
            attempts[state.group] = max(attempts.get(state.group, 0), state.attempt)
    return [
        _row(state, _shown(state, is_performed), members.get(state.id), max(state.attempt, attempts.get(state.id, 0)), now_us)
        for state in run.graph.steps.values()
        if state.group is None
    ]


def telling_rows(rows: Sequence[StepRow], limit: int) -> tuple[list[StepRow], Counter[Shown]]:
    """Return at most `limit` rows in their order, the most telling ones, and the states of those that are left out."""
    if len(rows) <= limit:
        return list(rows), Counter()
    ranked = sorted(range(len(rows)), key=lambda index: (_TELLING[rows[index].status], -index))
    kept = set(ranked[: max(0, limit)])
    return [rows[index] for index in sorted(kept)], Counter(row.status for index, row in enumerate(rows) if index not in kept)


def step_grid(rows: Sequence[StepRow]) -> Grid:
    """Return the rows as a table of texts."""
    cells = [
        (safe(row.id), safe(row.tool), row.state, str(row.attempt or ""), "" if row.time_us is None else render_duration(row.time_us))
        for row in rows
    ]
    return Grid(("step", "tool", "state", "try", "time"), cells, [STYLES[row.status] for row in rows], spare=(1, 3, 4))


def count_states(rows: Sequence[StepRow]) -> str:
    """Return `3 finished, 1 running of 12 steps`, the elements of groups included."""
    counts: Counter[Shown] = Counter()
    for row in rows:
        if row.members is None:
            counts[row.status] += 1
        else:
            counts.update(row.members)
    return f"{render_counts(counts)} of {counts.total()} steps" if counts else "no steps yet"


def render_counts(counts: Counter[Shown]) -> str:
    """Return `3 finished, 1 running`."""
    return ", ".join(f"{counts[status]} {status}" for status in STYLES if counts[status])


def _shown(state: StepState, is_performed: bool) -> Shown:
    return "interrupted" if state.status == "running" and not is_performed else state.status


def _row(state: StepState, status: Shown, members: Counter[Shown] | None, attempt: int, now_us: int) -> StepRow:
    end = state.ended_at if state.ended_at is not None else now_us
    time_us = None if state.started_at is None else max(0, end - state.started_at)
    counted = members if members is not None or state.items is None else Counter[Shown]()
    return StepRow(state.id, state.tool or "(model)", status, attempt, time_us, counted, state.items, state.failure)
