import pytest

from agent_sdk.core.errors import AnswerError, PlanError
from agent_sdk.core.findings import Finding
from agent_sdk.core.ports import Answer, Propose
from agent_sdk.planning import FixedPlanner
from tests.unit.core.toy import Toy
from tests.unit.planning.planned import begun, refuse_answer, reject
from tests.unit.planning.workbench import plan_of, ref, use

PLAN = plan_of(use("list", "list_files", on_error="repair"), result={"n": ref("list.total")})
FINDING = Finding("unknown_tool", "$.steps[0].tool", "there is no tool 'fly'")


def accepted() -> Toy:
    return begun().accept(*PLAN.steps, result=PLAN.result)


def test_an_authors_plan_is_proposed_as_it_is() -> None:
    assert FixedPlanner(PLAN).next(begun().run) == Propose(PLAN)


def test_its_result_is_the_answer() -> None:
    assert FixedPlanner(PLAN).next(accepted().perform("list", {"total": 3}).run) == Answer({"n": 3})


def test_a_plan_that_does_not_hold_is_not_proposed_again() -> None:
    toy = begun()
    reject(toy, (FINDING,))
    with pytest.raises(PlanError, match=r"the plan does not hold:\n- \$\.steps\[0\]\.tool: there is no tool 'fly'") as failure:
        FixedPlanner(PLAN).next(toy.run)
    assert failure.value.hint == "mend the plan; nothing was performed"


def test_a_step_that_asks_for_repair_has_nobody_to_repair_it() -> None:
    with pytest.raises(PlanError, match="step 'list' failed, and an author's plan has nobody to repair it"):
        FixedPlanner(PLAN).next(accepted().start("list").fail("list").run)


def test_a_result_that_does_not_hold_ends_the_run() -> None:
    toy = accepted().perform("list", {"total": "many"})
    refuse_answer(toy, Finding("answer_type", "$.n", "Input should be a valid integer"))
    with pytest.raises(AnswerError, match=r"the plan's result does not hold:\n- \$\.n: Input should be a valid integer"):
        FixedPlanner(PLAN).next(toy.run)
