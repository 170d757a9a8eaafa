import asyncio
from collections.abc import Callable

import pytest

from agent_sdk.execution.within import OutOfTime, within


async def test_work_that_never_suspends_gives_its_result_however_short_the_limit() -> None:
    async def work() -> int:
        return 7

    assert await within(0, work()) == 7


async def test_work_that_suspends_gives_its_result() -> None:
    async def work() -> str:
        await asyncio.sleep(0.4)
        await asyncio.sleep(0.4)
        return "done"

    assert await within(1, work()) == "done"


@pytest.mark.parametrize("delay_s", [0.0, 0.5])
async def test_an_error_of_the_work_comes_out_as_it_is(delay_s: float) -> None:
    async def work() -> None:
        if delay_s:
            await asyncio.sleep(delay_s)
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await within(1, work())


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("on_cancel", [lambda: None, lambda: _raise(ValueError("cleaning up failed"))], ids=["ends", "fails"])
async def test_work_over_its_limit_is_stopped_whatever_it_makes_of_that(on_cancel: Callable[[], None]) -> None:
    cleaned: list[float] = []

    async def work() -> None:
        try:
            await asyncio.sleep(9)
        finally:
            cleaned.append(asyncio.get_running_loop().time())
            on_cancel()

    began_at = asyncio.get_running_loop().time()
    with pytest.raises(OutOfTime):
        await within(1, work())
    assert cleaned == [pytest.approx(began_at + 1)]


async def test_work_that_swallows_its_end_keeps_its_result() -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            return "what there was"
        return "all"

    assert await within(1, work()) == "what there was"


async def test_a_cancellation_from_outside_reaches_the_work_and_goes_on() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(within(1, work()))
        await asyncio.sleep(0.1)
        task.cancel()
    assert task.cancelled()
    assert seen == ["cancelled"]


async def test_the_work_stays_in_its_task_across_suspensions() -> None:
    async def work() -> set[object]:
        first = asyncio.current_task()
        await asyncio.sleep(0.1)
        return {first, asyncio.current_task()}

    assert await within(1, work()) == {asyncio.current_task()}
