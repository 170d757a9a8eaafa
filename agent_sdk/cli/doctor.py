"""`agent-sdk doctor`: what is wrong with a journal, which of its runs wait for somebody, and what to do about it."""

import asyncio
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import AppOption, JournalOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.core.ids import TenantId
from agent_sdk.runtime.doctor import Check, Examined, examine, worst
from agent_sdk.runtime.system import SystemClock


def doctor(
    ctx: typer.Context,
    app: AppOption = None,
    newest: Annotated[int, typer.Option("--newest", min=0, metavar="COUNT", help="Check the chains of so many of the newest runs.")] = 100,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Look at the journal and at the runs that wait, and say what to do; nothing is changed.

    With an app, it is also told which due runs are of agents that the app does not carry.
    """
    with errors_as_json(json):
        opened = open_settings(ctx, Given(app=app, journal=journal))
        examined = Examined(TenantId(opened.settings.tenant), SystemClock(), _carried(opened), newest)
        checks = asyncio.run(examine(opened.settings.journal, examined))
    if json:
        emit(to_json_text({"v": 1, "status": worst(checks), "checks": [_record(check) for check in checks]}))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            emit(f"{check.status:<4}  {check.name:<{width}}  {safe(check.said)}")
            if check.hint is not None and check.status != "ok":
                emit(f"{'':<4}  {'':<{width}}  hint: {safe(check.hint)}")
    if worst(checks) == "fail":
        tell("something is wrong with the journal")
        raise typer.Exit(ExitCode.OUTSIDE)


def _carried(opened: Opened) -> frozenset[tuple[str, str]] | None:
    if opened.settings.app is None:
        return None
    return frozenset((agent.name, agent.spec.version) for agent in opened.app().known)


def _record(check: Check) -> JsonValue:
    return {"check": check.name, "status": check.status, "said": check.said, "hint": check.hint, "runs": [row.run_id for row in check.runs]}
