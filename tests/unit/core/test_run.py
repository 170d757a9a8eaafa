from decimal import Decimal

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.decide import Consult, End, Perform
from agent_sdk.core.events import (
    Decision,
    MessageReceived,
    ModelCalled,
    PlanRejected,
    Purpose,
    RunCancelled,
    RunClaimed,
    RunCreated,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    RunWoken,
    StepFailed,
    StepRetried,
    StepSkipped,
    StepStarted,
    UnknownEvent,
)
from agent_sdk.core.findings import Finding
from agent_sdk.core.graph import Failure
from agent_sdk.core.ids import StepId
from agent_sdk.core.labels import TRUSTED, UNKNOWN_SOURCE, Label
from agent_sdk.core.messages import Message, TextPart, goal_message, user_message
from agent_sdk.core.model import Attempt
from agent_sdk.core.plan import OnError, When
from agent_sdk.core.run import Draft, Run
from agent_sdk.core.tools import Effect
from agent_sdk.core.usage import Usage
from tests.unit.core.toy import OWNER, Toy, new_run, starts, step

REPLY = Message("assistant", (TextPart("a plan"),))


def planned(purpose: Purpose = "plan", *, attempts: int = 1, label: Label | None = TRUSTED, usage: Usage | None = None) -> ModelCalled:
    tries = tuple(Attempt(5, None if n == attempts - 1 else "model_overloaded") for n in range(attempts))
    counted = usage if usage is not None else Usage(10, 5, cost_usd=Decimal("0.01"))
    return ModelCalled(StepId("plan.1"), purpose, "m", counted, "end", tries, label=label, message=REPLY)


def test_a_new_run_is_queued_and_knows_its_goal() -> None:
    toy = Toy().post(RunCreated("a", "1", {}, goal="find it"))
    assert (toy.run.state, toy.run.goal, toy.run.created_at, toy.run.head) == ("queued", "find it", 1_000_000, 1)
    assert list(toy.run.conversation) == [goal_message("find it", ())]


def test_a_run_without_its_goal_still_folds() -> None:
    run = Toy().post(RunCreated("a", "1", {})).run
    assert run.goal == ""
    assert new_run().goal == ""
    assert len(run.conversation) == 0


def test_a_claimed_run_plans_until_it_has_steps() -> None:
    toy = Toy().post(RunCreated("a", "1", {}, goal="g"))
    states = [toy.post(RunClaimed(OWNER)).run.state, toy.accept(step("a")).run.state]
    states += [toy.post(RunReleased("suspended")).run.state, toy.post(RunClaimed(OWNER)).run.state]
    assert states == ["planning", "running", "queued", "running"]


def test_a_waiting_run_names_its_reason_until_it_is_claimed() -> None:
    toy = Toy().begin(step("a")).post(RunWaiting("approval", (StepId("a"),)), RunReleased("waiting"))
    assert (toy.run.state, toy.run.reason) == ("waiting", "approval")
    toy.post(RunClaimed(OWNER))
    assert (toy.run.state, toy.run.reason) == ("running", None)


@pytest.mark.parametrize(
    ("event", "state"),
    [(RunSucceeded(TRUSTED, 5), "succeeded"), (RunFailed("x"), "failed"), (RunCancelled(), "cancelled"), (RunExpired(), "expired")],
)
def test_each_terminal_event_ends_the_run(event: RunSucceeded | RunFailed | RunCancelled | RunExpired, state: str) -> None:
    toy = Toy().post(event)
    assert (toy.run.state, toy.run.is_ended, toy.run.ended_at) == (state, True, 1_000_000)


def test_a_succeeded_run_keeps_its_answer_and_a_failed_one_its_failure() -> None:
    assert Toy().post(RunSucceeded(TRUSTED, {"n": 5})).run.answer == {"n": 5}
    failed = Toy().post(RunFailed("turn_limit", StepId("a"), "why", "how")).run
    assert (failed.failure, failed.failed_step) == (Failure("turn_limit", "why", "how"), StepId("a"))


def test_inbox_items_are_counted_by_their_cause() -> None:
    toy = Toy().post(MessageReceived(message=user_message("hi")), cause="inbox:3").post(RunWoken(), cause="event:1")
    assert toy.run.inbox_seen == 3


def test_what_stands_behind_an_event_that_is_not_understood_is_not_folded_but_for_the_end() -> None:
    toy = Toy().begin(step("a")).post(UnknownEvent("plan.grown", 1), StepStarted(StepId("grown")))
    assert toy.run.head == 5
    assert toy.run.unreadable == UnknownEvent("plan.grown", 1)
    assert toy.status("a") == "ready"
    toy.post(RunCancelled())
    assert toy.run.state == "cancelled"


