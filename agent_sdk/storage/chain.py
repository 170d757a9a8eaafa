"""Checks that a run's stored events are those that were written: each hash covers its event and the hash before."""

from agent_sdk.core.envelope import GENESIS, altered_in
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
        altered = altered_in(page, previous=previous, after=seq) if page else seq + 1
        if altered is not None:
            return altered
        previous, seq = page[-1].hash, page[-1].seq
    return None
