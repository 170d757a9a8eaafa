"""A whole run performed again: what of it is as recorded, and the first event that is not."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from agent_sdk.core.budget import NoMeter
from agent_sdk.core.errors import RequestError
from agent_sdk.core.events import Fact, ModelCalled, PlanAccepted
from agent_sdk.core.findings import render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Journal, Planner
from agent_sdk.core.run import Run, fold
from agent_sdk.execution import shape_of
from agent_sdk.runtime.compose import Asking, make_checker, make_planner
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.options import tool_name
from agent_sdk.runtime.replay.divergence import Change, Divergence, is_same, render_changes, render_divergence, with_digests
from agent_sdk.runtime.replay.drives import drives_of
from agent_sdk.runtime.replay.perform import Code, perform_drive
from agent_sdk.runtime.replay.recording import Recording, load_recording


@frozen
class Replayed:
    """What came of a replay: so many of the record's events are as they were. `changes` are the parts of the agent that are not.

    `facts` are the recorded ones; where digests were taken anew, with those.
    """

    events: int
    facts: Sequence[Fact]
    divergence: Divergence | None = None
    changes: Sequence[Change] = ()

    @property
    def is_identical(self) -> bool:
        """Whether the same agent would have written the same journal."""
        return self.divergence is None and not self.changes

    def render(self) -> str:
        """Tell of the result in lines, with secrets masked."""
        if self.divergence is not None:
            return render_divergence(self.divergence, self.changes)
        told = f"{self.events} of {len(self.facts)} events are as recorded"
        return "\n".join([told, *render_changes(self.changes)])


async def replay(journal: Journal, tenant: TenantId, run_id: RunId, agent: AgentDeclaration[Any, Any]) -> Replayed:
    """Perform a run of the journal again with the agent as it is now, and compare; nothing outside is touched, and nothing is written.

    Raises:
        NotFound: no such run. JournalNewer: it holds an event that this version does not know.
        RequestError: its content was erased.
    """
    recording = await load_recording(journal, tenant, run_id)
    return await replay_recording(recording, code_of(agent, plan_only=recording.created.plan_only))


async def replay_recording(recording: Recording, code: Code, *, rebases: bool = False) -> Replayed:
    """Perform a recorded run again. Facts that a fork copied are taken as given, and so is a claim on which nothing was performed.

    Where `rebases`, digests are taken as they are now and not compared: those of content that was masked since are not its own.

    Raises:
        RequestError: the run's content was erased.
    """
    facts = list(recording.facts)
    if any(isinstance(fact.event, ModelCalled) and fact.event.message is None for fact in facts):
        raise RequestError(f"content of run {recording.run_id} was erased, so it cannot be performed again")
    changes = tuple(_changes(recording, code))
    divergence = _plan_divergence(recording, code, facts, rebases=rebases)
    if divergence is None:
        for drive in drives_of(recording.facts):
            if drive.is_given_back:
                continue
            divergence = await perform_drive(recording, facts, drive, code, rebases=rebases)
            if divergence is not None:
                break
    return Replayed(len(facts) if divergence is None else divergence.seq - 1, facts, divergence, changes)


def code_of(agent: AgentDeclaration[Any, Any], *, plan_only: bool = False) -> Code:
    """Return what an agent's runs are performed with, without anything that acts."""
    tools = {tool_name(tool): tool for tool in agent.tools}
    checker = make_checker(agent, tools, plan_only=plan_only)
    asking = Asking(None, "", NoMeter(), agent.spec.settings)

    def planner(run: Run, cap: int | None) -> Planner:
        is_bounded = cap is None or agent.spec.context.max_tokens is not None
        found = agent if is_bounded else agent.with_options(context=replace(agent.spec.context, max_tokens=cap))
        return make_planner(found, run, asking, checker, plan_only=plan_only)

    return Code(agent.spec, tools, checker, planner)


def _changes(recording: Recording, code: Code) -> Iterator[Change]:
    """Yield what the run pinned, at last, that is not so now."""
    created = recording.created
    pinned, current = fold(Run(recording.tenant, recording.run_id), recording.facts).pinned, code.spec.digests()
    for part in {**pinned, **current} if pinned else ():
        if pinned.get(part) != current.get(part):
            yield Change(part, pinned.get(part), current.get(part))
    if created.strategy != code.spec.strategy:
        yield Change("strategy", created.strategy, code.spec.strategy)
    if created.compensate != code.spec.compensate:
        yield Change("compensate", str(created.compensate), str(code.spec.compensate))


def _plan_divergence(recording: Recording, code: Code, facts: list[Fact], *, rebases: bool) -> Divergence | None:
    """Hold the author's plan to the one that the run began with."""
    second = facts[1] if len(facts) > 1 else None
    is_author_s = second is not None and second.epoch == 0 and isinstance(second.event, PlanAccepted)
    if second is None or not is_author_s or recording.created.forked_from is not None:
        return None
    plan = code.spec.plan
    if plan is None:
        return Divergence(2, second, None, "the agent has no plan of its own any more")
    if findings := code.checker.plan(plan, Run(recording.tenant, recording.run_id, code.spec.limits)):
        return Divergence(2, second, None, f"the agent's plan does not hold: {render_findings(findings)}")
    replayed = Fact(2, 0, second.at, PlanAccepted(plan.digest, shape_of(plan), plan=plan))
    if rebases:
        facts[1] = second = Fact(2, 0, second.at, with_digests(second.event, replayed.event))
    return None if is_same(replayed.event, second.event) else Divergence(2, second, replayed)
