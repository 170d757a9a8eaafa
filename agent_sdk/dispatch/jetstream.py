"""The dispatcher over NATS JetStream: a ticket wakes one worker to claim one run; which run that is, the journal says."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from agent_sdk.core.errors import NotFound, StorageError
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Claim, Clock, Journal, Random, Ticket, Wanted
from agent_sdk.core.run import ENDS
from agent_sdk.dispatch.giveback import claim_or_undo, give_back
from agent_sdk.dispatch.journal import JournalDispatcher
from agent_sdk.dispatch.lanes import Lane, is_open, lanes_of
from agent_sdk.dispatch.nats_link import NatsOptions
from agent_sdk.dispatch.nats_queue import Drawn, TicketQueue

RETRY_S = 1.0
"""A ticket that cannot be judged now comes again after so long."""

EAGER_S = 0.02
"""A sweep that found something is followed by the next one so soon: a thousand timers may have rung at once, and none has a ticket."""

_log = logging.getLogger(__name__)


class NatsDispatcher:
    """Draws tickets from a work queue, and claims as many due runs as it drew.

    A ticket is no claim on its own run. The journal chooses: each tenant gets an equal share and a higher priority comes first, however the
    tickets are ordered, so that one tenant's 10,000 tickets do not stand before another's one. What was drawn is held, one ticket for each
    claimed run, kept alive with it and acknowledged at its end; where a worker dies, as many tickets come again as runs are left, about
    when the leases run out. A ticket too many is acknowledged, or comes again when the lease ends of who holds its run. One too few is
    made up for by the sweep.

    A worker that takes only some tenants or runs asks the journal alone: a lane of tickets is not theirs.
    """

    def __init__(self, journal: Journal, queue: TicketQueue, clock: Clock, random: Random, *, sweep_s: float = 1.0) -> None:
        self._journal = journal
        self._queue = queue
        self._clock = clock
        self._random = random
        self._sweep_s = sweep_s
        self._plain = JournalDispatcher(journal, clock, random)
        self._held: dict[tuple[TenantId, RunId, int], Drawn] = {}
        self._seen: list[Lane] = []
        self._sweep_at = clock.monotonic()

    @classmethod
    async def open(cls, options: NatsOptions, journal: Journal, clock: Clock, random: Random) -> "NatsDispatcher":
        """Connect, and make the stream if there is none.

        Raises:
            ConfigError: no server answers, it has no JetStream, or the stream cannot be as the options say.
        """
        return cls(journal, await TicketQueue.open(options, clock), clock, random, sweep_s=options.sweep_s)

    async def offer(self, ticket: Ticket) -> None:
        if not await self._queue.put(ticket):
            _log.warning("run %s could not be offered over NATS; a sweep finds it", ticket.run_id)

    async def take(self, wanted: Wanted, owner: OwnerId, *, lease_s: float, wait_s: float) -> list[Claim]:
        if wanted.tenants is not None or wanted.runs is not None:
            return await self._plain.take(wanted, owner, lease_s=lease_s, wait_s=wait_s)
        until = self._clock.monotonic() + wait_s
        while True:
            if wait_s <= 0 or self._clock.monotonic() >= self._sweep_at:
                claims = await self._sweep(wanted, owner, lease_s)
            else:
                claims = await self._draw(wanted, owner, lease_s, min(until, self._sweep_at) - self._clock.monotonic())
            if claims or self._clock.monotonic() >= until:
                return claims

    async def keep(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            if (drawn := self._held.get(_key(claim))) is not None:
                await drawn.keep()

    async def done(self, claim: Claim) -> None:
        if (drawn := self._held.pop(_key(claim), None)) is not None:
            await drawn.drop()

    async def close(self) -> None:
        """Give back what is held, and disconnect."""
        for drawn in self._held.values():
            await drawn.give_back()
        self._held.clear()
        await self._queue.close()

    async def _sweep(self, wanted: Wanted, owner: OwnerId, lease_s: float) -> list[Claim]:
        """Claim what is due, whatever the tickets say."""
        self._sweep_at = self._clock.monotonic() + self._random.uniform(0.5, 1.5) * self._sweep_s
        if is_open(wanted):
            self._seen = await self._queue.seen()
        claims = await claim_or_undo(self._journal.claim_due(wanted, owner, lease_s=lease_s), self._undo)
        if claims:
            self._sweep_at = min(self._sweep_at, self._clock.monotonic() + EAGER_S)
        return claims

    async def _draw(self, wanted: Wanted, owner: OwnerId, lease_s: float, wait_s: float) -> list[Claim]:
        lanes = lanes_of(wanted, self._seen)
        drawn = await self._queue.draw(lanes, wanted.limit, ack_wait_s=lease_s, wait_s=max(0.0, wait_s))
        if not drawn:
            return []
        return await claim_or_undo(self._claim_for(drawn, wanted, owner, lease_s), self._undo)

    async def _claim_for(self, drawn: list[Drawn], wanted: Wanted, owner: OwnerId, lease_s: float) -> list[Claim]:
        """Claim as many runs as tickets were drawn, and hold a ticket for each, the run's own where it is there."""
        try:
            claims = await self._journal.claim_due(replace(wanted, limit=len(drawn)), owner, lease_s=lease_s)
        except StorageError:
            for each in drawn:
                await each.give_back(delay_s=RETRY_S)
            raise
        spare = {each.key: each for each in drawn}
        twice = [each for each in drawn if spare[each.key] is not each]
        own = {_key(claim): spare.pop(key) for claim in claims if (key := (claim.tenant, claim.run_id)) in spare}
        rest = [*twice, *spare.values()]
        for claim in claims:
            self._held[_key(claim)] = own.get(_key(claim)) or rest.pop()
        for each in rest:
            await self._settle(each, lease_s)
        return claims

    async def _settle(self, drawn: Drawn, lease_s: float) -> None:
        """Drop a ticket for which nothing was claimed, unless its run may be left by who holds it, or is another's to claim now."""
        try:
            row = await self._journal.row(*drawn.key)
        except NotFound:
            await drawn.drop()
            return
        except StorageError:
            await drawn.give_back(delay_s=RETRY_S)
            return
        now = self._clock.now_us()
        if row.state in ENDS or (row.lease_until is None and (row.state == "waiting" or row.behind is not None)):
            await drawn.drop()
        elif row.lease_until is not None and row.lease_until > now:
            await drawn.give_back(delay_s=min(lease_s, (row.lease_until - now) / 1e6))
        else:
            await drawn.give_back(delay_s=RETRY_S)

    async def _undo(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            await give_back(self._journal, self._clock, claim)
            if (drawn := self._held.pop(_key(claim), None)) is not None:
                await drawn.give_back()


def _key(claim: Claim) -> tuple[TenantId, RunId, int]:
    return claim.tenant, claim.run_id, claim.epoch
