"""The store's time, as a claim shows it."""

from agent_sdk.core.ids import OwnerId
from agent_sdk.core.ports import Claim
from agent_sdk.execution.lease import Lease
from agent_sdk.execution.store_clock import StoreClock
from agent_sdk.testing import VirtualClock
from tests.unit.execution.fakes import RUN, TENANT

LEASE_S = 30.0


class Moved(VirtualClock):
    """A machine's clock that somebody sets."""

    by_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.by_us


def clocks(*, ahead_us: int) -> tuple[StoreClock, Moved]:
    """Return the clock of a store that is so much ahead of this machine's, and that."""
    clock = Moved()
    claim = Claim(TENANT, RUN, OwnerId("own"), 1, 1, clock.now_us() + ahead_us + int(LEASE_S * 1e6))
    return StoreClock(Lease(claim, LEASE_S, clock.monotonic() + LEASE_S), clock), clock


async def test_the_stores_time_is_told_though_the_machines_clock_is_wrong() -> None:
    for ahead_us in (5_000_000, 0, -5_000_000):
        store, clock = clocks(ahead_us=ahead_us)
        assert store.now_us() == clock.now_us() + ahead_us
        clock.advance(2)
        assert store.now_us() == clock.now_us() + ahead_us


async def test_no_time_is_told_that_is_before_the_claim() -> None:
    store, clock = clocks(ahead_us=0)
    claimed_at = store.now_us()
    clock.by_us = -60_000_000
    assert store.now_us() == claimed_at
    clock.by_us = 1
    assert store.now_us() == claimed_at + 1
