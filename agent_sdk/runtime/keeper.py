"""Renews the leases of all runs that this process performs, from a thread of its own: a tool that blocks the event loop loses no run."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Clock, Journal, LeaseLine
from agent_sdk.execution import Lease

_LOG = logging.getLogger("agent_sdk.runtime")

RunKey = tuple[TenantId, RunId]
RETRY_S = 1.0
JOIN_S = 0.5


@dataclass(slots=True)
class LeaseKeeper:
    """Holds what is to be renewed. `lost` is called on the event loop for each lease that stands no more."""

    journal: Journal
    clock: Clock
    lease_s: float
    lost: Callable[[RunKey], None]
    _leases: dict[RunKey, Lease] = field(default_factory=dict[RunKey, Lease])
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _end: threading.Event = field(default_factory=threading.Event)

    def hold(self, lease: Lease) -> None:
        """Renew the lease from now on."""
        claim = lease.claim
        self._leases[claim.tenant, claim.run_id] = lease
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._keep, args=(self.journal.lease_line(), self._loop), name="leases", daemon=True)
            self._thread.start()

    def drop(self, key: RunKey) -> None:
        """Renew the run's lease no longer."""
        self._leases.pop(key, None)

    def close(self) -> None:
        """End the thread; one that waits for its store is left to end by itself."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _keep(self, line: LeaseLine, loop: asyncio.AbstractEventLoop) -> None:
        pause_s = self.lease_s / 3
        try:
            while not self._end.wait(pause_s):
                pause_s = self.lease_s / 3 if self._renew(line, loop) else min(RETRY_S, self.lease_s / 10)
        finally:
            line.close()

    def _renew(self, line: LeaseLine, loop: asyncio.AbstractEventLoop) -> bool:
        """Renew all leases; return False where the store could not be asked."""
        leases = dict(self._leases)
        if not leases:
            return True
        asked_at = self.clock.monotonic()
        try:
            renewed = line.renew([lease.claim for lease in leases.values()], lease_s=self.lease_s)
        except AgentSDKError as error:
            _LOG.warning("%d leases could not be renewed: %s", len(leases), error)
            return False
        kept = {(claim.tenant, claim.run_id, claim.epoch) for claim in renewed}
        for key, lease in leases.items():
            if (*key, lease.claim.epoch) in kept:
                lease.until = asked_at + self.lease_s
            else:
                _tell(loop, self._lost, key, lease)
        return True

    def _lost(self, key: RunKey, lease: Lease) -> None:
        """Say that a lease is lost, unless the run was given up meanwhile."""
        if self._leases.get(key) is lease:
            del self._leases[key]
            self.lost(key)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        _LOG.debug("the event loop ended before its leases did")
