"""A toy executor: it walks a run as the real one does, with every outcome drawn, and keeps the facts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.decide import Consult, End, Park, Perform, Start, arguments, decide
from agent_sdk.core.envelope import GENESIS, Envelope, decode, encode
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    ChildEnd,
    ChildFinished,
    ChildStarted,
    Decision,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    Fact,
    PlanAccepted,
    PlanRevised,
    QuestionAnswered,
    Ruling,
    RunClaimed,
    RunCreated,
    RunReleased,
    RunWaiting,
    SignalReceived,
    StepFailed,
    StepFinished,
    StepRetried,
    StepShape,
    StepStarted,
    StepUnknown,
    StepWaiting,
)
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, RunId, StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.plan import OnError, Plan, Step, ToolStep, When, sources_of
from agent_sdk.core.run import Run, fold
from agent_sdk.core.tools import Effect, WaitKind

RUN = RunId("run-1")
OWNER = OwnerId("owner-1")
Outcome = Literal["finish", "fail", "unknown"]


def step(
    name: str,
    *sources: str,
    when: When | None = None,
    for_each: str | None = None,
    after: tuple[StepId, ...] = (),
    on_error: OnError = "fail",
) -> ToolStep:
    """Return a step that takes the outputs of `sources`."""
    args: dict[str, JsonValue] = {f"from_{source}": {"$ref": source} for source in sources}
    return ToolStep(StepId(name), "echo", args, when, for_each, after, on_error)


def shape_of(step: Step) -> StepShape:
    tool = step.tool if isinstance(step, ToolStep) else None
    return StepShape(step.id, sources_of(step), step.after, tool, step.for_each is not None, step.on_error)


def new_run(limits: Limits | None = None) -> Run:
    return Run(DEFAULT_TENANT, RUN, limits if limits is not None else Limits())


@dataclass
class Toy:
    """A run that is written down as it goes."""

    run: Run = field(default_factory=new_run)
    facts: list[Fact] = field(default_factory=list[Fact])

    def post(self, *events: Event, cause: str | None = None) -> "Toy":
        for event in events:
            fact = Fact(len(self.facts) + 1, max(self.run.epoch, 1), 1_000_000 + len(self.facts), event, cause)
            self.facts.append(fact)
            self.run.apply(fact)
        return self

    def begin(self, *steps: Step, result: JsonValue = None) -> "Toy":
        """Create and claim the run, and accept a plan of these steps."""
        self.post(RunCreated("toy", "1", {}, goal="a goal", strategy="plan"), RunClaimed(OWNER))
        return self.accept(*steps, result=result)

    def accept(self, *steps: Step, result: JsonValue = None) -> "Toy":
        plan, revision = Plan(steps, result), self.run.revision + 1
        kind = PlanAccepted if revision == 1 else PlanRevised
        return self.post(kind(plan.digest, tuple(map(shape_of, steps)), revision, plan))

    def start(self, name: str, effect: Effect = "read") -> "Toy":
        return self.post(StepStarted(StepId(name), self.run.graph.steps[StepId(name)].attempt + 1, effect, f"key/{name}"))

    def finish(self, name: str, output: JsonValue = 1, label: Label | None = None) -> "Toy":
        return self.post(StepFinished(StepId(name), self.run.graph.steps[StepId(name)].attempt, 5, label, output))

    def fail(self, name: str, code: str = "tool_failed") -> "Toy":
        return self.post(StepFailed(StepId(name), 1, code, message="it broke", hint="mend it"))

    def lose(self, name: str) -> "Toy":
        return self.post(StepUnknown(StepId(name), 1, "interrupted", "the line went dead"))

    def decide(self, name: str, decision: Decision, output: JsonValue = None) -> "Toy":
        return self.post(EffectDecided(StepId(name), decision, output=output))

    def perform(self, name: str, output: JsonValue = 1) -> "Toy":
        return self.start(name).finish(name, output)

    def next(self, in_flight: int = 0) -> object:
        return decide(self.run, in_flight)

    def status(self, name: str) -> str:
        return self.run.graph.steps[StepId(name)].status

    @property
    def statuses(self) -> dict[str, str]:
        return {str(state.id): state.status for state in self.run.graph.steps.values()}

    @property
    def ready(self) -> list[str]:
        return [str(each) for each in self.run.graph.ready]


def starts(*names: str) -> Perform:
    return Perform(tuple(Start(StepId(name)) for name in names))


def walk(toy: Toy, chance: Random, outcomes: Sequence[Outcome] = ("finish",), look: Callable[[Run], None] = lambda _run: None) -> Toy:
    """Perform the run with drawn outcomes, crashes between, until the planner would be asked or the run would end."""
    flying: list[StepState] = []
    while True:
        look(toy.run)
        if len(outcomes) > 1 and chance.random() < 0.05:  # the process dies, and another one goes on
            flying.clear()
            toy.post(RunClaimed(OWNER))
            continue
        match decide(toy.run, len(flying)):
            case Perform(starts=begun, settled=settled):
                toy.post(*settled)
                flying.extend(state for start in begun if (state := _begin(toy, start, chance, may_wait=len(outcomes) > 1)) is not None)
            case Consult():
                return toy
            case End():
                return _undo(toy, chance)
            case Park(steps=steps):
                toy.post(RunWaiting("approval", steps), RunReleased("waiting"), RunClaimed(OWNER))
                _settle(toy, toy.run.graph.steps[chance.choice(steps)], chance)
            case _:
                _end(toy, flying.pop(chance.randrange(len(flying))), chance.choice(outcomes), chance)


def _begin(toy: Toy, start: Start, chance: Random, *, may_wait: bool) -> StepState | None:
    state = toy.run.graph.steps[start.step]
    assert state.status == "ready"
    if start.items is not None:
        toy.post(StepStarted(start.step, items=start.items))
        return None
    args = arguments(toy.run, state)
    if may_wait and not state.attempt and chance.random() < 0.3:
        toy.post(_wait(state, args, chance))
        return None
    effect: Effect = chance.choice(("read", "idempotent", "verify", "once"))
    toy.post(StepStarted(start.step, state.attempt + 1, effect, f"key/{start.step}", undoes=effect != "read"))
    return state


def _wait(state: StepState, args: dict[str, JsonValue], chance: Random) -> Event:
    kinds: tuple[Literal["approval"] | WaitKind, ...] = ("approval", "child", "question", "timer", "signal")
    match chance.choice(kinds):
        case "approval" if not state.is_allowed:
            return ApprovalRequested(state.id, "echo", "digest", chance.choice((None, 7)), "it costs", args)
        case "approval" | "child":
            return ChildStarted(state.id, RunId(f"child-{state.id}"), "helper", "do it")
        case kind:
            return StepWaiting(state.id, kind, "paid" if kind == "signal" else None, chance.choice((None, 9)), "Shall I?")


def _settle(toy: Toy, state: StepState, chance: Random) -> None:
    """Let a step that is unknown or waits have what it needs, good or bad."""
    pending = toy.run.graph.parked.get(state.id)
    if pending is None:
        toy.decide(state.id, chance.choice(("done", "retry", "skip", "fail")), [1])
        return
    match pending.kind:
        case "approval":
            ruling: Ruling = chance.choice(("approve", "deny", "edit", "expire"))
            becomes = StepId(f"{state.id}~{toy.run.head + 1}") if ruling == "edit" else None
            toy.post(ApprovalDecided(state.id, ruling, "digest", becomes=becomes, note="so be it", args={"x": [1]} if becomes else None))
        case "question":
            toy.post(QuestionAnswered(state.id, label=Label(("person",)), answer=[1]))
        case "signal" if chance.random() < 0.7:
            toy.post(SignalReceived("paid", payload=[2]), SignalReceived("paid", payload=[3]))
            toy.post(chance.choice((StepFinished(state.id, 1, 0, None, [2]), StepFailed(state.id, 1, "signal_invalid", message="no"))))
        case "child":
            child = RunId(f"child-{state.id}")
            ends: tuple[ChildEnd, ...] = ("succeeded", "succeeded", "failed", "cancelled", "expired")
            toy.post(ChildFinished(state.id, child, chance.choice(ends), label=Label(("child",)), message="so it ended", output=[3]))
        case _:
            toy.post(chance.choice((StepFinished(state.id, 1, 0, None, [4]), StepFailed(state.id, 1, "wait_expired", message="late"))))


def _undo(toy: Toy, chance: Random) -> Toy:
    """Undo what had finished, with a crash now and then."""
    while toy.run.undoable:
        step = next(reversed(toy.run.undoable))
        attempt = toy.run.undoable[step] + 1
        toy.post(EffectCompensating(step, attempt, f"key/{step}~undo"))
        if chance.random() < 0.8:
            toy.post(EffectCompensated(step, attempt, chance.choice((None, "tool_failed")), "a word"))
        else:
            toy.post(RunClaimed(OWNER))
    return toy


def _end(toy: Toy, state: StepState, outcome: Outcome, chance: Random) -> None:
    match outcome:
        case "finish":
            toy.finish(state.id, [chance.randrange(9) for _ in range(chance.randrange(4))], Label((f"tool:{state.id}",)))
        case "unknown" if state.effect == "once":
            toy.lose(state.id)
        case _:
            toy.post(StepRetried(state.id, 2, "tool_failed", 0.5)) if chance.random() < 0.3 else None
            toy.fail(state.id)


def random_steps(chance: Random, size: int, on_error: Sequence[OnError] = ("fail",)) -> list[Step]:
    """Return the steps of a DAG of any shape; every output is a list, so that each can be unfolded."""
    made: list[Step] = []
    for index in range(size):
        earlier = [each.id for each in made]
        sources = chance.sample(earlier, min(len(earlier), chance.randrange(3)))
        has_after, is_each, has_when = (bool(earlier) and chance.random() < share for share in (0.2, 0.2, 0.1))
        made.append(
            step(
                f"s{index}",
                *sources,
                after=(chance.choice(earlier),) if has_after else (),
                for_each=chance.choice(earlier) if is_each else None,
                when=When(chance.choice(earlier), chance.choice(("is_true", "is_false"))) if has_when else None,
                on_error=chance.choice(on_error),
            )
        )
    chance.shuffle(made)
    return made


def envelopes(facts: Sequence[Fact]) -> list[Envelope]:
    """Return the facts as they are stored."""
    stored: list[Envelope] = []
    for fact in facts:
        previous = stored[-1].hash if stored else GENESIS
        stored.append(encode(fact, tenant=DEFAULT_TENANT, run_id=RUN, previous=previous).envelope)
    return stored


def refold(stored: Sequence[Envelope]) -> Run:
    return fold(new_run(), [decode(envelope) for envelope in stored])
