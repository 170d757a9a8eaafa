import pytest
from pydantic import JsonValue

from agent_sdk.core.agent import Limits
from agent_sdk.core.decide import Consult, End, Hold, Park, Perform, Start, arguments
from agent_sdk.core.errors import JournalNewer
from agent_sdk.core.events import (
    CallMark,
    ModelCalled,
    RunCancelled,
    RunCancelRequested,
    RunFailed,
    RunSucceeded,
    StepFailed,
    StepSkipped,
    StepStarted,
    UnknownEvent,
)
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.plan import MissingValue, Operator, When
from agent_sdk.core.usage import Usage
from tests.unit.core.toy import Toy, new_run, starts, step


def test_independent_steps_start_together_and_their_dependents_wait() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c", "a", "b"))
    assert toy.next() == starts("a", "b")


def test_a_step_starts_the_moment_its_own_sources_are_there() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c", "a"))
    toy.start("a").start("b").finish("a")
    assert toy.next(in_flight=1) == starts("c")


def test_a_run_with_all_in_flight_holds() -> None:
    toy = Toy().begin(step("a"), step("b", "a")).start("a")
    assert toy.next(in_flight=1) == Hold()


def test_no_more_starts_than_there_is_room() -> None:
    toy = Toy(new_run(Limits(max_parallel=2))).begin(step("a"), step("b"), step("c"))
    assert toy.next() == starts("a", "b")
    toy.start("a").start("b")
    assert toy.next(in_flight=2) == Hold()


def test_the_planner_is_asked_when_nothing_is_left_to_do() -> None:
    assert Toy().begin(step("a")).perform("a").next() == Consult()


def test_an_ended_run_ends_without_another_event() -> None:
    assert Toy().post(RunSucceeded(TRUSTED, 1)).next() == End(None)


def test_a_cancelled_run_ends_when_nothing_is_in_flight_any_more() -> None:
    toy = Toy().begin(step("a"), step("b")).start("a").post(RunCancelRequested())
    assert toy.next(in_flight=1) == Hold()
    assert toy.next() == End(RunCancelled())


def test_a_cancel_goes_before_a_failure() -> None:
    toy = Toy().begin(step("a")).start("a").fail("a").post(RunCancelRequested())
    assert toy.next() == End(RunCancelled())


def test_a_failed_step_ends_the_run_when_nothing_is_in_flight_any_more() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c")).start("a").start("b").fail("a")
    assert toy.next(in_flight=1) == Hold()
    assert toy.next() == End(RunFailed("tool_failed", StepId("a"), "it broke", "mend it"))


def test_a_run_ends_with_its_first_failure() -> None:
    toy = Toy().begin(step("a"), step("b")).start("a").start("b").fail("b", "first").fail("a", "second")
    assert toy.next() == End(RunFailed("first", StepId("b"), "it broke", "mend it"))


def test_the_failure_of_a_planners_question_ends_the_run() -> None:
    toy = Toy().begin(step("plan")).perform("plan")
    toy.post(StepFailed(StepId("plan.2"), 1, "model_auth_failed"))
    assert toy.next() == End(RunFailed("model_auth_failed", StepId("plan.2")))


@pytest.mark.parametrize("in_flight", [0, 1])
def test_nothing_is_done_on_an_event_that_is_not_understood(in_flight: int) -> None:
    toy = Toy().begin(step("a")).post(UnknownEvent("step.teleported", 3))
    with pytest.raises(JournalNewer, match=r"run run-1 holds an event 'step.teleported' v3"):
        toy.next(in_flight)


def test_an_unknown_effect_parks_the_run_only_when_all_else_is_done() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c", "b"), step("d", "a")).start("a", "once").start("b").lose("a")
    assert toy.next(in_flight=1) == Hold()
    toy.finish("b")
    assert toy.next() == starts("c")
    toy.perform("c")
    assert toy.next() == Park("unknown_effect", (StepId("a"),))


