"""`agent-sdk runs`: look at runs in the journal, and go on with them."""

import asyncio
import json as json_lib
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, get_args

import typer
from pydantic import JsonValue

from agent_sdk.cli import decisions, fork as forking, replay as replaying
from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.finding import Followed, find_run, fold_of, require_text, unread_decisions
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import AppOption, BaseUrlOption, JournalOption, JsonOption, QuietOption, RunIdArgument
from agent_sdk.cli.perform import Begun, Show, errors_as_json, perform, report
from agent_sdk.cli.recall import without_secrets
from agent_sdk.cli.report import (
    next_lines,
    printable_json,
    problem_of,
    render_answer,
    resume_of,
    rows_of,
    run_record,
    summary_lines,
    to_json_text,
)
from agent_sdk.cli.steps import step_grid
from agent_sdk.cli.terminal import Grid, emit, emit_grid, safe, tell, verbatim
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.ports import RunFilter, RunRow
from agent_sdk.core.run import Run, RunState
from agent_sdk.observability import record_of, redact_json, render_fact
from agent_sdk.runtime import RunHandle, Runtime
from agent_sdk.runtime.cancel import cancel_run

CANCEL_WAIT_S = 5.0
POLL_S = 0.1

runs = typer.Typer(
    help="Look at runs in the journal, and go on with them.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

for _decide in (decisions.approve, decisions.deny, decisions.edit, decisions.answer, decisions.signal, decisions.wake, decisions.decide):
    runs.command()(_decide)
runs.command()(forking.fork)
runs.command()(replaying.replay)
runs.command("export-test")(replaying.export)


@runs.command("list")
def list_runs(
    ctx: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only runs in this state; may be given several times.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only runs of this agent.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="RUN", help="Go on behind this run.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many.")] = 50,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """List runs, newest first."""
    require_text("--agent", agent)
    require_text("--before", before)
    which = RunFilter(_states(state or []), agent, RunId(before) if before is not None else None, limit)
    opened = open_settings(ctx, Given(journal=journal))

    async def rows() -> list[RunRow]:
        async with opened.runtime() as runtime:
            return await runtime.runs(which)

    found = asyncio.run(rows())
    if json:
        emit(to_json_text({"v": 1, "runs": [_row_record(row) for row in found]}))
    elif found:
        emit_grid(Grid(("run", "agent", "state", "events", "created", "changed"), [_row_cells(row) for row in found]))
    else:
        tell(f"no runs in {safe(without_secrets(opened.settings.journal))}")


@runs.command()
def show(ctx: typer.Context, run: RunIdArgument, json: JsonOption = False, journal: JournalOption = None) -> None:
    """Show a run again: goal, steps, answer, usage."""
    opened = open_settings(ctx, Given(journal=journal))

    async def followed() -> tuple[Followed, dict[StepId, str]]:
        async with opened.runtime() as runtime:
            handle = await find_run(runtime, run)
            return await fold_of(handle), await unread_decisions(runtime, handle.run_id)

    with errors_as_json(json):
        found, decided = asyncio.run(followed())
    _show(found, opened, decided, json=json)


