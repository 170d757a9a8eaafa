"""A run in a world of its own, in virtual time."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent_sdk.core.agent import AgentSpec, ContextPolicy, Limits
from agent_sdk.core.budget import Meter, NoMeter
from agent_sdk.core.codec import to_json
from agent_sdk.core.errors import RunExists
from agent_sdk.core.events import Fact, RunCreated
from agent_sdk.core.ids import OwnerId, PrincipalId, RunId, StepId
from agent_sdk.core.messages import Message, ToolResultPart, user_message
from agent_sdk.core.plan import Plan, Strategy
from agent_sdk.core.ports import Guards, InboxDraft, ItemKind, Model, Planner
from agent_sdk.core.run import Run
from agent_sdk.core.tools import Effect
from agent_sdk.execution import Executor, Lease, Outcome, Parts, load_facts, load_run
from agent_sdk.planning import AnswerType, FixedPlanner, LoopPlanner, PlanChecker, WholePlanner
from agent_sdk.testing import ScriptedModel, ScriptItem, SeededRandom, VirtualClock
from tests.unit.execution.fakes import LEASE_S, RUN, TENANT, CountingJournal, FakeTool, Tokens, hang, plan, step, told


@dataclass
class World:
    """One run: `begin` creates and claims it, `again` claims it anew for a second process, `drive` performs it in this one.

    Its children are made in the same journal, and `children` tells how often each was asked for; `before_child` may raise.

    For `kept_s` seconds more than a lease a keeper has renewed it already.
    """

    tools: Sequence[FakeTool] = ()
    script: Iterable[ScriptItem] = ()
    plan: Plan | None = None
    strategy: Strategy = "loop"
    limits: Limits = field(default_factory=Limits)
    model: Model | None = None
    planner: Planner | None = None
    answers: AnswerType = field(default_factory=AnswerType)
    output_schema: Mapping[str, JsonValue] | None = None
    deadline_s: float | None = None
    compensate: bool = False
    parent: RunId | None = None
    pins: bool = False
    instructions: str = ""
    context: ContextPolicy = field(default_factory=ContextPolicy)
    window: int | None = None
    budgets: tuple[str, ...] = ()
    meter: Meter = field(default_factory=NoMeter)
    guards: Guards | None = None
    children: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    before_child: Callable[[], None] = lambda: None
    journal: CountingJournal = field(default_factory=CountingJournal)
    clock: VirtualClock = field(default_factory=VirtualClock)
    tokens: Tokens = field(default_factory=Tokens)
    random: SeededRandom = field(default_factory=SeededRandom)
    run: Run = field(init=False)
    parts: Parts = field(init=False)
    executor: Executor = field(init=False)
    lease: Lease = field(init=False)
    owners: int = 0
    kept_s: float = 0.0

    def __post_init__(self) -> None:
        if self.model is None:
            self.model = ScriptedModel(self.script, clock=self.clock)

    @property
    def spec(self) -> AgentSpec:
        return AgentSpec(
            "agent",
            model="m",
            instructions=self.instructions,
            strategy="fixed" if self.plan is not None else self.strategy,
            tools=tuple(tool.spec for tool in self.tools),
            output_schema=self.output_schema,
            plan=self.plan,
            limits=self.limits,
            compensate=self.compensate,
            context=self.context,
        )

    async def begin(self) -> Executor:
        deadline_at = None if self.deadline_s is None else self.clock.now_us() + int(self.deadline_s * 1_000_000)
        created = RunCreated(
            "agent",
            "1",
            self.spec.digests() if self.pins else {},
            "the goal",
            parent=self.parent,
            strategy=self.spec.strategy,
            deadline_at=deadline_at,
            compensate=self.compensate,
            budgets=self.budgets or None,
        )
        await self.journal.create(TENANT, RUN, [Fact(1, 0, self.clock.now_us(), created)])
        return await self.again()

    async def again(self) -> Executor:
        """Claim the run for another owner, as a process does that comes after a crash, and fold it anew."""
        if (await self.journal.row(TENANT, RUN)).owner is not None:
            self.clock.advance(LEASE_S + 1)
        self.owners += 1
        claim = await self.journal.claim(TENANT, RUN, OwnerId(f"owner-{self.owners}"), lease_s=LEASE_S)
        self.lease = Lease(claim, LEASE_S, self.clock.monotonic() + LEASE_S + self.kept_s)
        self.run = await self.folded()
        spec, tools = self.spec, {tool.name: tool for tool in self.tools}
        self.parts = Parts(
            self.journal,
            spec,
            "m",
            self.planner or self._planner(spec),
            PlanChecker(spec, tools, self.answers),
            tools,
            self.model,
            self.clock,
            self.random,
            self.tokens,
            deps="the deps",
            begin_child=self._begin_child,
            meter=self.meter,
            guards=self.guards,
        )
        self.executor = Executor(self.parts, self.run, self.lease)
        return self.executor

    async def _begin_child(self, parent: Run, step: StepId, child: RunId) -> None:
        self.children.append((step, child))
        self.before_child()
        created = RunCreated("child", "1", {}, parent.graph.parked[step].text, parent=parent.run_id)
        with contextlib.suppress(RunExists):
            await self.journal.create(TENANT, child, [Fact(1, 0, self.clock.now_us(), created)])

    def _planner(self, spec: AgentSpec) -> Planner:
        if spec.plan is not None:
            return FixedPlanner(spec.plan)
        return WholePlanner(spec, "m") if self.strategy == "plan" else LoopPlanner(spec, "m", window=self.window)

    async def drive(self) -> Outcome:
        """Begin the run and perform it."""
        await self.begin()
        return await self.executor.drive()

    async def resume(self) -> Outcome:
        """Perform the run as another owner does."""
        await self.again()
        return await self.executor.drive()

    async def put(self, kind: ItemKind, body: JsonValue = None) -> int:
        """Put an item into the inbox and let the executor know, as the runtime does."""
        number = await self.slip(kind, body)
        await self.executor.take_mail()
        return number

    async def slip(self, kind: ItemKind, body: JsonValue = None) -> int:
        """Put an item into the inbox and tell nobody."""
        body = to_json(Message, user_message(str(body))) if kind == "message" else body
        return await self.journal.put(TENANT, RUN, InboxDraft(kind, body, PrincipalId("ann")))

    @property
    def asked(self) -> list[str]:
        """The questions that were put to the scripted model, each as one text."""
        assert isinstance(self.model, ScriptedModel)
        return ["\n".join(message.text for message in request.conversation) for request in self.model.requests]

    @property
    def results(self) -> list[ToolResultPart]:
        """What the model was told of its calls."""
        return [part for message in self.run.conversation for part in message.parts if isinstance(part, ToolResultPart)]

    async def since_the_wait(self) -> list[str]:
        """Return what happened since the run was first given up, but for the next owner's claim."""
        story = await self.story()
        return story[story.index("run.released waiting") + 2 :]

    async def facts(self) -> list[Fact]:
        return [fact async for fact in load_facts(self.journal, TENANT, RUN)]

    async def story(self) -> list[str]:
        """Return the journal, one short line a fact."""
        return [told(fact) for fact in await self.facts()]

    async def folded(self) -> Run:
        """Return the run as its journal describes it."""
        return await load_run(self.journal, TENANT, RUN, self.limits)

    async def state(self) -> str:
        """Return what the run's row says, checked against the fold of its journal."""
        row = await self.journal.row(TENANT, RUN)
        run = await self.folded()
        assert (row.state, row.reason, row.head) == (run.state, run.reason, run.head)
        return row.state if row.reason is None else f"{row.state}: {row.reason}"


def no_stray_tasks() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


def hanging(effect: Effect = "once") -> World:
    """Return a run with one step that never ends."""
    return World([FakeTool("hang", hang, effect)], plan=plan(step("a", "hang")), limits=Limits(step_timeout_s=1e6))


async def at(world: World, delay_s: float, act: Callable[[], Coroutine[object, object, object]]) -> str:
    """Drive the run, and do something to it at a moment."""

    async def later() -> None:
        await asyncio.sleep(delay_s)
        await act()

    async with asyncio.TaskGroup() as tasks:
        driving = tasks.create_task(world.drive())
        tasks.create_task(later())
    assert no_stray_tasks()
    return driving.result()
