"""What a planner's proposal becomes: the event that takes it, or the one that refuses it with all its findings."""

from collections.abc import Sequence

from agent_sdk.core.events import CheckRefused, PlanAccepted, PlanRejected, PlanRevised, RunSucceeded, StepShape
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import Label, join_all
from agent_sdk.core.messages import ToolCallPart
from agent_sdk.core.plan import Plan, ToolStep, refs_in, sources_of
from agent_sdk.core.ports import Answer, Checker, Propose
from agent_sdk.core.run import Run

MAX_FINDINGS = 100
ANSWER = StepId("run.answer")
"""What an answer is called where no question was asked; no step can have this id."""


def planned(proposal: Propose, run: Run, checker: Checker) -> PlanAccepted | PlanRevised | PlanRejected:
    """Return what becomes of a proposed plan."""
    plan = proposal.plan
    findings = proposal.findings if plan is None else checker.plan(plan, run)
    if plan is None or findings:
        return PlanRejected(_codes(findings), _kept(findings))
    accepted = PlanRevised if run.revision else PlanAccepted
    return accepted(plan.digest, shape_of(plan), run.revision + 1, plan)


def answered(answer: Answer, run: Run, checker: Checker) -> RunSucceeded | CheckRefused:
    """Return what becomes of a proposed answer."""
    findings = answer.findings or checker.answer(answer.value)
    if findings:
        return refused(run.asked or ANSWER, findings)
    return RunSucceeded(_answer_label(run), answer.value)


def refusals(run: Run, checker: Checker) -> list[CheckRefused]:
    """Return the refusals of those of the newest turn's calls that do not hold, as long as they were not performed."""
    return [refused(call.id, findings) for call in unbegun_calls(run) if (findings := checker.call(call))]


def unbegun_calls(run: Run) -> list[ToolCallPart]:
    """Return those of the newest turn's calls that may still be refused."""
    if not run.open_calls or run.last_reply is None:
        return []
    steps = run.graph.steps
    return [call for call in run.last_reply.tool_calls if (state := steps[call.id]).status == "ready" and not state.attempt]


def refused(step: StepId, findings: Sequence[Finding]) -> CheckRefused:
    """Return the refusal of a call, or of an answer to the question `step`."""
    return CheckRefused(step, _codes(findings), _kept(findings))


def shape_of(plan: Plan) -> tuple[StepShape, ...]:
    """Return a plan's steps without their content."""
    return tuple(
        StepShape(
            step.id,
            sources_of(step),
            step.after,
            step.tool if isinstance(step, ToolStep) else None,
            step.for_each is not None,
            step.on_error,
        )
        for step in plan.steps
    )


def _answer_label(run: Run) -> Label:
    """Join the labels of all that the answer was made of."""
    if run.plan is None:
        return run.label
    steps = run.graph.steps
    return join_all(steps[ref.step].label for _, ref in refs_in(run.plan.result) if ref.step in steps)


def _codes(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.code for finding in findings))


def _kept(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    if len(findings) <= MAX_FINDINGS:
        return tuple(findings)
    return (*findings[:MAX_FINDINGS], Finding("more_findings", "$", f"{len(findings) - MAX_FINDINGS} more findings are left out"))
