"""`agent-sdk retention`: delete what the settings no longer keep."""

import asyncio
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import JournalOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, tell
from agent_sdk.core.run import RunState
from agent_sdk.runtime.retention import DAY_S, Report, Rule, apply_retention
from agent_sdk.runtime.system import SystemClock

retention = typer.Typer(
    help="Delete runs that the settings no longer keep.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@retention.callback()
def _group() -> None:
    """Make it a group, though it has one command."""


@retention.command()
def apply(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be deleted, and delete nothing.")] = False,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Delete the tenant's ended runs that are older than the settings `retention.*` keep them, and artifacts that no run names."""
    opened = open_settings(ctx, Given(journal=journal))
    rules = _rules(opened)

    async def applied() -> Report:
        async with opened.runtime() as runtime:
            return await apply_retention(runtime.journal, runtime.tenant, rules, SystemClock(), dry_run=dry_run)

    with errors_as_json(json):
        report = asyncio.run(applied())
    if json:
        runs: list[JsonValue] = [
            {"state": rule.state, "older_than_days": rule.keep_s / DAY_S, "runs": count} for rule, count in report.runs
        ]
        emit(to_json_text({"v": 1, "tenant": opened.settings.tenant, "dry_run": dry_run, "rules": runs, "artifacts": report.artifacts}))
        return
    if not rules:
        tell("all runs are kept: no setting says otherwise, such as retention.succeeded_days")
    for rule, count in report.runs:
        verb = "would be deleted" if dry_run else "deleted"
        tell(f"{count:,} {rule.state} runs that ended more than {rule.keep_s / DAY_S:g} days ago {verb}")
    if report.artifacts is not None:
        tell(f"{report.artifacts:,} artifacts that no run names deleted")


def _rules(opened: Opened) -> list[Rule]:
    settings = opened.settings.retention
    days: dict[RunState, float | None] = {
        "succeeded": settings.succeeded_days,
        "failed": settings.failed_days,
        "cancelled": settings.cancelled_days,
        "expired": settings.expired_days,
    }
    return [Rule(state, kept * DAY_S) for state, kept in days.items() if kept is not None]
