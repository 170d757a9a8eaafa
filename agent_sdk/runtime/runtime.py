"""The runtime: one journal, the agents of an App, and the runs that this process performs."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.codec import to_json
from agent_sdk.core.errors import AgentSDKError, JournalCorrupt, PlanRefused, RequestError, StorageError
from agent_sdk.core.events import Decision, Fact, PlanAccepted, RunClaimed, RunCreated, RunReleased
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, PrincipalId, RunId, StepId, TenantId
from agent_sdk.core.messages import Message, parse_goal, user_message
from agent_sdk.core.plan import Plan, plan_to_json
from agent_sdk.core.ports import Batch, Claim, Clock, Ids, InboxDraft, Journal, Random, RunFilter, RunRow
from agent_sdk.core.run import ENDS, Run
from agent_sdk.core.strict_json import require_storable
from agent_sdk.core.tools import output_misfit
from agent_sdk.execution import Executor, Parts, load_run, shape_of
from agent_sdk.observability import Follower, HookSink, TokenChannel, bind
from agent_sdk.runtime.app import App
from agent_sdk.runtime.compose import Models, asks_model, bind_tools, make_checker, make_planner, require_model, with_limits
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.handle import RunHandle
from agent_sdk.runtime.performance import Performance
from agent_sdk.runtime.system import SystemClock, SystemIds, SystemRandom
from agent_sdk.storage import open_journal, verify_chain
from agent_sdk.tools import ThreadPool

if TYPE_CHECKING:  # the settings' models load with the first settings
    from agent_sdk.config import LoadedSettings

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")
_LOG = logging.getLogger("agent_sdk.runtime")

Builder = Callable[[Run, Claim, object], Executor]
LEASE_S = 30.0
GRACE_S = 5.0
CATCH_UP_RUNS = 200


@dataclass(frozen=True, slots=True)
class World:
    """Time, names and chance; tests bring their own."""

    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=SystemIds)
    random: Random = field(default_factory=SystemRandom)


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What one run may have of its own. `timeout_s` counts from its creation, waits included; None takes the agent's limit."""

    tags: Sequence[str] = ()
    principal: PrincipalId | None = None
    timeout_s: float | None = None
    plan_only: bool = False


DEFAULTS = StartOptions()


@dataclass(frozen=True, slots=True)
class Holds:
    """What a runtime opens and closes."""

    journal: Journal
    world: World
    models: Models
    follower: Follower
    tasks: asyncio.TaskGroup
    pool: ThreadPool


