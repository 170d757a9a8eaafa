"""Stored events back to facts, and facts back to a run."""

from collections.abc import AsyncIterator, Sequence

from agent_sdk.core.agent import Limits
from agent_sdk.core.envelope import GENESIS, Envelope, altered_in, artifacts_named, decode
from agent_sdk.core.errors import JournalCorrupt, NotFound
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.history import history_behind
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Claim, Journal
from agent_sdk.core.run import History, Run

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


async def load_claimed(journal: Journal, claim: Claim, limits: Limits) -> Run:
    """Return a claimed run, every event of it verified, with what was said in its session before it: so that it can be gone on with.

    Raises:
        JournalCorrupt: an event was altered or is missing, so nothing may be built on the run.
    """
    run, previous = Run(claim.tenant, claim.run_id, limits), GENESIS
    while run.head < claim.head:
        page = await journal.read(claim.tenant, claim.run_id, after=run.head, limit=PAGE)
        altered = altered_in(page, previous=previous, after=run.head) if page else run.head + 1
        if altered is not None:
            raise _altered(claim.run_id, altered)
        previous = page[-1].hash
        for fact in await decode_all(journal, page):
            if isinstance(fact.event, RunCreated) and fact.event.previous is not None:
                run.history = await load_history(journal, claim.tenant, fact.event.previous)
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


def _altered(run_id: RunId, seq: int) -> JournalCorrupt:
    return JournalCorrupt(
        f"event {seq} of run {run_id} was altered or is missing since it was written",
        hint="look at it with `agent-sdk runs events`, and restore the journal from a backup; nothing was performed",
    )
