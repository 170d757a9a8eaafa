"""A run in a world of its own: virtual time, tools made of functions, and a journal that keeps count of its appends and fails on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable

from pydantic import JsonValue

from agent_sdk.core.agent import AgentSpec, Limits
from agent_sdk.core.codec import to_json
from agent_sdk.core.events import Event, Fact, RunCreated
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, RunId, StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.messages import Message, user_message
from agent_sdk.core.plan import ModelStep, OnError, Plan, Strategy, ToolStep, When
from agent_sdk.core.ports import Batch, InboxDraft, Model, Planner, TokenDelta, Verdict
from agent_sdk.core.run import Run
from agent_sdk.core.tools import Effect, ToolContext, ToolSpec
from agent_sdk.execution import Executor, Outcome, Parts, load_facts, load_run
from agent_sdk.planning import AnswerType, FixedPlanner, LoopPlanner, PlanChecker, WholePlanner
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import ScriptedModel, ScriptItem, SeededRandom, VirtualClock

TENANT, RUN = DEFAULT_TENANT, RunId("run")
LEASE_S = 30.0
Args = Mapping[str, JsonValue]
Context = ToolContext[object]
Body = Callable[[Args, Context], JsonValue | Awaitable[JsonValue]]


def step(
    identity: str,
    tool: str,
    args: dict[str, JsonValue] | None = None,
    *,
    when: When | None = None,
    for_each: str | None = None,
    after: Sequence[str] = (),
    on_error: OnError = "fail",
) -> ToolStep:
    return ToolStep(StepId(identity), tool, args or {}, when, for_each, tuple(map(StepId, after)), on_error)


def ref(text: str) -> dict[str, JsonValue]:
    return {"$ref": text}


def plan(*steps: ToolStep | ModelStep, result: JsonValue = None) -> Plan:
    """Return a plan whose result is that of its last step, unless told otherwise."""
    return Plan(steps, result if result is not None else ref(steps[-1].id))


@dataclass
class FakeTool:
    """A tool made of a function; `calls` are the contexts and arguments it was called with, `asked` the keys it was asked to verify."""

    name: str
    body: Body = lambda args, _: dict(args)
    effect: Effect = "read"
    retries: int = 0
    timeout_s: float | None = None
    label: Label | None = None
    verdict: Callable[[Context], Verdict] = lambda _: Verdict(is_done=False)
    refused: str | None = None
    calls: list[tuple[Context, Args]] = field(default_factory=list[tuple[Context, Args]])
    asked: list[str] = field(default_factory=list[str])

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, "", {"type": "object"}, {}, self.effect, self.timeout_s, self.retries, self.label)

    def problems(self, args: Args, *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return [Finding(self.refused, "$", "it is refused")] if self.refused is not None else []

    async def call(self, args: Args, context: Context) -> JsonValue:
        self.calls.append((context, args))
        made = self.body(args, context)
        return await made if isawaitable(made) else made

    async def verify(self, context: Context) -> Verdict:
        self.asked.append(context.idempotency_key)
        return self.verdict(context)

    @property
    def steps(self) -> list[str]:
        return [context.step_id for context, _ in self.calls]


def gives(output: JsonValue) -> Body:
    return lambda _args, _context: output


def sleeper(delay_s: float, output: JsonValue = "slept") -> Body:
    async def body(_args: Args, _context: Context) -> JsonValue:
        await asyncio.sleep(delay_s)
        return output

    return body


def raiser(*errors: BaseException | type[BaseException], then: JsonValue = "done") -> Body:
    """Return a function that raises one error after the other, and returns `then` when there are no more."""
    left = list(errors)

    def body(_args: Args, _context: Context) -> JsonValue:
        if left:
            raise left.pop(0)
        return then

    return body


class CountingJournal(MemoryJournal):
    """A journal in memory whose appends take `delay_s`, are counted and told one by one; `before` and `after` may raise around each."""

    def __init__(self, *, delay_s: float = 0.0) -> None:
        super().__init__(VirtualClock())
        self.delay_s = delay_s
        self.appends: list[tuple[float, list[str]]] = []
        self.attempts = 0
        self.before: Callable[[int, Batch], Awaitable[None] | None] = lambda _number, _batch: None
        self.after: Callable[[int, Batch], Awaitable[None] | None] = lambda _number, _batch: None
        self._under_way = 0

    async def append(self, batch: Batch) -> None:
        self.attempts += 1
        number = self.attempts
        self._under_way += 1
        try:
            assert self._under_way == 1, "one append is in flight"
            if (waits := self.before(number, batch)) is not None:
                await waits
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await super().append(batch)
            self.appends.append((asyncio.get_running_loop().time(), [told(fact) for fact in batch.facts]))
            if (waits := self.after(number, batch)) is not None:
                await waits
        finally:
            self._under_way -= 1

    @property
    def told(self) -> list[list[str]]:
        """The appends so far, without their times."""
        return [lines for _, lines in self.appends]


def told(fact: Fact) -> str:
    """Return a fact as one short line: `step.started a #1`."""
    return told_event(fact.event)


def told_event(event: Event) -> str:
    words = [event.type]
    said = (getattr(event, name, None) for name in ("step", "reason", "decision", "refused", "code"))
    words.extend(word for word in said if isinstance(word, str))
    words.extend(getattr(event, "codes", ()))
    if isinstance(attempt := getattr(event, "attempt", None), int):
        words.append(f"#{attempt}")
    return " ".join(words)


@dataclass
class Tokens:
    """A token sink that keeps what it gets, if anybody listens."""

    listens: bool = False
    deltas: list[TokenDelta] = field(default_factory=list[TokenDelta])

    def wants(self, run_id: RunId) -> bool:
        return self.listens

    def publish(self, delta: TokenDelta) -> None:
        self.deltas.append(delta)


@dataclass
class World:
    """One run: `begin` creates and claims it, `again` claims it anew for a second process, `drive` performs it in this one."""

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
    journal: CountingJournal = field(default_factory=CountingJournal)
    clock: VirtualClock = field(default_factory=VirtualClock)
    tokens: Tokens = field(default_factory=Tokens)
    random: SeededRandom = field(default_factory=SeededRandom)
    run: Run = field(init=False)
    parts: Parts = field(init=False)
    executor: Executor = field(init=False)
    owners: int = 0

    def __post_init__(self) -> None:
        if self.model is None:
            self.model = ScriptedModel(self.script, clock=self.clock)

    @property
    def spec(self) -> AgentSpec:
        return AgentSpec(
            "agent",
            model="m",
            strategy="fixed" if self.plan is not None else self.strategy,
            tools=tuple(tool.spec for tool in self.tools),
            output_schema=self.output_schema,
            plan=self.plan,
            limits=self.limits,
        )

    async def begin(self) -> Executor:
        deadline_at = None if self.deadline_s is None else self.clock.now_us() + int(self.deadline_s * 1_000_000)
        created = RunCreated("agent", "1", {}, "the goal", strategy=self.spec.strategy, deadline_at=deadline_at)
        await self.journal.create(TENANT, RUN, [Fact(1, 0, self.clock.now_us(), created)])
        return await self.again()

    async def again(self) -> Executor:
        """Claim the run for another owner, as a process does that comes after a crash, and fold it anew."""
        if (await self.journal.row(TENANT, RUN)).owner is not None:
            self.clock.advance(LEASE_S + 1)
        self.owners += 1
        claim = await self.journal.claim(TENANT, RUN, OwnerId(f"owner-{self.owners}"), lease_s=LEASE_S)
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
        )
        self.executor = Executor(self.parts, self.run, claim)
        return self.executor

    def _planner(self, spec: AgentSpec) -> Planner:
        if spec.plan is not None:
            return FixedPlanner(spec.plan)
        return WholePlanner(spec, "m") if self.strategy == "plan" else LoopPlanner(spec, "m")

    async def drive(self) -> Outcome:
        """Begin the run and perform it."""
        await self.begin()
        return await self.executor.drive()

    async def resume(self) -> Outcome:
        """Perform the run as another owner does."""
        await self.again()
        return await self.executor.drive()

    async def put(self, kind: str, body: JsonValue = None) -> int:
        """Put an item into the inbox and let the executor know, as the runtime does."""
        number = await self.slip(kind, body)
        await self.executor.take_mail()
        return number

    async def slip(self, kind: str, body: JsonValue = None) -> int:
        """Put an item into the inbox and tell nobody."""
        match kind:
            case "cancel":
                return await self.journal.put(TENANT, RUN, InboxDraft("cancel", body))
            case "decide":
                return await self.journal.put(TENANT, RUN, InboxDraft("decide", body))
            case _:
                return await self.journal.put(TENANT, RUN, InboxDraft("message", to_json(Message, user_message(str(body)))))

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


async def hang(*_: object) -> None:
    await asyncio.Event().wait()


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