def test_every_unknown_effect_is_named() -> None:
    toy = Toy().begin(step("a"), step("b")).start("a", "once").start("b", "once").lose("b").lose("a")
    assert toy.next() == Park("unknown_effect", (StepId("b"), StepId("a")))


def test_a_reply_that_takes_the_run_over_its_steps_is_not_performed() -> None:
    toy = Toy(new_run(Limits(max_steps=2)))
    calls = tuple(CallMark(StepId(f"t1.{n}"), "echo", "d") for n in range(1, 4))
    toy.post(ModelCalled(StepId("t1"), "turn", "m", Usage(), "tool_calls", (), calls))
    assert toy.next(in_flight=1) != toy.next()
    assert toy.next() == End(
        RunFailed(
            "step_limit",
            None,
            "the run would have 3 steps; at most 2 are allowed",
            "raise Limits.max_steps, or give the agent a narrower goal",
        )
    )


def outcome(when: When, output: JsonValue) -> object:
    return Toy().begin(step("a"), step("b", when=when)).perform("a", output).next()


@pytest.mark.parametrize(
    ("op", "other", "output"),
    [
        ("is_true", None, 1),
        ("is_true", None, [0]),
        ("is_false", None, ""),
        ("is_false", None, None),
        ("eq", {"x": 1}, {"x": 1}),
        ("ne", 1, 2),
        ("lt", 2, 1),
        ("le", 1, 1),
        ("gt", 1, 1.5),
        ("ge", "a", "b"),
        ("lt", "b", "a"),
        ("contains", 2, [1, 2]),
        ("contains", "b", "abc"),
        ("contains", "key", {"key": None}),
    ],
)
def test_a_step_starts_where_its_condition_holds(op: Operator, other: JsonValue, output: JsonValue) -> None:
    assert outcome(When("a", op, other), output) == starts("b")


@pytest.mark.parametrize(
    ("op", "other", "output"),
    [
        ("is_true", None, []),
        ("is_false", None, "no"),
        ("eq", 1, "1"),
        ("ne", 1, 1),
        ("lt", 1, 1),
        ("le", 1, 2),
        ("gt", 1, 1),
        ("ge", "b", "a"),
        ("contains", 3, [1, 2]),
        ("contains", 1, "1"),
        ("contains", 5, 5),
        ("contains", "x", {"key": "x"}),
    ],
)
def test_a_step_is_skipped_where_its_condition_does_not_hold(op: Operator, other: JsonValue, output: JsonValue) -> None:
    assert outcome(When("a", op, other), output) == Perform((), (StepSkipped(StepId("b"), "condition", StepId("a")),))


@pytest.mark.parametrize(("output", "other"), [("1", 1), (2, "2"), ([1], [0]), (None, 1)])
def test_a_comparison_of_what_has_no_order_fails_the_step(output: JsonValue, other: JsonValue) -> None:
    match outcome(When("a", "lt", other), output):
        case Perform(starts=(), settled=(StepFailed(step="b", code="reference_missing", message=str(message)),)):
            assert message == f"{output!r} and {other!r} have no order"
        case other_outcome:
            pytest.fail(str(other_outcome))


def test_a_condition_looks_into_an_output() -> None:
    assert outcome(When("a.hits.0.ok"), {"hits": [{"ok": True}]}) == starts("b")


def test_a_condition_on_a_missing_place_fails_the_step() -> None:
    message = "a.total: there is no 'total' in an object with hits"
    assert outcome(When("a.total"), {"hits": []}) == Perform((), (StepFailed(StepId("b"), 0, "reference_missing", message=message),))


def test_a_condition_on_the_goal_needs_no_step() -> None:
    assert Toy().begin(step("a", when=When("goal", "contains", "goal"))).next() == starts("a")


def test_a_step_whose_condition_needs_a_skipped_step_is_skipped() -> None:
    toy = Toy().begin(step("a"), step("b", when=When("a")), step("c", when=When("b"))).perform("a", 0)
    toy.post(*_settled(toy))
    assert toy.next() == Perform((), (StepSkipped(StepId("c"), "source_skipped", StepId("b")),))


