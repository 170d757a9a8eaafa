import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk import planning
from agent_sdk.core.agent import Limits
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ToolCallPart
from agent_sdk.core.plan import Plan
from tests.unit.core.toy import new_run
from tests.unit.planning.workbench import Json, Report, agent, checker, findings_of, plan_of, ref, think, use

LIST = use("list", "list_files")
READ = use("read", "read_file", path=ref("list.files.0.path"))
Row = tuple[Sequence[Json], JsonValue, str, str | None]

FAULTS: Mapping[str, Row] = {
    "plan_empty": ([], ref("goal"), "$.steps", "a result that nothing computed would be invented"),
    "unknown_tool": ([use("a", "read_fil", path="x")], ref("a"), "$.steps[0].tool", "did you mean 'read_file'?"),
    "unknown_argument": ([use("a", "read_file", path="x", lines=3)], ref("a"), "$.steps[0].args.lines", None),
    "missing_argument": ([use("a", "read_file")], ref("a"), "$.steps[0].args.path", None),
    "invalid_argument": ([use("a", "read_file", path="x", limit="many")], ref("a"), "$.steps[0].args.limit", None),
    "wrong_type": (
        [use("read", "read_file", path="x"), use("a", "search", query={"word": ref("read"), "limit": "1"})],
        ref("a"),
        "$.steps[1].args.query.limit",
        None,
    ),
    "reference_type": ([LIST, use("a", "read_file", path=ref("list.total"))], ref("a"), "$.steps[1].args.path", None),
    "reference_path": ([LIST, use("a", "guess", hint=ref("list.names"))], ref("a"), "$.steps[1].args.hint", "it has files, note, total"),
    "unknown_reference": (
        [LIST, use("a", "guess", hint=ref("lst.x"))],
        [ref("a"), ref("list")],
        "$.steps[1].args.hint",
        "did you mean 'list'?",
    ),
    "item_outside_for_each": ([use("a", "read_file", path=ref("item.path"))], ref("a"), "$.steps[0].args.path", "name a step"),
    "bad_id": ([use("1st", "list_files")], ref("1st"), "$.steps[0].id", None),
    "reserved_id": ([use("item", "send", to="x", body="y"), LIST], ref("list"), "$.steps[0].id", "choose another id"),
    "duplicate_id": (
        [LIST, use("list", "list_files", order="size")],
        ref("list"),
        "$.steps[1].id",
        "choose a new id; a step that was started keeps its own",
    ),
    "model_missing": (
        [think("a")],
        ref("a"),
        "$.steps[0]",
        "give the agent a model, or use a tool",
    ),
    "retry_once_effect": (
        [use("a", "send", to="x", body="y", on_error="retry")],
        ref("a"),
        "$.steps[0].on_error",
        "use fail, skip or repair",
    ),
    "cycle": ([use("a", "guess", hint=ref("a"))], ref("a"), "$.steps[0]", "break the circle"),
    "result_invented": (
        [use("a", "send", to="x", body="y")],
        {"total": 5},
        "$.result",
        'build it from references such as {"$ref": "step_id"}',
    ),
    "unused_step": ([LIST, use("a", "guess")], ref("a"), "$.steps[0]", "refer to it, or leave it out"),
}
SEEN_ELSEWHERE = {"too_many_steps", "unreachable_step", "arguments_not_json", "answer_check_failed", "answer_empty", "answer_type"}
OF_A_REPLY = {"reply_empty", "reply_too_large", "reply_not_json", "plan_shape"}
FROM_THE_TOOL = {"unknown_argument", "missing_argument", "invalid_argument"}


def test_every_code_of_this_package_is_in_one_of_these_tables() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(planning.__file__).parent.glob("*.py"))
    written = set(re.findall(r'Finding\(\s*"([a-z_]+)"', source))
    assert written == (FAULTS.keys() - FROM_THE_TOOL) | SEEN_ELSEWHERE | OF_A_REPLY


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_gives_its_one_finding_where_it_stands(code: str) -> None:
    steps, result, path, hint = FAULTS[code]
    check = checker(agent(model=None)) if code == "model_missing" else None
    (finding,) = findings_of(*steps, result=result, check=check)
    assert (finding.code, finding.path, finding.hint) == (code, path, hint)


