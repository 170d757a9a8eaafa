"""`agent-sdk audit`: whether the journal holds what was written to it."""

import asyncio
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.finding import find_run
from agent_sdk.cli.opening import Given, open_settings
from agent_sdk.cli.options import JournalOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.runtime.audit import Audit, audit as check

audit = typer.Typer(
    help="See whether the journal holds what was written to it.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@audit.callback()
def _group() -> None:
    """Make it a group, though it has one command."""


@audit.command()
def verify(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run's id, or a part of it; without it, all runs.")] = None,
    newest: Annotated[int | None, typer.Option("--newest", min=1, metavar="COUNT", help="Only so many of the newest runs.")] = None,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Check each run's chain of hashes and its artifacts; name the first altered event of each."""
    opened = open_settings(ctx, Given(journal=journal))

    async def audited() -> Audit:
        async with opened.runtime() as runtime:
            named = (await find_run(runtime, run)).run_id if run is not None else None
            return await check(runtime.journal, runtime.tenant, named, newest=newest)

    with errors_as_json(json):
        found = asyncio.run(audited())
    _show(found, json=json)
    if found.unsound:
        raise typer.Exit(ExitCode.OUTSIDE)


def _show(found: Audit, *, json: bool) -> None:
    if json:
        unsound: list[JsonValue] = [
            {"run_id": each.run_id, "altered_event": each.altered, "artifacts": [*each.artifacts]} for each in found.unsound
        ]
        emit(to_json_text({"v": 1, "runs": found.runs, "events": found.events, "unsound": unsound}))
        return
    for each in found.unsound:
        for problem in each.problems:
            emit(safe(problem))
    if found.unsound:
        tell(f"{len(found.unsound)} of {found.runs} runs do not hold what was written: restore a backup, or trust them no more")
    else:
        tell(f"{found.runs} runs with {found.events:,} events hold what was written")
