"""Stored events back to facts, and facts back to a run."""

from collections.abc import AsyncIterator, Sequence

from agent_sdk.core.agent import Limits
from agent_sdk.core.envelope import Envelope, artifacts_named, decode
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal
from agent_sdk.core.run import Run

PAGE = 1000


async def load_run(journal: Journal, tenant: TenantId, run_id: RunId, limits: Limits) -> Run:
    """Return the run as its journal describes it.

    Raises:
        NotFound: no such run.
        JournalCorrupt: an event or an artifact is not what was stored.
    """
    run = Run(tenant, run_id, limits)
    async for fact in load_facts(journal, tenant, run_id):
        run.apply(fact)
    return run


async def load_facts(journal: Journal, tenant: TenantId, run_id: RunId, *, after: int = 0) -> AsyncIterator[Fact]:
    """Yield the run's facts behind number `after`, page by page."""
    while True:
        page = await journal.read(tenant, run_id, after=after, limit=PAGE)
        for fact in await decode_all(journal, page):
            yield fact
        if len(page) < PAGE:
            return
        after = page[-1].seq


async def decode_all(journal: Journal, envelopes: Sequence[Envelope]) -> list[Fact]:
    """Decode envelopes, with the artifacts that they name."""
    facts: list[Fact] = []
    for envelope in envelopes:
        named = artifacts_named(envelope)
        artifacts = {identity: await journal.artifact(envelope.tenant, identity) for identity in named.values()}
        facts.append(decode(envelope, artifacts))
    return facts
