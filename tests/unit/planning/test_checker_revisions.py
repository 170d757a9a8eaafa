"""A plan that takes the place of another is checked against what has been performed."""

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.events import StepStarted
from agent_sdk.core.ids import StepId
from tests.unit.core.toy import Toy
from tests.unit.planning.workbench import Json, agent, checker, findings_of, plan_of, ref, use

LISTING: Json = {"files": [{"path": "a", "size_bytes": 1}, {"path": "b", "size_bytes": 2}], "total": 2}


def performed() -> Toy:
    """Return a run whose step `list` finished and `read`, of two members, failed in one of them."""
    plan = plan_of(
        use("list", "list_files"),
        use("read", "read_file", for_each="list.files", path=ref("item.path"), on_error="repair"),
        use("n", "count", texts=ref("read")),
        result=ref("n"),
    )
    toy = Toy().begin(*plan.steps).perform("list", LISTING).post(StepStarted(StepId("read"), items=2))
    return toy.perform("read[0]", "text").start("read[1]").fail("read[1]")


def codes(*steps: Json, result: Json, toy: Toy | None = None) -> list[tuple[str, str]]:
    run = (toy if toy is not None else performed()).run
    return [(each.code, each.path) for each in findings_of(*steps, result=result, run=run)]


def test_a_revised_plan_may_refer_to_what_finished_and_to_the_finished_members_of_what_failed() -> None:
    assert codes(use("n2", "count", texts=[ref("read[0]"), ref("list.files.0.path")]), result=ref("n2")) == []


def test_what_finished_keeps_its_type() -> None:
    assert codes(use("b", "read_file", path=ref("list.total")), result=ref("b")) == [("reference_type", "$.steps[0].args.path")]
    assert codes(use("b", "count", texts=ref("read[0]")), result=ref("b")) == [("reference_type", "$.steps[0].args.texts")]


def test_a_finished_for_each_step_still_gives_a_list() -> None:
    toy = Toy().begin(*plan_of(use("list", "list_files"), use("read", "read_file", for_each="list.files", path=ref("item.path"))).steps)
    toy.perform("list", LISTING).post(StepStarted(StepId("read"), items=1)).perform("read[0]", "text")
    assert codes(use("n", "count", texts=ref("read")), result=ref("n"), toy=toy) == []
    assert codes(use("n", "read_file", path=ref("read")), result=ref("n"), toy=toy) == [("reference_type", "$.steps[0].args.path")]
    assert codes(use("n", "count", texts=[ref("read[0]")]), result=ref("n"), toy=toy) == [("unknown_reference", "$.steps[0].args.texts[0]")]


def test_a_finished_model_step_keeps_its_type_too() -> None:
    toy = Toy().begin(*plan_of({"id": "m", "kind": "model", "prompt": "?"}).steps).perform("m", "text")
    assert codes(use("n", "count", texts=ref("m")), result=ref("n"), toy=toy) == [("reference_type", "$.steps[0].args.texts")]


def test_nothing_is_known_of_a_finished_step_whose_content_was_erased() -> None:
    toy = performed()
    toy.run.graph.steps[StepId("list")].spec = None
    assert codes(use("b", "read_file", path=ref("list.any.where")), result=ref("b"), toy=toy) == []


@pytest.mark.parametrize("identity", ["list", "read"])
def test_a_started_steps_id_is_not_given_to_another(identity: str) -> None:
    assert codes(use(identity, "list_files"), result=ref(identity)) == [("duplicate_id", "$.steps[0].id")]


def test_a_step_that_never_started_leaves_its_id() -> None:
    assert codes(use("n", "count", texts=[ref("read[0]")]), result=ref("n")) == []


def test_what_failed_or_never_ran_cannot_be_referred_to() -> None:
    assert codes(use("b", "guess", hint=ref("read")), result=ref("b")) == [("unknown_reference", "$.steps[0].args.hint")]
    assert codes(use("b", "guess", hint=ref("read[1]")), result=ref("b")) == [("unknown_reference", "$.steps[0].args.hint")]
    assert codes(use("b", "guess", after=["n"]), result=ref("b")) == [("unknown_reference", "$.steps[0].after[0]")]


def test_a_step_may_come_after_one_that_finished() -> None:
    assert codes(use("b", "guess", after=["list"]), result=ref("b")) == []


def test_what_was_started_counts_towards_the_step_limit() -> None:
    check = checker(agent(limits=Limits(max_steps=5)))
    steps = [use(f"s{n}", "guess") for n in range(2)]
    (finding,) = findings_of(*steps, result=ref("s0"), check=check, run=performed().run)
    assert (finding.code, finding.expected) == ("too_many_steps", "at most 1")
