"""The first signal asks, the second leaves; what a wrapper repeats is no second one."""

import asyncio
import signal

from agent_sdk.cli.interrupts import SAME_S, Interrupts, interrupts


async def test_the_first_signal_asks_and_the_second_leaves() -> None:
    taken = Interrupts()
    assert [taken.take(10.0), taken.take(10.0 + 2 * SAME_S)] == [False, True]


async def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    taken = Interrupts()
    assert [taken.take(10.0), taken.take(10.0 + SAME_S / 2)] == [False, False]


async def test_either_signal_asks() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with interrupts() as taken:
            signal.raise_signal(number)
            async with asyncio.timeout(30):
                await taken.asked.wait()


async def test_the_handlers_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interrupts():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


async def test_outside_of_the_main_thread_no_signal_is_taken() -> None:
    async def inside() -> bool:
        with interrupts() as taken:
            return taken.asked.is_set()

    assert await asyncio.to_thread(asyncio.run, inside()) is False