def test_every_fault_is_found_at_once() -> None:
    found: list[Finding] = []
    steps: list[Json] = []
    for code, (faulty, _, _, _) in FAULTS.items():
        renamed = [{**each, "id": f"{code}_{each['id']}"} for each in faulty if code not in {"bad_id", "reserved_id", "duplicate_id"}]
        steps += renamed or faulty
    found.extend(findings_of(*steps, result={"total": 5}, check=checker(agent(model=None))))
    assert {each.code for each in found} >= FAULTS.keys() - {"plan_empty", "wrong_type", "reference_type", "reference_path", "cycle"}


def codes(*steps: JsonValue, result: JsonValue) -> list[tuple[str, str]]:
    return [(each.code, each.path) for each in findings_of(*steps, result=result)]


def misfits(*steps: JsonValue, result: JsonValue, output: bool = True) -> list[tuple[str, str, str | None, str | None]]:
    check = checker(output=Report) if output else checker()
    return [(each.code, each.path, each.expected, each.found) for each in findings_of(*steps, result=result, check=check)]


# --- plans that hold


@pytest.mark.parametrize(
    "plan",
    [
        plan_of(LIST, result=ref("list")),
        plan_of(LIST, READ, result={"text": ref("read"), "of": ref("list.total"), "asked": ref("goal")}),
        plan_of(LIST, use("all", "read_file", for_each="list.files", path=ref("item.path"), limit=5), result=ref("all.0")),
        plan_of(
            LIST, use("a", "read_file", for_each="list.files", path=ref("item.path")), use("n", "count", texts=ref("a")), result=ref("n")
        ),
        plan_of(use("n", "count", texts=["one", ref("goal")]), result=ref("n")),
        plan_of(LIST, use("s", "search", query={"word": ref("goal"), "limit": ref("list.total")}), result=ref("s.0.size_bytes")),
        plan_of(use("any", "guess"), use("each", "read_file", for_each="any", path=ref("item.x.y")), result=ref("each")),
        plan_of(use("any", "guess", hint={"$ref": 5}), result=ref("any.some.where")),
        plan_of(
            LIST, use("tell", "send", to="ann", body=ref("goal"), when={"ref": "list.total", "op": "gt", "value": 3}), result=ref("list")
        ),
        plan_of(LIST, use("tell", "send", to="ann", body="done", after=["list"]), result=ref("tell")),
        plan_of(think("m", args={"x": ref("goal")}), result=ref("m")),
        plan_of(
            think("m", output_schema={"type": "array", "items": {"type": "string"}}),
            use("n", "count", texts=ref("m")),
            result=ref("n"),
        ),
        plan_of(think("m", args={"x": ref("item")}, for_each="list.files"), LIST, result=ref("m.0")),
    ],
    ids=lambda plan: plan.digest[:8],
)
def test_a_plan_that_holds_has_no_findings(plan: Plan) -> None:
    assert checker().plan(plan, new_run()) == []


# --- names


@pytest.mark.parametrize("identity", ["", "ä", "a.b", "a b", "-a", "a" * 65])
def test_an_id_that_references_could_not_name_is_none(identity: str) -> None:
    assert ("bad_id", "$.steps[0].id") in codes(use(identity, "list_files"), result=ref("x"))


def test_an_unknown_tool_that_is_like_no_other_is_told_all_there_are() -> None:
    (finding,) = findings_of(use("a", "xyzzy", hint=ref("goal")), result=ref("a"))
    assert finding.hint == "the tools are: count, guess, list_files, read_file, search, send"


def test_references_of_an_unknown_tool_are_looked_at_too() -> None:
    found = codes(use("a", "xyzzy", hint=[ref("nobody")]), result=ref("a"))
    assert found == [("unknown_tool", "$.steps[0].tool"), ("unknown_reference", "$.steps[0].args.hint[0]")]


def test_very_long_names_are_shown_in_part() -> None:
    tool, source = findings_of(use("a", "x" * 9999, hint=ref("y" * 9999)), result=ref("a"))
    assert tool.message == f"there is no tool {'x' * 80!r}"
    assert source.message == f"there is no step {'y' * 80!r}"


