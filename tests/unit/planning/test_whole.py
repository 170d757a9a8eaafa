import json

import pytest
from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import AnswerError, ContentRefused, PlanError
from agent_sdk.core.events import MessageReceived, ModelCalled, StepSkipped, StepStarted
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, TextPart, ToolCallPart, user_message
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.ports import Answer, Ask, Propose
from agent_sdk.core.usage import Usage
from agent_sdk.planning import PlanOnly, WholePlanner, plan_schema
from tests.unit.core.toy import Toy, new_run
from tests.unit.planning.planned import ask, begun, drive, refuse_answer, reject, reply, texts
from tests.unit.planning.test_parse import CORPUS
from tests.unit.planning.workbench import Report, agent, checker, document, plan_of, ref, think, use

GOAL = ("user", "Count the words.")
LIST = use("list", "list_files")
READ = use("read", "read_file", path=ref("list.files.0.path"), on_error="repair")
GOOD = document(LIST, result=ref("list"))
CYCLIC = document(use("a", "guess", hint=ref("b")), use("b", "guess", hint=ref("a")), result=ref("a"))
UNKNOWN = document(use("a", "fly"), result=ref("a"))


def planner(limits: Limits | None = None) -> WholePlanner:
    return WholePlanner(agent(limits=limits), "test:model", ModelSettings(temperature=0.5, max_output_tokens=999))


# --- asking for a plan


def test_the_model_is_asked_for_a_plan_with_goal_tools_and_schema() -> None:
    request = ask(planner(), begun())
    assert texts(request) == [GOAL]
    assert request.id == "plan.1"
    assert (request.model, request.settings.temperature, request.settings.max_output_tokens, request.max_attempts) == (
        "test:model",
        0.5,
        999,
        101,
    )
    assert request.output_schema == plan_schema()
    assert request.tools == ()
    assert request.instructions.startswith("You are a clerk.\n\nYou plan how to reach the user's goal.")
    assert '{"name": "read_file", "description": "Read a file.", ' in request.instructions
    assert "The answer must be plain text, or data that speaks for itself." in request.instructions


def test_an_agent_of_few_words_is_asked_with_the_planners_own() -> None:
    spec = agent(output=Report)
    bare = WholePlanner(type(spec)("bare", model="m", output_schema=spec.output_schema), "m")
    instructions = ask(bare, begun()).instructions
    assert instructions.startswith("You plan how to reach")
    assert "exactly these parameters:\n(none)\n" in instructions
    assert f"of this JSON Schema: {json.dumps(dict(spec.output_schema or {}))}." in instructions


def test_what_the_user_said_since_is_told_with_the_goal() -> None:
    toy = begun().post(MessageReceived(message=user_message("Only of the first file.")))
    assert texts(ask(planner(), toy)) == [GOAL, ("user", "Only of the first file.")]


def test_a_message_that_comes_behind_a_plan_makes_the_model_plan_again() -> None:
    toy = reply(begun(), json.dumps(GOOD)).post(MessageReceived(message=user_message("Wait.")))
    request = ask(planner(), toy)
    assert (request.id, texts(request)) == ("plan.2", [GOAL, ("user", "Wait.")])


def test_a_reply_that_is_a_plan_is_proposed() -> None:
    proposal = planner().next(reply(begun(), json.dumps(GOOD)).run)
    assert proposal == Propose(plan_of(LIST, result=ref("list")))


def test_a_rejected_plan_goes_back_with_what_was_said_and_every_finding() -> None:
    toy = reply(begun(), json.dumps(UNKNOWN))
    reject(toy, tuple(checker().plan(plan_of(use("a", "fly"), result=ref("a")), toy.run)))
    request = ask(planner(), toy)
    assert texts(request)[:2] == [GOAL, ("assistant", json.dumps(UNKNOWN))]
    role, text = texts(request)[2]
    assert role == "user"
    assert "- $.steps[0].tool: there is no tool 'fly' [unknown_tool]" in text
    assert text.endswith("Answer with the whole plan again, with every point mended.")


def test_every_rejected_plan_is_shown_and_the_next_one_may_hold() -> None:
    toy = begun()
    assert drive(planner(), checker(), toy, [CYCLIC, "prose", GOOD]) is None
    assert (toy.run.questions, toy.run.revision) == (3, 1)


def test_a_rejected_plan_whose_words_were_erased_is_told_by_its_findings_alone() -> None:
    toy = begun()
    reject(toy, (Finding("cycle", "$", "a circle"),))
    assert [role for role, _ in texts(ask(planner(), toy))] == ["user", "user"]


