"""An author's plan, performed as written."""

from pydantic import JsonValue

from agent_sdk.core.errors import AnswerError, PlanError
from agent_sdk.core.findings import render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.plan import MissingValue, Plan, fill
from agent_sdk.core.ports import Answer, Propose
from agent_sdk.core.run import Run


@frozen
class FixedPlanner:
    """Proposes `plan` once, and its result when every step is settled."""

    plan: Plan

    def next(self, run: Run) -> Propose | Answer:
        if run.drafts:
            raise PlanError(
                f"the plan does not hold:\n{render_findings(run.drafts[-1].findings)}", hint="mend the plan; nothing was performed"
            )
        if run.revision == 0:
            return Propose(self.plan)
        if run.to_repair:
            raise PlanError(
                f"step {run.to_repair[0]!r} failed, and an author's plan has nobody to repair it", hint="use on_error: fail, skip or retry"
            )
        if run.answer_findings:
            raise AnswerError(f"the plan's result does not hold:\n{render_findings(run.answer_findings)}")
        return Answer(result_of(run))


def result_of(run: Run) -> JsonValue:
    """Return the performed plan's result.

    Raises:
        AnswerError: it refers to something that no step gave.
    """
    if run.plan is None:
        raise AnswerError("the plan's content was erased, so its result cannot be built")
    try:
        return fill(run.plan.result, run.graph.outputs)
    except MissingValue as error:
        raise AnswerError(
            f"the plan's result cannot be built: {error}",
            hint="a step it refers to was skipped; make the result depend on what always runs",
        ) from error