def test_a_plan_of_a_thousand_unknown_names_gets_a_thousand_findings_and_few_guesses() -> None:
    found = findings_of(*(use(f"s{n}", f"read_fil{n}", path=ref(f"z{n}")) for n in range(500)), result=ref("s0"))
    assert len([each for each in found if each.code == "unknown_tool"]) == 500
    assert len([each for each in found if "did you mean" in (each.hint or "")]) <= 20


# --- references and types


def test_the_output_of_a_step_is_checked_against_the_argument_with_its_place() -> None:
    found = misfits(LIST, use("a", "count", texts=ref("list.files")), result={"title": ref("goal"), "total": ref("a")})
    assert found == [("reference_type", "$.steps[1].args.texts", "string", "object with path, size_bytes")]


def test_a_reference_says_where_in_its_value_the_type_is_wrong() -> None:
    (finding,) = findings_of(LIST, use("a", "count", texts=ref("list.files")), result=ref("a"))
    assert finding.message == "'list.files' at [] has the wrong type"


@pytest.mark.parametrize("where", ["list.files.first", "list.files.0.name", "list.total.value", "goal.text"])
def test_a_place_that_no_output_has_is_a_finding(where: str) -> None:
    assert codes(LIST, use("a", "guess", hint=ref(where)), result=ref("a")) in (
        [("reference_path", "$.steps[1].args.hint")],
        [("reference_path", "$.steps[1].args.hint"), ("unused_step", "$.steps[0]")],
    )


def test_a_value_that_may_be_missing_does_not_fit_where_one_is_needed() -> None:
    found = misfits(LIST, use("a", "read_file", path=ref("list.note")), result={"title": ref("a"), "total": 1})
    assert found == [("reference_type", "$.steps[1].args.path", "string", "null")]


def test_an_object_with_references_in_it_is_checked_field_by_field() -> None:
    query: Json = {"limit": ref("goal"), "order": "name"}
    found = misfits(use("a", "search", query=query), result=ref("a"), output=False)
    assert found == [
        ("wrong_type", "$.steps[0].args.query", "an object with 'word'", "object with limit, order"),
        ("reference_type", "$.steps[0].args.query.limit", "integer", "string"),
    ]


def test_a_list_with_references_in_it_is_checked_element_by_element() -> None:
    found = misfits(LIST, use("a", "count", texts=["x", 5, ref("list.total")]), result=ref("a"), output=False)
    assert found == [
        ("wrong_type", "$.steps[1].args.texts[1]", "string", "5"),
        ("reference_type", "$.steps[1].args.texts[2]", "string", "integer"),
    ]


def test_a_list_where_a_text_belongs_is_one_even_with_references_in_it() -> None:
    found = misfits(LIST, use("a", "read_file", path=[ref("list.note")]), result=ref("a"), output=False)
    assert found == [("wrong_type", "$.steps[1].args.path", "string", "array")]


def test_an_argument_that_is_not_known_is_said_once_though_it_holds_a_reference() -> None:
    assert codes(LIST, use("a", "read_file", path="x", lines=ref("list.total")), result=ref("a")) == [
        ("unknown_argument", "$.steps[1].args.lines")
    ]


# --- for_each


def test_an_item_has_the_type_of_the_lists_elements() -> None:
    found = misfits(LIST, use("a", "read_file", for_each="list.files", path=ref("item.size_bytes")), result=ref("a"), output=False)
    assert found == [("reference_type", "$.steps[1].args.path", "string", "integer")]


def test_a_place_that_no_item_has_is_a_finding() -> None:
    assert codes(LIST, use("a", "read_file", for_each="list.files", path=ref("item.name")), result=ref("a")) == [
        ("reference_path", "$.steps[1].args.path")
    ]


def test_a_for_each_step_gives_a_list() -> None:
    each = use("a", "read_file", for_each="list.files", path=ref("item.path"))
    found = misfits(LIST, each, use("b", "read_file", path=ref("a")), result=ref("b"), output=False)
    assert found == [("reference_type", "$.steps[2].args.path", "string", "array of string")]


