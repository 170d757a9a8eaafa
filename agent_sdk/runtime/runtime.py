"""The runtime: one journal, the agents of an App, and the runs that this process performs."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from agent_sdk.core.budget import Budget
from agent_sdk.core.errors import PlanRefused, QueueUnreachable, RequestError, RunBusy
from agent_sdk.core.events import Event, Fact, PlanAccepted
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import DEFAULT_TENANT, RunId, TenantId
from agent_sdk.core.messages import parse_goal
from agent_sdk.core.plan import Plan, plan_to_json
from agent_sdk.core.ports import Dispatcher, Journal, RunFilter, RunRow, SessionMove, Ticket, TokenLine
from agent_sdk.core.run import ENDS, Run
from agent_sdk.core.strict_json import require_storable
from agent_sdk.dispatch import JournalDispatcher, open_dispatcher, open_token_line
from agent_sdk.execution import shape_of
from agent_sdk.observability import Follower, HookSink, TokenRelay
from agent_sdk.runtime.app import App
from agent_sdk.runtime.budgets import BudgetBook, begin_budget
from agent_sdk.runtime.compose import Pools, bind_tools, make_checker, needs_settings, require_model
from agent_sdk.runtime.creation import DEFAULTS, StartOptions, budget_of, create, created, make, require_whole, session_move
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.functions import RunInfo
from agent_sdk.runtime.handle import Desk, RunHandle
from agent_sdk.runtime.mailing import Mailing
from agent_sdk.runtime.minder import Minder
from agent_sdk.runtime.models import Models
from agent_sdk.runtime.performance import Performance
from agent_sdk.runtime.stage import LEASE_S, Builder, Holds, Stage, World
from agent_sdk.storage import open_journal
from agent_sdk.tools import ProcessPool, ThreadPool, refuse_second_main

if TYPE_CHECKING:  # the settings' models load with the first settings
    from agent_sdk.config import LoadedSettings

DepsT = TypeVar("DepsT")
OutputT = TypeVar("OutputT")

_LOG = logging.getLogger("agent_sdk.runtime")

CATCH_UP_RUNS = 200


@frozen
class _Drafted:
    """A run that can be created: all that could be found wrong with it was looked for."""

    agent: AgentDeclaration[Any, Any]
    build: Builder
    run: Run
    facts: list[Fact]
    move: SessionMove | None
    budget: Budget | None


class Runtime(Mailing):
    """Starts, resumes and looks up runs. Made by `Runtime.open`."""

    def __init__(self, stage: Stage, tenant: TenantId) -> None:
        holds = stage.holds
        super().__init__(holds.app, tenant, holds.journal, holds.dispatcher, BudgetBook(holds.journal, holds.world.clock))
        self.stage = stage
        self._world = holds.world
        self._minder = Minder(stage, JournalDispatcher(holds.journal, holds.world.clock, holds.world.random))
        self._desk = Desk(self, holds.relay.of(tenant), stage.live)
        self._is_closing = False
        stage.on_over = self._over
        stage.on_child = self._minder.mind

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913  (each is a keyword that users write)
        cls,
        url: str = "memory://",
        *,
        app: App,
        tenant: str | None = None,
        settings: "LoadedSettings | None" = None,
        world: World | None = None,
        dispatch: str | None = None,
        lease_s: float = LEASE_S,
    ) -> AsyncGenerator["Runtime"]:
        """Open the journal at `url` (`sqlite:///agent.db`, `postgresql://host/db`, `memory://`) and hand out a runtime.

        Workers hear of new runs from the journal itself, or where `dispatch` names one, `nats://host:4222`, from a queue. A lost process's
        runs are taken over after `lease_s`, at once where the file system tells of its end. When the block is left, runs that are still
        performed are handed back; they can be resumed by any process that opens the journal. Where no tenant is named, it is the one of the
        settings that are given, else `default`.

        Raises:
            ConfigError: the URL or the settings are wrong. StorageError: the journal cannot be opened.
        """
        refuse_second_main()
        world = world if world is not None else World()
        raised: BaseException | None = None
        async with AsyncExitStack() as stack:
            journal = await open_journal(url, clock=world.clock)
            stack.push_async_callback(journal.close)
            dispatcher, dispatch = await _dispatcher(journal, dispatch if app.agents else None, world)
            stack.push_async_callback(dispatcher.close)
            models = Models(world.clock, world.random, settings)
            stack.push_async_callback(models.close)
            if any(needs_settings(agent) for agent in app.known):
                await models.share(url)
            pools = _make_pools(settings)
            stack.callback(pools.close)
            sinks = [*app.sinks, *(HookSink(hook) for hook in app.hooks)]
            follower = await stack.enter_async_context(Follower.open(journal, sinks, clock=world.clock))
            relay = TokenRelay(await _token_line(stack, url, dispatch, app, world))
            async with asyncio.TaskGroup() as tasks:
                stage = Stage(Holds(app, journal, dispatcher, world, models, follower, relay, tasks, pools, lease_s))
                stack.callback(stage.keeper.close)
                runtime = cls(stage, _tenant(tenant, settings))
                upkeep = [tasks.create_task(stage.deliver_mail()), tasks.create_task(runtime._minder.run())]
                if sinks:
                    await runtime._catch_up()
                try:
                    yield runtime
                except BaseException as error:  # noqa: BLE001  (raised again outside of the group, which would wrap it)
                    raised = error
                runtime._is_closing = True
                await stage.shut_down()
                for task in upkeep:
                    task.cancel()
        if raised is not None:
            raise raised

    async def start(self, agent: AgentDeclaration[DepsT, OutputT], goal: str, *, options: StartOptions = DEFAULTS) -> RunHandle[OutputT]:
        """Create a run and begin to perform it in this process; behind an earlier run of its session, when that has ended.

        Raises:
            RequestError: the goal is empty, too large or no text, a tag is no text, or the agent's plan does not hold; nothing was created.
            RunBusy: its session's earlier run has not ended, and the options say not to queue.
            ConfigError: the agent names no model, or one that cannot be had.
        """
        drafted = await self._draft(agent, goal, options)
        run = drafted.run
        await begin_budget(self.journal, self.tenant, run.run_id, drafted.budget)
        await create(self.journal, self.tenant, run.run_id, drafted.facts, drafted.move)
        key = self.tenant, run.run_id
        try:
            lease = await self.stage.claim(key)
        except RunBusy:  # it stands behind another run, or a worker was quicker
            self._minder.mind(key, drafted.agent)
            return RunHandle(self._desk, run.run_id, drafted.agent, None)
        if drafted.move is not None:
            return RunHandle(self._desk, run.run_id, drafted.agent, await self.stage.take_up(lease, drafted.agent))
        for fact in drafted.facts:
            run.apply(fact)
        return RunHandle(self._desk, run.run_id, drafted.agent, self.stage.perform(run, lease, drafted.agent, drafted.build))

    async def enqueue(self, agent: AgentDeclaration[DepsT, OutputT], goal: str, *, options: StartOptions = DEFAULTS) -> RunHandle[OutputT]:
        """Create a run and leave it to the workers; the same errors as `start`."""
        drafted = await self._draft(agent, goal, options)
        run_id = drafted.run.run_id
        await begin_budget(self.journal, self.tenant, run_id, drafted.budget)
        await create(self.journal, self.tenant, run_id, drafted.facts, drafted.move)
        await self.dispatcher.offer(
            Ticket(self.tenant, run_id, drafted.agent.name, drafted.agent.spec.version, options.queue, options.priority)
        )
        return RunHandle(self._desk, run_id, drafted.agent, None)

    async def resume(self, run_id: RunId, *, agent: AgentDeclaration[DepsT, OutputT] | None = None) -> RunHandle[Any]:
        """Take a run that nobody performs and go on with it; without `agent`, with the App's of that name.

        Raises:
            NotFound: no such run, or no such agent. RunEnded: it has ended. RunBusy: somebody performs it.
            JournalCorrupt: one of its events is not what was written, so nothing may be built on it.
            RequestError: its dependencies were live objects of the process that started it.
        """
        key = self.tenant, run_id
        if key in self.stage.live:
            return self.attach(run_id)
        performance = await self.stage.take_up(await self.stage.claim(key), agent)
        return RunHandle(self._desk, run_id, performance.agent, performance)

    def attach(self, run_id: RunId, *, agent: AgentDeclaration[DepsT, OutputT] | None = None) -> RunHandle[Any]:
        """Return a handle on a run, whoever performs it; nothing is looked up yet."""
        performance = self.stage.live.get((self.tenant, run_id))
        known = agent if agent is not None else performance.agent if performance is not None else None
        return RunHandle(self._desk, run_id, known, performance)

    async def runs(self, which: RunFilter | None = None) -> list[RunRow]:
        """Return runs, newest first."""
        return await self.journal.rows(self.tenant, which if which is not None else RunFilter())

    async def _draft(self, agent: AgentDeclaration[Any, Any], goal: str, options: StartOptions) -> _Drafted:
        """Look for all that is wrong with a run before it exists."""
        agent = self.stage.completed(agent)
        require_model(agent)
        spec = agent.spec
        goal = parse_goal(goal, max_bytes=spec.limits.max_goal_bytes)
        require_whole(options)
        if options.plan_only and spec.strategy != "plan":
            raise RequestError(
                f"agent {agent.name!r} makes no plan first", hint='only an agent with strategy="plan" can plan and not perform'
            )
        build = self.stage.builder(agent, plan_only=options.plan_only)
        run = Run(self.tenant, self._world.ids.run_id(), spec.limits)
        move = await session_move(self.journal, self.tenant, options) if options.session is not None else None
        now = self._world.clock.now_us()
        budget = budget_of(agent, options, self.stage.holds.models.budget(agent.model))
        shared = await self.budgets.scopes(self.tenant, options.session)
        made = await make(agent, RunInfo(self.tenant, run.run_id, agent.name, options.principal), shared, budget)
        events: list[Event] = [created(agent, goal, options, now, move.expected if move is not None else None, made)]
        if spec.plan is not None:
            events.append(self._accepted(agent, spec.plan, run))
        return _Drafted(agent, build, run, [Fact(seq, 0, now, event) for seq, event in enumerate(events, 1)], move, budget)

    def _accepted(self, agent: AgentDeclaration[Any, Any], plan: Plan, run: Run) -> PlanAccepted:
        """Check the author's plan before the run exists."""
        try:
            require_storable(plan_to_json(plan))
        except ValueError as error:
            raise RequestError(f"the plan cannot be kept: {error}", hint="build it of plain JSON data") from error
        findings = make_checker(agent, bind_tools(agent, self.stage.holds.pools)).plan(plan, run)
        if findings:
            raise PlanRefused(findings)
        return PlanAccepted(plan.digest, shape_of(plan), plan=plan)

    def _over(self, performance: Performance) -> None:
        """Mind a run that waits, or that stopped on the way, unless a worker's loop does that for all."""
        if performance.outcome in {"waiting", None} and not self._is_closing:
            self._minder.mind((performance.run.tenant, performance.run.run_id), performance.agent)

    async def _catch_up(self) -> None:
        """Give the sinks what a process that died left behind of the newest runs that have ended."""
        for row in await self.runs(RunFilter(states=ENDS, limit=CATCH_UP_RUNS)):
            with self.stage.holds.follower.follow(self.tenant, row.run_id):
                pass


