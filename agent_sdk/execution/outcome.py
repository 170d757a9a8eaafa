"""How one attempt of a step ended, and what a failure says of itself."""

import asyncio
import traceback
from collections import Counter

from pydantic import JsonValue

from agent_sdk.core.errors import AgentSDKError, ArgumentsInvalid, ModelError, NotDone, OutsideError, ToolTimedOut
from agent_sdk.core.events import StepFailed, StepUnknown
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId
from agent_sdk.core.tools import Effect
from agent_sdk.core.usage import Usage

MAX_TEXT_CHARS = 4000
MAX_TRACEBACK_CHARS = 16_000


@frozen
class Done:
    """The attempt gave a result."""

    output: JsonValue


@frozen
class Failed:
    """The attempt failed.

    `retry_after_s` is the world's own word on when to try again. `is_undone` says that nothing was done, whatever the effect; `is_mendable`
    that the model may do better once it is told. `usage` is what a failed model call is known to have used, in so many
    `calls`.
    """

    code: str
    message: str
    is_retryable: bool = False
    hint: str | None = None
    retry_after_s: float | None = None
    traceback: str | None = None
    is_undone: bool = False
    is_mendable: bool = False
    usage: Usage | None = None
    calls: int | None = None

    def event(self, step: StepId, attempt: int, effect: Effect) -> StepFailed | StepUnknown:
        """Return the fact: a `once` effect that may have happened is unknown, whatever went wrong."""
        if effect == "once" and not self.is_undone:
            return StepUnknown(step, attempt, self.code, self.message, self.traceback)
        return StepFailed(step, attempt, self.code, self.is_retryable, self.message, self.hint, self.traceback, self.usage, self.calls)


@frozen
class Stopped:
    """The attempt was cancelled because the run was asked to stop."""


AttemptOutcome = Done | Failed | Stopped


def failed(error: BaseException) -> Failed:
    """Describe what a tool or a model raised."""
    match error:
        case AgentSDKError():
            retry_after_s = error.retry_after_s if isinstance(error, OutsideError) else None
            text = None if error.__cause__ is None else _traceback(error)
            return Failed(
                error.code,
                _storable(str(error.message))[:MAX_TEXT_CHARS] + _tries(error),
                error.retryable,
                None if error.hint is None else _storable(str(error.hint))[:MAX_TEXT_CHARS],
                retry_after_s,
                text,
                is_undone=isinstance(error, (NotDone, ArgumentsInvalid)),
                usage=error.usage if isinstance(error, ModelError) else None,
                calls=_billed(error) if isinstance(error, ModelError) else None,
            )
        case TimeoutError() | ConnectionError():
            return Failed("tool_failed", _text(error), is_retryable=True, traceback=_traceback(error))
        case asyncio.CancelledError():
            return Failed("tool_cancelled_itself", "the tool was cancelled from within, not by the run", traceback=_traceback(error))
        case SystemExit():
            return Failed("tool_exited", f"the tool tried to end the process: SystemExit({error.code!r})", traceback=_traceback(error))
        case _:
            return Failed("tool_failed", _text(error), traceback=_traceback(error))


def _tries(error: AgentSDKError) -> str:
    """Say which models failed, and how, where others stood in for the one that was asked for."""
    tried = error.tried if isinstance(error, ModelError) else ()
    if all(attempt.model is None for attempt in tried):
        return ""
    counts = Counter((attempt.model, attempt.code or error.code) for attempt in tried)
    said = [
        f"{'the model asked for' if model is None else _storable(model)}: {code}{f' {count} times' if count > 1 else ''}"
        for (model, code), count in counts.items()
    ]
    return f" (tried {', '.join(said)})"


def _billed(error: ModelError) -> int | None:
    """Return how many of the tries are known to have used something: what a vendor refused at once is no call."""
    return None if error.usage is None else max(1, sum(attempt.usage is not None for attempt in error.tried))


def timed_out(limit_s: float) -> Failed:
    """Describe that a tool gave no result in its time."""
    return Failed(
        ToolTimedOut.code, f"no result within {limit_s:g} s", is_retryable=True, hint="raise the tool's timeout_s, or Limits.step_timeout_s"
    )


def _text(error: BaseException) -> str:
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  (a tool's exception may itself be broken: part of the boundary to tools)
        said = ""
    return _storable(f"{type(error).__name__}: {said}")[:MAX_TEXT_CHARS] if said else type(error).__name__


def _traceback(error: BaseException) -> str:
    return _storable("".join(traceback.format_exception(error)))[-MAX_TRACEBACK_CHARS:]


def _storable(text: str) -> str:
    """Escape half characters, as they stand in the names of files: the journal is UTF-8, which cannot hold them."""
    return text.encode(errors="backslashreplace").decode()
