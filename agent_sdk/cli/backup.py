"""`agent-sdk backup`: copies of the journal, made while it is in use, checked, and brought back."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import JournalOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.backup import Manifest, Tools, Verified, create_backup, restore_backup, verify_backup

backup = typer.Typer(
    help="Copy the journal while it is in use, check copies, and bring one back.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
TargetArgument = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="The backup: a directory of its own.")]
ProgramsOption = Annotated[
    Path | None,
    typer.Option(
        "--programs", metavar="DIRECTORY", help="Where pg_dump and pg_restore are; without it, on the PATH. [setting: backup.programs]"
    ),
]


@backup.command()
def create(
    ctx: typer.Context, target: TargetArgument, programs: ProgramsOption = None, json: JsonOption = False, journal: JournalOption = None
) -> None:
    """Copy the journal as it is at one moment; others go on writing."""
    with errors_as_json(json):
        opened = open_settings(ctx, Given(journal=journal))
        opened.require_journal()
        manifest = asyncio.run(create_backup(opened.settings.journal, target, _tools(opened, programs)))
    if json:
        emit(to_json_text({"v": 1, "backup": str(target), **_record(manifest)}))
    else:
        tell(f"{_counted(manifest)} are in {safe(str(target))}; check it with `agent-sdk backup verify`")


@backup.command()
def verify(
    ctx: typer.Context, target: TargetArgument, programs: ProgramsOption = None, json: JsonOption = False, journal: JournalOption = None
) -> None:
    """Bring a backup back beside the journal, and check every run in it.

    A backup of a Postgres journal needs a server for that, the one of the journal's URL, and the right to make a database there.
    """
    with errors_as_json(json):
        opened = open_settings(ctx, Given(journal=journal))
        verified = asyncio.run(verify_backup(target, _tools(opened, programs), url=opened.settings.journal))
    _show(target, verified, json=json)
    if verified.problems:
        raise typer.Exit(ExitCode.OUTSIDE)


@backup.command()
def restore(
    ctx: typer.Context,
    target: TargetArgument,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the journal that is there.")] = False,
    programs: ProgramsOption = None,
    json: JsonOption = False,
    journal: JournalOption = None,
) -> None:
    """Check a backup, then make it the journal; one that is in use is never overwritten."""
    with errors_as_json(json):
        opened = open_settings(ctx, Given(journal=journal))
        verified = asyncio.run(restore_backup(target, opened.settings.journal, _tools(opened, programs), force=force))
    manifest = verified.manifest
    if json:
        emit(to_json_text({"v": 1, "restored": str(target), **_record(manifest), "how": verified.how, "why_not": verified.why_not}))
        return
    if verified.why_not is not None:
        tell(f"the runs were not checked before, only the copy's bytes: {safe(verified.why_not)}")
    tell(f"{_counted(manifest)} are back, as they were at {_time(manifest.created_at)}")
    if manifest.contents.unfinished:
        tell(
            f"{manifest.contents.unfinished} of them had not ended, and go on from there as soon as a worker takes them: "
            "what they did since, in the world outside too, is not known to them"
        )


def _tools(opened: Opened, programs: Path | None) -> Tools:
    named = opened.settings.backup.programs
    return Tools(SystemClock(), programs if programs is not None or named is None else opened.loaded.cwd / named)


def _show(target: Path, verified: Verified, *, json: bool) -> None:
    if json:
        found: dict[str, JsonValue] = {"how": verified.how, "why_not": verified.why_not, "problems": [*verified.problems]}
        emit(to_json_text({"v": 1, "backup": str(target), **_record(verified.manifest), **found}))
        return
    for problem in verified.problems:
        emit(safe(problem))
    if verified.problems:
        tell(f"the backup {safe(str(target))} is not sound: take another one")
    elif verified.how == "restored":
        tell(f"{_counted(verified.manifest)} were read back, and hold what was written at {_time(verified.manifest.created_at)}")
    else:
        tell(f"the copy holds the bytes that were written, and can be read; its runs were not checked: {safe(verified.why_not or '')}")


def _record(manifest: Manifest) -> dict[str, JsonValue]:
    contents = manifest.contents
    return {
        "store": manifest.store,
        "created_at": _time(manifest.created_at),
        "schema_version": contents.schema_version,
        "runs": contents.runs,
        "unfinished": contents.unfinished,
        "events": contents.events,
        "size_bytes": manifest.size_bytes,
        "sha256": manifest.sha256,
    }


def _counted(manifest: Manifest) -> str:
    return f"{manifest.contents.runs:,} runs with {manifest.contents.events:,} events"


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
