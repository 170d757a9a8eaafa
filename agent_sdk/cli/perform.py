"""Performs a run under the eyes of whoever started it, and reports it: what `run` and `runs resume` have in common."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from agent_sdk.cli.errors import ExitCode, Interrupted, exit_code_of_run, first_cause
from agent_sdk.cli.finding import Followed
from agent_sdk.cli.interrupts import Interrupts, interrupts
from agent_sdk.cli.opening import Opened
from agent_sdk.cli.recall import Recall
from agent_sdk.cli.report import (
    error_record,
    next_lines,
    problem_of,
    render_answer,
    resume_of,
    rows_of,
    run_record,
    summary_lines,
    to_json_text,
)
from agent_sdk.cli.steps import step_grid
from agent_sdk.cli.terminal import answers, emit, make_console, on_terminal, set_stdout_aside, tell, verbatim
from agent_sdk.cli.views import View, open_view
from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.events import Fact
from agent_sdk.core.frozen import frozen
from agent_sdk.core.run import Run
from agent_sdk.runtime import App, RunHandle, Runtime


@frozen
class Begun:
    """A run to be shown; its facts up to number `known` were there before, and are no news."""

    handle: RunHandle[Any]
    known: int = 0


Begin = Callable[[Runtime], Awaitable[Begun]]


@frozen
class Show:
    """How a run is shown: its answer alone, one JSON object, or all of it. `is_elsewhere`: workers perform it."""

    json: bool = False
    quiet: bool = False
    is_elsewhere: bool = False


@contextmanager
def errors_as_json(json: bool) -> Generator[None]:
    """Print an error that leaves no run to tell of as JSON too, where JSON is asked for."""
    try:
        yield
    except AgentSDKError as error:
        if json:
            emit(to_json_text(error_record(error)))
        raise


def perform(opened: Opened, app: App, begin: Begin, show: Show) -> Followed:
    """Begin a run and show it until this process is done with it: ended, waiting, or suspended by Ctrl-C.

    Raises:
        AgentSDKError: it could not be begun, or the journal failed.
    """
    return asyncio.run(_perform(opened, app, begin, show))


def report(followed: Followed, recall: Recall, show: Show) -> ExitCode:
    """Say how the run stands: the answer on stdout, all else on stderr."""
    run = followed.run
    if show.json:
        emit(to_json_text(run_record(run, resume=resume_of(run, recall))))
        return exit_code_of_run(run)
    if not show.quiet:
        _tell_steps(followed)
    if run.state == "succeeded":
        answer = render_answer(run.answer)
        emit(verbatim(answer) if answers().isatty() else answer)
    if not show.quiet:
        tell("")
        for line in summary_lines(run, rows_of(run, at=followed.at), at=followed.at):
            tell(line)
        tell(f"run: {run.run_id}")
    if (problem := problem_of(run)) is not None:
        tell(problem)
    if not show.quiet or not run.is_ended:
        for line in next_lines(run, recall, is_elsewhere=show.is_elsewhere):
            tell(line)
    return exit_code_of_run(run)


async def _perform(opened: Opened, app: App, begin: Begin, show: Show) -> Followed:
    is_quiet = show.quiet or show.json
    set_stdout_aside()
    with interrupts() as asked, open_view(is_quiet=is_quiet, is_logging=opened.is_logging) as view:
        async with opened.runtime(app) as runtime:
            if asked.asked.is_set():
                raise Interrupted("interrupted before the run began; nothing was done")
            begun = await begin(runtime)
            handle = begun.handle
            asked.last_words = _last_words(opened.recall, handle, show)
            try:
                return await _follow(begun, show, view, asked)
            except Exception:
                if opened.recall.is_kept:
                    words = "can be watched" if show.is_elsewhere else "can be resumed"
                    tell(f"run {handle.run_id} {words}: {_again(opened.recall, handle, show)}")
                raise


async def _follow(begun: Begun, show: Show, view: View, asked: Interrupts) -> Followed:
    """Show the run's facts as they become durable, and what is left of them at the end."""
    handle, known = begun.handle, begun.known
    followed = Followed(Run(handle.tenant, handle.run_id, Limits()))
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        watching = _take_all(handle.watch(), followed, view, known)
        helpers = [tasks.create_task(each) for each in (watching, view.animate(), _suspend(handle, show, view, asked))]
        try:
            await _settled(handle, show, asked)
        except Exception as error:  # noqa: BLE001  (raised again outside of the group, which would wrap it)
            failure = error
        for helper in helpers:
            helper.cancel()
    if failure is not None:
        raise first_cause(failure)
    await _take_all(handle.facts(after=followed.run.head), followed, view, known)
    return followed


async def _take_all(facts: AsyncIterator[Fact], followed: Followed, view: View, known: int) -> None:
    async for fact in facts:
        followed.run.apply(fact)
        followed.at = fact.at
        view.take(followed.run, fact, is_news=fact.seq > known)


async def _settled(handle: RunHandle[Any], show: Show, asked: Interrupts) -> None:
    """Return when there is nothing more to see, or, of a run that others perform, when one was asked to look away."""
    if not show.is_elsewhere:
        await handle.settled()
        return
    async with asyncio.TaskGroup() as tasks:
        looking = [tasks.create_task(handle.settled()), tasks.create_task(asked.asked.wait())]
        await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
        for each in looking:
            each.cancel()


async def _suspend(handle: RunHandle[Any], show: Show, view: View, asked: Interrupts) -> None:
    await asked.asked.wait()
    if show.is_elsewhere:
        view.note("the run goes on without being watched")
        return
    view.note("suspending the run; Ctrl-C again leaves at once")
    await handle.suspend()


def _again(recall: Recall, handle: RunHandle[Any], show: Show) -> str:
    return recall.follow(handle.run_id) if show.is_elsewhere else recall.resume(handle.run_id)


def _last_words(recall: Recall, handle: RunHandle[Any], show: Show) -> Callable[[], bytes]:
    words = "watch it again" if show.is_elsewhere else "go on with it"
    text = f"left at once; {words}: {_again(recall, handle, show)}\n" if recall.is_kept else "left at once\n"
    cursor = b"\x1b[?25h\r\n" if on_terminal(sys.stderr) else b""
    return lambda: cursor + text.encode()


def _tell_steps(followed: Followed) -> None:
    """Leave the whole table on the terminal; who reads lines has had every event already."""
    rows = rows_of(followed.run, at=followed.at)
    if rows and on_terminal(sys.stderr):
        with contextlib.suppress(OSError):
            console = make_console(sys.stderr)
            console.print(step_grid(rows).rich(console.width))
