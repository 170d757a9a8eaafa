import asyncio

from agent_sdk.storage.follow import DUE, Bells, Patience, await_due
from agent_sdk.testing import run_virtual
from tests.contract.batches import START_US


class LoopClock:
    """The running loop's time as a store's, so that both pass together."""

    def now_us(self) -> int:
        return START_US + int(self.monotonic() * 1e6)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class Agenda:
    """What is due, and how often somebody looked."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.looks = 0

    async def next_at(self) -> int | None:
        self.looks += 1
        return self.at


async def waited_s(agenda: Agenda, patience: Patience, bells: Bells | None = None) -> float:
    clock = LoopClock()
    began = clock.monotonic()
    await await_due(agenda.next_at, bells if bells is not None else Bells(), clock, patience)
    return round(clock.monotonic() - began, 3)


def test_one_waits_until_the_time_that_is_due_and_looks_once_more() -> None:
    async def told() -> None:
        agenda = Agenda()
        agenda.at = LoopClock().now_us() + 7_000_000
        assert await waited_s(agenda, Patience(60)) == 7
        assert agenda.looks == 2

    run_virtual(told())


def test_one_waits_no_longer_than_one_has_patience_for() -> None:
    async def told() -> None:
        agenda = Agenda()
        assert await waited_s(agenda, Patience(60)) == 60
        assert await waited_s(agenda, Patience(10, look_s=3)) == 10
        assert agenda.looks == 1 + 4

    run_virtual(told())


def test_a_ring_makes_one_look_again() -> None:
    async def told() -> None:
        agenda, bells = Agenda(), Bells()

        def ring() -> None:
            agenda.at = 0
            bells.ring(DUE)

        asyncio.get_running_loop().call_later(2, ring)
        asyncio.get_running_loop().call_later(1, bells.ring, DUE)
        assert await waited_s(agenda, Patience(60), bells) == 2
        assert agenda.looks == 3

    run_virtual(told())
