"""The way back of claims on which nothing was performed, and the care that a cancelled claim takes it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from agent_sdk.core.errors import AgentSDKError, InboxPending
from agent_sdk.core.events import Fact, RunClaimed, RunReleased
from agent_sdk.core.ports import Batch, Claim, Clock, Journal

UNDO_S = 5.0
"""How long a cancelled claim may take to be undone; a lease that is not given back by then runs out by itself."""


async def give_back(journal: Journal, clock: Clock, claim: Claim) -> None:
    """Release a claim on which nothing was performed, so that others may take the run; where that fails, the lease runs out by itself."""
    with contextlib.suppress(AgentSDKError):
        now = clock.now_us()
        facts = [
            Fact(claim.head + 1, claim.epoch, now, RunClaimed(claim.owner)),
            Fact(claim.head + 2, claim.epoch, now, RunReleased("handed_over")),
        ]
        row = await journal.row(claim.tenant, claim.run_id)
        batch = Batch(claim.tenant, claim.run_id, claim.epoch, claim.head, facts, "queued", inbox_seen=row.inbox_seen, releases=True)
        try:
            await journal.append(batch)
        except InboxPending:  # who takes it next reads that: the lease ends now, and the journal says that nobody was lost
            await journal.append(replace(batch, releases=False))
            await journal.renew(claim, lease_s=0.0)


async def claim_or_undo(claiming: Coroutine[Any, Any, list[Claim]], undo: Callable[[Sequence[Claim]], Awaitable[None]]) -> list[Claim]:
    """Await `claiming`. Where that is cancelled, it goes on to its end, and what it claimed is undone before the cancellation goes on.

    Raises:
        AgentSDKError: what `claiming` raised.
    """
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_outcome(claiming))
        try:
            outcome = await asyncio.shield(task)
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(UNDO_S):
                    claimed = await task
                    await undo(claimed if isinstance(claimed, list) else [])
            raise
    if isinstance(outcome, AgentSDKError):
        raise outcome
    return outcome


async def _outcome(claiming: Coroutine[Any, Any, list[Claim]]) -> list[Claim] | AgentSDKError:
    """Keep an error from the task group, which would wrap it."""
    try:
        return await claiming
    except AgentSDKError as error:
        return error
