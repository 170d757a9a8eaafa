import asyncio

import pytest

from agent_sdk.observability.boundary import ObserverFailed, guarded
from tests.unit.observability.samples import RUN, SECRET, TENANT


async def raises(error: BaseException) -> None:
    raise error


async def test_what_returns_is_no_failure() -> None:
    assert await guarded(asyncio.sleep(0, 5)) is None


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), asyncio.CancelledError()], ids=lambda error: type(error).__name__)
async def test_what_foreign_code_raises_is_returned(error: BaseException) -> None:
    assert await guarded(raises(error)) is error


async def test_a_keyboard_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        await guarded(raises(KeyboardInterrupt()))


async def test_a_cancellation_that_was_asked_for_passes() -> None:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(guarded(asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


async def test_a_record_names_the_error_and_holds_no_secret() -> None:
    error = await guarded(raises(ValueError(f"refused {SECRET}")))
    assert error is not None
    record = ObserverFailed.of(error, "hook:audit", TENANT, RUN, 7)
    assert (record.error, record.message, record.seq) == ("ValueError", "refused [redacted]", 7)
    assert "Traceback" in record.traceback
    assert SECRET not in record.traceback
