"""`agent-sdk runs replay` and `runs export-test`: a run performed again from its journal, now or whenever the tests run."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.finding import find_run
from agent_sdk.cli.opening import AnyAgent, Given, Opened, open_settings
from agent_sdk.cli.options import AppOption, JournalOption, JsonOption, RunIdArgument
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, tell, verbatim
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import RunId
from agent_sdk.observability import record_of, redact_json
from agent_sdk.runtime import App
from agent_sdk.runtime.replay import Recording, Replayed, code_of, export_test, load_recording, replay_recording


def replay(ctx: typer.Context, run: RunIdArgument, app: AppOption = None, json: JsonOption = False, journal: JournalOption = None) -> None:
    """Perform a run again from its journal, and show the first event that the code as it is now would write otherwise.

    No model and no tool is called, and nothing is written. Exits with 1 where something differs.
    """
    opened = open_settings(ctx, Given(app=app, journal=journal))
    opened.require_journal()
    known = opened.app()

    async def replayed() -> tuple[Recording, Replayed]:
        recording, agent = await _recorded(opened, known, run)
        return recording, await replay_recording(recording, code_of(agent, plan_only=recording.created.plan_only))

    recording, found = asyncio.run(replayed())
    emit(to_json_text(_record(recording, found)) if json else verbatim(found.render()))
    if not found.is_identical:
        raise typer.Exit(ExitCode.RUN_FAILED)


def export(
    ctx: typer.Context,
    run: RunIdArgument,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The file to write, such as tests/test_refund.py; stdout without it.")
    ] = None,
    app: AppOption = None,
    journal: JournalOption = None,
) -> None:
    """Write a run down as a pytest file that fails when the agent goes another way; secrets are masked."""
    opened = open_settings(ctx, Given(app=app, journal=journal))
    opened.require_journal()
    known = opened.app()

    async def exported() -> str:
        recording, agent = await _recorded(opened, known, run)
        return await export_test(recording, agent, app=opened.settings.app or "")

    text = asyncio.run(exported())
    if to is None:
        emit(text.rstrip("\n"))
        return
    _write(to, text)
    tell(f"written to {to}; try it: pytest {to}")


async def _recorded(opened: Opened, app: App, name: str) -> tuple[Recording, AnyAgent]:
    """Return what is recorded of the run, and its agent, with the limits of the settings where it has none of its own."""
    async with opened.runtime() as runtime:
        run_id: RunId = (await find_run(runtime, name)).run_id
        recording = await load_recording(runtime.journal, runtime.tenant, run_id)
        agent = app.agent(recording.created.agent)
        completed = runtime.stage.completed(agent)
        return (recording if agent.has_limits else replace(recording, limits=completed.spec.limits)), completed


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise RequestError(f"{path} is there already", hint="name another file, or remove that one") from error
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}", hint="name a file in a folder that is there") from error


def _record(recording: Recording, found: Replayed) -> JsonValue:
    divergence = found.divergence
    told: JsonValue = None
    if divergence is not None:
        told = {
            "seq": divergence.seq,
            "recorded": _fact(recording, divergence.recorded),
            "replayed": _fact(recording, divergence.replayed),
            "note": divergence.note,
        }
    return {
        "v": 1,
        "run_id": recording.run_id,
        "identical": found.is_identical,
        "events": found.events,
        "divergence": redact_json(told),
        "changes": [{"part": each.part, "recorded": each.recorded, "current": each.current} for each in found.changes],
    }


def _fact(recording: Recording, fact: Fact | None) -> JsonValue:
    return record_of(recording.tenant, recording.run_id, fact) if fact is not None else None
