"""Errors as a terminal tells them, and the one table of exit codes."""

import traceback
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, cast

from agent_sdk.core.errors import AgentSDKError, ConfigError, LimitError, OutsideError, RequestError, RunWaits

if TYPE_CHECKING:
    from agent_sdk.core.run import Run

MAX_TEXT = 8000


class ExitCode(IntEnum):
    """How a command ended. The numbers are a promise to scripts."""

    DONE = 0
    RUN_FAILED = 1
    REFUSED = 2
    LIMIT = 3
    OUTSIDE = 4
    WAITS = 5
    FAULT = 70
    SUSPENDED = 130
    READER_GONE = 141


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "done; of a run: it has its answer",
    ExitCode.RUN_FAILED: "the run failed, also where its model or a tool did, or was cancelled",
    ExitCode.REFUSED: "the command, the settings or the plan do not hold; nothing was done",
    ExitCode.LIMIT: "a limit was reached: turns, steps, retries, the deadline",
    ExitCode.OUTSIDE: "the journal, or something else outside of any run, cannot be used; the same may work later",
    ExitCode.WAITS: "the run waits for somebody or something",
    ExitCode.FAULT: "a fault in agent-sdk itself",
    ExitCode.SUSPENDED: "interrupted; the run is suspended and can be resumed",
    ExitCode.READER_GONE: "whoever read the output is gone",
}


class Interrupted(AgentSDKError):
    """Ctrl-C came before there was a run."""

    code = "interrupted"


_BY_CLASS: tuple[tuple[type[AgentSDKError], ExitCode], ...] = (
    (Interrupted, ExitCode.SUSPENDED),
    (RunWaits, ExitCode.WAITS),
    (RequestError, ExitCode.REFUSED),
    (ConfigError, ExitCode.REFUSED),
    (LimitError, ExitCode.LIMIT),
    (OutsideError, ExitCode.OUTSIDE),
    (AgentSDKError, ExitCode.RUN_FAILED),
)
"""The first class that fits decides."""


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the code that the process ends with."""
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.SUSPENDED
    if isinstance(error, BrokenPipeError):
        return ExitCode.READER_GONE
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), ExitCode.FAULT)


def exit_code_of_run(run: "Run") -> ExitCode:
    """Return the code for where the run stands when the command is done with it."""
    match run.state:
        case "succeeded":
            return ExitCode.DONE
        case "expired":
            return ExitCode.LIMIT
        case "cancelled":
            return ExitCode.RUN_FAILED
        case "failed":
            is_limit = run.failure is not None and run.failure.code in _limit_codes()
            return ExitCode.LIMIT if is_limit else ExitCode.RUN_FAILED
        case "waiting":
            return ExitCode.WAITS
        case "queued" | "planning" | "running":
            return ExitCode.SUSPENDED


def render_error(error: BaseException, *, debug: bool) -> str:
    """Return what went wrong, what to do about it, and the stable code; with `debug` the traceback comes first."""
    match error:
        case AgentSDKError():
            text = render_problem(error.message, error.code, error.hint)
        case KeyboardInterrupt():
            text = "interrupted"
        case _:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            hint = "this is a fault in agent-sdk: please report it" + ("" if debug else ", with what `agent-sdk --debug ...` shows")
            text = render_problem(said, "internal_error", hint)
    if not debug:
        return text
    return "\n".join([*_safe_lines("".join(traceback.format_exception(error))), "", text])


def render_problem(message: str, code: str, hint: str | None) -> str:
    """Return `error: MESSAGE [CODE]`, and the hint behind it; what a tool or a model said in them steers no terminal."""
    first, *more = _safe_lines(message, MAX_TEXT)
    lines = [f"error: {first} [{code}]", *(f"  {line}" for line in more)]
    if hint is not None:
        first, *more = _safe_lines(hint, MAX_TEXT)
        lines += [f"  hint: {first}", *(f"  {line}" for line in more)]
    return "\n".join(lines)


def first_cause(error: BaseException) -> BaseException:
    """Return the error that ended a group of tasks, ours before others; any other is returned as it is."""
    leaves = _leaves(error)
    return next((leaf for leaf in leaves if isinstance(leaf, AgentSDKError)), leaves[0])


def exit_code_table() -> str:
    """Return the table as the help shows it."""
    return "\n".join(["Exit codes:", *(f"  {code:>3}  {MEANINGS[code]}" for code in ExitCode)])


def _safe_lines(text: str, limit: int | None = None) -> list[str]:
    from agent_sdk.observability import one_line, redact_text

    return [one_line(line) for line in redact_text(text, limit).splitlines()] or [""]


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
    return [leaf for each in inner for leaf in _leaves(each)]


def _limit_codes() -> frozenset[str]:
    return frozenset(kind.code for kind in _family(LimitError))


def _family(kind: type[AgentSDKError]) -> Iterator[type[AgentSDKError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _family(inner)
