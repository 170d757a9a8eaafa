"""From stored events back to a run."""

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import NotFound
from agent_sdk.core.events import StepFinished
from agent_sdk.core.ids import RunId
from agent_sdk.execution import decode_all, load_facts, load_run
from tests.unit.execution.fakes import RUN, TENANT, FakeTool, gives, plan, ref, step
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
