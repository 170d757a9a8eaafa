"""What a run is tried with: plans, tools made of functions, and a journal that keeps count of its appends and fails on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable

from pydantic import JsonValue

from agent_sdk.core.events import Event, Fact
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import DEFAULT_TENANT, RunId, StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.plan import ModelStep, OnError, Plan, ToolStep, When
from agent_sdk.core.ports import Batch, TokenDelta, Verdict
from agent_sdk.core.tools import Effect, Kind, ToolContext, ToolSpec, Wait
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.testing import VirtualClock

TENANT, RUN = DEFAULT_TENANT, RunId("run")
LEASE_S = 30.0
Args = Mapping[str, JsonValue]
Context = ToolContext[object]
Body = Callable[[Args, Context], JsonValue | Awaitable[JsonValue]]
Undo = Callable[[Args, JsonValue, Context], Awaitable[None] | None]


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
    """A tool made of a function; `calls` are the contexts and arguments it was called with, `asked` the keys it was asked to verify.

    Where it has a `need`, a person must allow each call for that reason; where `waits` is set, its steps wait for that.
    """

    name: str
    body: Body = lambda args, _: dict(args)
    effect: Effect = "read"
    retries: int = 0
    timeout_s: float | None = None
    label: Label | None = None
    verdict: Callable[[Context], Verdict] = lambda _: Verdict(is_done=False)
    refused: str | None = None
    returns: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    need: str | None = None
    approval_s: float | None = None
    waits: Wait | Exception | None = None
    kind: Kind = "call"
    undo: Undo | None = None
    undone: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    calls: list[tuple[Context, Args]] = field(default_factory=list[tuple[Context, Args]])
    asked: list[str] = field(default_factory=list[str])

    @property
    def spec(self) -> ToolSpec:
        kind = self.waits.kind if isinstance(self.waits, Wait) else self.kind
        return ToolSpec(
            self.name,
            "",
            {"type": "object"},
            self.returns,
            self.effect,
            self.timeout_s,
            self.retries,
            self.label,
            kind,
            self.approval_s,
            self.undo is not None,
        )

    def approval(self, args: Args) -> str | None:
        return self.need

    def wait(self, args: Args) -> Wait:
        if isinstance(self.waits, Wait):
            return self.waits
        raise self.waits or AssertionError("it waits for nothing")

    def problems(self, args: Args, *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return [Finding(self.refused, "$", "it is refused")] if self.refused is not None else []

    async def call(self, args: Args, context: Context) -> JsonValue:
        self.calls.append((context, args))
        made = self.body(args, context)
        return await made if isawaitable(made) else made

    async def verify(self, context: Context) -> Verdict:
        self.asked.append(context.idempotency_key)
        return self.verdict(context)

    async def compensate(self, args: Args, output: JsonValue, context: Context) -> None:
        self.undone.append((context.step_id, context.idempotency_key))
        made = self.undo(args, output, context) if self.undo is not None else None
        if made is not None:
            await made

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


def undoes(_args: Args, _output: JsonValue, _context: Context) -> None:
    """Undo a call, and need nothing for it."""


async def hang(*_: object) -> None:
    await asyncio.Event().wait()


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
    said = (getattr(event, name, None) for name in ("step", "reason", "decision", "ruling", "name", "refused", "code"))
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
