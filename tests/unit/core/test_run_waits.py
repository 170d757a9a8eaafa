"""What the fold makes of waits, approvals, children, crashes and effects that are undone."""

import pytest

from agent_sdk.core.agent import Limits
from agent_sdk.core.decide import Park, next_wake
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallMark,
    ChildStarted,
    EffectCompensated,
    EffectCompensating,
    Event,
    Fact,
    ModelCalled,
    ReleaseReason,
    RunClaimed,
    RunCreated,
    RunReleased,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StepFailed,
    StepFinished,
    StepStarted,
    StepWaiting,
    WaitReason,
)
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.usage import NO_USAGE
from tests.unit.core.toy import OWNER, Toy, new_run, starts, step

A = StepId("a")
DEADLINE = 50


def asks(*, expires_at: int | None = None) -> ApprovalRequested:
    return ApprovalRequested(A, "echo", "digest", expires_at, "why", {"x": 1})


def edited(becomes: str = "a~9", **more: int) -> ApprovalDecided:
    return ApprovalDecided(A, "edit", "digest", becomes=StepId(becomes), args=dict(more) or {"x": 2})


def test_a_step_that_waits_is_neither_ready_nor_running() -> None:
    toy = Toy().begin(step("a"), step("b", "a")).post(asks(expires_at=70))
    assert (toy.status("a"), toy.ready, toy.run.graph.running) == ("parked", [], {})
    assert toy.next() == Park("approval", (A,), 70)


WAITS: list[tuple[Event, WaitReason, int | None]] = [
    (StepWaiting(A, "timer", wake_at=40), "timer", 40),
    (ChildStarted(StepId("b"), RunId("child"), "helper"), "child", 40),
    (StepWaiting(StepId("c"), "signal", "paid", wake_at=30), "signal", 30),
    (StepWaiting(StepId("d"), "question"), "question", 30),
    (ApprovalRequested(StepId("e"), "echo", "digest", 20), "approval", 20),
]


@pytest.mark.parametrize("count", range(1, 6))
def test_a_run_waits_for_what_only_a_person_can_bring_first_until_the_first_of_its_times(count: int) -> None:
    waits = WAITS[:count]
    toy = Toy().begin(*map(step, "abcde"[:count])).post(*(event for event, _, _ in waits))
    _, reason, wake_at = waits[-1]
    assert toy.next() == Park(reason, tuple(map(StepId, "abcde"[:count])), wake_at)
    assert next_wake(toy.run) == wake_at


def test_what_waits_without_a_time_waits_until_the_deadline() -> None:
    toy = Toy().post(RunCreated("toy", "1", {}, strategy="plan", deadline_at=DEADLINE), RunClaimed(OWNER)).accept(step("a"))
    assert toy.post(asks()).next() == Park("approval", (A,), DEADLINE)


def test_an_edited_call_is_another_step_that_is_not_asked_about_again() -> None:
    toy = Toy().begin(step("a"), step("b", "a")).post(asks(), edited())
    assert toy.next() == starts("a~9")
    other = toy.run.graph.steps[StepId("a~9")]
    assert (other.stands_for, other.is_allowed, toy.run.graph.steps[A].attempt) == ("a", True, 1)
    toy.perform("a~9", 5)
    assert (toy.statuses, toy.ready) == ({"a": "finished", "b": "ready", "a~9": "finished"}, ["b"])
    assert toy.run.graph.outputs[A] == 5


def test_a_skipped_edit_skips_the_step() -> None:
    toy = Toy().begin(step("a"), step("b", "a")).post(asks(), edited()).start("a~9", "once").lose("a~9").decide("a~9", "skip")
    assert toy.status("a") == "skipped"
    assert toy.run.graph.doomed == {"b": ("source_skipped", "a")}


def test_an_edited_call_whose_content_was_erased_still_folds() -> None:
    toy = Toy().begin(step("a")).post(asks(), ApprovalDecided(A, "edit", "digest", becomes=StepId("a~9")))
    assert toy.run.graph.steps[StepId("a~9")].spec is None