@pytest.mark.parametrize(
    ("over", "finding"),
    [
        ("list.total", ("reference_type", "$.steps[1].for_each")),
        ("goal", ("reference_type", "$.steps[1].for_each")),
        ("list.names", ("reference_path", "$.steps[1].for_each")),
        ("nobody", ("unknown_reference", "$.steps[1].for_each")),
        ("item", ("item_outside_for_each", "$.steps[1].for_each")),
    ],
)
def test_what_is_no_list_is_said_once_at_for_each_and_not_again_at_item(over: str, finding: tuple[str, str]) -> None:
    found = codes(LIST, use("a", "read_file", for_each=over, path=ref("item.path")), result=[ref("a"), ref("list")])
    assert found == [finding]


def test_what_can_only_be_an_empty_list_cannot_be_unfolded() -> None:
    none = think("m", output_schema={"type": "array", "maxItems": 0})
    (finding,) = findings_of(none, use("a", "guess", for_each="m"), result=ref("a"))
    assert (finding.code, finding.path, finding.found) == ("reference_type", "$.steps[1].for_each", "something else")


# --- when and after


def test_a_condition_needs_a_place_that_is_there() -> None:
    assert codes(LIST, use("a", "guess", when={"ref": "list.names"}), result=ref("a")) == [("reference_path", "$.steps[1].when.ref")]
    assert codes(use("a", "guess", when={"ref": "lst"}), result=ref("a")) == [("unknown_reference", "$.steps[0].when.ref")]


def test_a_condition_is_asked_once_a_step_and_cannot_look_at_an_item() -> None:
    step = use("a", "read_file", for_each="list.files", path=ref("item.path"), when={"ref": "item.path"})
    assert codes(LIST, step, result=ref("a")) == [("item_outside_for_each", "$.steps[1].when.ref")]


def test_after_names_steps_that_are_there() -> None:
    assert codes(use("a", "guess", after=["b", "c"]), use("b", "guess"), result=ref("a")) == [("unknown_reference", "$.steps[0].after[1]")]


# --- model steps


def test_a_model_steps_material_may_be_any_value_that_is_there() -> None:
    model = think("m", args={"a": ref("list"), "b": [ref("list.names")]})
    assert codes(LIST, model, result=ref("m")) == [("reference_path", "$.steps[1].args.b[0]")]


def test_a_model_step_gives_text_or_what_its_schema_says() -> None:
    found = misfits(think("m"), use("a", "count", texts=ref("m")), result=ref("a"), output=False)
    assert found == [("reference_type", "$.steps[1].args.texts", "array of string", "string")]


# --- circles


def test_every_circle_is_named_and_each_step_that_waits_for_one() -> None:
    steps = [
        use("a", "guess", hint=ref("b")),
        use("b", "guess", hint=ref("a")),
        use("c", "guess", hint=ref("b")),
        use("d", "guess", after=["c"]),
        use("e", "guess", hint=ref("e")),
        use("f", "guess"),
    ]
    found = findings_of(*steps, result=[ref("d"), ref("f")])
    assert sorted((each.code, each.path) for each in found) == [
        ("cycle", "$.steps[0]"),
        ("cycle", "$.steps[4]"),
        ("unreachable_step", "$.steps[2]"),
        ("unreachable_step", "$.steps[3]"),
    ]
    assert "steps wait for one another: e -> e" in {each.message for each in found}
    assert "'d' can never start: it waits for a circle" in {each.message for each in found}


def test_a_circle_through_for_each_when_and_after_is_one_too() -> None:
    steps = [use("a", "guess", for_each="b"), use("b", "guess", when={"ref": "c"}), use("c", "guess", after=["a"])]
    assert [each.code for each in findings_of(*steps, result=ref("a"))] == ["cycle"]


def test_of_a_thousand_circles_the_first_few_are_named() -> None:
    found = findings_of(*(use(f"s{n}", "guess", hint=ref(f"s{n}")) for n in range(1000)), result=ref("s0"))
    assert [each.code for each in found] == ["cycle"] * 20


