"""`agent-sdk migrate`: bring the journal up to this version's schema."""

import asyncio
from typing import Annotated

import typer

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.opening import Given, open_settings
from agent_sdk.cli.options import JournalOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.schema import migrate_journal, pending_migrations


def migrate(
    ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit with 4 if the journal is behind.")] = False,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Bring the journal's schema up to this version's, or make the journal.

    Processes that do so at once wait for one another.
    """
    with errors_as_json(json):
        url = open_settings(ctx, Given(journal=journal)).settings.journal
        numbers = asyncio.run(pending_migrations(url) if check else migrate_journal(url, clock=SystemClock()))
    listed = ", ".join(map(str, numbers))
    if json:
        emit(to_json_text({"v": 1, "pending" if check else "applied": [*numbers]}))
    elif not numbers:
        tell(f"{safe(url)} is up to date")
    else:
        tell(f"{safe(url)} lacks the migrations {listed}: run `agent-sdk migrate`" if check else f"applied to {safe(url)}: {listed}")
    if check and numbers:
        raise typer.Exit(ExitCode.OUTSIDE)
