"""What is said of a run when a command is done with it: the answer, a summary for people, or one JSON object for programs."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal

from pydantic import JsonValue

from agent_sdk.cli.errors import render_problem
from agent_sdk.cli.recall import Recall
from agent_sdk.cli.steps import StepRow, count_states, step_rows
from agent_sdk.cli.terminal import safe
from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.graph import Failure, StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.run import Run
from agent_sdk.core.usage import Usage
from agent_sdk.observability import redact_json, redact_text
from agent_sdk.observability.taxonomy import render_duration

VERSION: Literal[1] = 1
MAX_FAILURES = 20


def run_record(run: Run, *, resume: str | None) -> dict[str, JsonValue]:
    """Return a run as `--json` prints it; all keys are always there.

    `v` is 1; it rises when a key goes or changes its meaning, and new keys may come without that. `state` is one of the run's states, and
    `reason` says what a waiting run waits for. `answer` is verbatim, null until the run has succeeded; all other texts are redacted.
    `failure` is null, or has `code`, `message`, `hint` and `step`. `usage` has `input_tokens`, `output_tokens`, `cached_tokens`,
    `reasoning_tokens` and `cost_usd` (decimal text, null where no price is known). Each of `steps` has `id`, `tool` (null for a model
    step), `state`, `attempt`, `effect`, `group` (the `for_each` step that it is an element of, or null), `started_at`, `ended_at`,
    `duration_s` and `failure`. Times are ISO 8601 in UTC. `resume` is the command that goes on with the run, null where none can; in it
    MODULE:APP stands for an app that neither this command nor the settings name.
    """
    created = run.created
    record: dict[str, JsonValue] = {
        "v": VERSION,
        "run_id": run.run_id,
        "agent": created.agent if created is not None else None,
        "agent_version": created.agent_version if created is not None else None,
        "model": created.model if created is not None else None,
        "goal": created.goal if created is not None else None,
        "tags": list[JsonValue](created.tags) if created is not None else [],
        "principal": created.principal if created is not None else None,
        "session": created.session if created is not None else None,
        "state": run.state,
        "reason": run.reason,
        "failure": _failure_record(run.failure, run.failed_step),
        "usage": _usage_record(run.usage),
        "steps": [_step_record(state) for state in run.graph.steps.values()],
        "created_at": _time(run.created_at),
        "ended_at": _time(run.ended_at),
        "resume": resume,
    }
    return {**_redacted(record), "answer": run.answer}


def error_record(error: AgentSDKError) -> dict[str, JsonValue]:
    """Return what `--json` prints where there is no run to tell of: the same keys that matter, with no run in them."""
    failure: dict[str, JsonValue] = {"code": error.code, "message": error.message, "hint": error.hint, "step": None}
    return _redacted({"v": VERSION, "run_id": None, "state": None, "failure": failure}) | {"answer": None}


def render_answer(answer: JsonValue) -> str:
    """Return the answer as it goes to stdout: text as it is, all else as JSON."""
    return answer if isinstance(answer, str) else to_json_text(answer)


def to_json_text(value: JsonValue) -> str:
    """Return JSON that people can read, too."""
    return "\n".join(map(printable_json, json.dumps(value, ensure_ascii=False, indent=2).split("\n")))


def printable_json(line: str) -> str:
    """Return a line of JSON with JSON's own escapes for what would steer a terminal."""
    return line if line.isprintable() else "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def summary_lines(run: Run, rows: list[StepRow], *, at: int) -> Iterator[str]:
    """Yield what people want to know beside the table and the answer: how it ended, what failed, what it cost."""
    for row in [row for row in rows if row.failure is not None and row.status != "finished"][:MAX_FAILURES]:
        if row.failure is not None and row.failure.message and row.id != run.failed_step:
            yield f"{safe(row.id)}: {safe(row.failure.message)} [{row.failure.code}]"
    end = run.ended_at if run.ended_at is not None else at
    state = {"waiting": f"waits: {run.reason}", "queued": "suspended"}.get(run.state, run.state)
    yield f"{state} after {render_duration(max(0, end - run.created_at))}; {count_states(rows)}"
    yield f"usage: {render_usage(run.usage)}"


def problem_of(run: Run) -> str | None:
    """Return why the run ended without an answer, or None if it did not."""
    match run.state:
        case "failed":
            failure = run.failure or Failure("unknown")
            where = f" at step {run.failed_step}" if run.failed_step is not None else ""
            return render_problem(f"the run failed{where}: {failure.message or failure.code}", failure.code, failure.hint)
        case "expired":
            return render_problem("the run passed its deadline", "run_expired", "give it more time: --timeout, or Limits.run_timeout_s")
        case "cancelled":
            return render_problem("the run was cancelled", "run_cancelled", None)
        case _:
            return None