def test_only_the_first_of_a_plans_names_is_kept_for_its_repair() -> None:
    toy = Toy().begin(step("a"), step("c")).post(asks(), edited()).perform("a~9", 5).perform("c")
    assert [state.id for state in toy.run.graph.kept()] == ["a", "c"]
    toy.accept(step("d", "a"))
    assert toy.ready == ["d"]
    assert toy.run.graph.outputs[A] == 5


def test_a_turn_is_told_under_the_calls_own_name() -> None:
    call = CallMark(StepId("a"), "echo")
    toy = Toy().post(RunCreated("toy", "1", {}, goal="g"), RunClaimed(OWNER))
    toy.post(ModelCalled(StepId("t1"), "turn", "m", NO_USAGE, "tool_calls", (), (call,)), asks(), edited()).perform("a~9", 5)
    assert (toy.run.open_calls, toy.run.state) == (0, "planning")


def test_a_claim_leaves_what_waits_as_it_is() -> None:
    toy = Toy().begin(step("a")).post(asks(), RunWaiting("approval", (A,)), RunReleased("waiting"), RunClaimed(OWNER))
    assert toy.next() == Park("approval", (A,))


def test_a_signal_is_used_up_by_the_step_that_waited_for_it() -> None:
    toy = (
        Toy().begin(step("a")).post(StepWaiting(A, "signal", "paid"), SignalReceived("paid", payload=1), SignalReceived("paid", payload=2))
    )
    first, second = (seq for seq, _ in toy.run.signals["paid"])
    toy.post(StepFinished(A, 1, 0, output=1))
    assert list(toy.run.signals["paid"]) == [(second, 2)]
    assert first < second


def test_a_wait_that_expired_uses_no_signal_up() -> None:
    toy = Toy().begin(step("a")).post(StepWaiting(A, "signal", "paid"), SignalReceived("paid", payload=1))
    toy.post(StepFailed(A, 1, "wait_expired"))
    assert len(toy.run.signals["paid"]) == 1


def claimed(*epochs: int, between: Event | None = None) -> int:
    run = new_run(Limits(max_crashes=1))
    run.apply(Fact(1, 0, 0, RunCreated("toy", "1", {})))
    for epoch in epochs:
        run.apply(Fact(run.head + 1, epoch, 0, RunClaimed(OWNER)))
        if between is not None:
            run.apply(Fact(run.head + 1, epoch, 0, between))
    return run.crashes


def test_owners_who_got_nothing_done_are_counted() -> None:
    assert [claimed(), claimed(1), claimed(1, 2), claimed(1, 2, 3), claimed(7)] == [0, 0, 1, 2, 6]
    assert claimed(1, 2, 3, between=ModelCalled(StepId("t1"), "plan", "m", NO_USAGE, "end", ())) == 0


@pytest.mark.parametrize(("reason", "crashes"), [("waiting", 0), ("suspended", 0), ("handed_over", 0), ("error", 2)])
def test_who_gave_the_run_up_in_order_did_not_crash(reason: ReleaseReason, crashes: int) -> None:
    assert claimed(1, 2, 3, between=RunReleased(reason)) == crashes


def test_a_crash_loop_lasts_until_the_run_is_woken() -> None:
    toy = Toy().begin(step("a")).post(RunWaiting("crash_loop"), RunReleased("waiting"), RunClaimed(OWNER))
    assert toy.next() == Park("crash_loop")
    assert toy.post(RunWoken()).next() == starts("a")


def test_the_newest_effect_is_undone_first_and_each_attempt_is_counted() -> None:
    toy = Toy().begin(step("a"), step("b"))
    for name in ("a", "b"):
        toy.post(StepStarted(StepId(name), 1, "once", f"key/{name}", undoes=True)).finish(name)
    assert list(toy.run.undoable) == ["a", "b"]
    toy.post(EffectCompensating(StepId("b"), 1, "k"), EffectCompensating(StepId("b"), 2, "k"))
    assert toy.run.undoable == {"a": 0, "b": 2}
    toy.post(EffectCompensated(StepId("b"), 2, "tool_failed"))
    assert (toy.run.undoable, toy.run.undone) == ({"a": 0}, {"b": "tool_failed"})
