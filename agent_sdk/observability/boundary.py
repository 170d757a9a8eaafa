"""The border to code that is not ours, sinks and hooks: what they raise becomes a record, and ends nothing but that one call."""

import asyncio
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass

from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.observability.plain import to_text
from agent_sdk.observability.redact import redact_text


@dataclass(frozen=True, slots=True)
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
        text = redact_text("".join(traceback.format_exception(error)))
        return cls(observer, tenant, run_id, seq, type(error).__qualname__, redact_text(to_text(error)), text)


async def guarded(call: Awaitable[object]) -> BaseException | None:
    """Await foreign code and return what it raised, None if it came back; a cancellation passes only if somebody asked for it."""
    try:
        await call
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error
    except (Exception, SystemExit) as error:  # noqa: BLE001  (one of the four boundaries: the caller makes a record of it)
        return error
    return None
