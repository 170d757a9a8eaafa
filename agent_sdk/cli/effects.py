"""`agent-sdk effects` and `agent-sdk approvals`: what runs did outside, and what they wait to be told."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.finding import find_run, fold_of
from agent_sdk.cli.opening import Given, open_settings
from agent_sdk.cli.options import JournalOption, JsonOption, RunIdArgument
from agent_sdk.cli.recall import Recall
from agent_sdk.cli.report import render_args, to_json_text
from agent_sdk.cli.terminal import Grid, emit, emit_grid, safe, tell
from agent_sdk.core.effects import EffectEntry, effects_of
from agent_sdk.core.ports import RunFilter
from agent_sdk.core.run import Run
from agent_sdk.observability import redact_json
from agent_sdk.observability.taxonomy import render_duration
from agent_sdk.runtime import Runtime

PEOPLE = frozenset({"approval", "question"})


def effects(ctx: typer.Context, run: RunIdArgument, json: JsonOption = False, journal: JournalOption = None) -> None:
    """Show what a run did outside: each effect with its key and what is known of its outcome.

    Exits with 5 where an outcome is unknown.
    """
    opened = open_settings(ctx, Given(journal=journal))

    async def found() -> tuple[Run, list[EffectEntry]]:
        async with opened.runtime() as runtime:
            handle = await find_run(runtime, run)
            folded = (await fold_of(handle)).run
            return folded, effects_of(folded, [fact async for fact in handle.facts()])

    folded, entries = asyncio.run(found())
    if json:
        emit(to_json_text({"v": 1, "run_id": folded.run_id, "effects": [_effect_record(entry) for entry in entries]}))
    elif entries:
        emit_grid(Grid(("step", "tool", "effect", "outcome", "try", "decided", "key"), [_effect_cells(entry) for entry in entries]))
    else:
        tell(f"run {folded.run_id} has no effects")
    unknown = [entry.step for entry in entries if entry.outcome == "unknown"]
    for step in unknown if not folded.is_ended else ():
        tell(f"nobody knows whether {safe(step)} was done; look, then decide: {opened.recall.decide(folded.run_id, step)}")
    if unknown and not folded.is_ended:
        raise typer.Exit(ExitCode.WAITS)


def approvals(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many runs are looked at.")] = 200,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """List what waits for a person.

    Those are calls to be approved, questions, and effects with an unknown outcome; of all runs, child runs too.
    """
    opened = open_settings(ctx, Given(journal=journal))

    async def waiting() -> list[Run]:
        async with opened.runtime() as runtime:
            return [run async for run in _waiting(runtime, limit)]

    found = asyncio.run(waiting())
    records = [record for run in found for record in _records(run)]
    if json:
        emit(to_json_text({"v": 1, "waiting": [redact_json(record) for record in records]}))
        return
    if not records:
        tell("nothing waits for a person")
    for run in found:
        for line in _lines(run, opened.recall):
            emit(line)


async def _waiting(runtime: Runtime, limit: int) -> AsyncIterator[Run]:
    for row in await runtime.runs(RunFilter(states=frozenset({"waiting", "running", "planning"}), limit=limit)):
        run = await runtime.attach(row.run_id).state()
        if run.graph.unknown or any(pending.kind in PEOPLE for pending in run.graph.parked.values()):
            yield run


def _records(run: Run) -> Iterator[dict[str, JsonValue]]:
    for step in run.graph.unknown:
        state = run.graph.steps[step]
        yield {"run_id": run.run_id, "step": step, "kind": "unknown_effect", "tool": state.tool, "text": None, "expires_at": None}
    for step, pending in run.graph.parked.items():
        if pending.kind in PEOPLE:
            expires = None if pending.wake_at is None else datetime.fromtimestamp(pending.wake_at / 1e6, UTC).isoformat(timespec="seconds")
            state = run.graph.steps[step]
            yield {
                "run_id": run.run_id,
                "step": step,
                "kind": pending.kind,
                "tool": state.tool,
                "text": pending.text,
                "args": pending.args,
                "digest": pending.digest,
                "expires_at": expires,
            }


def _lines(run: Run, recall: Recall) -> Iterator[str]:
    for step in run.graph.unknown:
        yield f"{run.run_id}  {safe(step)}  unknown effect of {safe(run.graph.steps[step].tool or '')}: {recall.decide(run.run_id, step)}"
    for step, pending in run.graph.parked.items():
        if pending.kind not in PEOPLE:
            continue
        left = "" if pending.wake_at is None else f", {render_duration(max(0, pending.wake_at - time.time_ns() // 1000))} left"
        said = safe(str(redact_json(pending.text or "")))
        if pending.kind == "approval":
            call = f"{safe(run.graph.steps[step].tool or '')} with {render_args(pending.args)}"
            yield f"{run.run_id}  {safe(step)}  {call}: {said}{left}; or deny, or edit: {recall.approve(run.run_id, step)}"
        else:
            yield f"{run.run_id}  {safe(step)}  asks: {said}{left}: {recall.answer(run.run_id, step)}"


def _effect_cells(entry: EffectEntry) -> tuple[str, ...]:
    outcome = f"{entry.outcome}: {entry.code}" if entry.code is not None else entry.outcome
    decided = f"{entry.decided} by {entry.by or 'the run itself'}" if entry.decided is not None else ""
    return (safe(entry.step), safe(entry.tool or ""), entry.effect, outcome, str(entry.attempts), safe(decided), safe(entry.key or ""))


def _effect_record(entry: EffectEntry) -> JsonValue:
    return {
        "step": entry.step,
        "tool": entry.tool,
        "effect": entry.effect,
        "key": entry.key,
        "outcome": entry.outcome,
        "attempts": entry.attempts,
        "code": entry.code,
        "decided": entry.decided,
        "by": entry.by,
    }
