"""One event of each type, with users' content wherever a type holds any, and what tests of sinks need beside them."""

from decimal import Decimal

from agent_sdk.core.budget import Amounts, Shortfall
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    CallMark,
    CheckRefused,
    ChildFinished,
    ChildStarted,
    ContextCompacted,
    ContextExceeded,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    Event,
    Fact,
    MessageReceived,
    ModelCalled,
    PlanAccepted,
    PlanRejected,
    PlanRevised,
    QuestionAnswered,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunCreated,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StepFailed,
    StepFinished,
    StepRetried,
    StepShape,
    StepSkipped,
    StepStarted,
    StepUnknown,
    StepWaiting,
    UnknownEvent,
)
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, PrincipalId, RunId, StepId
from agent_sdk.core.labels import Label
from agent_sdk.core.messages import Message, TextPart
from agent_sdk.core.model import Attempt
from agent_sdk.core.plan import Plan, ToolStep
from agent_sdk.core.usage import Usage

TENANT = DEFAULT_TENANT
RUN = RunId("run-1")
AT = 1_700_000_000_000_000
SECRET = "sk-proj-Zm9vYmFyYmF6cXV4MTIzNDU2"
TEXT = f"the key is {SECRET}"

_STEP = StepId("count")
_SHAPE = (StepShape(_STEP, tool="count"),)
_PLAN = Plan((ToolStep(_STEP, "count", {"api_key": SECRET, "note": TEXT}),), {"$ref": "count"})
_FINDINGS = (Finding("unknown_tool", "$.steps[0].tool", TEXT),)

EVENTS: tuple[Event, ...] = (
    RunCreated("analyst", "1", {"output": "ab"}, goal=TEXT, tags=("nightly",)),
    RunClaimed(OwnerId("host-1")),
    RunReleased("suspended"),
    RunWaiting("unknown_effect", (_STEP,)),
    RunWoken(),
    RunCancelRequested(PrincipalId("ann"), TEXT),
    RunSucceeded(Label(), {"password": SECRET, "text": TEXT}),
    RunFailed("tool_failed", _STEP, TEXT, TEXT),
    RunCancelled(),
    RunExpired(),
    MessageReceived("run_ended", Message("user", (TextPart(TEXT),))),
    PlanRejected(("unknown_tool", "unknown_tool"), _FINDINGS),
    PlanAccepted("ab", _SHAPE, 1, _PLAN),
    PlanRevised("ab", _SHAPE, 2, _PLAN),
    CheckRefused(_STEP, ("unknown_tool",), _FINDINGS),
    StepStarted(_STEP, 2, "once", "key-1", "ab", {"path": "list"}, 3),
    StepFinished(_STEP, 2, 12_345, Label(), [TEXT, {"token": SECRET}]),
    StepFailed(_STEP, 2, "tool_failed", message=TEXT, hint=TEXT, traceback=TEXT),
    StepRetried(_STEP, 1, "tool_timed_out", 1.5, TEXT),
    StepSkipped(_STEP, "source_failed", StepId("list")),
    StepUnknown(_STEP, 1, "owner_lost", TEXT, TEXT),
    EffectDecided(_STEP, "done", PrincipalId("ann"), TEXT),
    EffectCompensating(_STEP, 2, "key-1~undo"),
    EffectCompensated(_STEP, 2, "tool_failed", TEXT, TEXT),
    StepWaiting(_STEP, "question", wake_at=AT, text=TEXT),
    ApprovalRequested(_STEP, "count", "ab", AT, TEXT, {"api_key": SECRET}),
    ApprovalDecided(_STEP, "edit", "cd", PrincipalId("ann"), StepId("count~9"), TEXT, {"api_key": SECRET}),
    QuestionAnswered(_STEP, PrincipalId("ann"), Label(), TEXT),
    SignalReceived("paid", PrincipalId("shop"), {"token": SECRET}),
    ChildStarted(_STEP, RunId("child-1"), "helper", TEXT),
    ChildFinished(_STEP, RunId("child-1"), "failed", "tool_failed", Label(), TEXT, TEXT),
    ModelCalled(
        StepId("t1"),
        "turn",
        "gpt",
        Usage(10, 20, cost_usd=Decimal("0.01")),
        "length",
        (Attempt(5, "model_overloaded"), Attempt(7)),
        (CallMark(StepId("t1.1"), "count", "ab"),),
        message=Message("assistant", (TextPart(TEXT),)),
    ),
    BudgetReserved(StepId("t2"), Amounts(80_000_000, 4_000, 4)),
    BudgetRefused(StepId("t2"), Shortfall("budget_exceeded", "a call more would be too many", "tenant:calls", 1, 5, 5, 0)),
    BudgetSettled(Amounts(10_000_000, 30, 1), Amounts(70_000_000, 3_970, 3)),
    ContextCompacted(4, (_STEP,), 9_000, 4_000, StepId("summary.3"), summary=TEXT),
    ContextExceeded(StepId("t2"), TEXT),
    UnknownEvent("run.teleported", 3),
)


def facts_of(*events: Event) -> list[Fact]:
    return [Fact(seq, 1, AT + seq, event) for seq, event in enumerate(events, start=1)]
