"""From stored events back to a run."""

from dataclasses import replace

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.envelope import Envelope
from agent_sdk.core.errors import JournalCorrupt, NotFound
from agent_sdk.core.events import Fact, RunCreated, RunSucceeded, StepFinished
from agent_sdk.core.ids import OwnerId, RunId, TenantId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Batch, Claim
from agent_sdk.core.run import NO_HISTORY
from agent_sdk.execution import decode_all, load_facts, load_run
from agent_sdk.execution.loading import load_claimed, load_history
from tests.unit.execution.fakes import RUN, TENANT, CountingJournal, FakeTool, gives, plan, ref, step
from tests.unit.execution.world import World


async def test_a_run_of_several_pages_is_read_whole() -> None:
    numbers = step("n", "give", {"x": list(range(700))})
    world = World([FakeTool("give")], plan=plan(numbers, step("each", "give", {"x": ref("item")}, for_each="n.x")))
    await world.drive()
    facts = await world.facts()
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert len(facts) > 1000
    assert [fact.seq async for fact in load_facts(world.journal, TENANT, RUN, after=1200)] == list(range(1201, len(facts) + 1))
    folded = await load_run(world.journal, TENANT, RUN, Limits())
    assert (folded.head, folded.state, folded.answer) == (world.run.head, "succeeded", world.run.answer)


async def test_a_large_output_comes_back_from_its_artifact() -> None:
    text = "x" * 100_000
    world = World([FakeTool("give", gives(text))], plan=plan(step("a", "give")))
    await world.drive()
    page = await world.journal.read(TENANT, RUN)
    assert all(len(envelope.body or b"") < 1000 for envelope in page)
    (finished,) = (fact.event for fact in await decode_all(world.journal, page) if isinstance(fact.event, StepFinished))
    assert finished.output == text
    assert (await world.folded()).answer == text


async def test_a_run_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="there is no run nobody"):
        await load_run(World().journal, TENANT, RunId("nobody"), Limits())


async def turn(journal: CountingJournal, name: str, previous: str | None, answer: str) -> None:
    """Write one turn of a session."""
    created = RunCreated("agent", "1", {}, f"goal {name}", previous=None if previous is None else RunId(previous))
    await journal.create(TENANT, RunId(name), [Fact(1, 0, 0, created)])
    claim = await journal.claim(TENANT, RunId(name), OwnerId("me"), lease_s=30)
    facts = [Fact(2, 1, 0, RunSucceeded(TRUSTED, answer))]
    await journal.append(Batch(TENANT, RunId(name), claim.epoch, 1, facts, "succeeded", releases=True))


async def held(journal: CountingJournal, name: str) -> Claim:
    """Return what a claim on the turn would say of it now."""
    head = (await journal.row(TENANT, RunId(name))).head
    return Claim(TENANT, RunId(name), OwnerId("me"), 2, head, 0)


async def test_a_run_is_loaded_with_what_was_said_in_its_session() -> None:
    journal = CountingJournal()
    await turn(journal, "one", None, "first")
    await turn(journal, "two", "one", "second")
    await turn(journal, "three", "two", "third")
    run = await load_claimed(journal, await held(journal, "three"), Limits())
    said = ["goal one", "first", "goal two", "second", "goal three"]
    assert [message.text for message in run.conversation] == said
    assert [message.text for message in (await load_history(journal, TENANT, RunId("two"))).messages] == said[:-1]


async def test_a_session_begins_where_retention_left_off() -> None:
    journal = CountingJournal()
    await turn(journal, "two", "one", "second")
    await turn(journal, "three", "two", "third")
    run = await load_claimed(journal, await held(journal, "three"), Limits())
    assert [message.text for message in run.conversation] == ["goal two", "second", "goal three"]


async def test_a_run_without_a_session_has_no_history() -> None:
    journal = CountingJournal()
    await turn(journal, "one", None, "first")
    assert (await load_claimed(journal, await held(journal, "one"), Limits())).history == NO_HISTORY
    assert await load_history(journal, TENANT, None) == NO_HISTORY


class Shortened(CountingJournal):
    """A journal that somebody took the last events from."""

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        return [envelope for envelope in await super().read(tenant, run_id, after=after, limit=limit) if envelope.seq < 2]


class Altered(CountingJournal):
    """A journal that somebody wrote into."""

    async def read(self, tenant: TenantId, run_id: RunId, *, after: int = 0, limit: int = 1000) -> list[Envelope]:
        page = await super().read(tenant, run_id, after=after, limit=limit)
        return [replace(envelope, meta=envelope.meta.replace(b"agent", b"other")) for envelope in page]


@pytest.mark.parametrize(("journal", "event"), [(Shortened(), 2), (Altered(), 1)])
async def test_nothing_is_built_on_a_run_that_is_not_what_was_written(journal: CountingJournal, event: int) -> None:
    await turn(journal, "one", None, "first")
    with pytest.raises(JournalCorrupt, match=f"event {event} of run one was altered or is missing"):
        await load_claimed(journal, await held(journal, "one"), Limits())
