"""The border to code that is not ours, sinks and hooks: what they raise becomes a record, and ends nothing but that one call."""

import asyncio
from collections.abc import Awaitable

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.observability.plain import MAX_TEXT, to_text, to_traceback
from agent_sdk.observability.redact import redact_text


@frozen
class ObserverFailed:
    """A sink or hook failed on a run, at the events from number `seq` on. Message and traceback are redacted."""

    observer: str
    tenant: TenantId
    run_id: RunId
    seq: int
    error: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException, observer: str, tenant: TenantId, run_id: RunId, seq: int) -> "ObserverFailed":
        message, text = redact_text(to_text(error), MAX_TEXT), redact_text(to_traceback(error), 4 * MAX_TEXT)
        return cls(observer, tenant, run_id, seq, type(error).__qualname__, message, text)


async def guarded(call: Awaitable[object]) -> BaseException | None:
    """Await foreign code and return what it raised, None if it came back; a cancellation passes only if somebody asked for it."""
    try:
        await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error
    except (Exception, SystemExit) as error:  # noqa: BLE001  (one of the boundaries to code that is not ours: the caller makes a record of it)
        return error
    return None
