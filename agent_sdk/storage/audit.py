"""Compares what a journal holds with what was written: the hashes of each run's events, and the bytes of the artifacts that they name."""

from collections.abc import AsyncIterator

from agent_sdk.core.envelope import artifacts_named
from agent_sdk.core.errors import JournalCorrupt, NotFound
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import ArtifactId, RunId, TenantId
from agent_sdk.core.ports import Journal, RunFilter
from agent_sdk.storage.chain import verify_chain

_PAGE = 500


@frozen
class RunAudit:
    """What was found of one run. `altered` is the number of the first event that is not what was written, or is missing; None: all are.

    `artifacts` are those that are missing or hold other bytes; behind an altered event nothing is looked at.
    """

    run_id: RunId
    events: int
    altered: int | None = None
    artifacts: tuple[ArtifactId, ...] = ()

    @property
    def is_sound(self) -> bool:
        return self.altered is None and not self.artifacts

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, in words."""
        event = [f"event {self.altered} of run {self.run_id} was altered or is missing"] if self.altered is not None else []
        return (*event, *(f"artifact {each} of run {self.run_id} is missing or holds other bytes" for each in self.artifacts))


async def audit_run(journal: Journal, tenant: TenantId, run_id: RunId) -> RunAudit:
    """Check one run.

    Raises:
        NotFound: no such run.
    """
    altered = await verify_chain(journal, tenant, run_id)
    sound = altered - 1 if altered is not None else (await journal.row(tenant, run_id)).head
    wrong: dict[ArtifactId, None] = {}
    seq = 0
    while seq < sound and (page := await journal.read(tenant, run_id, after=seq, limit=min(_PAGE, sound - seq))):
        for artifact in {each for envelope in page for each in artifacts_named(envelope).values()}:
            try:
                await journal.artifact(tenant, artifact)
            except (JournalCorrupt, NotFound):
                wrong[artifact] = None
        seq = page[-1].seq
    return RunAudit(run_id, sound, altered, tuple(wrong))


async def audit_runs(journal: Journal, tenant: TenantId, *, newest: int | None = None) -> AsyncIterator[RunAudit]:
    """Check the tenant's runs, the newest first; `newest` bounds their number. One that is deleted meanwhile is left out."""
    seen, before = 0, None
    while newest is None or seen < newest:
        limit = _PAGE if newest is None else min(_PAGE, newest - seen)
        page = await journal.rows(tenant, RunFilter(before=before, limit=limit))
        for row in page:
            try:
                yield await audit_run(journal, tenant, row.run_id)
            except NotFound:
                continue
        if len(page) < limit:
            return
        seen, before = seen + limit, page[-1].run_id
