from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.codec import from_json
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import (
    MissingValue,
    ModelStep,
    Plan,
    Ref,
    ToolStep,
    When,
    as_ref,
    fill,
    plan_to_json,
    refs_in,
    sources_of,
    walk_path,
)
from tests.unit.core.generated import JSON, of_type

PATHS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=4), min_size=1, max_size=4)


@given(PATHS)
def test_a_reference_reads_as_it_is_written(names: list[str]) -> None:
    ref = Ref(StepId(names[0]), tuple(names[1:]))
    assert Ref.parse(str(ref)) == ref
    assert as_ref({"$ref": str(ref)}) == ref


@pytest.mark.parametrize("value", [{"$ref": 5}, {"$ref": "a", "b": 1}, {}, "a", ["$ref"], None], ids=repr)
def test_anything_else_is_a_literal(value: JsonValue) -> None:
    assert as_ref(value) is None


@given(JSON)
def test_a_value_without_references_is_filled_with_itself(value: JsonValue) -> None:
    if not list(refs_in(value)):
        assert fill(value, {}) == value


@given(JSON)
def test_a_reference_is_replaced_by_what_it_refers_to_wherever_it_stands(output: JsonValue) -> None:
    outputs: dict[StepId, JsonValue] = {StepId("a"): {"x": [output]}}
    ref: JsonValue = {"$ref": "a.x.0"}
    assert fill(ref, outputs) == output
    assert fill({"list": [1, ref], "inner": {"deep": ref}}, outputs) == {"list": [1, output], "inner": {"deep": output}}


def test_every_reference_is_found_with_the_place_where_it_stands() -> None:
    value: JsonValue = {"a": {"$ref": "one.x"}, "b": [1, {"c": {"$ref": "two"}}]}
    assert list(refs_in(value, "$.args")) == [("$.args.a", Ref(StepId("one"), ("x",))), ("$.args.b[1].c", Ref(StepId("two")))]


NOWHERE: Sequence[tuple[JsonValue, str, str]] = (
    ({"b": 1, "a": 2}, "s.c", "s.c: there is no 'c' in an object with a, b"),
    ({}, "s.c", "s.c: there is no 'c' in an object with no fields"),
    ([1, 2], "s.2", "s.2: there is no '2' in a list of 2"),
    ([1, 2], "s.-1", "s.-1: there is no '-1' in a list of 2"),
    ([1], "s." + "9" * 5000, "in a list of 1"),
    ([{}], "s.0.x", "s.0.x: there is no 'x' in an object with no fields"),
    ("text" * 50, "s.x", "in the value 'texttext"),
)


@pytest.mark.parametrize(("value", "path", "complaint"), NOWHERE, ids=["field", "empty", "index", "negative", "huge", "inner", "scalar"])
def test_a_place_that_is_not_there_is_named_with_what_is(value: JsonValue, path: str, complaint: str) -> None:
    with pytest.raises(MissingValue) as missing:
        walk_path(value, Ref.parse(path))
    assert complaint in str(missing.value)


def test_a_reference_to_a_step_without_output_is_missing() -> None:
    with pytest.raises(MissingValue, match=r"a\.x: step 'a' has no output"):
        fill({"$ref": "a.x"}, {})


def test_a_steps_sources_are_named_once_each_without_goal_and_item() -> None:
    args: dict[str, JsonValue] = {"x": [{"$ref": "b.y"}, {"$ref": "b"}, {"$ref": "goal"}, {"$ref": "item.z"}]}
    step = ToolStep(StepId("s"), "echo", args, When("c.n"), "a.items")
    assert sources_of(step) == ("a", "b", "c")
    assert sources_of(ModelStep(StepId("m"), "write", {"x": {"$ref": "a"}}, after=(StepId("z"),))) == ("a",)


@given(of_type(Plan))
def test_a_plan_comes_back_from_json_with_its_digest(plan: Plan) -> None:
    back = from_json(Plan, plan_to_json(plan))
    assert back == plan
    assert back.digest == plan.digest


def test_a_changed_argument_changes_the_digest() -> None:
    def plan(limit: int) -> Plan:
        return Plan((ToolStep(StepId("a"), "search", {"limit": limit}),), {"$ref": "a"})

    assert plan(1).digest == plan(1).digest
    assert plan(1).digest != plan(2).digest
