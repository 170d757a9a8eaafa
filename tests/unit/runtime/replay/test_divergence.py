"""What is not as it was recorded is named: the first event, both sides of it, and what of the agent has changed."""

from dataclasses import replace

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import ModelCalled, StepFinished
from agent_sdk.core.plan import Plan
from agent_sdk.core.ports import Answer, Ask
from agent_sdk.core.run import Run
from agent_sdk.runtime.replay import Replayed, replay_recording
from agent_sdk.testing import Call
from tests.unit.execution.fakes import FakeTool, gives, plan, ref, step
from tests.unit.execution.world import World
from tests.unit.runtime.replay.worlds import code_of_world, recording_of


def looking(**options: object) -> World:
    tools = [FakeTool("look", gives({"token": "tok_0123456789", "n": 1})), FakeTool("put", effect="idempotent")]
    world = World(tools, [Call("look"), [Call("look"), Call("put", {"x": 1})], "done"], pins=True)
    for name, value in options.items():
        setattr(world, name, value)
    return world


async def recorded_and(changed: World, world: World | None = None) -> Replayed:
    """Record a run, and perform it again with the code of `changed`."""
    world = world if world is not None else looking()
    await world.drive()
    return await replay_recording(await recording_of(world), code_of_world(changed))


async def test_the_same_code_gives_the_same_run() -> None:
    found = await recorded_and(looking())
    assert found.is_identical
    assert found.render() == "12 of 12 events are as recorded"


async def test_other_instructions_alone_are_told_though_every_event_is_the_same() -> None:
    found = await recorded_and(looking(instructions="be brief"))
    assert found.divergence is None
    assert not found.is_identical
    assert "the agent is not the one that was recorded:\n  instructions: " in found.render()


async def test_a_lower_limit_ends_the_run_at_another_event() -> None:
    found = await recorded_and(looking(limits=Limits(max_turns=1)))
    assert found.divergence is not None
    assert found.divergence.seq == 6
    assert "event 6: recorded model.called, and now run.failed" in found.render()
    assert '+ code: "turn_limit"' in found.render()


async def test_a_tool_that_is_gone_is_refused_where_it_was_called() -> None:
    changed = looking()
    changed.tools = changed.tools[:1]
    found = await recorded_and(changed)
    assert found.divergence is not None
    assert found.divergence.replayed is not None
    assert found.divergence.replayed.event.type == "check.refused"
    assert "tool:put: " in found.render()


async def test_arguments_that_do_not_hold_any_more_fail_the_step() -> None:
    steps = plan(step("a", "look"), step("b", "put", {"x": ref("a.n")}))
    world = looking(plan=steps)
    await world.drive()
    recording = await recording_of(world)
    changed = looking(plan=steps)
    code = code_of_world(changed)
    put = FakeTool("put", effect="idempotent", refused="argument_type")
    found = await replay_recording(recording, replace(code, tools={**code.tools, "put": put}))
    assert found.divergence is not None
    assert '+ code: "arguments_invalid"' in found.render()


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (plan(step("a", "look"), step("c", "put", {"x": ref("a.n")})), 'shape[1].id: "c"'),
        (plan(step("a", "unheard_of")), "the agent's plan does not hold"),
        (None, "the agent has no plan of its own any more"),
    ],
)
async def test_another_plan_of_the_author_differs_from_the_second_event_on(steps: Plan | None, told: str) -> None:
    world = looking(plan=plan(step("a", "look"), step("b", "put", {"x": ref("a.n")})))
    await world.drive()
    recording = await recording_of(world)
    created, claimed, accepted, *rest = recording.facts
    facts = [created, replace(accepted, seq=2, epoch=0), replace(claimed, seq=3), *rest]  # as a runtime begins it
    same = await replay_recording(replace(recording, facts=facts), code_of_world(world))
    assert same.divergence is None, same.render()
    found = await replay_recording(replace(recording, facts=facts), code_of_world(looking(plan=steps)))
    assert found.divergence is not None
    assert found.divergence.seq == 2
    assert told in found.render()


async def test_a_fault_in_the_code_is_told() -> None:
    class Faulty:
        def next(self, run: Run) -> Ask | Answer:
            raise KeyError("a fault")

    found = await recorded_and(looking(planner=Faulty()))
    assert found.divergence is not None
    assert "KeyError: 'a fault'" in found.render()


async def test_a_run_that_stops_where_the_record_goes_on_says_so() -> None:
    class Quick:
        def next(self, run: Run) -> Ask | Answer:
            return Answer("at once")

    found = await recorded_and(looking(planner=Quick()))
    assert "event 3: recorded model.called, and now run.succeeded" in found.render()


async def test_secrets_are_masked_in_what_is_told() -> None:
    world = looking()
    await world.drive()
    recording = await recording_of(world)
    facts = [
        replace(fact, event=replace(fact.event, attempt=9)) if isinstance(fact.event, StepFinished) else fact for fact in recording.facts
    ]
    found = await replay_recording(replace(recording, facts=facts), code_of_world(world))
    assert "the run stopped here, and the record goes on with step.finished" in found.render()
    assert "tok_0123456789" not in found.render()


async def test_what_was_erased_cannot_be_performed_again() -> None:
    world = looking()
    await world.drive()
    recording = await recording_of(world)
    facts = [
        replace(fact, event=replace(fact.event, message=None)) if isinstance(fact.event, ModelCalled) else fact for fact in recording.facts
    ]
    with pytest.raises(RequestError, match="was erased"):
        await replay_recording(replace(recording, facts=facts), code_of_world(world))