def test_usage_and_attempts_of_every_model_call_are_summed() -> None:
    toy = Toy().begin(step("a")).start("a")
    toy.post(planned("step", attempts=3), planned("plan"))
    assert toy.run.usage == Usage(20, 10, cost_usd=Decimal("0.02"))
    assert toy.run.retries == 2
    toy.post(StepRetried(StepId("a"), 2, "tool_failed", 0.1))
    assert toy.run.retries == 3


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    assert Toy().post(planned(), planned(usage=Usage(1))).run.usage == Usage(11, 5)


def test_the_budget_of_attempts_is_shared_by_steps_and_questions() -> None:
    toy = Toy(new_run(Limits(max_retries=2)))
    assert toy.run.attempts_left == 3
    toy.post(planned(attempts=2))
    assert toy.run.attempts_left == 2
    toy.post(planned(attempts=5))
    assert toy.run.attempts_left == 1


def test_the_reply_to_a_plans_own_model_step_is_not_for_the_planner() -> None:
    run = Toy().begin(step("a")).post(planned("step")).run
    assert (run.questions, run.last_reply, run.asked) == (0, None, None)


def test_a_rejected_plan_is_kept_with_its_findings() -> None:
    finding = Finding("cycle", "$.steps[0]", "a circle")
    run = Toy().post(planned(), PlanRejected(("cycle",), (finding,)), planned(), PlanRejected(("cycle",))).run
    assert run.drafts == [Draft(REPLY, (finding,)), Draft(REPLY, ())]
    assert run.last_reply is None
    assert run.questions == 2


def test_an_accepted_plan_clears_the_drafts() -> None:
    toy = Toy().post(planned(), PlanRejected(("cycle",)), planned()).accept(step("a"), step("b", "a"))
    assert (toy.run.drafts, toy.run.last_reply, toy.run.revision) == ([], None, 1)
    assert toy.statuses == {"a": "ready", "b": "waiting"}


def test_a_revised_plan_keeps_what_finished_and_builds_on_it() -> None:
    toy = Toy().begin(step("a"), step("b", "a", on_error="repair"), step("c", "b"))
    toy.perform("a", 7).start("b").fail("b")
    assert toy.next() == Consult()
    assert toy.run.to_repair == [StepId("b")]
    toy.accept(step("b2", "a"), step("c", "b2"))
    assert toy.statuses == {"a": "finished", "b": "failed", "b2": "ready", "c": "waiting"}
    assert (toy.run.revision, toy.run.repairs, toy.run.to_repair) == (2, 1, [])
    toy.perform("b2").perform("c")
    assert toy.next() == Consult()


def test_a_revised_plan_never_gives_a_started_steps_id_to_another() -> None:
    toy = Toy().begin(step("a", on_error="repair")).start("a", "idempotent").fail("a").accept(step("a"), step("b"))
    assert toy.statuses == {"a": "failed", "b": "ready"}


def test_a_step_that_was_skipped_unstarted_leaves_its_id_to_a_revised_plan() -> None:
    toy = Toy().begin(step("a", on_error="repair"), step("b"), step("c", when=When("b")))
    toy.perform("b", 0).start("a").fail("a").post(StepSkipped(StepId("c"), "condition", StepId("b")))
    toy.accept(step("c", "b"))
    assert toy.statuses == {"a": "failed", "b": "finished", "c": "ready"}


def test_what_was_doomed_under_the_old_plan_is_not_under_the_new() -> None:
    toy = Toy().begin(step("a", on_error="repair"), step("b", on_error="skip"), step("c", "b"))
    toy.start("a").fail("a").start("b").fail("b")
    assert toy.run.graph.doomed
    toy.accept(step("c"))
    assert toy.next() == starts("c")


def test_a_step_that_may_be_skipped_fails_alone_and_what_needs_it_is_skipped() -> None:
    toy = Toy().begin(step("a", on_error="skip"), step("b", "a"), step("c", "b"), step("d", after=(StepId("a"),)))
    toy.start("a").fail("a")
    assert toy.next() == Perform(starts("d").starts, (StepSkipped(StepId("b"), "source_failed", StepId("a")),))
    toy.post(StepSkipped(StepId("b"), "source_failed", StepId("a")), StepSkipped(StepId("c"), "source_skipped", StepId("b")))
    toy.perform("d")
    assert toy.next() == Consult()
    assert toy.statuses == {"a": "failed", "b": "skipped", "c": "skipped", "d": "finished"}


