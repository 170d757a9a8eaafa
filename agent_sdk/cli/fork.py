"""`agent-sdk runs fork`: a run begun anew from one of another run's events, once somebody has seen what that may do a second time."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.finding import find_run
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import AppOption, JournalOption, RunIdArgument
from agent_sdk.cli.terminal import Grid, emit, safe, tell
from agent_sdk.core.errors import RunWaits
from agent_sdk.core.events import RunCreated
from agent_sdk.core.fork import InFork, RepeatedEffect
from agent_sdk.core.ids import RunId
from agent_sdk.runtime import App
from agent_sdk.runtime.fork import ForkPlan, fork_run

_TOLD: Mapping[InFork, str] = {
    "repeated": "may be done again, under a new key",
    "asked": "unknown in the fork, which asks first",
    "taken_as_done": "counts as done, though it was undone",
}


def fork(
    ctx: typer.Context,
    run: RunIdArgument,
    at: Annotated[
        int | None,
        typer.Option("--at", metavar="NUMBER", help="The last event that the fork keeps. Without it, the one before what ended the run."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, whatever may happen a second time.")] = False,
    accept_code: Annotated[bool, typer.Option("--accept-code", help="Go on with the app's code as it is now.")] = False,
    app: AppOption = None,
    journal: JournalOption = None,
) -> None:
    """Begin a new run from an event of this one; the run itself stays as it is.

    Shows which effects may happen a second time, and asks. Exits with 5 where that is not answered with yes.
    """
    opened = open_settings(ctx, Given(app=app, journal=journal))
    opened.require_journal()
    known = opened.app() if accept_code else None
    made = asyncio.run(_forked(opened, run, at, known, is_sure=yes))
    emit(made)
    tell(f"run {made} is queued; go on with it: {opened.recall.resume(made)}")


async def _forked(opened: Opened, name: str, at: int | None, app: App | None, *, is_sure: bool) -> RunId:
    async with opened.runtime() as runtime:
        handle = await find_run(runtime, name)
        plan = await fork_run(runtime, handle.run_id, at)
        created = plan.facts[0].event
        if app is not None and isinstance(created, RunCreated):
            plan = await fork_run(runtime, handle.run_id, at, agent=app.agent(created.agent))
        _require_consent(plan, is_sure=is_sure)
        return await plan.create()


def _require_consent(plan: ForkPlan, *, is_sure: bool) -> None:
    if not plan.effects:
        tell(f"a fork of run {plan.source} from event {plan.at} repeats no effect")
        return
    tell(f"a fork of run {plan.source} from event {plan.at} does not know these effects as they are:")
    tell(_table(plan.effects).plain())
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise RunWaits("nothing was made: whether effects may happen a second time is for a person to say", hint="say so with --yes")
    if not typer.confirm("make the fork?", err=True):
        tell("nothing was made")
        raise typer.Exit(ExitCode.WAITS)


def _table(effects: Sequence[RepeatedEffect]) -> Grid:
    rows = [(safe(each.step), safe(each.tool), each.effect, each.became, _TOLD[each.in_fork], safe(each.key)) for each in effects]
    return Grid(("step", "tool", "effect", "in this run", "in the fork", "key in this run"), rows)
