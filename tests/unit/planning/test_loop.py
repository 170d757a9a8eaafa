import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.errors import AnswerError, ContentRefused, RepeatedCall, TurnLimit
from agent_sdk.core.findings import Finding
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.ports import Answer, Ask
from agent_sdk.planning import LoopPlanner
from tests.unit.core.toy import Toy, new_run
from tests.unit.planning.planned import ask, begun, refuse_answer, turn
from tests.unit.planning.workbench import Report, agent

FINDING = Finding("answer_type", "$.total", "Field required")


def planner(limits: Limits | None = None, *, typed: bool = False) -> LoopPlanner:
    return LoopPlanner(
        agent(limits=limits, output=Report if typed else None, strategy="loop"),
        "test:model",
        ModelSettings(temperature=0.1, max_output_tokens=99),
    )


def test_the_model_is_asked_with_the_conversation_and_the_tools() -> None:
    toy = begun()
    proposal = planner(typed=True).next(toy.run)
    assert isinstance(proposal, Ask)
    request = proposal.request
    assert (proposal.purpose, request.id, request.model, request.settings.temperature, request.settings.max_output_tokens) == (
        "turn",
        "t1",
        "test:model",
        0.1,
        99,
    )
    assert request.conversation is toy.run.conversation
    assert request.instructions == "You are a clerk."
    assert [tool.name for tool in request.tools] == ["list_files", "read_file", "count", "search", "guess", "send"]
    assert request.output_schema == Report.model_json_schema()
    assert request.max_attempts == 101


def test_each_turn_has_a_question_of_its_own() -> None:
    assert ask(planner(), turn(begun(), "count")).id == "t2"


def test_a_reply_without_calls_is_the_answer() -> None:
    assert planner().next(turn(begun(), text="42 words").run) == Answer("42 words")


def test_a_typed_answer_is_read_as_json() -> None:
    assert planner(typed=True).next(turn(begun(), text='{"title": "t", "total": 5}').run) == Answer({"title": "t", "total": 5})


def test_a_typed_answer_that_is_no_json_says_why() -> None:
    proposal = planner(typed=True).next(turn(begun(), text="five").run)
    assert isinstance(proposal, Answer)
    assert [each.code for each in proposal.findings] == ["reply_not_json"]


def test_words_beside_calls_are_no_answer() -> None:
    assert ask(planner(), turn(begun(), "count", text="I will count.")).id == "t2"


def test_a_refused_answer_is_asked_for_again_until_the_repairs_are_spent() -> None:
    small, toy = planner(Limits(max_answer_repairs=2)), begun()
    for _ in range(2):
        refuse_answer(turn(toy, text="no"), FINDING)
        assert small.next(toy.run) == Ask(ask(small, toy), "turn")
    refuse_answer(turn(toy, text="no"), FINDING)
    with pytest.raises(AnswerError) as failure:
        small.next(toy.run)
    message = "the model gave no valid answer in 3 tries; the last complaint was:\n- $.total: Field required [answer_type]"
    assert (failure.value.message, failure.value.hint) == (message, "simplify the output type, or raise Limits.max_answer_repairs")


def test_a_loop_ends_at_its_turn_limit() -> None:
    small, toy = planner(Limits(max_turns=2)), begun()
    turn(turn(toy, "count"), "guess")
    with pytest.raises(TurnLimit, match="the run took 2 turns without an answer"):
        small.next(toy.run)


def test_the_answer_of_the_last_turn_that_is_allowed_counts() -> None:
    assert planner(Limits(max_turns=2)).next(turn(turn(begun(), "count"), text="42").run) == Answer("42")


def test_a_model_that_asks_for_the_same_calls_again_and_again_is_stopped() -> None:
    small, toy = planner(Limits(max_repeats=2)), begun()
    for _ in range(2):
        assert isinstance(small.next(turn(toy, "count", "guess").run), Ask)
    turn(toy, "count", "guess")
    with pytest.raises(RepeatedCall, match="the model asked 3 times in a row for the same calls: count, guess"):
        small.next(toy.run)


def test_other_calls_between_make_it_no_repetition() -> None:
    small, toy = planner(Limits(max_repeats=1)), begun()
    for tool in ("count", "guess", "count", "guess"):
        assert isinstance(small.next(turn(toy, tool).run), Ask)


def test_half_an_answer_is_none() -> None:
    with pytest.raises(AnswerError, match="cut at its output limit"):
        planner().next(turn(begun(), text="42 wor", stop="length").run)


def test_a_refusal_ends_the_run() -> None:
    with pytest.raises(ContentRefused, match="the model refused: no"):
        planner().next(turn(begun(), text="no", stop="refused").run)


def test_a_run_with_few_retries_left_says_so_in_its_question() -> None:
    assert ask(planner(), begun(Toy(new_run(Limits(max_retries=3))))).max_attempts == 4