class Runtime:
    """Starts, resumes and looks up runs. Made by `Runtime.open`."""

    def __init__(self, app: App, tenant: TenantId, holds: Holds) -> None:
        self.app = app
        self.tenant = tenant
        self.journal = holds.journal
        self._world = holds.world
        self._models = holds.models
        self._follower = holds.follower
        self._tasks = holds.tasks
        self._pool = holds.pool
        self._tokens = TokenChannel()
        self._owner = OwnerId(holds.world.ids.run_id().replace("run_", "own_"))
        self._live: dict[RunId, Performance] = {}
        self._agents: WeakKeyDictionary[AgentDeclaration[Any, Any], AgentDeclaration[Any, Any]] = WeakKeyDictionary()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str = "memory://",
        *,
        app: App,
        tenant: str = DEFAULT_TENANT,
        settings: "LoadedSettings | None" = None,
        world: World | None = None,
    ) -> AsyncGenerator["Runtime"]:
        """Open the journal at `url` (`sqlite:///agent.db`, `memory://`) and hand out a runtime.

        When the block is left, runs that are still performed are handed back; they can be resumed by any process that opens the journal.

        Raises:
            ConfigError: the URL or the settings are wrong. StorageError: the journal cannot be opened.
        """
        world = world if world is not None else World()
        raised: BaseException | None = None
        async with AsyncExitStack() as stack:
            journal = await open_journal(url, clock=world.clock)
            stack.push_async_callback(journal.close)
            models = Models(world.clock, world.random, settings)
            stack.push_async_callback(models.close)
            pool = _make_pool(settings)
            stack.callback(pool.close)
            sinks = [*app.sinks, *(HookSink(hook) for hook in app.hooks)]
            follower = await stack.enter_async_context(Follower.open(journal, sinks, clock=world.clock))
            async with asyncio.TaskGroup() as tasks:
                runtime = cls(app, TenantId(tenant), Holds(journal, world, models, follower, tasks, pool))
                upkeep = [tasks.create_task(runtime._deliver_mail()), tasks.create_task(runtime._renew_leases())]
                if sinks:
                    await runtime._catch_up()
                try:
                    yield runtime
                except BaseException as error:  # noqa: BLE001  (raised again outside of the group, which would wrap it)
                    raised = error
                await runtime._shut_down()
                for task in upkeep:
                    task.cancel()
        if raised is not None:
            raise raised

    async def start(self, agent: AgentDeclaration[DepsT, OutputT], goal: str, *, options: StartOptions = DEFAULTS) -> RunHandle[OutputT]:
        """Create a run and begin to perform it in this process.

        Raises:
            RequestError: the goal is empty, too large or no text, a tag is no text, or the agent's plan does not hold; nothing was created.
            ConfigError: the agent names no model, or one that cannot be had.
        """
        require_model(agent)
        agent = self._limited(agent)
        spec = agent.spec
        goal = parse_goal(goal, max_bytes=spec.limits.max_goal_bytes)
        _require_whole(options)
        if options.plan_only and spec.strategy != "plan":
            raise RequestError(
                f"agent {agent.name!r} makes no plan first", hint='only an agent with strategy="plan" can plan and not perform'
            )
        build = self._builder(agent, plan_only=options.plan_only)
        run = Run(self.tenant, self._world.ids.run_id(), spec.limits)
        now = self._world.clock.now_us()
        facts = [Fact(1, 0, now, _created(agent, goal, options, now))]
        if spec.plan is not None:
            facts.append(Fact(2, 0, now, self._accepted(agent, spec.plan, run)))
        await self.journal.create(self.tenant, run.run_id, facts)
        claim = await self.journal.claim(self.tenant, run.run_id, self._owner, lease_s=LEASE_S)
        for fact in facts:
            run.apply(fact)
        return self._perform(run, claim, agent, build)

    async def resume(self, run_id: RunId, *, agent: AgentDeclaration[DepsT, OutputT] | None = None) -> RunHandle[Any]:
        """Take a run that nobody performs and go on with it; without `agent`, with the App's of that name.

        Raises:
            NotFound: no such run, or no such agent. RunEnded: it has ended. RunBusy: somebody performs it.
            JournalCorrupt: one of its events is not what was written, so nothing may be built on it.
            RequestError: its dependencies were live objects of the process that started it.
        """
        if run_id in self._live:
            return self.attach(run_id)
        await self._require_unaltered(run_id)
        claim = await self.journal.claim(self.tenant, run_id, self._owner, lease_s=LEASE_S)
        try:
            run = await load_run(self.journal, self.tenant, run_id, Limits())
            found = self._limited(self._agent_of(run, agent))
            run.limits = found.spec.limits
            build = self._builder(found, plan_only=run.created is not None and run.created.plan_only)
        except BaseException:
            await self._give_back(claim)
            raise
        return self._perform(run, claim, found, build)

    def attach(self, run_id: RunId, *, agent: AgentDeclaration[DepsT, OutputT] | None = None) -> RunHandle[Any]:
        """Return a handle on a run, whoever performs it; nothing is looked up yet."""
        performance = self._live.get(run_id)
        known = agent if agent is not None else performance.agent if performance is not None else None
        return RunHandle(self.journal, self._tokens, self.tenant, run_id, known, performance)

    async def send(self, run_id: RunId, text: str, *, by: PrincipalId | None = None) -> None:
        """Put a message into the run's inbox; the model reads it before its next turn.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
        """
        await self.journal.put(self.tenant, run_id, InboxDraft("message", to_json(Message, user_message(text)), by))

    async def decide(
        self, run_id: RunId, step: StepId, decision: Decision, *, output: JsonValue = None, by: PrincipalId | None = None
    ) -> None:
        """Say what became of an unknown effect: done (with its output), retry, skip or fail. The run goes on when it is resumed.

        Raises:
            NotFound: no such run. RunEnded: it has ended.
            RequestError: the output is none that the step's tool could have given.
        """
        if decision == "done":
            await self._require_possible(run_id, step, output)
        body: dict[str, JsonValue] = {"step": step, "decision": decision, "output": output}
        await self.journal.put(self.tenant, run_id, InboxDraft("decide", body, by))

    async def runs(self, which: RunFilter | None = None) -> list[RunRow]:
        """Return runs, newest first."""
        return await self.journal.rows(self.tenant, which if which is not None else RunFilter())

    def _perform(self, run: Run, claim: Claim, agent: AgentDeclaration[Any, OutputT], build: Builder) -> RunHandle[OutputT]:
        performance = Performance(run, claim, agent, build, self._give_back)
        self._live[run.run_id] = performance
        self._tasks.create_task(self._performed(performance), name=run.run_id)
        return RunHandle(self.journal, self._tokens, self.tenant, run.run_id, agent, performance)

    async def _performed(self, performance: Performance) -> None:
        run_id = performance.run.run_id
        try:
            with bind(tenant=self.tenant, run_id=run_id), self._follower.follow(self.tenant, run_id):
                await performance.perform()
        finally:
            self._live.pop(run_id, None)
            self._tokens.end(run_id)

    def _limited(self, agent: AgentDeclaration[DepsT, OutputT]) -> AgentDeclaration[DepsT, OutputT]:
        """Return the agent with limits, the same one each time, since what a run pins is worked out once an agent."""
        known: AgentDeclaration[DepsT, OutputT] | None = self._agents.get(agent)
        if known is None:
            known = with_limits(agent, self._models)
            if known is not agent:
                self._agents[agent] = known
        return known

    def _builder(self, agent: AgentDeclaration[Any, Any], *, plan_only: bool) -> Builder:
        """Join the agent's parts, so that whatever is missing is said before a run exists."""
        tools = bind_tools(agent, self._pool)
        checker = make_checker(agent, tools, plan_only=plan_only)
        model, name = self._models.model(agent.model) if agent.model is not None and asks_model(agent) else (None, "")

        def build(run: Run, claim: Claim, deps: object) -> Executor:
            planner = make_planner(agent, run, name, checker, plan_only=plan_only, loaded=self._models.settings)
            world = self._world
            parts = Parts(self.journal, agent.spec, name, planner, checker, tools, model, world.clock, world.random, self._tokens, deps)
            return Executor(parts, run, claim)

        return build

    def _accepted(self, agent: AgentDeclaration[Any, Any], plan: Plan, run: Run) -> PlanAccepted:
        """Check the author's plan before the run exists."""
        try:
            require_storable(plan_to_json(plan))
        except ValueError as error:
            raise RequestError(f"the plan cannot be kept: {error}", hint="build it of plain JSON data") from error
        findings = make_checker(agent, bind_tools(agent, self._pool)).plan(plan, run)
        if findings:
            raise PlanRefused(findings)
        return PlanAccepted(plan.digest, shape_of(plan), plan=plan)

    def _agent_of(self, run: Run, agent: AgentDeclaration[Any, Any] | None) -> AgentDeclaration[Any, Any]:
        created = run.created
        if created is None:
            raise RequestError(f"run {run.run_id} has no first event that this version can read")
        found = agent if agent is not None else self.app.agent(created.agent)
        if not created.resumable and found.live_deps is None:
            raise RequestError(
                f"run {run.run_id} was started with live dependencies of another process",
                hint="give the agent a factory, Agent(deps=...), so that any process can make them",
            )
        if isinstance(found.model, str) and created.model is not None and ":" in created.model:
            return found.with_options(model=created.model)
        return found

    async def _require_unaltered(self, run_id: RunId) -> None:
        if (seq := await verify_chain(self.journal, self.tenant, run_id)) is not None:
            raise JournalCorrupt(
                f"event {seq} of run {run_id} was altered or is missing since it was written",
                hint="look at it with `agent-sdk runs events`, and restore the journal from a backup; nothing was performed",
            )

    async def _require_possible(self, run_id: RunId, step: StepId, output: JsonValue) -> None:
        """Refuse an output that the step's tool does not return; where the App does not know the tool, the run's owner refuses it."""
        run = await load_run(self.journal, self.tenant, run_id, Limits())
        state = run.graph.steps.get(step)
        agents = [agent for agent in self.app.agents if run.created is not None and agent.name == run.created.agent]
        for tool in agents[0].spec.tools if agents else ():
            if state is not None and tool.name == state.tool and (misfit := output_misfit(tool, output)) is not None:
                raise RequestError(
                    f"step {step!r} cannot be done with this output: {misfit}", hint="give what the tool would have returned"
                )

    async def _give_back(self, claim: Claim) -> None:
        """Release a claim that comes to nothing; where that fails, the lease runs out by itself."""
        with contextlib.suppress(AgentSDKError):
            now = self._world.clock.now_us()
            facts = [
                Fact(claim.head + 1, claim.epoch, now, RunClaimed(claim.owner)),
                Fact(claim.head + 2, claim.epoch, now, RunReleased("handed_over")),
            ]
            row = await self.journal.row(claim.tenant, claim.run_id)
            await self.journal.append(
                Batch(claim.tenant, claim.run_id, claim.epoch, claim.head, facts, "queued", inbox_seen=row.inbox_seen, releases=True)
            )

    async def _catch_up(self) -> None:
        """Give the sinks what a process that died left behind of the newest runs that have ended."""
        for row in await self.runs(RunFilter(states=ENDS, limit=CATCH_UP_RUNS)):
            with self._follower.follow(self.tenant, row.run_id):
                pass

    async def _deliver_mail(self) -> None:
        """Tell each run that this process performs of what came into its inbox."""
        async for _, run_id in self.journal.mail(self._owner):
            if (performance := self._live.get(run_id)) is not None:
                with _logged(run_id, "could not read its inbox"):
                    await performance.take_mail()

    async def _renew_leases(self) -> None:
        while True:
            await self._world.clock.sleep(LEASE_S / 3)
            for performance in list(self._live.values()):
                with _logged(performance.run.run_id, "could not renew its lease"):
                    await performance.renew(self.journal, LEASE_S)

    async def _shut_down(self) -> None:
        async with asyncio.TaskGroup() as leaving:
            for performance in list(self._live.values()):
                leaving.create_task(performance.suspend(GRACE_S))