def test_a_step_after_a_skipped_one_runs_when_its_other_sources_are_there() -> None:
    toy = Toy().begin(step("a"), step("b", when=When("a")), step("c", "a", after=(StepId("b"),)))
    toy.perform("a", 0)
    assert toy.ready == ["b"]
    toy.post(StepSkipped(StepId("b"), "condition", StepId("a")))
    assert toy.ready == ["c"]


def test_a_step_that_both_needs_and_follows_a_skipped_one_is_skipped() -> None:
    toy = Toy().begin(step("a", on_error="skip"), step("b", "a", after=(StepId("a"),))).start("a").fail("a")
    assert toy.next() == Perform((), (StepSkipped(StepId("b"), "source_failed", StepId("a")),))


def test_doomed_steps_are_settled_though_there_is_no_room() -> None:
    toy = Toy(new_run(Limits(max_parallel=1))).begin(step("a", on_error="skip"), step("b", "a"), step("c"), step("d"))
    toy.start("a").fail("a").start("c")
    assert toy.next(in_flight=1) == Perform((), (StepSkipped(StepId("b"), "source_failed", StepId("a")),))


def test_a_failed_retry_step_fails_the_run() -> None:
    toy = Toy().begin(step("a", on_error="retry")).start("a").fail("a")
    assert isinstance(toy.next(), End)


def test_failed_repair_steps_are_named_once_each_while_others_go_on() -> None:
    toy = Toy().begin(step("a", on_error="repair"), step("b", on_error="repair"), step("c"), step("d", "a"))
    toy.start("a").start("b").fail("b").fail("a")
    assert toy.next() == starts("c")
    toy.perform("c")
    assert toy.next() == Consult()
    assert toy.run.to_repair == ["b", "a"]


def test_a_started_once_step_is_unknown_after_a_claim_and_blocks_only_what_depends_on_it() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c", "a"), step("d", "b")).start("a", "once").start("b").post(RunClaimed(OWNER))
    assert toy.statuses == {"a": "unknown", "b": "ready", "c": "waiting", "d": "waiting"}
    failure = toy.run.graph.steps[StepId("a")].failure
    assert failure is not None
    assert failure.code == "owner_lost"
    toy.perform("b").perform("d")
    assert toy.statuses == {"a": "unknown", "b": "finished", "c": "waiting", "d": "finished"}


@pytest.mark.parametrize("effect", ["read", "idempotent", "verify"])
def test_a_started_step_that_may_be_repeated_is_ready_after_a_claim_with_its_key(effect: Effect) -> None:
    toy = Toy().begin(step("a")).start("a", effect).post(RunClaimed(OWNER))
    state = toy.run.graph.steps[StepId("a")]
    assert (state.status, state.attempt, state.key) == ("ready", 1, "key/a")
    assert toy.start("a").run.graph.steps[StepId("a")].attempt == 2


def test_an_effect_decided_as_done_finishes_with_an_untrusted_result() -> None:
    toy = Toy().begin(step("a"), step("b", "a")).start("a", "once").lose("a").decide("a", "done", "sent")
    assert toy.run.graph.outputs[StepId("a")] == "sent"
    assert toy.run.graph.steps[StepId("a")].label == UNKNOWN_SOURCE
    assert toy.next() == starts("b")


def test_an_effect_decided_as_retry_starts_again_with_its_key_and_no_failure() -> None:
    toy = Toy().begin(step("a")).start("a", "once").lose("a").decide("a", "retry")
    state = toy.run.graph.steps[StepId("a")]
    assert (toy.next(), state.key, state.failure) == (starts("a"), "key/a", None)
    assert not toy.run.graph.unknown


def test_an_effect_decided_as_skip_skips_what_needs_it() -> None:
    toy = Toy().begin(step("a"), step("b", "a")).start("a", "once").lose("a").decide("a", "skip")
    assert toy.next() == Perform((), (StepSkipped(StepId("b"), "source_skipped", StepId("a")),))


def test_an_effect_decided_as_failed_follows_the_steps_own_policy() -> None:
    toy = Toy().begin(step("a")).start("a", "once").lose("a").decide("a", "fail")
    assert toy.next() == End(RunFailed("effect_unknown", StepId("a"), "decided as failed"))
    skipped = Toy().begin(step("a", on_error="skip")).start("a", "once").lose("a").decide("a", "fail")
    assert skipped.next() == Consult()


def unfolded(items: int, on_error: OnError = "fail") -> Toy:
    toy = Toy().begin(step("a"), step("g", "item", for_each="a", on_error=on_error), step("z", "g")).perform("a", list(range(items)))
    return toy.post(StepStarted(StepId("g"), items=items))