def _settled(toy: Toy) -> tuple[StepSkipped | StepFailed, ...]:
    choice = toy.next()
    assert isinstance(choice, Perform)
    return choice.settled


def test_a_for_each_step_unfolds_into_as_many_members_as_the_list_has() -> None:
    toy = Toy().begin(step("a"), step("b", for_each="a.items")).perform("a", {"items": ["x", "y"]})
    assert toy.next() == Perform((Start(StepId("b"), 2),))
    toy.post(StepStarted(StepId("b"), items=2))
    assert toy.next() == starts("b[0]", "b[1]")


def test_a_for_each_over_no_list_fails_the_step() -> None:
    toy = Toy().begin(step("a"), step("b", for_each="a")).perform("a", "text")
    message = "a: for_each needs a list, and this is a str"
    assert toy.next() == Perform((), (StepFailed(StepId("b"), 0, "reference_missing", message=message),))


def test_a_for_each_that_would_pass_the_step_limit_fails() -> None:
    toy = Toy(new_run(Limits(max_steps=4))).begin(step("a"), step("b", for_each="a")).perform("a", [1, 2, 3])
    match toy.next():
        case Perform(settled=(StepFailed(code="step_limit", message=str(message), hint=str(hint)),)):
            assert message == "for_each would unfold into 3 steps; the run may have 4"
            assert hint == "raise Limits.max_steps, or take a shorter list"
        case other:
            pytest.fail(str(other))


def test_a_for_each_whose_condition_does_not_hold_is_skipped_whole() -> None:
    toy = Toy().begin(step("a"), step("b", for_each="a", when=When("a", "contains", 9))).perform("a", [1])
    assert toy.next() == Perform((), (StepSkipped(StepId("b"), "condition", StepId("a")),))


def test_a_for_each_whose_condition_holds_unfolds() -> None:
    toy = Toy().begin(step("a"), step("b", for_each="a", when=When("a"))).perform("a", [1])
    assert toy.next() == Perform((Start(StepId("b"), 1),))


def test_a_reference_to_a_step_without_output_fails_the_step() -> None:
    toy = Toy().begin(step("a"), step("b", "a", for_each="a")).perform("a", [1])
    toy.run.graph.outputs.clear()
    message = "a: step 'a' has no output"
    assert toy.next() == Perform((), (StepFailed(StepId("b"), 0, "reference_missing", message=message),))


def state(toy: Toy, name: str) -> StepState:
    return toy.run.graph.steps[StepId(name)]


def test_arguments_have_every_reference_filled_in() -> None:
    toy = Toy().begin(step("a"), step("b", "a", "goal")).perform("a", [1])
    assert arguments(toy.run, state(toy, "b")) == {"from_a": [1], "from_goal": "a goal"}


def test_each_member_is_called_with_its_own_item() -> None:
    toy = Toy().begin(step("a"), step("b", "a", "item", for_each="a")).perform("a", ["x", "y"])
    toy.post(StepStarted(StepId("b"), items=2))
    assert arguments(toy.run, state(toy, "b[1]")) == {"from_a": ["x", "y"], "from_item": "y"}


def test_a_reference_that_leads_nowhere_gives_no_arguments() -> None:
    toy = Toy().begin(step("a"), step("b", "a.total")).perform("a", 5)
    with pytest.raises(MissingValue, match=r"a.total: there is no 'total' in the value 5"):
        arguments(toy.run, state(toy, "b"))


def test_a_step_whose_content_was_erased_is_not_performed() -> None:
    toy = Toy().begin(step("a"))
    state(toy, "a").spec = None
    match toy.next():
        case Perform(starts=(), settled=(StepFailed(step="a", code="content_erased"),)):
            pass
        case other:
            pytest.fail(str(other))
    with pytest.raises(MissingValue, match="the content of step 'a' was erased"):
        arguments(toy.run, state(toy, "a"))
