from agent_sdk.core.code_version import code_changes
from agent_sdk.core.events import CheckRefused, CodeChange, RunClaimed, RunCreated, RunWoken
from agent_sdk.core.ids import StepId
from tests.unit.core.toy import OWNER, Toy, step

PINNED = {"tool:echo": "1", "tool:other": "2", "instructions": "3", "output": "4"}
CHANGED = {"tool:echo": "1x", "instructions": "3x", "output": "4"}
ALL = (CodeChange("tool:echo", "1", "1x"), CodeChange("tool:other", "2", None), CodeChange("instructions", "3", "3x"))


def pinned() -> Toy:
    return Toy().post(RunCreated("toy", "1", PINNED, goal="g", strategy="plan"), RunClaimed(OWNER))


def test_a_run_whose_planner_will_be_asked_depends_on_all_that_it_pinned() -> None:
    toy = pinned()
    assert code_changes(toy.run, CHANGED) == ALL
    assert code_changes(toy.run, PINNED) == ()


def test_a_planned_run_depends_on_the_tools_of_the_steps_to_come_and_on_its_answers_form() -> None:
    toy = pinned().accept(step("a"), step("b", "a"))
    assert code_changes(toy.run, CHANGED) == (CodeChange("tool:echo", "1", "1x"),)
    toy.perform("a").perform("b")
    assert code_changes(toy.run, CHANGED) == ()
    assert code_changes(toy.run, PINNED | {"output": "new"}) == (CodeChange("output", "4", "new"),)


def test_a_run_that_will_be_repaired_depends_on_all_again() -> None:
    toy = pinned().accept(step("a", on_error="repair"))
    toy.start("a").fail("a")
    assert code_changes(toy.run, CHANGED) == ALL
    other = pinned().accept(step("a")).perform("a").post(CheckRefused(StepId("plan.1"), ("answer",), ()))
    assert code_changes(other.run, CHANGED) == ()


def test_a_run_depends_on_the_code_that_was_accepted_last() -> None:
    toy = pinned().post(RunWoken(accepted=CHANGED))
    assert code_changes(toy.run, CHANGED) == ()
    assert [change.part for change in code_changes(toy.run, PINNED)] == ["tool:echo", "instructions"]


def test_what_a_run_did_not_pin_may_come_and_go() -> None:
    assert code_changes(pinned().run, PINNED | {"tool:new": "9"}) == ()
    assert code_changes(Toy().begin(step("a")).run, CHANGED) == ()
