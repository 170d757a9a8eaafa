"""`agent-sdk plan`: look at an author's plan before anything acts."""

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.opening import Given, open_settings
from agent_sdk.cli.options import AgentOption, AppOption, JsonOption, PlanFileArgument
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.runtime.plan_file import PlanFile, read_plan

plan = typer.Typer(help="Look at an author's plan before anything acts.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@plan.callback()
def _group() -> None:
    """Keep `check` a command of its own while it is the only one."""


@plan.command()
def check(
    ctx: typer.Context,
    file: PlanFileArgument,
    app: AppOption = None,
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """Check a plan against an agent's tools, and print every finding with its file and line."""
    opened = open_settings(ctx, Given(app=app))
    chosen = opened.agent(opened.app(), agent)
    read = read_plan(file)
    findings = read.check(chosen)
    if json:
        emit(to_json_text({"v": 1, "holds": not findings, "findings": [_record(read, finding) for finding in findings]}))
    elif findings:
        emit(safe(render_findings(read.located(finding) for finding in findings)))
        tell(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}; nothing was performed")
    else:
        count = len(read.plan.steps) if read.plan is not None else 0
        tell(f"{file}: the plan of {count} step{'s' if count != 1 else ''} holds for agent {chosen.name}")
    raise typer.Exit(ExitCode.REFUSED if findings else ExitCode.DONE)


def _record(read: PlanFile, finding: Finding) -> JsonValue:
    place = read.place_of(finding)
    return {
        "code": finding.code,
        "path": finding.path,
        "line": place.line if place is not None else None,
        "column": place.column if place is not None else None,
        "message": finding.message,
        "hint": finding.hint,
        "expected": finding.expected,
        "found": finding.found,
    }
