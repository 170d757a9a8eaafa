"""`agent-sdk demo`: the whole way of a run on real input, with nobody's API key: only the model is played, and says so."""

import gc
import shlex
import sys
import tempfile
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.opening import AnyAgent, Given, Globals, Opened
from agent_sdk.cli.options import JsonOption, QuietOption
from agent_sdk.cli.perform import Begin, Begun, Show, errors_as_json, perform, report
from agent_sdk.cli.recall import Recall, program
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.config import load_settings
from agent_sdk.core.errors import RequestError
from agent_sdk.core.ids import RunId
from agent_sdk.core.run import Run
from agent_sdk.observability import configure_logging
from agent_sdk.runtime import App, Runtime, StartOptions

JOURNAL = "sqlite:///agent-sdk-demo.db"


@dataclass(frozen=True, slots=True)
class DemoRecall(Recall):
    """To go on, the demo must play the model again."""

    root: Path | None = None

    def resume(self, run_id: RunId) -> str:
        root = [] if self.root is None else ["--root", str(self.root)]
        return self.command("demo", "--resume", run_id, *root)

    def command(self, *words: str) -> str:
        """Return a command on the demo's journal."""
        return f"{self.program} {shlex.join([*words, '--journal', self.journal or JOURNAL])}"


@dataclass(frozen=True, slots=True)
class DemoOpened(Opened):
    """Settings that hold whatever the user has set; `root` is what `--root` named."""

    root: Path | None = None

    @property
    def recall(self) -> DemoRecall:
        return DemoRecall(journal=self.given.journal, program=program(), root=self.root)


def demo(
    ctx: typer.Context,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="PATH", help="The tree of Python files to ask about; without it the standard library.")
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option("--goal", metavar="NUMBER|TEXT", help="One goal of the demo; without it all. May be given several times."),
    ] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run of the demo that did not end.")] = None,
    journal: Annotated[str, typer.Option("--journal", metavar="URL", help="Where the runs are kept.")] = JOURNAL,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Answer real questions about the Python standard library's sources on this machine, with a simulated model.

    The model is played by a small server on this machine, which holds the plans for the demo's goals and computes nothing. All else is
    real: the adapter that asks it, the planner, the checker, the tools that read the files, and the journal.
    """
    from agent_sdk.testing.demo import demo_agent, simulated_model, standard_library

    place = root if root is not None else standard_library()
    show = Show(json, quiet)
    with errors_as_json(json), simulated_model().start_in_thread() as model, _fit_for_parsing():
        agent = demo_agent(place, Path.cwd())
        opened = _opened(ctx, Given(journal=journal, base_url=model.base_url), root)
        if not (json or quiet):
            tell(f"simulated model: {model.base_url} plays openai:simulated; it holds plans for this demo's goals, and computes nothing")
            tell(f"all else is real: the tools read the Python files below {place}\n")
        for begin in [_going_on(RunId(resume))] if resume is not None else _beginnings(_goals(goal), agent, show):
            performed = perform(opened, App([agent]), begin, show)
            if (code := report(performed, opened.recall, show)) is not ExitCode.DONE:
                raise typer.Exit(code)
            if not (json or quiet):
                _tell_rejected(performed.run, opened.recall)
                emit("")
    if not (json or quiet) and opened.recall.is_kept:
        tell(f"all runs of the demo: {opened.recall.command('runs', 'list')}")


def _opened(ctx: typer.Context, given: Given, root: Path | None) -> DemoOpened:
    """Load the settings from this command line alone, so that the demo runs the same wherever it is started."""
    options = ctx.find_object(Globals) or Globals()
    configure_logging("DEBUG" if options.debug else "CRITICAL", "text", sys.stderr)
    with tempfile.TemporaryDirectory() as nowhere:
        loaded = load_settings(overrides={**given.overrides(), "openai.api_key": None}, environ={}, cwd=Path(nowhere))
    return DemoOpened(loaded, given, None, options.debug, root)


def _goals(chosen: list[str] | None) -> list[str]:
    """Return the goals that were asked for, each by its number in the demo or as a text.

    Raises:
        RequestError: there is no goal with such a number.
    """
    from agent_sdk.testing.demo import scripts

    known = [script.goal for script in scripts()]
    for text in chosen or ():
        if text.isdecimal() and not 1 <= int(text) <= len(known):
            raise RequestError(f"the demo has no goal {text}", hint=f"its goals are 1 to {len(known)}")
    return [known[int(text) - 1] if text.isdecimal() else text for text in chosen] if chosen else known


def _beginnings(goals: list[str], agent: AnyAgent, show: Show) -> Iterator[Begin]:
    """Yield what starts a run of each goal in turn, and say the goal."""
    for number, goal in enumerate(goals, start=1):
        if not (show.json or show.quiet):
            tell(f"goal {number} of {len(goals)}: {safe(goal)}")

        async def begin(runtime: Runtime, goal: str = goal) -> Begun:
            return Begun(await runtime.start(agent, goal, options=StartOptions(tags=["demo"])))

        yield begin


def _going_on(run_id: RunId) -> Begin:
    async def begin(runtime: Runtime) -> Begun:
        before = await runtime.attach(run_id).state()
        return Begun(await runtime.resume(run_id), before.head)

    return begin


def _tell_rejected(run: Run, recall: DemoRecall) -> None:
    """Say that a plan did not hold: in the live table one does not see it."""
    if run.questions > 1:
        tell("the checker sent the first plan back before anything ran, and the model mended it")
        if recall.is_kept:
            tell(f"look at that:   {recall.command('runs', 'events', run.run_id)}")


@contextmanager
def _fit_for_parsing() -> Generator[None]:
    """Say nothing of doubtful syntax in others' files, and seldom search the trees for circles: that takes a third of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            yield
        finally:
            gc.set_threshold(*before)
