"""A worker: takes due runs from a dispatcher, of every tenant, and performs them side by side until it is drained."""

import asyncio
import logging
from dataclasses import dataclass, field

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId
from agent_sdk.core.ports import Claim, Ticket, Wanted
from agent_sdk.runtime.keeper import RunKey
from agent_sdk.runtime.performance import Performance
from agent_sdk.runtime.runtime import Runtime
from agent_sdk.runtime.unless import unless

_LOG = logging.getLogger("agent_sdk.worker")

LOOK_S = 5.0
"""How long one look for due runs takes at most, where nothing says that there are any."""
MOST_AT_ONCE = 32
"""So many runs are taken at once, so that several workers share what comes in bursts."""
PAUSE_S = 1.0


@frozen
class WorkerOptions:
    """`concurrency` runs are performed at once; of all queues and tenants, unless some are named.

    A drained worker lets its runs end for `grace_s` seconds, then hands them back; effects under way have the last fifth of that.
    """

    concurrency: int = 64
    queues: frozenset[str] | None = None
    tenants: frozenset[TenantId] | None = None
    grace_s: float = 25.0


DEFAULTS = WorkerOptions()


@dataclass(slots=True)
class Worker:
    """Works for the runtime's journal and app: it takes the runs of the agents and versions that the app has, and no others."""

    runtime: Runtime
    options: WorkerOptions = DEFAULTS
    taken: int = 0
    _draining: asyncio.Event = field(default_factory=asyncio.Event)
    _free: asyncio.Event = field(default_factory=asyncio.Event)
    _claims: dict[RunKey, Claim] = field(default_factory=dict[RunKey, Claim])

    async def run(self) -> None:
        """Take and perform runs until `drain` is called, then end in order. No run that it holds is left behind."""
        stage = self.runtime.stage
        stage.on_over, stage.on_child = self._over, _leave_to_dispatcher
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(self._keep())
            await self._take_all()
            await self._end()
            keeping.cancel()

    def drain(self) -> None:
        """Take nothing new, and let `run` end once what is under way ended or was handed back."""
        self._draining.set()
        self._free.set()

    async def _take_all(self) -> None:
        """Take as many runs as there is room for, again and again; what was claimed is always performed, if only to be handed back."""
        while not self._draining.is_set():
            free = self.options.concurrency - len(self.runtime.stage.live)
            if free <= 0:
                self._free.clear()
                await self._free.wait()
                continue
            claims = await unless(self._draining, self._take(min(free, MOST_AT_ONCE))) or []
            async with asyncio.TaskGroup() as beginning:
                for claim in claims:
                    beginning.create_task(self._perform(claim))

    async def _take(self, limit: int) -> list[Claim]:
        stage = self.runtime.stage
        carried = frozenset((agent.name, agent.spec.version) for agent in self.runtime.app.known)
        wanted = Wanted(limit, carried, self.options.queues, self.options.tenants)
        try:
            return await self.runtime.dispatcher.take(wanted, stage.owner, lease_s=stage.holds.lease_s, wait_s=LOOK_S)
        except AgentSDKError as error:
            _LOG.warning("cannot take runs: %s", error)
            await stage.holds.world.clock.sleep(PAUSE_S)
            return []

    async def _perform(self, claim: Claim) -> None:
        key = claim.tenant, claim.run_id
        self.taken += 1
        self._claims[key] = claim
        try:
            await self.runtime.stage.take_up_claim(claim)
        except AgentSDKError as error:
            _LOG.warning("run %s cannot be performed here: %s", claim.run_id, error)
            del self._claims[key]
            await self.runtime.dispatcher.done(claim)

    def _over(self, performance: Performance) -> None:
        held = performance.lease.claim
        self._free.set()
        claim = self._claims.get((held.tenant, held.run_id))
        if claim is not None and claim.epoch == held.epoch:
            del self._claims[held.tenant, held.run_id]
            self.runtime.stage.holds.tasks.create_task(self._done(claim, performance))

    async def _done(self, claim: Claim, performance: Performance) -> None:
        """Tell the dispatcher; a run that was handed back is offered to other workers."""
        dispatcher, created = self.runtime.dispatcher, performance.run.created
        await dispatcher.done(claim)
        if performance.outcome == "suspended" and created is not None:
            await dispatcher.offer(
                Ticket(claim.tenant, claim.run_id, created.agent, created.agent_version, created.queue, created.priority)
            )

    async def _keep(self) -> None:
        while True:
            await self.runtime.stage.holds.world.clock.sleep(self.runtime.stage.holds.lease_s / 3)
            if self._claims:
                await self.runtime.dispatcher.keep(list(self._claims.values()))

    async def _end(self) -> None:
        """Let runs end by themselves as long as there is time, then hand them back."""
        stage = self.runtime.stage
        try:
            async with asyncio.timeout(self.options.grace_s * 0.8):
                while stage.live:
                    await next(iter(stage.live.values())).ended()
        except TimeoutError:
            await stage.shut_down(self.options.grace_s * 0.2)


def _leave_to_dispatcher(*_child: object) -> None:
    pass
