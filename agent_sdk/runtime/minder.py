"""Takes up again, in this process, the runs that were begun here and wait: when their time has come, or what they waited for."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from agent_sdk.core.errors import AgentSDKError, NotFound
from agent_sdk.core.ports import Claim, Dispatcher, Wanted
from agent_sdk.core.run import ENDS
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.keeper import RunKey
from agent_sdk.runtime.stage import Stage
from agent_sdk.runtime.unless import unless

_LOG = logging.getLogger("agent_sdk.runtime")

AT_ONCE = 64
WAIT_S = 60.0
PAUSE_S = 1.0


@dataclass(slots=True)
class Minder:
    """Minds runs by id, until they are taken up, here or somewhere else, or have ended. `due` hands out those that are due."""

    stage: Stage
    due: Dispatcher
    minded: dict[RunKey, AgentDeclaration[Any, Any]] = field(default_factory=dict[RunKey, AgentDeclaration[Any, Any]])
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def mind(self, key: RunKey, agent: AgentDeclaration[Any, Any]) -> None:
        """Take the run up, as one of `agent`'s, when it is due."""
        self.minded[key] = agent
        self._news.set()

    async def run(self) -> None:
        """Look after the runs until cancelled."""
        while True:
            if not self.minded:
                await self._news.wait()
            self._news.clear()
            for claim in await unless(self._news, self._take()) or ():
                key = claim.tenant, claim.run_id
                try:
                    await self.stage.take_up_claim(claim, self.minded.get(key))
                except AgentSDKError as error:
                    _LOG.warning("run %s cannot go on here: %s", claim.run_id, error)
                else:
                    self.minded.pop(key, None)

    async def _take(self) -> list[Claim]:
        holds = self.stage.holds
        tenants, runs = (frozenset(part) for part in zip(*self.minded, strict=True))
        wanted = Wanted(AT_ONCE, tenants=tenants, runs=runs)
        try:
            claims = await self.due.take(wanted, self.stage.owner, lease_s=holds.lease_s, wait_s=WAIT_S)
            if not claims:
                await self._forget_ended()
        except AgentSDKError as error:
            _LOG.warning("cannot see which runs are due: %s", error)
            await holds.world.clock.sleep(PAUSE_S)
            return []
        return claims

    async def _forget_ended(self) -> None:
        """Mind no longer what ended elsewhere."""
        for key in list(self.minded):
            try:
                row = await self.stage.holds.journal.row(*key)
            except NotFound:
                self.minded.pop(key, None)
            else:
                if row.state in ENDS:
                    self.minded.pop(key, None)