def test_an_empty_list_unfolds_into_nothing_and_gives_an_empty_list() -> None:
    toy = unfolded(0)
    assert toy.run.graph.outputs[StepId("g")] == []
    assert toy.next() == starts("z")


def test_a_group_gives_its_members_outputs_in_order_however_they_end() -> None:
    toy = unfolded(3).start("g[0]").start("g[1]").start("g[2]")
    toy.finish("g[2]", "c", Label(("x",))).finish("g[0]", "a").finish("g[1]", "b", Label(("y",)))
    assert toy.run.graph.outputs[StepId("g")] == ["a", "b", "c"]
    assert toy.run.graph.steps[StepId("g")].label == Label(("unknown", "x", "y"))
    assert toy.next() == starts("z")


def test_members_that_may_be_skipped_are_left_out_of_the_list() -> None:
    toy = unfolded(3, "skip").perform("g[0]", "a").start("g[1]").fail("g[1]").perform("g[2]", "c")
    assert toy.run.graph.outputs[StepId("g")] == ["a", "c"]
    assert toy.next() == starts("z")


def test_one_failed_member_fails_the_group_when_all_are_settled() -> None:
    toy = unfolded(2).start("g[0]").start("g[1]").fail("g[0]", "broken")
    assert toy.status("g") == "running"
    toy.finish("g[1]")
    assert toy.status("g") == "failed"
    assert toy.run.graph.steps[StepId("g")].failure == Failure("broken", "it broke", "mend it")
    assert toy.next() == End(RunFailed("broken", StepId("g[0]"), "it broke", "mend it"))


def test_a_group_that_may_be_repaired_is_named_once_and_its_finished_members_are_kept() -> None:
    toy = unfolded(3, "repair").perform("g[1]", "kept")
    for member in ("g[0]", "g[2]"):
        toy.start(member).fail(member)
    assert toy.next() == Consult()
    assert toy.run.to_repair == ["g"]
    assert [state.id for state in toy.run.graph.kept()] == ["a", "g[1]"]
    toy.accept(step("h", "g[1]"))
    assert toy.next() == starts("h")
    assert toy.run.graph.outputs[StepId("g[1]")] == "kept"


def test_members_of_a_finished_group_are_not_kept_beside_it() -> None:
    toy = unfolded(1).perform("g[0]")
    assert [state.id for state in toy.run.graph.kept()] == ["a", "g"]


def test_an_unknown_member_blocks_its_group_alone() -> None:
    toy = unfolded(2).start("g[0]", "once").start("g[1]").lose("g[0]").finish("g[1]", "b")
    assert toy.status("g") == "running"
    toy.decide("g[0]", "skip")
    assert toy.run.graph.outputs[StepId("g")] == ["b"]


@pytest.mark.parametrize(("decision", "output"), [("done", ["a", "b"]), ("skip", ["b"])])
def test_a_decision_on_a_member_settles_its_group(decision: Decision, output: list[str]) -> None:
    toy = unfolded(2).start("g[0]", "once").lose("g[0]").perform("g[1]", "b")
    toy.decide("g[0]", decision, "a")
    assert toy.run.graph.outputs[StepId("g")] == output


def test_a_member_decided_as_failed_fails_the_run() -> None:
    toy = unfolded(1).start("g[0]", "once").lose("g[0]").decide("g[0]", "fail")
    assert (toy.status("g"), toy.run.failed_step) == ("failed", "g[0]")


def test_a_member_decided_as_retry_is_started_again() -> None:
    assert unfolded(1).start("g[0]", "once").lose("g[0]").decide("g[0]", "retry").next() == starts("g[0]")


def test_a_group_that_cannot_unfold_follows_its_policy() -> None:
    toy = Toy().begin(step("a"), step("g", for_each="a", on_error="skip"), step("z", "g")).perform("a", "no list")
    toy.post(StepFailed(StepId("g"), 0, "reference_missing"))
    assert toy.next() == Perform((), (StepSkipped(StepId("z"), "source_failed", StepId("g")),))


def test_a_step_keeps_the_times_of_its_first_start_and_its_end() -> None:
    toy = Toy().begin(step("a")).start("a").post(RunClaimed(OWNER)).start("a").finish("a")
    state = toy.run.graph.steps[StepId("a")]
    assert (state.started_at, state.ended_at) == (1_000_003, 1_000_006)


def test_a_run_compares_by_what_it_holds() -> None:
    assert Toy().begin(step("a")).run == Toy().begin(step("a")).run
    assert isinstance(new_run(), Run)
