"""Checks that a run's stored events are those that were written: each hash covers its event and the hash before."""

from agent_sdk.core.envelope import GENESIS, verify
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal


async def verify_chain(journal: Journal, tenant: TenantId, run_id: RunId) -> int | None:
    """Return the number of the first event that was altered or is missing; None where the whole chain holds.

    Raises:
        NotFound: no such run.
    """
    head = (await journal.row(tenant, run_id)).head
    previous, seq = GENESIS, 0
    while seq < head:
        page = await journal.read(tenant, run_id, after=seq)
        if not page:
            return seq + 1
        for envelope in page:
            if envelope.seq != seq + 1 or not verify(envelope, previous=previous):
                return seq + 1
            previous, seq = envelope.hash, envelope.seq
    return None
