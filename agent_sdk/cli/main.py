"""The command `agent-sdk`: its parts, its global options, and the one place where errors become text and exit codes."""

import io
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from agent_sdk.cli.config import config
from agent_sdk.cli.demo import demo
from agent_sdk.cli.errors import ExitCode, exit_code_of, exit_code_table, first_cause, render_error
from agent_sdk.cli.opening import Globals
from agent_sdk.cli.plan import plan
from agent_sdk.cli.run import run
from agent_sdk.cli.runs import runs
from agent_sdk.cli.terminal import emit, forget_stdout, tell
from agent_sdk.cli.tools import tools
from agent_sdk.core.errors import AgentSDKError


class Face(TyperGroup):
    """The whole command; no error of ours leaves it as a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  (the class of contexts is Typer's own affair, and what a command returns as well)
        try:
            return super().invoke(ctx)
        except (AgentSDKError, BaseExceptionGroup, KeyboardInterrupt, BrokenPipeError) as error:
            options = ctx.find_object(Globals)
            raise typer.Exit(_tell_error(first_cause(error), debug=options is not None and options.debug)) from error


app = typer.Typer(
    cls=Face,
    help="Run LLM agents: every run is a plan, checked before it acts and journaled as it acts.",
    epilog=f"\b\n{exit_code_table()}",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(demo)
app.add_typer(runs, name="runs")
app.add_typer(plan, name="plan")
app.add_typer(tools, name="tools")
app.add_typer(config, name="config")


def main() -> None:
    """Run the command and end the process with its exit code."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the caller closed it
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  (open until the process ends)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal's encoding cannot hold is no reason to fail
    try:
        app()
    except Exception as error:  # noqa: BLE001  (the outermost edge of the process)
        sys.exit(_tell_error(error, debug="--debug" in sys.argv))


def _print_version(value: bool) -> None:
    if value:
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
    ctx.obj = Globals(debug, config_file)


def _tell_error(error: BaseException, *, debug: bool) -> ExitCode:
    code = exit_code_of(error)
    if code is ExitCode.READER_GONE:
        forget_stdout()
    else:
        tell(render_error(error, debug=debug))
    return code
