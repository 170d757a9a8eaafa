"""`agent-sdk runs approve`, `deny`, `edit`, `answer`, `signal`, `wake`, `decide`: what a waiting run is told, and by whom."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, get_args

import typer
from pydantic import JsonValue

from agent_sdk.cli.finding import find_run, fold_of, unread_decisions
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import JournalOption, RunIdArgument
from agent_sdk.cli.recall import Recall
from agent_sdk.cli.terminal import safe, tell
from agent_sdk.core.errors import ConfigError, RequestError
from agent_sdk.core.events import Decision
from agent_sdk.core.ids import PrincipalId, RunId, StepId
from agent_sdk.core.run import Run
from agent_sdk.core.strict_json import parse_json
from agent_sdk.runtime import App, Runtime

Act = Callable[[Runtime, RunId], Awaitable[None]]
StepArgument = Annotated[str, typer.Argument(metavar="STEP", help="The step that waits.")]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who decides; kept in the journal. Your name on this machine, if not given.")
]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why; the model is told.")]


def approve(ctx: typer.Context, run: RunIdArgument, step: StepArgument, by: ByOption = None, journal: JournalOption = None) -> None:
    """Allow the call that a step waits to make."""
    _rule(ctx, journal, run, step, lambda runtime, found: runtime.approve(found, StepId(step), by=_by(by)), f"{step} is approved")


def deny(
    ctx: typer.Context,
    run: RunIdArgument,
    step: StepArgument,
    note: NoteOption = None,
    by: ByOption = None,
    journal: JournalOption = None,
) -> None:
    """Forbid the call that a step waits to make; the model sees why."""
    _rule(ctx, journal, run, step, lambda runtime, found: runtime.deny(found, StepId(step), note, by=_by(by)), f"{step} is denied")


def edit(
    ctx: typer.Context,
    run: RunIdArgument,
    step: StepArgument,
    args: Annotated[str, typer.Argument(metavar="JSON", help="All of the call's arguments, as they shall be.")],
    note: NoteOption = None,
    by: ByOption = None,
    journal: JournalOption = None,
) -> None:
    """Allow the call with other arguments; the model is told."""
    given = _json("the arguments", args)
    if not isinstance(given, dict):
        raise RequestError("the arguments are no JSON object", hint='write them as {"name": value}')
    _rule(
        ctx,
        journal,
        run,
        step,
        lambda runtime, found: runtime.edit(found, StepId(step), given, note=note, by=_by(by)),
        f"{step} is approved with these arguments",
    )


def answer(
    ctx: typer.Context,
    run: RunIdArgument,
    step: StepArgument,
    text: Annotated[str, typer.Argument(metavar="ANSWER", help="The answer; JSON with --json-answer.")],
    is_json: Annotated[bool, typer.Option("--json-answer", help="The answer is JSON, and no plain text.")] = False,
    by: ByOption = None,
    journal: JournalOption = None,
) -> None:
    """Answer a question that a run asks."""
    value = _json("the answer", text) if is_json else text
    _rule(ctx, journal, run, step, lambda runtime, found: runtime.answer(found, StepId(step), value, by=_by(by)), f"{step} is answered")


def signal(
    ctx: typer.Context,
    run: RunIdArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    payload: Annotated[str | None, typer.Option("--payload", metavar="JSON", help="What it brings.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="TEXT", help="The same signal sent again under its key is harmless.")] = None,
    by: ByOption = None,
    journal: JournalOption = None,
) -> None:
    """Send a run a signal; it may come before a step waits for it."""
    value = None if payload is None else _json("--payload", payload)
    _tell_run(ctx, journal, run, lambda runtime, found: runtime.signal(found, name, value, key=key, by=_by(by)), f"signal {name} is sent")


def wake(
    ctx: typer.Context,
    run: RunIdArgument,
    accept_code: Annotated[bool, typer.Option("--accept-code", help="Go on with the code as it is now.")] = False,
    by: ByOption = None,
    journal: JournalOption = None,
) -> None:
    """Let a run go on that waits because of lost owners (crash_loop) or because its code changed (code_changed)."""
    _tell_run(ctx, journal, run, lambda runtime, found: runtime.wake(found, accept_code=accept_code, by=_by(by)), "the run may go on")


def decide(
    ctx: typer.Context,
    run: RunIdArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="A step whose effect has an unknown outcome.")],
    decision: Annotated[str, typer.Argument(metavar="done|retry|skip|fail", help="What became of it, or shall become.")],
    output: Annotated[str | None, typer.Option("--output", metavar="JSON", help="With done: what the step returned.")] = None,
    by: ByOption = None,
    journal: JournalOption = None,
) -> None:
    """Say what became of an effect whose outcome nobody knows."""
    chosen, value = _decision(decision), _output(decision, output)

    async def decided(runtime: Runtime, run_id: RunId) -> None:
        opened_recall = open_settings(ctx, Given(journal=journal)).recall
        found = (await fold_of(runtime.attach(run_id))).run
        _require_unknown(found, step, opened_recall)
        if chosen == "done" and output is None:
            raise RequestError(f"what did {step} return?", hint="say so with --output JSON; --output null where it was nothing")
        await _require_undecided(runtime, run_id, step, opened_recall)
        await runtime.decide(run_id, StepId(step), chosen, output=value, by=_by(by))

    _tell_run(ctx, journal, run, decided, f"decided: {step} {chosen}")


def _rule(ctx: typer.Context, journal: str | None, name: str, step: str, act: Act, done: str) -> None:
    """Put a ruling on a step into its run's inbox, where none lies there yet."""
    recall = open_settings(ctx, Given(journal=journal)).recall

    async def acted(runtime: Runtime, run_id: RunId) -> None:
        await _require_undecided(runtime, run_id, step, recall)
        await act(runtime, run_id)

    _tell_run(ctx, journal, name, acted, done)


