"""The time by which a run is due: the store's own, since this machine's clock may be wrong."""

from agent_sdk.core.ports import Clock
from agent_sdk.execution.lease import Lease


class StoreClock:
    """Tells the store's time, as far as a claim shows by how much it is ahead; it never tells a time before the claim."""

    def __init__(self, lease: Lease, clock: Clock) -> None:
        self._clock = clock
        self._ahead_us = lease.ahead_us(clock)
        self._claimed_at = lease.claim.lease_until - int(lease.lease_s * 1_000_000)

    def now_us(self) -> int:
        return max(self._clock.now_us() + self._ahead_us, self._claimed_at)
