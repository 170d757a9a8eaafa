"""Steps that wait: how a wait begins, and what ends it without anybody's doing. What people and other runs send is taken in by `inbox`."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import assert_never

from pydantic import JsonValue

from agent_sdk.core.digest import digest_of
from agent_sdk.core.errors import ArgumentsInvalid
from agent_sdk.core.events import ApprovalDecided, ApprovalRequested, ChildStarted, Event, StepFailed, StepFinished, StepWaiting
from agent_sdk.core.graph import Pending, StepState
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Tool
from agent_sdk.core.run import Run
from agent_sdk.core.tools import Wait, output_misfit


def instead(run: Run, state: StepState, tool: Tool, args: Mapping[str, JsonValue], now_us: Callable[[], int]) -> Event | None:
    """Return what happens in place of the call's start: a person is asked first, or the step only waits; None where it is to be called."""
    why = None if state.is_allowed else tool.approval(args)
    if why is not None:
        digest = state.args_digest or digest_of(dict(args))
        return ApprovalRequested(state.id, tool.spec.name, digest, _at(now_us(), tool.spec.approval_s), why, dict(args))
    if tool.spec.kind != "call":
        return _wait_of(run, state, tool, args, now_us())
    return None


def child_id(run: Run, step: StepId) -> RunId:
    """Return the id of the step's child run: the same whenever it is asked for, so that a crash makes no second child."""
    return RunId("run_" + hashlib.sha256(f"{run.tenant}/{run.run_id}/{step}".encode()).hexdigest()[:24])


def ended_waits(run: Run, tools: Mapping[str, Tool], now_us: int) -> Iterator[tuple[Event, str | None]]:
    """Yield what ends waits now, and why: signals that came, and times that passed. Fold each before you ask for the next."""
    for step, pending in list(run.graph.parked.items()):
        if pending.kind == "signal" and (queue := run.signals.get(pending.name or "")):
            seq, payload = queue[0]
            yield _signalled(run.graph.steps[step], tools, payload), f"event:{seq}"
        elif pending.wake_at is not None and pending.wake_at <= now_us:
            yield _passed(step, pending, pending.wake_at), None


def _wait_of(run: Run, state: StepState, tool: Tool, args: Mapping[str, JsonValue], now_us: int) -> StepWaiting | ChildStarted | StepFailed:
    """Return how the step's wait begins."""
    try:
        wait = tool.wait(args)
    except ArgumentsInvalid as error:
        return StepFailed(state.id, state.attempt, error.code, message=error.message, hint=error.hint)
    match wait.kind:
        case "child":
            return ChildStarted(state.id, child_id(run, state.id), wait.name or "", wait.text)
        case "question" | "timer" | "signal":
            return StepWaiting(state.id, wait.kind, wait.name, _wake_at(wait, now_us), wait.text)
        case _:
            assert_never(wait.kind)


def _signalled(state: StepState, tools: Mapping[str, Tool], payload: JsonValue) -> Event:
    tool = tools.get(state.tool or "")
    misfit = output_misfit(tool.spec, payload) if tool is not None else None
    if misfit is not None:
        return StepFailed(state.id, state.attempt, "signal_invalid", message=misfit)
    return StepFinished(state.id, state.attempt, 0, tool.spec.label if tool is not None else None, payload)


def _passed(step: StepId, pending: Pending, wake_at: int) -> Event:
    match pending.kind:
        case "approval":
            return ApprovalDecided(step, "expire", pending.digest or "")
        case "timer":
            return StepFinished(step, 1, 0, TRUSTED, datetime.fromtimestamp(wake_at / 1e6, UTC).isoformat(timespec="milliseconds"))
        case "question" | "signal" | "child":
            what = "answer" if pending.kind == "question" else f"signal {pending.name!r}"
            return StepFailed(step, 1, "wait_expired", message=f"no {what} came in time")
        case _:
            assert_never(pending.kind)


def _wake_at(wait: Wait, now_us: int) -> int | None:
    if wait.kind == "timer":
        return wait.at_us if wait.at_us is not None else _at(now_us, wait.after_s or 0.0)
    return _at(now_us, wait.after_s)


def _at(now_us: int, after_s: float | None) -> int | None:
    return None if after_s is None else now_us + int(after_s * 1_000_000)
