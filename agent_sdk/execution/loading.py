"""Stored events back to facts, and facts back to a run."""

from collections.abc import AsyncIterator, Sequence

from agent_sdk.core.agent import Limits
from agent_sdk.core.envelope import Envelope, artifacts_named, decode
from agent_sdk.core.errors import NotFound
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal
from agent_sdk.core.run import History, Run, history_behind

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


async def load_whole(journal: Journal, tenant: TenantId, run_id: RunId, limits: Limits) -> Run:
    """Return the run as `load_run` does, with what was said in its session before it, so that it can be gone on with."""
    first = await decode_all(journal, await journal.read(tenant, run_id, limit=1))
    created = first[0].event if first else None
    run = Run(tenant, run_id, limits)
    if isinstance(created, RunCreated) and created.previous is not None:
        run.history = await load_history(journal, tenant, created.previous)
    async for fact in load_facts(journal, tenant, run_id):
        run.apply(fact)
    return run


async def load_history(journal: Journal, tenant: TenantId, previous: RunId | None) -> History:
    """Read a session backwards from the run `previous`; what was deleted by retention is where it begins."""
    runs: list[Run] = []
    while previous is not None:
        try:
            run = await load_run(journal, tenant, previous, Limits())
        except NotFound:
            break
        runs.append(run)
        previous = run.created.previous if run.created is not None else None
    return history_behind(reversed(runs))


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
