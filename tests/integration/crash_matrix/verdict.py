"""What must hold of the run and its child once they ended, looked at from outside: at the counter, and then in the journal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent_sdk import Fact, Runtime, StepId
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    ChildFinished,
    ChildStarted,
    EffectDecided,
    MessageReceived,
    QuestionAnswered,
    RunClaimed,
    RunCreated,
    SignalReceived,
    StepFinished,
    StepStarted,
    StepWaiting,
    Terminal,
)
from agent_sdk.core.ids import RunId
from agent_sdk.core.plan import ToolStep
from agent_sdk.core.run import Run
from agent_sdk.storage import verify_chain
from tests.integration.crash_matrix.agents import EFFECTS, PLANS, RESULT
from tests.integration.crash_matrix.person import Person, report

E = TypeVar("E")
Place = tuple[RunId, StepId]


@dataclass(frozen=True, slots=True)
class Wreck:
    """What a killed worker left: steps whose end was durable by then, and what the counter was asked for by then."""

    finished: frozenset[Place]
    asked: Mapping[str, int]


async def look_at_wreck(runtime: Runtime, counter: str) -> Wreck:
    finished: set[Place] = set()
    for row in await runtime.runs():
        run = await runtime.attach(row.run_id).state()
        finished |= {(run.run_id, step.id) for step in run.graph.steps.values() if step.status == "finished"}
    return Wreck(frozenset(finished), (await report(counter))["asked"])


async def check_ended(runtime: Runtime, person: Person, wrecks: Sequence[Wreck]) -> None:
    """Check that nothing was lost and nothing done twice."""
    parent, child = await _family(runtime)
    assert parent.answer == RESULT
    assert person.decided == await _lost(runtime, parent) | await _lost(runtime, child), "every unknown effect is reported, and no other"
    outside = await report(person.counter)
    for run in (parent, child):
        await _check_run(runtime, run)
        _check_outside(run, outside, wrecks)


async def _family(runtime: Runtime) -> tuple[Run, Run]:
    """Return the run and its child, which name one another; there are no others."""
    rows = await runtime.runs()
    assert [(row.state, row.owner, row.inbox_head - row.inbox_seen) for row in rows] == [("succeeded", None, 0)] * 2
    (parent_row,) = (row for row in rows if row.parent is None)
    (child_row,) = (row for row in rows if row.parent == parent_row.run_id)
    parent, child = [await runtime.attach(row.run_id).state() for row in (parent_row, child_row)]
    begun = await _of(runtime, parent, ChildStarted)
    assert [(event.step, event.child) for event in begun] == [("helper", child.run_id)]
    assert [(event.step, event.child) for event in await _of(runtime, parent, ChildFinished)] == [("helper", child.run_id)]
    assert child.created is not None
    assert (child.created.parent, child.created.root) == (parent.run_id, parent.run_id)
    return parent, child


async def _lost(runtime: Runtime, run: Run) -> set[Place]:
    """Return the effects that were begun, and not known to have ended, when another owner claimed the run."""
    lost: set[Place] = set()
    open_steps: set[StepId] = set()
    async for fact in runtime.attach(run.run_id).facts():
        match fact.event:
            case StepStarted(step=step, effect="once"):
                open_steps.add(step)
            case StepFinished(step=step):
                open_steps.discard(step)
            case RunClaimed():
                lost |= {(run.run_id, step) for step in open_steps}
                open_steps.clear()
            case _:
                pass
    return lost


async def _check_run(runtime: Runtime, run: Run) -> None:
    facts = [fact async for fact in runtime.attach(run.run_id).facts()]
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    assert await verify_chain(runtime.journal, runtime.tenant, run.run_id) is None
    assert [fact.seq for fact in facts if isinstance(fact.event, Terminal)] == [len(facts)]
    assert sum(isinstance(fact.event, RunCreated) for fact in facts) == 1
    assert [fact for fact in facts if isinstance(fact.event, MessageReceived)] == [], "nothing that was said was refused"
    _check_steps(facts, PLANS[run.created.agent if run.created is not None else ""].steps)


def _check_steps(facts: Sequence[Fact], steps: Sequence[object]) -> None:
    """Check that each step ended once and was not begun behind its end, and that each wait was begun and ended once."""
    ended = Counter(
        fact.event.step
        for fact in facts
        if isinstance(fact.event, StepFinished | QuestionAnswered | ChildFinished)
        or (isinstance(fact.event, EffectDecided) and fact.event.decision == "done")
    )
    assert ended == Counter(step.id for step in steps if isinstance(step, ToolStep))
    ends = {fact.event.step: fact.seq for fact in facts if isinstance(fact.event, StepFinished)}
    assert not [fact for fact in facts if isinstance(fact.event, StepStarted) and fact.seq > ends.get(fact.event.step, fact.seq)]
    asked = [fact.event.step for fact in facts if isinstance(fact.event, ApprovalRequested)]
    assert asked == [fact.event.step for fact in facts if isinstance(fact.event, ApprovalDecided)]
    assert len(asked) == 1
    waits = Counter(fact.event.kind for fact in facts if isinstance(fact.event, StepWaiting))
    is_parent = "nap" in ended
    assert waits == (Counter(["timer", "signal", "question"]) if is_parent else Counter())
    assert sum(isinstance(fact.event, SignalReceived) for fact in facts) == is_parent


def _check_outside(run: Run, outside: Mapping[str, Mapping[str, int]], wrecks: Sequence[Wreck]) -> None:
    for step in run.graph.steps.values():
        effect = EFFECTS.get(step.tool or "")
        if effect is None:
            continue
        key = f"{run.run_id}/{step.id}"
        asked, done = outside["asked"].get(key, 0), outside["done"].get(key, 0)
        for wreck in wrecks:
            if (run.run_id, step.id) in wreck.finished:
                assert asked == wreck.asked[key], f"{key} had finished, and was performed again"
        assert 1 <= asked <= 1 + len(wrecks), key
        assert done == (asked if effect == "read" else 1), f"{key} was done {done} times"
        assert effect != "once" or asked == 1, key


async def _of(runtime: Runtime, run: Run, kind: type[E]) -> list[E]:
    return [fact.event async for fact in runtime.attach(run.run_id).facts() if isinstance(fact.event, kind)]
