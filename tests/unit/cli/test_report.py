"""What is said of a run: one JSON object for programs, and lines for people."""

import json
from decimal import Decimal

import pytest

from agent_sdk.cli.recall import Recall
from agent_sdk.cli.report import (
    error_record,
    next_lines,
    problem_of,
    render_answer,
    render_usage,
    resume_of,
    rows_of,
    run_record,
    summary_lines,
)
from agent_sdk.core.errors import NotFound
from agent_sdk.core.events import (
    Event,
    RunCancelled,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    StepFailed,
    StepFinished,
    StepUnknown,
)
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.usage import Usage
from tests.unit.cli.folded import FIND, RUN, SECOND, run_of, started

DONE = (started("find"), StepFinished(FIND, 1, 5, output="x"), RunSucceeded(TRUSTED, {"total": 62}))


def lines_of(*events: Event) -> list[str]:
    run = run_of(*events)
    return list(summary_lines(run, rows_of(run, at=9 * SECOND), at=9 * SECOND))


def test_the_record_of_a_run_is_the_one_that_was_promised() -> None:
    record = run_record(run_of(*DONE), resume=None)
    steps = record["steps"]
    assert isinstance(steps, list)
    assert steps[0] == {
        "id": "find",
        "tool": "search",
        "state": "finished",
        "attempt": 1,
        "effect": "read",
        "group": None,
        "started_at": "1970-01-01T00:00:04.000Z",
        "ended_at": "1970-01-01T00:00:05.000Z",
        "duration_s": 1.0,
        "failure": None,
    }
    assert {**record, "steps": len(steps)} == {
        "v": 1,
        "run_id": RUN,
        "agent": "analyst",
        "agent_version": "2",
        "model": "openai:gpt-5-mini",
        "goal": "count the pens",
        "tags": ["shop"],
        "principal": None,
        "session": None,
        "state": "succeeded",
        "reason": None,
        "answer": {"total": 62},
        "failure": None,
        "usage": {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0, "reasoning_tokens": 0, "cost_usd": "0"},
        "steps": 3,
        "created_at": "1970-01-01T00:00:01.000Z",
        "ended_at": "1970-01-01T00:00:06.000Z",
        "resume": None,
    }


def test_the_record_of_a_failed_run_says_why() -> None:
    record = run_record(run_of(RunFailed("tool_failed", FIND, "no such file, token=abcdefgh12345678", "look again")), resume=None)
    assert record["failure"] == {"code": "tool_failed", "message": "no such file, token=[redacted]", "hint": "look again", "step": "find"}


def test_an_answer_stays_verbatim() -> None:
    record = run_record(run_of(RunSucceeded(TRUSTED, "password=hunter2")), resume=None)
    assert record["answer"] == "password=hunter2"


def test_an_error_without_a_run_has_the_same_keys() -> None:
    assert error_record(NotFound("there is no run x", hint="list them")) == {
        "v": 1,
        "run_id": None,
        "state": None,
        "failure": {"code": "not_found", "message": "there is no run x", "hint": "list them", "step": None},
        "answer": None,
    }


def test_a_text_is_printed_as_it_is_and_data_as_json() -> None:
    assert render_answer("Ink costs 3.\n") == "Ink costs 3.\n"
    assert json.loads(render_answer({"größe": [1]})) == {"größe": [1]}
    assert "größe" in render_answer({"größe": [1]})


def test_a_summary_says_how_it_ended_and_what_it_used() -> None:
    assert lines_of(*DONE) == [
        "succeeded after 5.0 s; 1 waiting, 1 ready, 1 finished of 3 steps",
        "usage: 0 input + 0 output tokens",
    ]


def test_a_summary_tells_why_steps_failed_but_the_one_that_ended_the_run() -> None:
    failed = StepFailed(FIND, 1, "tool_failed", message="no file")
    assert "find: no file [tool_failed]" not in lines_of(started("find"), failed, RunFailed("tool_failed", FIND, "no file"))
    unknown = StepUnknown(FIND, 1, "tool_failed", "lost")
    assert lines_of(started("find"), unknown)[0] == "find: lost [tool_failed]"


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (RunFailed("tool_failed", FIND, "no file", "look"), "error: the run failed at step find: no file [tool_failed]\n  hint: look"),
        (RunFailed("plan_invalid"), "error: the run failed: plan_invalid [plan_invalid]"),
        (
            RunExpired(),
            "error: the run passed its deadline [run_expired]\n  hint: give it more time: --timeout, or Limits.run_timeout_s",
        ),
        (RunCancelled(), "error: the run was cancelled [run_cancelled]"),
        (RunReleased("suspended"), None),
        (RunSucceeded(TRUSTED, 1), None),
    ],
)
def test_a_run_without_an_answer_says_why(last: Event, text: str | None) -> None:
    assert problem_of(run_of(last)) == text


def test_a_run_that_waits_for_a_decision_says_how_to_decide() -> None:
    run = run_of(started("find"), StepUnknown(FIND, 1, "owner_lost"), RunWaiting("unknown_effect", (FIND,)), RunReleased("waiting"))
    assert list(next_lines(run, Recall())) == [
        f"nobody knows whether find was done; look, then decide: agent-sdk runs decide {RUN} find done|retry|skip|fail",
        f"go on with it:  agent-sdk runs resume {RUN}",
        f"look at it:     agent-sdk runs show {RUN}",
    ]


def test_a_decision_that_nobody_has_read_yet_is_not_asked_for_again() -> None:
    run = run_of(started("find"), StepUnknown(FIND, 1, "owner_lost"), RunWaiting("unknown_effect", (FIND,)), RunReleased("waiting"))
    assert next(next_lines(run, Recall(), {FIND: "done"})) == "find is decided: done; that takes hold when the run is resumed"


def test_a_run_that_may_still_be_performed_is_not_to_be_resumed_at_once() -> None:
    assert next(next_lines(run_of(started("find")), Recall())).startswith("if nobody performs it any more, go on with it:")


def test_a_run_that_has_ended_can_only_be_looked_at() -> None:
    assert list(next_lines(run_of(*DONE), Recall())) == [f"look at it:     agent-sdk runs show {RUN}"]


def test_a_run_that_was_kept_in_memory_is_gone() -> None:
    run, recall = run_of(started("find"), RunReleased("suspended")), Recall(journal="memory://")
    assert list(next_lines(run, recall)) == ["its journal was in memory, and is gone with this process"]
    assert resume_of(run, recall) is None
    assert resume_of(run, Recall()) == f"agent-sdk runs resume {RUN}"


def test_usage_shows_what_there_is() -> None:
    assert render_usage(Usage(1200, 80)) == "1,200 input + 80 output tokens"
    assert (
        render_usage(Usage(1200, 80, 1000, 20, Decimal("0.002"))) == "1,200 input (1,000 cached) + 80 output (20 reasoning) tokens, $0.002"
    )


def test_a_run_that_workers_perform_is_offered_to_be_watched_again_and_not_to_be_taken_from_them() -> None:
    lines = list(next_lines(run_of(started("find")), Recall(), is_elsewhere=True))
    assert lines == [f"watch it again: agent-sdk runs events {RUN} --follow", f"look at it:     agent-sdk runs show {RUN}"]