def _tell_run(ctx: typer.Context, journal: str | None, name: str, act: Act, done: str) -> None:
    """Put something into a run's inbox, and say when it takes hold."""
    opened = open_settings(ctx, Given(journal=journal))
    run_id, owner = asyncio.run(_acted(opened, name, act))
    if owner is not None:
        tell(f"{safe(done)}; whoever performs run {run_id} is told")
    else:
        tell(f"{safe(done)}; that takes hold when a worker takes the run, or it is resumed: {opened.recall.resume(run_id)}")


async def _require_undecided(runtime: Runtime, run_id: RunId, step: str, recall: Recall) -> None:
    if (before := (await unread_decisions(runtime, run_id)).get(StepId(step))) is not None:
        raise RequestError(
            f"step {step!r} of run {run_id} is decided: {before}",
            hint=f"that takes hold when the run is resumed: {recall.resume(run_id)}",
        )


async def _acted(opened: Opened, name: str, act: Act) -> tuple[RunId, str | None]:
    opened.require_journal()
    async with opened.runtime(_agents(opened)) as runtime:
        run_id = (await find_run(runtime, name)).run_id
        await act(runtime, run_id)
        return run_id, (await runtime.journal.row(runtime.tenant, run_id)).owner


def _agents(opened: Opened) -> App | None:
    """Return the agents that the settings name, to check against their tools what is decided; None where they cannot be had here."""
    if opened.settings.app is None:
        return None
    try:
        return App(opened.app().agents)
    except ConfigError:
        return None


def _by(name: str | None) -> PrincipalId:
    if name is not None:
        return PrincipalId(name)
    try:
        return PrincipalId(getpass.getuser())
    except (KeyError, OSError):
        return PrincipalId("unknown")


def _json(what: str, text: str) -> JsonValue:
    try:
        return parse_json(text)
    except ValueError as error:
        raise RequestError(f"{what}: this is no JSON: {error}", hint="quote text twice: '\"text\"'") from error


def _decision(name: str) -> Decision:
    known: dict[str, Decision] = {decision: decision for decision in get_args(Decision)}
    if name not in known:
        raise RequestError(f"{name!r} is no decision", hint=f"it is one of {', '.join(known)}")
    return known[name]


def _output(decision: str, text: str | None) -> JsonValue:
    if text is None:
        return None
    if decision != "done":
        raise RequestError("--output is what the step returned, so it goes with done alone", hint="leave it out")
    return _json("--output", text)


def _require_unknown(run: Run, step: str, recall: Recall) -> None:
    if StepId(step) in run.graph.unknown:
        return
    if run.graph.unknown:
        hint = f"undecided are: {', '.join(run.graph.unknown)}"
    elif not run.is_ended and any(state.status == "running" for state in run.graph.steps.values()):
        hint = f"if its process died, resume the run first, then decide: {recall.resume(run.run_id)}"
    else:
        hint = "nothing is undecided in this run"
    raise RequestError(f"step {step!r} of run {run.run_id} has no unknown effect", hint=hint)
