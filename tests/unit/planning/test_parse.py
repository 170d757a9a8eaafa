from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from pydantic import JsonValue

from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import ModelStep, Plan, ToolStep, When, plan_to_json
from agent_sdk.planning import parse_plan
from agent_sdk.planning.parse import MAX_PARSE_FINDINGS, parse_plan_reply
from tests.unit.core.generated import JSON, of_type


def found(value: JsonValue) -> list[tuple[str, str, str | None]]:
    plan, findings = parse_plan(value)
    assert plan is None
    assert {each.code for each in findings} == {"plan_shape"}
    return [(each.path, each.message, each.expected) for each in findings]


def step(**fields: JsonValue) -> JsonValue:
    return {"steps": [{"id": "a", "tool": "t", **fields}]}


def test_a_plan_is_read_with_the_defaults_of_what_it_leaves_out() -> None:
    steps: JsonValue = [
        {"id": "a", "tool": "t"},
        {"id": "b", "kind": "tool", "tool": "t", "args": {"x": {"$ref": "a"}}, "when": {"ref": "a"}, "for_each": "a.l", "after": ["a"]},
        {"id": "c", "kind": "model", "prompt": "Think.", "on_error": "skip"},
    ]
    assert parse_plan({"steps": steps, "result": {"$ref": "c"}}) == (
        Plan(
            (
                ToolStep(StepId("a"), "t"),
                ToolStep(StepId("b"), "t", {"x": {"$ref": "a"}}, When("a"), "a.l", (StepId("a"),)),
                ModelStep(StepId("c"), "Think.", on_error="skip"),
            ),
            {"$ref": "c"},
        ),
        (),
    )


@given(of_type(Plan))
def test_every_plan_is_read_as_it_was_written(plan: object) -> None:
    assert parse_plan(plan_to_json(cast("Plan", plan))) == (plan, ())


@given(JSON)
def test_any_value_is_a_plan_or_says_why_it_is_none(value: JsonValue) -> None:
    plan, findings = parse_plan(value)
    assert (plan is None) == bool(findings)
    assert all(each.path.startswith("$") for each in findings)


@pytest.mark.parametrize("value", [None, 5, "plan", [], [{"steps": []}]], ids=repr)
def test_what_is_no_object_is_no_plan(value: JsonValue) -> None:
    assert found(value) == [("$", "this is no object", "an object")]


SHAPES: Sequence[tuple[JsonValue, tuple[str, str, str | None]]] = (
    ({}, ("$.steps", "Field required", "this field")),
    ({"steps": {"a": 1}}, ("$.steps", "this is no array", "an array")),
    ({"steps": "list files"}, ("$.steps", "this is no array", "an array")),
    ({"steps": [5]}, ("$.steps[0]", "this is no object", "an object")),
    ({"steps": [], "goal": "x"}, ("$.goal", "Unexpected keyword argument", "no such field")),
    ({"steps": [{"id": "a"}]}, ("$.steps[0].tool", "Field required", "this field")),
    ({"steps": [{"tool": "t"}]}, ("$.steps[0].id", "Field required", "this field")),
    ({"steps": [{"id": "a", "kind": "model"}]}, ("$.steps[0].prompt", "Field required", "this field")),
    (step(id=5), ("$.steps[0].id", "Input should be a valid string", "a string")),
    (step(args=[1]), ("$.steps[0].args", "Input should be a valid dictionary", "an object")),
    (step(after="a"), ("$.steps[0].after", "this is no array", "an array")),
    (step(kind="wait"), ("$.steps[0].kind", "there is no such kind of step", '"tool" or "model"')),
    (step(kind=[]), ("$.steps[0].kind", "there is no such kind of step", '"tool" or "model"')),
    (step(when={"op": "gt"}), ("$.steps[0].when.ref", "Field required", "this field")),
    (step(when="a"), ("$.steps[0].when", "this is no object", "an object")),
    (step(prompt="x"), ("$.steps[0].prompt", "Unexpected keyword argument", "no such field")),
    (step(on_error="ignore"), ("$.steps[0].on_error", "Input should be 'fail', 'skip', 'retry' or 'repair'", None)),
    (step(**{"depends on": "b"}), ("$.steps[0]['depends on']", "Unexpected keyword argument", "no such field")),
)


@pytest.mark.parametrize(("value", "finding"), SHAPES, ids=str)
def test_each_wrong_shape_is_named_with_its_place(value: JsonValue, finding: tuple[str, str, str | None]) -> None:
    assert found(value) == [finding]