BROKEN: dict[str, JsonValue] = {
    **{name: text for name, (text, _) in CORPUS.items()},
    "cycle": CYCLIC,
    "unknown tool": UNKNOWN,
    "itself": document(use("a", "guess", hint=ref("a")), result=ref("a")),
    "ten thousand": document(*(use(f"s{n}", "guess") for n in range(10_000)), result=ref("s0")),
    "invented": document(result="42"),
    "wrong argument": document(use("a", "read_file", path=5), result=ref("a")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_never_gives_a_valid_plan_ends_in_an_error_and_never_in_a_plan(name: str) -> None:
    toy = begun()
    with pytest.raises(PlanError) as failure:
        drive(planner(Limits(max_plan_repairs=2)), checker(), toy, [BROKEN[name]] * 9)
    assert toy.run.questions == 3
    assert toy.run.revision == 0
    findings = toy.run.drafts[-1].findings
    assert findings
    assert failure.value.message.startswith("the model gave no valid plan in 3 tries; the last complaint was:\n- $")
    assert f"[{findings[0].code}]" in failure.value.message
    assert "runs events" in (failure.value.hint or "")
    kept = [draft.reply.text if draft.reply else None for draft in toy.run.drafts]
    text = BROKEN[name]
    assert kept == [text if isinstance(text, str) else json.dumps(text)] * 3


def test_a_model_that_calls_tools_instead_of_planning_is_told_to_plan() -> None:
    toy = begun()
    message = Message("assistant", (ToolCallPart(StepId("plan.1.1"), "read_file", {}),))
    toy.post(ModelCalled(StepId("plan.1"), "plan", "m", Usage(), "tool_calls", (), message=message))
    proposal = planner().next(toy.run)
    assert isinstance(proposal, Propose)
    assert [(each.code, each.hint) for each in proposal.findings] == [("reply_empty", "answer with the plan alone, as JSON")]
    reject(toy, proposal.findings)
    assert all(not each.tool_calls for each in ask(planner(), toy).conversation)


def test_a_plan_beside_calls_is_a_plan() -> None:
    toy = begun()
    message = Message("assistant", (TextPart(json.dumps(GOOD)), ToolCallPart(StepId("plan.1.1"), "read_file", {})))
    toy.post(ModelCalled(StepId("plan.1"), "plan", "m", Usage(), "tool_calls", (), message=message))
    assert planner().next(toy.run) == Propose(plan_of(LIST, result=ref("list")))


def test_no_repairs_means_one_try() -> None:
    toy = begun()
    with pytest.raises(PlanError, match="no valid plan in 1 tries"):
        drive(planner(Limits(max_plan_repairs=0)), checker(), toy, ["no", GOOD])


def test_a_plan_that_was_cut_is_none() -> None:
    with pytest.raises(AnswerError, match="cut at its output limit") as failure:
        planner().next(reply(begun(), '{"steps": [', stop="length").run)
    assert failure.value.hint == "raise max_output_tokens, or ask for less"


def test_a_model_that_refuses_ends_the_run() -> None:
    with pytest.raises(ContentRefused, match="the model refused: I cannot"):
        planner().next(reply(begun(), "I cannot", stop="refused").run)
    with pytest.raises(ContentRefused, match="the model refused to answer"):
        planner().next(reply(begun(), "", stop="refused").run)


def test_what_is_left_of_the_runs_attempts_bounds_the_question() -> None:
    assert ask(planner(), begun(Toy(new_run(Limits(max_retries=0))))).max_attempts == 1


# --- the answer, and repairs


def performed(result: JsonValue = None) -> Toy:
    toy = begun().accept(*plan_of(LIST, READ).steps, result=result if result is not None else ref("read"))
    return toy.perform("list", {"files": [{"path": "a"}], "total": 1})


def test_the_answer_is_the_plans_result_when_every_step_is_settled() -> None:
    toy = performed({"text": ref("read"), "of": ref("list.total")}).perform("read", "hello")
    assert planner().next(toy.run) == Answer({"text": "hello", "of": 1})


def test_a_result_of_a_step_that_was_skipped_cannot_be_built() -> None:
    toy = begun().accept(*plan_of(LIST, use("a", "guess", when={"ref": "list"})).steps, result=ref("a")).perform("list", 0)
    toy.post(StepSkipped(StepId("a"), "condition", StepId("list")))
    with pytest.raises(AnswerError, match="the plan's result cannot be built: a: step 'a' has no output"):
        planner().next(toy.run)


def test_a_result_whose_content_was_erased_cannot_be_built() -> None:
    toy = performed().perform("read", "x")
    toy.run.plan = None
    with pytest.raises(AnswerError, match="content was erased"):
        planner().next(toy.run)


def test_a_failed_step_goes_back_with_what_finished() -> None:
    toy = performed().start("read").fail("read")
    proposal = planner().next(toy.run)
    assert isinstance(proposal, Ask)
    assert proposal.purpose == "repair"
    (goal, (role, text)) = texts(proposal.request)
    assert (goal, role) == (GOAL, "user")
    assert "- step read: it broke [tool_failed]" in text
    assert "- list: a result of list_files, object with files, total, note" in text
    assert "each with a new id" in text


def test_a_failed_for_each_step_goes_back_with_its_finished_members() -> None:
    read = use("read", "read_file", for_each="list.files", path=ref("item.path"), on_error="repair")
    toy = begun().accept(*plan_of(LIST, read, think("m")).steps)
    toy.perform("m").perform("list", {"files": [1, 2]}).post(StepStarted(StepId("read"), items=2))
    toy.perform("read[1]").start("read[0]").fail("read[0]")
    text = texts(ask(planner(), toy))[1][1]
    assert "- step read: it broke [tool_failed]" in text
    assert "- read[1]: a result of read_file, string\n" in text
    assert "- m: a model's reply\n" in text


def test_a_finished_for_each_step_is_told_as_a_list() -> None:
    each = use("each", "read_file", for_each="list.files", path=ref("item.path"))
    toy = begun().accept(*plan_of(LIST, each, use("n", "guess", on_error="repair")).steps)
    toy.perform("list", {"files": [1]}).post(StepStarted(StepId("each"), items=1)).perform("each[0]").start("n").fail("n")
    text = texts(ask(planner(), toy))[1][1]
    assert "- each: a list, of which each is a result of read_file, string\n" in text
    assert "each[0]" not in text


def test_a_failure_that_was_erased_is_still_told() -> None:
    toy = begun().accept(*plan_of(use("n", "guess", on_error="repair")).steps).start("n").fail("n")
    toy.run.graph.steps[StepId("n")].failure = None
    text = texts(ask(planner(), toy))[1][1]
    assert "- step n: failed\n" in text
    assert "may be referenced; they will not run again:\n- none\n" in text


def test_a_repaired_plan_is_performed_to_its_own_result() -> None:
    toy = performed().start("read").fail("read")
    again = use("again", "read_file", path=ref("list.files.0.path"))
    repaired = document(again, result=[ref("again"), ref("list.total")])
    assert drive(planner(), checker(), toy, [GOOD, repaired]) is None
    assert toy.run.revision == 2
    assert planner().next(toy.perform("again", "hello").run) == Answer(["hello", 1])


def test_repairs_of_the_plan_are_bounded() -> None:
    toy = performed().start("read").fail("read")
    small = planner(Limits(max_plan_repairs=2))
    for name in ("r2", "r3"):
        drive(small, checker(), toy, [document(use(name, "read_file", path="x", on_error="repair"), result=ref(name))])
        toy.start(name).fail(name)
    with pytest.raises(PlanError, match="step 'r3' failed again after 2 repairs of the plan") as failure:
        small.next(toy.run)
    assert failure.value.hint == "raise Limits.max_plan_repairs, or mend the tool"


def test_a_result_that_does_not_hold_goes_back_and_its_repairs_are_bounded() -> None:
    finding = Finding("answer_type", "$.total", "Field required")
    toy = performed().perform("read", "x")
    small = planner(Limits(max_answer_repairs=1))
    refuse_answer(toy, finding)
    text = texts(ask(small, toy))[1][1]
    assert "- the result does not hold:\n- $.total: Field required [answer_type]" in text
    drive(small, checker(), toy, [document(use("more", "guess"), result=ref("more"))])
    assert planner().next(toy.perform("more", 5).run) == Answer(5)
    refuse_answer(toy, finding)
    with pytest.raises(AnswerError, match=r"the plan's result does not hold after 1 repairs:\n- \$\.total"):
        small.next(toy.run)


# --- only planning


def test_planning_alone_answers_with_the_plan_itself_once_it_holds() -> None:
    only = PlanOnly(planner(), checker())
    toy = begun()
    answer = drive(only, checker(), toy, ["no", CYCLIC, GOOD])
    assert answer is not None
    assert answer.value == {
        "steps": [{"id": "list", "tool": "list_files", "args": {}, "after": [], "on_error": "fail", "kind": "tool"}],
        "result": {"$ref": "list"},
    }
    assert toy.run.revision == 0


def test_the_plan_schema_closes_steps_to_unknown_fields() -> None:
    definitions = plan_schema()["$defs"]
    assert isinstance(definitions, dict)
    assert all(isinstance(each, dict) and each.get("additionalProperties") is False for name, each in definitions.items() if "Step" in name)
