"""From stored events back to a run."""

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import NotFound
from agent_sdk.core.events import Fact, RunCreated, RunSucceeded, StepFinished
from agent_sdk.core.ids import OwnerId, RunId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Batch
from agent_sdk.core.run import NO_HISTORY
from agent_sdk.execution import decode_all, load_facts, load_run
from agent_sdk.execution.loading import load_history, load_whole
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


async def test_a_run_is_loaded_with_what_was_said_in_its_session() -> None:
    journal = CountingJournal()
    await turn(journal, "one", None, "first")
    await turn(journal, "two", "one", "second")
    await turn(journal, "three", "two", "third")
    run = await load_whole(journal, TENANT, RunId("three"), Limits())
    said = ["goal one", "first", "goal two", "second", "goal three"]
    assert [message.text for message in run.conversation] == said
    assert [message.text for message in (await load_history(journal, TENANT, RunId("two"))).messages] == said[:-1]


async def test_a_session_begins_where_retention_left_off() -> None:
    journal = CountingJournal()
    await turn(journal, "two", "one", "second")
    await turn(journal, "three", "two", "third")
    run = await load_whole(journal, TENANT, RunId("three"), Limits())
    assert [message.text for message in run.conversation] == ["goal two", "second", "goal three"]


async def test_a_run_without_a_session_has_no_history() -> None:
    journal = CountingJournal()
    await turn(journal, "one", None, "first")
    assert (await load_whole(journal, TENANT, RunId("one"), Limits())).history == NO_HISTORY
    assert await load_history(journal, TENANT, None) == NO_HISTORY