def next_lines(
    run: Run, recall: Recall, decided: Mapping[StepId, str] = MappingProxyType({}), *, is_elsewhere: bool = False
) -> Iterator[str]:
    """Yield what can be done with the run now; `decided` are the decisions that it has not read yet, and `is_elsewhere`: it has workers."""
    if not recall.is_kept:
        yield "its journal was in memory, and is gone with this process"
        return
    for step in run.graph.unknown if run.state == "waiting" else ():
        if step in decided:
            yield f"{safe(step)} is decided: {safe(decided[step])}; that takes hold when the run is resumed"
        else:
            yield f"nobody knows whether {safe(step)} was done; look, then decide: {recall.decide(run.run_id, step)}"
    yield from _wait_lines(run, recall, decided)
    if is_elsewhere and not run.is_ended:
        yield f"watch it again: {recall.follow(run.run_id)}"
    elif run.state in {"planning", "running"}:
        yield f"if nobody performs it any more, go on with it:  {recall.resume(run.run_id)}"
    elif not run.is_ended:
        yield f"go on with it:  {recall.resume(run.run_id)}"
    yield f"look at it:     {recall.show(run.run_id)}"


def _wait_lines(run: Run, recall: Recall, decided: Mapping[StepId, str]) -> Iterator[str]:
    """Yield what a waiting run waits to be told, and how."""
    for step, pending in run.graph.parked.items() if not run.is_ended else ():
        text = safe(redact_text(pending.text or ""))
        match pending.kind:
            case _ if step in decided:
                yield f"{safe(step)} is decided: {safe(decided[step])}; that takes hold when the run goes on"
            case "approval":
                call = f"{safe(pending.name or '')} with {render_args(pending.args)}"
                yield f"{safe(step)} wants to call {call} ({text}); or deny, or edit: {recall.approve(run.run_id, step)}"
            case "question":
                yield f"{safe(step)} asks: {text}: {recall.answer(run.run_id, step)}"
            case "signal":
                yield f"{safe(step)} waits for the signal {safe(pending.name or '')}: {recall.signal(run.run_id, pending.name or '')}"
            case "child":
                yield f"{safe(step)} is the child run {pending.child}: {recall.show(pending.child or run.run_id)}"
            case "timer":
                yield f"{safe(step)} waits until {_time(pending.wake_at)}"
    if run.reason == "budget" and run.shortfall is not None:
        yield f"{safe(redact_text(run.shortfall.message))}: {recall.budget(run.shortfall.row)}"
    for change in run.changes if run.reason == "code_changed" else ():
        yield f"{safe(change.part)} has changed: {change.pinned[:12]} when the run was created, now {(change.current or 'gone')[:12]}"
    if run.reason in {"crash_loop", "code_changed"}:
        options = ["--accept-code"] if run.reason == "code_changed" else []
        yield f"look at it, then let it go on: {recall.wake(run.run_id, *options)}"


def render_args(args: Mapping[str, JsonValue] | None) -> str:
    """Return a call's arguments in one line, secrets masked."""
    if args is None:
        return "arguments that were erased"
    return safe(json.dumps(redact_json(dict(args)), ensure_ascii=False))


def resume_of(run: Run, recall: Recall) -> str | None:
    """Return the command that goes on with the run, or None where none can."""
    return None if run.is_ended or not recall.is_kept else recall.resume(run.run_id)


def render_usage(usage: Usage) -> str:
    """Return `1,200 input (1,000 cached) + 80 output tokens, $0.002`."""
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    reasoning = f" ({usage.reasoning_tokens:,} reasoning)" if usage.reasoning_tokens else ""
    cost = f", ${usage.cost_usd:f}" if usage.cost_usd else ""
    return f"{usage.input_tokens:,} input{cached} + {usage.output_tokens:,} output{reasoning} tokens{cost}"


def rows_of(run: Run, *, at: int) -> list[StepRow]:
    """Return the rows of a run that stands still; `at` is the time of its last fact, at which what runs was last seen."""
    return step_rows(run, run.ended_at if run.ended_at is not None else at)


def _step_record(state: StepState) -> JsonValue:
    duration_s = None if state.started_at is None or state.ended_at is None else (state.ended_at - state.started_at) / 1e6
    return {
        "id": state.id,
        "tool": state.tool,
        "state": state.status,
        "attempt": state.attempt,
        "effect": state.effect,
        "group": state.group,
        "started_at": _time(state.started_at),
        "ended_at": _time(state.ended_at),
        "duration_s": duration_s,
        "failure": _failure_record(state.failure, None) if state.status != "finished" else None,
    }


def _failure_record(failure: Failure | None, step: str | None) -> JsonValue:
    return None if failure is None else {"code": failure.code, "message": failure.message, "hint": failure.hint, "step": step}


def _usage_record(usage: Usage) -> JsonValue:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": None if usage.cost_usd is None else f"{usage.cost_usd:f}",
    }


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _redacted(record: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: redact_json(value) for key, value in record.items()}
