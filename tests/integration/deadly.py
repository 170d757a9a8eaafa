"""Ends this process, without warning, at the point that it is told: around an append, behind a claim, or around an effect outside."""

import os
import signal
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Literal, NoReturn

from pydantic import BaseModel, ConfigDict

from agent_sdk.core.events import Fact
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.ports import Batch, Claim, Clock, Journal, SessionMove, Wanted
from agent_sdk.runtime import runtime as opening
from agent_sdk.storage import open_journal

PointKind = Literal["append", "claim", "effect"]


class Point(BaseModel):
    """Where to die: `number` counts the points of a kind from 1.

    Not `is_before`: the thing is done (durable, or taken outside) or was refused, and nobody here has learned of it. A claim has no before.
    """

    model_config = ConfigDict(frozen=True)

    kind: PointKind
    number: int
    is_before: bool = False

    def __str__(self) -> str:
        return f"{'before' if self.is_before else 'behind'} {self.kind} {self.number}"


class Fuse:
    """Counts the points that this process comes to, and ends it at the one that is given."""

    def __init__(self, point: Point | None) -> None:
        self._point = point
        self.counts: Counter[str] = Counter()

    def before(self, kind: PointKind) -> int:
        self.counts[kind] += 1
        number = self.counts[kind]
        if self._point == Point(kind=kind, number=number, is_before=True):
            _die()
        return number

    def behind(self, kind: PointKind, number: int) -> None:
        if self._point == Point(kind=kind, number=number):
            _die()


class Deadly:
    """A journal with a fuse: the creation of a run is an append too."""

    def __init__(self, journal: Journal, fuse: Fuse) -> None:
        self._journal = journal
        self._fuse = fuse

    def __getattr__(self, name: str) -> object:
        return getattr(self._journal, name)

    async def create(self, tenant: TenantId, run_id: RunId, facts: Sequence[Fact], *, session: SessionMove | None = None) -> None:
        await self._around(self._journal.create(tenant, run_id, facts, session=session))

    async def append(self, batch: Batch) -> None:
        await self._around(self._journal.append(batch))

    async def claim(self, tenant: TenantId, run_id: RunId, owner: OwnerId, *, lease_s: float) -> Claim:
        claim = await self._journal.claim(tenant, run_id, owner, lease_s=lease_s)
        self._fuse.behind("claim", self._fuse.before("claim"))
        return claim

    async def claim_due(self, wanted: Wanted, owner: OwnerId, *, lease_s: float) -> list[Claim]:
        claims = await self._journal.claim_due(wanted, owner, lease_s=lease_s)
        for _ in claims:
            self._fuse.behind("claim", self._fuse.before("claim"))
        return claims

    async def _around(self, writing: Awaitable[None]) -> None:
        number = self._fuse.before("append")
        try:
            await writing
        finally:
            self._fuse.behind("append", number)


def arm(fuse: Fuse) -> None:
    """Let every journal that this process opens have the fuse."""

    async def opened(url: str, *, clock: Clock) -> object:
        return Deadly(await open_journal(url, clock=clock), fuse)

    setattr(opening, "open_journal", opened)  # noqa: B010  (a name of that module, and no attribute that it declares)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody outlives SIGKILL")
