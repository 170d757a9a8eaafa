"""The dispatcher that needs no queue: whoever is free claims what is due straight from the journal."""

from collections.abc import Sequence

from agent_sdk.core.ids import OwnerId
from agent_sdk.core.ports import Claim, Clock, Journal, Random, Ticket, Wanted
from agent_sdk.dispatch.giveback import claim_or_undo, give_back

SWEEP_S = 5.0
"""Looked at this often on average, whatever the journal hints."""
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1
"""Hints that come one after another and for nothing are answered no faster than this."""


class JournalDispatcher:
    """Takes due runs with `claim_due` and waits with `wait_due`; whether a hint then comes at once or late is the journal's affair.

    Nothing is queued, so there is nothing to offer, keep or be done with.
    """

    def __init__(self, journal: Journal, clock: Clock, random: Random) -> None:
        self._journal = journal
        self._clock = clock
        self._random = random

    async def offer(self, ticket: Ticket) -> None:
        """Do nothing: the journal knows which runs are due."""

    async def take(self, wanted: Wanted, owner: OwnerId, *, lease_s: float, wait_s: float) -> list[Claim]:
        until, pause_s = self._clock.monotonic() + wait_s, 0.0
        while True:
            claims = await claim_or_undo(self._journal.claim_due(wanted, owner, lease_s=lease_s), self._undo)
            asked_at = self._clock.monotonic()
            if claims or asked_at >= until:
                return claims
            await self._journal.wait_due(wanted, timeout_s=min(until - asked_at, self._random.uniform(0.5, 1.5) * SWEEP_S))
            now = self._clock.monotonic()
            if now - asked_at > LONGEST_PAUSE_S:
                pause_s = 0.0
                continue
            await self._clock.sleep(max(0.0, min(until - now, self._random.uniform(0, pause_s))))
            pause_s = min(max(FIRST_PAUSE_S, 2 * pause_s), LONGEST_PAUSE_S)

    async def keep(self, claims: Sequence[Claim]) -> None:
        """Do nothing: the lease says it."""

    async def done(self, claim: Claim) -> None:
        """Do nothing: the run's row says it."""

    async def close(self) -> None:
        """Do nothing: the journal is not this one's to close."""

    async def _undo(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            await give_back(self._journal, self._clock, claim)
