"""Whether what a tenant's runs hold is what was written: all of them, or one."""

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal
from agent_sdk.storage.audit import RunAudit, audit_run, audit_runs


@frozen
class Audit:
    """How much was looked at, and the runs in which something is wrong."""

    runs: int
    events: int
    unsound: tuple[RunAudit, ...]


async def audit(journal: Journal, tenant: TenantId, run_id: RunId | None = None, *, newest: int | None = None) -> Audit:
    """Check one run, or all of the tenant; `newest` bounds their number.

    A chain shows each change that did not compute all later hashes anew: whoever could write the whole journal could do that too, so keep
    backups where that person cannot write.

    Raises:
        NotFound: no such run.
    """
    if run_id is not None:
        found = await audit_run(journal, tenant, run_id)
        return Audit(1, found.events, () if found.is_sound else (found,))
    runs, events, unsound = 0, 0, list[RunAudit]()
    async for found in audit_runs(journal, tenant, newest=newest):
        runs, events = runs + 1, events + found.events
        if not found.is_sound:
            unsound.append(found)
    return Audit(runs, events, tuple(unsound))
