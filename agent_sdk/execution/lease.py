"""What a process knows of its hold on a run: until when it stands, by this machine's own clock."""

from dataclasses import dataclass

from agent_sdk.core.ports import Claim, Clock, Journal


@dataclass(slots=True)
class Lease:
    """A claim and how long it surely holds: `until` is on the clock of `Clock.monotonic`, counted from before the store was asked.

    A thread may renew it while the event loop is blocked: it assigns `until`, and nothing else.
    """

    claim: Claim
    lease_s: float
    until: float

    def left_s(self, clock: Clock) -> float:
        return self.until - clock.monotonic()

    def ahead_us(self, clock: Clock) -> int:
        """Return by how much the store's clock is ahead of this machine's, as far as the claim shows it."""
        return self.claim.lease_until - round(self.left_s(clock) * 1_000_000) - clock.now_us()

    async def ensure(self, journal: Journal, clock: Clock) -> None:
        """Return if the lease stands; one that may have run out, as in a process that was stopped for a while, is renewed first.

        Raises:
            Fenced: somebody took the run over.
        """
        if self.left_s(clock) > 0:
            return
        asked_at = clock.monotonic()
        self.claim = await journal.renew(self.claim, lease_s=self.lease_s)
        self.until = asked_at + self.lease_s
