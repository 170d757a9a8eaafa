"""Forks of runs: what one would do to the outside a second time is told first, then it is made."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agent_sdk.core.budget import run_scope
from agent_sdk.core.errors import NotFound
from agent_sdk.core.events import ChildStarted, Fact, RunCreated
from agent_sdk.core.fork import Code, RepeatedEffect, fork, last_good, repeated_effects
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.execution import load_facts
from agent_sdk.runtime.budgets import begin_budget, read_budget
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.runtime import Runtime


@frozen
class ForkPlan:
    """A fork of the run `source` behind its event `at`, looked at and not made yet; `effects` may happen a second time."""

    runtime: Runtime
    source: RunId
    at: int
    facts: Sequence[Fact]
    effects: Sequence[RepeatedEffect]
    code: Code | None = None

    async def create(self) -> RunId:
        """Make the fork, queued for whoever performs runs, and return its id.

        Raises:
            RequestError, JournalNewer: the run cannot be forked there.
        """
        runtime, world = self.runtime, self.runtime.stage.holds.world
        run_id = world.ids.run_id()
        facts = fork(self.facts, self.at, source=self.source, run_id=run_id, now_us=world.clock.now_us(), code=self.code)
        facts[0] = _bounded(facts[0], await runtime.budgets.scopes(runtime.tenant, None))
        source = await read_budget(runtime.journal, runtime.tenant, run_scope(self.source))
        await begin_budget(runtime.journal, runtime.tenant, run_id, source.limit)
        await runtime.journal.create(runtime.tenant, run_id, facts)
        return run_id


async def fork_run(runtime: Runtime, run_id: RunId, at: int | None = None, *, agent: AgentDeclaration[Any, Any] | None = None) -> ForkPlan:
    """Look at a fork of the run behind event `at`, without it behind the last good one: before the failure or cancel that ended it.

    With `agent` the fork pins that agent's code as it is now; else what the run pinned.

    Raises:
        NotFound: no such run.
        RequestError, JournalNewer: it cannot be forked there.
    """
    facts = [fact async for fact in load_facts(runtime.journal, runtime.tenant, run_id)]
    at = at if at is not None else last_good(facts)
    code = Code(agent.spec.version, agent.digests) if agent is not None else None
    fork(facts, at, source=run_id, run_id=run_id, now_us=0)  # refused now, not once somebody has decided
    return ForkPlan(runtime, run_id, at, facts, await _with_children(runtime, facts, at), code)


def _bounded(first: Fact, shared: Sequence[str]) -> Fact:
    """Have the fork spend from these budgets too: there may have been none when its source began."""
    if not isinstance(first.event, RunCreated) or not shared:
        return first
    return replace(first, event=replace(first.event, budgets=tuple(dict.fromkeys((*shared, *(first.event.budgets or ()))))))


async def _with_children(runtime: Runtime, facts: Sequence[Fact], at: int) -> list[RepeatedEffect]:
    """Put the effects of each child run that the fork begins anew behind it; a child that was deleted has none left to tell."""
    effects: list[RepeatedEffect] = []
    children = {fact.event.step: fact.event.child for fact in facts if isinstance(fact.event, ChildStarted)}
    for effect in repeated_effects(facts, at):
        effects.append(effect)
        if effect.effect == "child":
            effects += [
                replace(inner, step=StepId(f"{effect.step}/{inner.step}")) for inner in await _effects_of(runtime, children[effect.step])
            ]
    return effects


async def _effects_of(runtime: Runtime, child: RunId) -> list[RepeatedEffect]:
    try:
        facts = [fact async for fact in load_facts(runtime.journal, runtime.tenant, child)]
    except NotFound:
        return []
    return await _with_children(runtime, facts, 0)