def test_every_wrong_shape_is_found_at_once() -> None:
    steps: JsonValue = [{"id": 1, "tool": 2}, {"tool": "t", "args": {}, "when": {"ref": 5}}]
    assert [path for path, _, _ in found({"steps": steps, "extra": 1})] == [
        "$.steps[0].id",
        "$.steps[0].tool",
        "$.steps[1].id",
        "$.steps[1].when.ref",
        "$.extra",
    ]


def test_a_finding_says_how_to_mend_it_and_what_was_there() -> None:
    _, findings = parse_plan({"steps": [{"id": "a", "tool": "t", "needs": ["b"]}, {"id": "b", "tool": None}, {"id": "c"}]})
    unknown, wrong, missing = findings
    hint = "a tool step knows id, tool, args, when, for_each, after, on_error and kind"
    assert (unknown.hint, unknown.found) == (hint, "['b']")
    assert (wrong.hint, wrong.found) == (None, "None")
    assert (missing.hint, missing.found) == ("add the field", None)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"steps": [], "reslt": 1}, "did you mean result? a plan knows steps and result"),
        (step(foreach="a"), "did you mean for_each? a tool step knows id, tool, args, when, for_each, after, on_error and kind"),
        (step(when={"ref": "a", "opp": "eq"}), "did you mean op? a condition knows ref, op and value"),
        (
            {"steps": [{"id": "a", "kind": "model", "prompt": "x", "tool": "t"}]},
            "a model step knows id, prompt, args, output_schema, when, for_each, after, on_error and kind",
        ),
    ],
)
def test_an_unknown_field_is_told_beside_those_that_there_are(value: JsonValue, hint: str) -> None:
    _, (finding,) = parse_plan(value)
    assert finding.hint == hint


def test_ten_thousand_wrong_steps_give_a_bounded_list() -> None:
    many: list[JsonValue] = [5] * 10_000
    _, findings = parse_plan({"steps": many})
    assert len(findings) == MAX_PARSE_FINDINGS


def test_a_huge_value_is_shown_in_part() -> None:
    _, (finding,) = parse_plan({"steps": "x" * 1_000_000})
    assert finding.found == "'" + "x" * 79


CORPUS: dict[str, tuple[str, set[str]]] = {
    "prose": ("I would first list the files.", {"reply_not_json"}),
    "half": ('{"steps": [{"id": "a", "tool": "t"}', {"reply_not_json"}),
    "nothing": ("", {"reply_empty"}),
    "two values": ('{"steps": []}\n{"steps": []}', {"reply_not_json"}),
    "twice": ('{"steps": [], "steps": []}', {"reply_not_json"}),
    "nan": ('{"steps": [{"id": "a", "tool": "t", "args": {"x": NaN}}]}', {"reply_not_json"}),
    "infinity": ('{"steps": [{"id": "a", "tool": "t", "args": {"x": 1e999}}]}', {"reply_not_json"}),
    "surrogate": ('{"steps": [{"id": "a", "tool": "\\ud800"}]}', {"reply_not_json"}),
    "deep": ('{"steps": [{"id": "a", "tool": "t", "args": {"x": ' + "[" * 100_000, {"reply_not_json"}),
    "deep and closed": ('{"steps": [{"id": "a", "tool": "t", "args": {"x": ' + "[" * 500 + "]" * 500 + "}}]}", {"reply_not_json"}),
    "huge": ('{"steps": "' + "x" * 5_000_000 + '"}', {"reply_too_large"}),
    "a list": ("[]", {"plan_shape"}),
    "wrong types": ('```json\n{"steps": [{"id": 1, "tool": ["t"]}]}\n```', {"plan_shape"}),
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_broken_reply_gives_findings_and_no_plan(name: str) -> None:
    text, codes = CORPUS[name]
    plan, findings = parse_plan_reply(text)
    assert plan is None
    assert {each.code for each in findings} == codes
    assert all(len(each.found or "") <= 200 for each in findings)


def test_a_fenced_reply_gives_the_plan_in_it() -> None:
    assert parse_plan_reply('```json\n{"steps": [{"id": "a", "tool": "t"}], "result": null}\n```') == (
        Plan((ToolStep(StepId("a"), "t"),)),
        (),
    )


def test_findings_of_a_reply_are_plain_data() -> None:
    _, findings = parse_plan_reply("no")
    assert all(isinstance(each, Finding) for each in findings)