def test_a_long_circle_is_shown_in_part() -> None:
    steps = [use(f"s{n}", "guess", hint=ref(f"s{(n + 1) % 50}")) for n in range(50)]
    (finding,) = findings_of(*steps, result=ref("s0"))
    assert re.fullmatch(r"steps wait for one another: s\d+ -> s\d+ -> \.\.\. -> s\d+", finding.message)


# --- results


def test_a_result_that_only_repeats_the_goal_is_invented() -> None:
    assert ("result_invented", "$.result") in codes(use("a", "send", to="x", body="y"), result=ref("goal"))


def test_the_result_is_checked_against_the_agents_output() -> None:
    assert misfits(LIST, result={"title": ref("goal"), "total": ref("list.total")}) == []
    assert misfits(LIST, result={"title": ref("list.total"), "total": 1}) == [("reference_type", "$.result.title", "string", "integer")]
    assert misfits(LIST, result={"title": ref("list.files.0.path"), "total": "many"}) == [
        ("wrong_type", "$.result.total", "integer", "'many'")
    ]
    assert misfits(LIST, result={"title": ref("list.files.0.path")}) == [
        ("wrong_type", "$.result", "an object with 'total'", "object with title")
    ]
    assert misfits(LIST, result=ref("list")) == [("reference_type", "$.result", "an object with 'title'", "object with files, total, note")]


# --- limits and revisions


def test_a_plan_over_the_step_limit_is_not_looked_at_further() -> None:
    check = checker(agent(limits=Limits(max_steps=1000)))
    (finding,) = findings_of(*(use("same", "nothing") for _ in range(10_000)), result=None, check=check)
    assert (finding.code, finding.path, finding.message) == ("too_many_steps", "$.steps", "the plan has 10,000 steps")
    assert (finding.expected, finding.hint) == ("at most 1,000", "use for_each, or fewer steps")


# --- calls and answers of a loop


def call(tool: str, args: Json | None, raw: str | None = None, problem: str | None = None) -> list[tuple[str, str]]:
    return [(each.code, each.path) for each in checker().call(ToolCallPart(StepId("t1.1"), tool, args, raw, problem))]


def test_a_call_that_holds_has_no_findings() -> None:
    assert call("read_file", {"path": "x"}) == []


def test_every_wrong_argument_of_a_call_is_found_at_once() -> None:
    assert sorted(call("read_file", {"limit": "x", "lines": 1})) == [
        ("invalid_argument", "$.limit"),
        ("missing_argument", "$.path"),
        ("unknown_argument", "$.lines"),
    ]


def test_a_call_of_an_unknown_tool_names_the_nearest() -> None:
    (finding,) = checker().call(ToolCallPart(StepId("t1.1"), "reed_file", {}))
    assert (finding.code, finding.path, finding.hint) == ("unknown_tool", "$", "did you mean 'read_file'?")


def test_a_call_without_json_arguments_shows_what_came() -> None:
    (finding,) = checker().call(ToolCallPart(StepId("t1.1"), "read_file", None, '{"path": ', "it ends too early"))
    assert (finding.code, finding.message, finding.found) == ("arguments_not_json", "it ends too early", '{"path": ')
    (bare,) = checker().call(ToolCallPart(StepId("t1.1"), "read_file", None))
    assert (bare.message, bare.found) == ("the arguments are no JSON object", "")


@pytest.mark.parametrize("answer", ["", " \n"])
def test_an_empty_answer_is_none(answer: str) -> None:
    (finding,) = checker().answer(answer)
    assert (finding.code, finding.path, finding.hint) == ("answer_empty", "$", "answer the goal in words")


def test_an_answer_in_words_or_data_is_enough_where_no_type_is_declared() -> None:
    assert list(checker().answer("done")) == []
    assert list(checker().answer({"total": 0})) == []


def test_an_answer_is_checked_against_its_declared_type_with_every_place() -> None:
    check = checker(output=Report)
    assert list(check.answer({"title": "t", "total": 5})) == []
    found = check.answer({"total": "many"})
    assert [(each.code, each.path) for each in found] == [("answer_type", "$.title"), ("answer_type", "$.total")]
    assert found[1].found == "'many'"
