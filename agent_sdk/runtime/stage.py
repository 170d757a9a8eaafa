"""Performs claimed runs in this process, side by side: what a runtime starts, what a worker takes, and what wakes while it is open."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Generator
from dataclasses import field, replace
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import AgentSDKError, InboxPending, JournalCorrupt, LimitError, NotFound, RequestError, RunExists, StorageError
from agent_sdk.core.events import Event, Fact, RunClaimed, RunReleased, RunWaiting, WaitReason
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import OwnerId, RunId, StepId
from agent_sdk.core.messages import parse_goal
from agent_sdk.core.ports import Batch, Claim, Clock, Dispatcher, Ids, Journal, Random, Ticket
from agent_sdk.core.run import Run
from agent_sdk.execution import Executor, Lease, Parts, load_claimed
from agent_sdk.observability import Follower, TokenRelay, bind
from agent_sdk.runtime.app import App
from agent_sdk.runtime.budgets import begin_budget
from agent_sdk.runtime.compose import Asking, Pools, bind_tools, make_checker, make_planner, with_settings
from agent_sdk.runtime.creation import created_child, make
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import RunInfo
from agent_sdk.runtime.guards import guards_of
from agent_sdk.runtime.keeper import LeaseKeeper, RunKey
from agent_sdk.runtime.models import Models
from agent_sdk.runtime.performance import Performance
from agent_sdk.runtime.subagent import Subagent
from agent_sdk.runtime.system import SystemClock, SystemIds, SystemRandom

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")
_LOG = logging.getLogger("agent_sdk.runtime")

Builder = Callable[[Run, Lease, object], Executor]
LEASE_S = 30.0
GRACE_S = 5.0
RETRY_S = 30.0
"""How long a run waits that could not be begun here, for want of what it depends on."""
MAIL_PAUSE_S = 1.0


@frozen
class World:
    """Time, names and chance; tests bring their own."""

    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=SystemIds)
    random: Random = field(default_factory=SystemRandom)


@frozen
class Holds:
    """What a stage performs with; whoever made it opens and closes these."""

    app: App
    journal: Journal
    dispatcher: Dispatcher
    world: World
    models: Models
    follower: Follower
    relay: TokenRelay
    tasks: asyncio.TaskGroup
    pools: Pools
    lease_s: float = LEASE_S


class Stage:
    """The runs that this process performs, by tenant and id."""

    def __init__(self, holds: Holds) -> None:
        self.holds = holds
        self.owner = OwnerId(holds.world.ids.run_id().replace("run_", "own_"))
        self.live: dict[RunKey, Performance] = {}
        self.on_over: Callable[[Performance], None] = _ignore
        self.on_child: Callable[[RunKey, AgentDeclaration[Any, Any]], None] = _ignore
        self.keeper = LeaseKeeper(holds.journal, holds.world.clock, holds.lease_s, self._lost)
        self._agents: WeakKeyDictionary[AgentDeclaration[Any, Any], AgentDeclaration[Any, Any]] = WeakKeyDictionary()

    def lease(self, claim: Claim, asked_at: float) -> Lease:
        """Return the lease of a claim that was asked for at `asked_at`, on the monotonic clock."""
        return Lease(claim, self.holds.lease_s, asked_at + self.holds.lease_s)

    async def claim(self, key: RunKey) -> Lease:
        """Take a run's lease.

        Raises:
            NotFound, RunEnded, RunBusy: it cannot be had.
        """
        asked_at = self.holds.world.clock.monotonic()
        return self.lease(await self.holds.journal.claim(*key, self.owner, lease_s=self.holds.lease_s), asked_at)

    async def take_up(self, lease: Lease, agent: AgentDeclaration[Any, Any] | None = None) -> Performance:
        """Load a claimed run and begin to perform it.

        Raises:
            AgentSDKError: it cannot be performed here, and was given back.
        """
        claim = lease.claim
        try:
            run = await load_claimed(self.holds.journal, claim, Limits())
            found = self.completed(self._agent_of(run, agent))
            run.limits = found.spec.limits
            build = self.builder(found, plan_only=run.created is not None and run.created.plan_only)
        except BaseException as error:
            await self.give_back(claim, error)
            raise
        return self.perform(run, lease, found, build)

    async def take_up_claim(self, claim: Claim, agent: AgentDeclaration[Any, Any] | None = None) -> Performance:
        """Take up a run that a dispatcher handed over just now, as `take_up` does."""
        return await self.take_up(self.lease(claim, self.holds.world.clock.monotonic()), agent)

    def perform(self, run: Run, lease: Lease, agent: AgentDeclaration[Any, Any], build: Builder) -> Performance:
        """Begin to perform a loaded run."""
        performance = Performance(run, lease, agent, build, partial(self.give_back, lease.claim, None))
        self.live[run.tenant, run.run_id] = performance
        self.keeper.hold(lease)
        self.holds.tasks.create_task(self._performed(performance), name=run.run_id)
        return performance

    async def _performed(self, performance: Performance) -> None:
        run = performance.run
        key = run.tenant, run.run_id
        try:
            with bind(tenant=run.tenant, run_id=run.run_id), self.holds.follower.follow(*key):
                await performance.perform()
        finally:
            if self.live.get(key) is performance:  # a lease that ran out may have been taken anew here
                self.keeper.drop(key)
                del self.live[key]
                self.holds.relay.of(run.tenant).end(run.run_id)
            try:
                self.on_over(performance)
            finally:
                performance.end()

    def completed(self, agent: AgentDeclaration[DepsT, OutputT]) -> AgentDeclaration[DepsT, OutputT]:
        """Return the agent with what the settings add, the same one each time, since what a run pins is worked out once an agent."""
        known: AgentDeclaration[DepsT, OutputT] | None = self._agents.get(agent)
        if known is None:
            known = with_settings(agent, self.holds.models)
            if known is not agent:
                self._agents[agent] = known
        return known

    def builder(self, agent: AgentDeclaration[Any, Any], *, plan_only: bool) -> Builder:
        """Join the agent's parts, so that whatever is missing is said before a run exists."""
        holds = self.holds
        tools = bind_tools(agent, holds.pools)
        checker = make_checker(agent, tools, plan_only=plan_only)
        asking = Asking.of(agent, holds.models)
        guards = guards_of(agent, holds.pools.threads)
        begin_child = partial(self._begin_child, agent)

        def build(run: Run, lease: Lease, deps: object) -> Executor:
            planner = make_planner(agent, run, asking, checker, plan_only=plan_only)
            parts = Parts(
                holds.journal,
                agent.spec,
                asking.name,
                planner,
                checker,
                tools,
                asking.model,
                holds.world.clock,
                holds.world.random,
                holds.relay.of(run.tenant),
                deps,
                begin_child,
                asking.meter,
                guards,
                asking.for_run(run),
            )
            return Executor(parts, run, lease)

        return build

    async def give_back(self, claim: Claim, error: BaseException | None) -> None:
        """Release a claim that comes to nothing, so that nobody tries again at once; where that fails, the lease runs out by itself.

        A run that waited goes on waiting for the same; one whose journal does not hold waits until somebody has looked at it.
        """
        journal, now = self.holds.journal, self.holds.world.clock.now_us()
        with contextlib.suppress(AgentSDKError):
            row = await journal.row(claim.tenant, claim.run_id)
            reason: WaitReason = "crash_loop" if isinstance(error, JournalCorrupt) else row.reason or "timer"
            wake_at = row.wake_at if row.reason is not None else now
            wake_at = None if wake_at is None or reason == "crash_loop" else max(wake_at, now + int(RETRY_S * 1e6))
            events: list[Event] = [RunClaimed(claim.owner), RunWaiting(reason, wake_at=wake_at), RunReleased("waiting")]
            facts = [Fact(claim.head + place, claim.epoch, now, event) for place, event in enumerate(events, 1)]
            fence = claim.tenant, claim.run_id, claim.epoch, claim.head
            batch = Batch(*fence, facts, "waiting", reason, wake_at, row.inbox_seen, releases=True)
            try:
                await journal.append(batch)
            except InboxPending:  # what was sent to it must not wait for ever, so the rest of the lease is the pause; no owner was lost
                await journal.append(replace(batch, releases=False))

    async def deliver_mail(self) -> None:
        """Tell each run that this process performs of what came into its inbox; a journal that cannot be asked is asked again later."""
        while True:
            try:
                async for key in self.holds.journal.mail(self.owner):
                    if (performance := self.live.get(key)) is not None:
                        with _logged(key[1], "could not read its inbox"):
                            await performance.take_mail()
            except StorageError as error:
                _LOG.warning("cannot see what was sent to runs: %s", error)
            await self.holds.world.clock.sleep(MAIL_PAUSE_S)

    async def shut_down(self, grace_s: float = GRACE_S) -> None:
        """Hand back all that is performed; effects under way have `grace_s` seconds to end."""
        async with asyncio.TaskGroup() as leaving:
            for performance in list(self.live.values()):
                leaving.create_task(performance.suspend(grace_s))

    def _lost(self, key: RunKey) -> None:
        if (performance := self.live.get(key)) is not None:
            self.holds.tasks.create_task(self._look(key, performance))

    async def _look(self, key: RunKey, performance: Performance) -> None:
        """Let go of a run that another owner took; a lease that stands no more may just as well have been given up here."""
        with _logged(key[1], "could not be looked up"):
            if (await self.holds.journal.row(*key)).epoch != performance.lease.claim.epoch:
                _LOG.warning("run %s was taken over by another owner", key[1])
                performance.let_go()

    def _agent_of(self, run: Run, agent: AgentDeclaration[Any, Any] | None) -> AgentDeclaration[Any, Any]:
        created = run.created
        if created is None:
            raise RequestError(f"run {run.run_id} has no first event that this version can read")
        found = agent if agent is not None else self.holds.app.agent(created.agent)
        if not created.resumable and found.live_deps is None:
            raise RequestError(
                f"run {run.run_id} was started with live dependencies of another process",
                hint="give the agent a factory, Agent(deps=...), so that any process can make them",
            )
        is_named = created.model is not None and ":" in created.model and not created.model.startswith("object:")
        if is_named and (found.model is None or isinstance(found.model, str)):
            return found.with_options(model=created.model)
        return found

    async def _begin_child(self, agent: AgentDeclaration[Any, Any], parent: Run, step: StepId, child: RunId) -> None:
        """Make the child run, if it is not there yet, and offer it to whoever performs runs."""
        tool = next((tool for tool in agent.tools if isinstance(tool, Subagent) and tool.spec.name == parent.graph.steps[step].tool), None)
        if tool is None:
            raise NotFound(f"agent {agent.name!r} has no subagent for step {step!r}")
        if parent.created is not None and parent.created.depth >= parent.limits.max_depth:
            raise LimitError(
                f"child runs stand {parent.created.depth} deep already", hint="raise Limits.max_depth, or let fewer agents nest"
            )
        found, world = self.completed(tool.agent), self.holds.world
        pending = parent.graph.parked[step]
        goal = parse_goal(pending.text or "", max_bytes=found.spec.limits.max_goal_bytes)
        info = RunInfo(parent.tenant, child, found.name, parent.created.principal if parent.created is not None else None)
        made = await make(found, info, parent.purse.scopes, found.budget)
        event = created_child(found, goal, parent, world.clock.now_us(), made)
        await begin_budget(self.holds.journal, parent.tenant, child, found.budget)
        with contextlib.suppress(RunExists):
            await self.holds.journal.create(parent.tenant, child, [Fact(1, 0, world.clock.now_us(), event)])
        self.on_child((parent.tenant, child), tool.agent)
        await self.holds.dispatcher.offer(Ticket(parent.tenant, child, event.agent, event.agent_version, event.queue, event.priority))


def _ignore(*_what: object) -> None:
    pass


@contextlib.contextmanager
def _logged(run_id: RunId, problem: str) -> Generator[None]:
    """Keep one run's trouble from the others; what it means for the run shows in its next append."""
    try:
        yield
    except StorageError as error:
        _LOG.warning("run %s %s: %s", run_id, problem, error)
