"""The command `agent-sdk`: its parts, its global options, and the one place where errors become text and exit codes.

A command's module is imported when the command is called, so that help and version come at once.
"""

import io
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from agent_sdk.cli.errors import ExitCode, exit_code_of, exit_code_table, first_cause, render_error
from agent_sdk.cli.terminal import emit, forget_stdout, part_descriptors, tell
from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.frozen import frozen


@frozen
class Part:
    """Where a command lives: a function, or a group of commands. `summary` is what its own help begins with."""

    module: str
    name: str
    summary: str


PARTS: Mapping[str, Part] = {
    "run": Part("agent_sdk.cli.run", "run", "Give an agent a goal, watch it work, and print its answer."),
    "runs": Part("agent_sdk.cli.runs", "runs", "Look at runs in the journal, and go on with them."),
    "worker": Part("agent_sdk.cli.worker", "worker", "Take due runs of the app's agents from the journal, and perform them."),
    "approvals": Part("agent_sdk.cli.effects", "approvals", "List what waits for a person."),
    "effects": Part(
        "agent_sdk.cli.effects", "effects", "Show what a run did outside: each effect with its key and what is known of its outcome."
    ),
    "budget": Part("agent_sdk.cli.budget", "budget", "See what may be spent and what was, and change it."),
    "audit": Part("agent_sdk.cli.audit", "audit", "See whether the journal holds what was written to it."),
    "backup": Part("agent_sdk.cli.backup", "backup", "Copy the journal while it is in use, check copies, and bring one back."),
    "doctor": Part(
        "agent_sdk.cli.doctor", "doctor", "Look at the journal and at the runs that wait, and say what to do; nothing is changed."
    ),
    "migrate": Part("agent_sdk.cli.migrate", "migrate", "Bring the journal's schema up to this version's, or make the journal."),
    "retention": Part("agent_sdk.cli.retention", "retention", "Delete runs that the settings no longer keep."),
    "memory": Part("agent_sdk.cli.memory", "memory", "See what is remembered of whom, and delete it for good."),
    "plan": Part("agent_sdk.cli.plan", "plan", "Look at an author's plan before anything acts."),
    "tools": Part("agent_sdk.cli.tools", "tools", "See what an app's agents may use."),
    "models": Part("agent_sdk.cli.models", "models", "See what is known of models and what they cost, and ask them whether they answer."),
    "config": Part("agent_sdk.cli.config", "config", "See the settings that hold, and where each comes from."),
    "demo": Part(
        "agent_sdk.cli.demo",
        "demo",
        "Answer real questions about the Python standard library's sources on this machine, with a simulated model.",
    ),
}


class Deferred(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, part: Part) -> None:
        super().__init__(name, help=part.summary, rich_markup_mode=None)
        self._part = part

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  (passed on as it comes; the classes are Typer's own affair)
        return load_part(self._part).make_context(*args, **options)


class Face(TyperGroup):
    """The whole command; no error of ours leaves it as a traceback."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  (the same)
        super().__init__(**attributes)
        for name, part in PARTS.items():
            self.add_command(Deferred(name, part))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  (the same)
        try:
            return super().invoke(ctx)
        except (AgentSDKError, BaseExceptionGroup, KeyboardInterrupt, BrokenPipeError) as error:
            raise typer.Exit(_tell_error(first_cause(error), debug=ctx.params["debug"])) from error


app = typer.Typer(
    cls=Face,
    help="Run LLM agents: every run is a plan, checked before it acts and journaled as it acts.",
    epilog=f"\b\n{exit_code_table()}",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command and end the process with its exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the caller closed it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (open until the process ends)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal's encoding cannot hold is no reason to fail
    part_descriptors()
    try:
        app()
    except Exception as error:  # noqa: BLE001  (the outermost edge of the process)
        sys.exit(_tell_error(error, debug="--debug" in sys.argv))


def load_part(part: Part) -> Any:  # noqa: ANN401  (the same)
    """Import a command."""
    found: typer.Typer | Callable[..., object] = getattr(import_module(part.module), part.name)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command()(found)
    return get_command(alone)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import PackageNotFoundError, version

        try:
            emit(f"agent-sdk {version('agent-sdk')}")
        except PackageNotFoundError:
            emit("agent-sdk, not installed as a package")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything to stderr, and show errors with their tracebacks.")] = False,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The file of settings; without it agent-sdk.yaml, .toml or .json here.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from agent_sdk.cli.opening import Globals

    ctx.obj = Globals(debug, config_file)


def _tell_error(error: BaseException, *, debug: bool) -> ExitCode:
    code = exit_code_of(error)
    if code is ExitCode.READER_GONE:
        forget_stdout()
    else:
        tell(render_error(error, debug=debug))
    return code