def _tenant(named: str | None, settings: "LoadedSettings | None") -> TenantId:
    if named is None:
        named = settings.settings.tenant if settings is not None else DEFAULT_TENANT
    return TenantId(named)


async def _dispatcher(journal: Journal, url: str | None, world: World) -> tuple[Dispatcher, str | None]:
    """Open the queue at `url`, and say where it is; where none can be used, the journal hands out runs by itself, if more slowly."""
    try:
        return await open_dispatcher(url, journal, clock=world.clock, random=world.random), url
    except QueueUnreachable as error:
        _LOG.warning("runs are handed out by the journal alone until this process is started anew: %s", error)
        return JournalDispatcher(journal, world.clock, world.random), None


async def _token_line(stack: AsyncExitStack, url: str, dispatch: str | None, app: App, world: World) -> TokenLine | None:
    """Open what carries tokens between processes: NATS where it hands out runs, else Postgres; nothing for who only looks."""
    line = dispatch if dispatch is not None else url if url.startswith(("postgres:", "postgresql:")) else None
    return await stack.enter_async_context(open_token_line(line, clock=world.clock)) if line is not None and app.agents else None


def _make_pools(settings: "LoadedSettings | None") -> Pools:
    if settings is None:
        return Pools(ThreadPool(), ProcessPool())
    threads = settings.settings.threads
    return Pools(ThreadPool(threads.size, max_abandoned=threads.max_abandoned), ProcessPool())