@runs.command()
def events(
    ctx: typer.Context,
    run: RunIdArgument,
    after: Annotated[int, typer.Option("--after", min=0, metavar="NUMBER", help="Only events behind this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come, until the run ends.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    journal: JournalOption = None,
) -> None:
    """Print a run's events with their numbers, one a line; secrets are masked."""
    opened = open_settings(ctx, Given(journal=journal))

    async def print_all() -> None:
        async with opened.runtime() as runtime:
            handle = await find_run(runtime, run)
            async for fact in handle.watch(after=after) if follow else handle.facts(after=after):
                emit(_event_line(handle, fact, json=json))

    asyncio.run(print_all())


@runs.command()
def resume(
    ctx: typer.Context,
    run: RunIdArgument,
    app: AppOption = None,
    base_url: BaseUrlOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    journal: JournalOption = None,
) -> None:
    """Go on with a run that was suspended, crashed or waits.

    No finished step runs again.
    """
    with errors_as_json(json):
        opened = open_settings(ctx, Given(app=app, journal=journal, base_url=base_url))
        opened.require_journal()
        known = opened.app()

        async def begin(runtime: Runtime) -> Begun:
            handle = await find_run(runtime, run)
            before = await handle.state()
            return Begun(await runtime.resume(handle.run_id), before.head)

        shown = Show(json, quiet)
        performed = perform(opened, known, begin, shown)
    raise typer.Exit(report(performed, opened.recall, shown))


@runs.command()
def cancel(
    ctx: typer.Context,
    run: RunIdArgument,
    note: Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why; kept in the journal.")] = None,
    journal: JournalOption = None,
) -> None:
    """End a run, whoever performs it."""
    opened = open_settings(ctx, Given(journal=journal))

    async def cancelled() -> Run:
        async with opened.runtime() as runtime:
            handle = await cancel_run(runtime, (await find_run(runtime, run)).run_id, note=note)
            return await _ended(handle)

    found = asyncio.run(cancelled())
    if not found.is_ended:
        tell(f"run {found.run_id} is asked to end, and still {found.state}; look again: {opened.recall.show(found.run_id)}")
        raise typer.Exit(ExitCode.WAITS)
    tell(f"run {found.run_id}: {found.state}")


async def _ended(handle: RunHandle[Any]) -> Run:
    """Return the run when it has ended, or as it is after a few seconds."""
    until = time.monotonic() + CANCEL_WAIT_S
    while True:
        run = await handle.state()
        if run.is_ended or time.monotonic() > until:
            return run
        await asyncio.sleep(POLL_S)


def _show(followed: Followed, opened: Opened, decided: Mapping[StepId, str], *, json: bool) -> None:
    run, recall = followed.run, opened.recall
    if json:
        emit(to_json_text(run_record(run, resume=resume_of(run, recall))))
        return
    created = run.created
    if created is not None:
        emit(f"{run.run_id}  {safe(created.agent)} {safe(created.agent_version)}  {safe(created.model or 'no model')}")
        emit(f"goal: {safe(created.goal or '(erased)')}" + (f"  tags: {', '.join(map(safe, created.tags))}" if created.tags else ""))
        whose = {"principal": created.principal, "session": created.session}
        if any(whose.values()):
            emit("  ".join(f"{what}: {safe(name)}" for what, name in whose.items() if name is not None))
    rows = rows_of(run, at=followed.at)
    if rows:
        emit_grid(step_grid(rows))
    if run.state == "succeeded":
        emit("")
        emit(verbatim(render_answer(run.answer)))
        emit("")
    for line in summary_lines(run, rows, at=followed.at):
        emit(line)
    if (problem := problem_of(run)) is not None:
        emit(problem)
    if not run.is_ended:
        for line in next_lines(run, recall, decided):
            emit(line)


def _event_line(handle: RunHandle[Any], fact: Fact, *, json: bool) -> str:
    if not json:
        return f"{fact.seq:>5}  {render_fact(handle.run_id, fact)}"
    record = redact_json(record_of(handle.tenant, handle.run_id, fact))
    return printable_json(json_lib.dumps(record, ensure_ascii=False, separators=(",", ":")))


def _states(names: list[str]) -> frozenset[RunState]:
    known: dict[str, RunState] = {state: state for state in get_args(RunState)}
    for name in names:
        if name not in known:
            raise RequestError(f"there is no state {name!r}", hint=f"the states are: {', '.join(known)}")
    return frozenset(known[name] for name in names)


def _row_cells(row: RunRow) -> tuple[str, ...]:
    state = f"{row.state}: {row.reason}" if row.reason is not None else row.state
    return (row.run_id, safe(row.agent), state, str(row.head), _local_time(row.created_at), _local_time(row.updated_at))


def _row_record(row: RunRow) -> JsonValue:
    return {
        "run_id": row.run_id,
        "agent": row.agent,
        "state": row.state,
        "reason": row.reason,
        "events": row.head,
        "owner": row.owner,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _local_time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S")
