"""Steps become rows: groups are folded, and where there is no room the telling ones stay."""

from collections import Counter

from agent_sdk.cli.steps import StepRow, count_states, render_counts, step_grid, step_rows, telling_rows
from agent_sdk.core.events import Event, RunReleased, StepFailed, StepFinished
from agent_sdk.core.graph import Status
from agent_sdk.core.ids import StepId
from tests.unit.cli.folded import FIND, SECOND, run_of, started

FOUND = StepFinished(FIND, 1, 5, output=["a", "b", "c"])
MEMBER = [StepId(f"prices[{index}]") for index in range(3)]


def row(name: str, status: Status) -> StepRow:
    return StepRow(StepId(name), "search", status, 1, None)


def test_a_step_that_runs_shows_its_time_so_far() -> None:
    first, *rest = step_rows(run_of(started("find")), 6 * SECOND)
    assert (first.state, first.attempt, first.time_us) == ("running", 1, 2 * SECOND)
    assert [(each.id, each.state, each.time_us) for each in rest] == [("prices", "waiting", None), ("sum", "waiting", None)]


def test_a_group_is_one_row_with_its_count() -> None:
    run = run_of(started("find"), FOUND, started("prices", items=3), started("prices[0]"), StepFinished(MEMBER[0], 1, 5, output=1))
    assert [each.state for each in step_rows(run, 20 * SECOND)] == ["finished", "running 1/3", "waiting"]


def test_a_group_says_how_many_failed_and_its_highest_attempt() -> None:
    events: list[Event] = [started("find"), FOUND, started("prices", items=3), started("prices[0]"), started("prices[1]", attempt=3)]
    run = run_of(*events, StepFailed(MEMBER[0], 1, "tool_failed"))
    assert [(each.state, each.attempt) for each in step_rows(run, 20 * SECOND)][1] == ("running 0/3, 1 failed", 3)


def test_a_failed_step_names_its_code() -> None:
    run = run_of(started("find"), StepFailed(FIND, 1, "tool_timed_out"))
    assert step_rows(run, 20 * SECOND)[0].state == "failed: tool_timed_out"


def test_a_step_that_was_under_way_when_the_run_was_suspended_is_interrupted() -> None:
    assert step_rows(run_of(started("find"), RunReleased("suspended")), 20 * SECOND)[0].state == "interrupted"


def test_where_all_rows_fit_none_is_hidden() -> None:
    rows = [row("a", "finished"), row("b", "running")]
    assert telling_rows(rows, 2) == (rows, Counter())


def test_running_and_failed_steps_stay_where_there_is_no_room() -> None:
    states: list[Status] = ["failed", "finished", "finished", "running", "waiting", "waiting"]
    shown, hidden = telling_rows([row(str(index), state) for index, state in enumerate(states)], 3)
    assert [each.id for each in shown] == ["0", "2", "3"]
    assert render_counts(hidden) == "2 waiting, 1 finished"


def test_counts_take_the_elements_of_groups() -> None:
    run = run_of(started("find"), FOUND, started("prices", items=3), started("prices[0]"))
    assert count_states(step_rows(run, 20 * SECOND)) == "1 waiting, 2 ready, 1 running, 1 finished of 5 steps"


def test_no_steps_are_said_to_be_none() -> None:
    assert count_states([]) == "no steps yet"


def test_a_row_has_id_tool_state_attempt_and_time() -> None:
    grid = step_grid(step_rows(run_of(started("find"), FOUND), 20 * SECOND))
    assert grid.rows[0] == ("find", "search", "finished", "1", "1.0 s")
    assert grid.rows[2] == ("sum", "total", "waiting", "", "")


def test_a_name_that_steers_a_terminal_is_shown_harmless() -> None:
    assert step_grid([StepRow(StepId("a\x1b[2J"), "b\r", "ready", 0, None)]).rows[0][:2] == ("a\\x1b[2J", "b\\r")