@contextlib.contextmanager
def _logged(run_id: RunId, problem: str) -> Generator[None]:
    """Keep one run's trouble from the others; what it means for the run shows in its next append."""
    try:
        yield
    except StorageError as error:
        _LOG.warning("run %s %s: %s", run_id, problem, error)


def _require_whole(options: StartOptions) -> None:
    try:
        require_storable([*options.tags, options.principal])
    except ValueError as error:
        raise RequestError(f"a tag or the principal is not valid text: {error}", hint="decode the input as UTF-8") from error


def _created(agent: AgentDeclaration[Any, Any], goal: str, options: StartOptions, now_us: int) -> RunCreated:
    spec = agent.spec
    timeout_s = options.timeout_s if options.timeout_s is not None else spec.limits.run_timeout_s
    return RunCreated(
        spec.name,
        spec.version,
        agent.digests,
        goal,
        options.principal,
        tuple(options.tags),
        model=spec.model,
        strategy=spec.strategy,
        plan_only=options.plan_only,
        deadline_at=None if timeout_s is None else now_us + int(timeout_s * 1_000_000),
        resumable=agent.live_deps is None,
    )


def _make_pool(settings: "LoadedSettings | None") -> ThreadPool:
    if settings is None:
        return ThreadPool()
    threads = settings.settings.threads
    return ThreadPool(threads.size, max_abandoned=threads.max_abandoned)
