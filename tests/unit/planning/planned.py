"""A run whose planner is asked until it has a plan, gives up or answers; the model's replies are given."""

import json
from collections.abc import Iterable

from pydantic import JsonValue

from agent_sdk.core.events import CallMark, CheckRefused, ModelCalled, PlanRejected, RunClaimed, RunCreated
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import Message, TextPart, ToolCallPart
from agent_sdk.core.model import ModelRequest, Stop
from agent_sdk.core.ports import Answer, Ask, Checker, Compact, Planner, Propose
from agent_sdk.core.usage import Usage
from tests.unit.core.toy import OWNER, Toy, new_run


def begun(toy: Toy | None = None) -> Toy:
    toy = toy if toy is not None else Toy(new_run())
    return toy.post(RunCreated("clerk", "1", {}, goal="Count the words."), RunClaimed(OWNER))


def reply(toy: Toy, text: str, *, stop: Stop = "end") -> Toy:
    """Post the model's reply to a planner's question."""
    message = Message("assistant", (TextPart(text),))
    identity = StepId(f"plan.{toy.run.questions + 1}")
    return toy.post(ModelCalled(identity, "plan", "m", Usage(), stop, (), label=TRUSTED, message=message))


def turn(toy: Toy, *calls: str, text: str = "", stop: Stop = "end") -> Toy:
    """Post a loop's turn that asks for these tools, or answers."""
    number = toy.run.turn + 1
    ids = [StepId(f"t{number}.{n}") for n in range(1, len(calls) + 1)]
    parts = tuple(ToolCallPart(identity, tool, {}) for identity, tool in zip(ids, calls, strict=True))
    marks = tuple(CallMark(identity, tool, "d") for identity, tool in zip(ids, calls, strict=True))
    message = Message("assistant", (*([TextPart(text)] if text else []), *parts))
    toy.post(ModelCalled(StepId(f"t{number}"), "turn", "m", Usage(), stop, (), marks, TRUSTED, message=message))
    for identity in ids:
        toy.perform(identity)
    return toy


def ask(planner: Planner, toy: Toy) -> ModelRequest:
    proposal = planner.next(toy.run)
    assert isinstance(proposal, Ask)
    return proposal.request


def texts(request: ModelRequest) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in request.conversation]


def drive(planner: Planner, checker: Checker, toy: Toy, replies: Iterable[JsonValue]) -> Answer | None:
    """Consult the planner as an executor does, until a plan is accepted (None) or the planner answers."""
    given = iter(replies)
    while True:
        match planner.next(toy.run):
            case Ask():
                text = next(given)
                reply(toy, text if isinstance(text, str) else json.dumps(text))
            case Propose(plan=None, findings=findings):
                reject(toy, findings)
            case Propose(plan=plan):
                assert plan is not None
                if problems := checker.plan(plan, toy.run):
                    reject(toy, tuple(problems))
                else:
                    toy.accept(*plan.steps, result=plan.result)
                    return None
            case Compact(event=event):
                toy.post(event)
            case Answer() as answer:
                return answer


def reject(toy: Toy, findings: tuple[Finding, ...]) -> None:
    toy.post(PlanRejected(tuple(each.code for each in findings), findings))


def refuse_answer(toy: Toy, *findings: Finding) -> None:
    toy.post(CheckRefused(toy.run.asked or StepId("answer"), tuple(each.code for each in findings), findings))
