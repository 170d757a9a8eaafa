"""The ledger of a run's effects: what its events tell of each, whatever happened."""

import pytest

from agent_sdk.core.effects import EffectEntry, Outcome, effects_of
from agent_sdk.core.events import (
    Decision,
    EffectCompensated,
    EffectCompensating,
    EffectDecided,
    RunClaimed,
    StepRetried,
    StepStarted,
    StepUnknown,
)
from agent_sdk.core.ids import PrincipalId, StepId
from agent_sdk.core.tools import Effect
from tests.unit.core.toy import OWNER, Toy, step

SEND = StepId("send")


def begun(effect: Effect = "once") -> Toy:
    """Return a run whose step `send` is under way."""
    return Toy().begin(step("send")).start("send", effect)


def ledger(toy: Toy) -> list[EffectEntry]:
    return effects_of(toy.run, toy.facts)


def only(toy: Toy) -> EffectEntry:
    (entry,) = ledger(toy)
    return entry


def ended(toy: Toy) -> tuple[Outcome, str | None, int | None]:
    entry = only(toy)
    return entry.outcome, entry.code, entry.ended_at


def test_an_effect_under_way_has_its_tool_its_key_and_no_end() -> None:
    assert only(begun()) == EffectEntry(SEND, "echo", "once", "key/send", "under_way", 1, started_at=1_000_003)


def test_reads_and_steps_that_unfold_are_no_effects() -> None:
    toy = Toy().begin(step("look"), step("each", "look", for_each="look")).perform("look", [])
    toy.post(StepStarted(StepId("each"), effect="once", items=0))
    assert ledger(toy) == []


def test_an_effect_that_returned_is_confirmed() -> None:
    assert ended(begun().finish("send")) == ("confirmed", None, 1_000_004)


def test_an_effect_that_is_known_to_have_failed_says_with_which_code() -> None:
    assert ended(begun("idempotent").fail("send")) == ("failed", "tool_failed", 1_000_004)


def test_an_effect_of_which_nobody_knows_is_unknown() -> None:
    assert ended(begun().lose("send")) == ("unknown", "interrupted", 1_000_004)


def test_a_retried_effect_is_one_effect_under_one_key_that_counts_its_attempts() -> None:
    toy = begun("idempotent").post(StepRetried(SEND, 2, "timed_out", 0.5))
    assert (only(toy).outcome, only(toy).code) == ("under_way", "timed_out")
    toy.start("send", "idempotent")
    assert (only(toy).attempts, only(toy).key, only(toy).started_at) == (2, "key/send", 1_000_003)
    assert ended(toy.finish("send")) == ("confirmed", None, 1_000_006)


def test_a_lost_owner_leaves_once_effects_unknown_and_others_under_way() -> None:
    toy = Toy().begin(step("send"), step("put"), step("done")).start("send", "once").start("put", "idempotent")
    toy.start("done", "once").finish("done").post(RunClaimed(OWNER))
    assert [(entry.step, entry.outcome, entry.code) for entry in ledger(toy)] == [
        ("send", "unknown", "owner_lost"),
        ("put", "under_way", None),
        ("done", "confirmed", None),
    ]


@pytest.mark.parametrize(("decision", "outcome"), [("done", "confirmed"), ("skip", "skipped"), ("fail", "failed")])
def test_a_decision_settles_what_was_unknown_and_keeps_who_said_so(decision: Decision, outcome: Outcome) -> None:
    toy = begun().lose("send").post(EffectDecided(SEND, decision, PrincipalId("ann"), output=1))
    entry = only(toy)
    assert (entry.outcome, entry.decided, entry.by, entry.ended_at) == (outcome, decision, "ann", 1_000_005)


def test_an_effect_that_is_to_be_tried_again_waits_for_that_and_then_runs() -> None:
    toy = begun().lose("send").decide("send", "retry")
    assert (only(toy).outcome, only(toy).decided) == ("under_way", "retry")
    toy.start("send", "once")
    assert (only(toy).attempts, only(toy).ended_at) == (2, None)
    assert ended(toy.finish("send"))[0] == "confirmed"


@pytest.mark.parametrize(("code", "outcome"), [(None, "undone"), ("compensation_failed", "undo_failed")])
def test_an_effect_that_is_taken_back_says_how_that_went(code: str | None, outcome: Outcome) -> None:
    toy = begun().finish("send").post(EffectCompensating(SEND, 1, "undo/send"))
    assert ended(toy)[0] == "undoing"
    toy.post(EffectCompensated(SEND, 1, code))
    assert ended(toy) == (outcome, code, 1_000_006)


def test_effects_come_in_the_order_in_which_they_began() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c"))
    toy.start("c", "once").start("a", "idempotent").start("b", "verify").finish("a").finish("c")
    assert [(entry.step, entry.effect) for entry in ledger(toy)] == [("c", "once"), ("a", "idempotent"), ("b", "verify")]


def test_what_is_told_of_steps_that_are_no_effects_is_left_out() -> None:
    toy = Toy().begin(step("a"), step("b"), step("c")).perform("a").start("b").fail("b").start("c")
    toy.post(
        StepRetried(StepId("c"), 2, "x", 0.1),
        StepUnknown(StepId("c"), 1, "x"),
        EffectDecided(StepId("c"), "skip"),
        EffectCompensating(StepId("a"), 1, "k"),
        EffectCompensated(StepId("a"), 1),
    )
    assert ledger(toy) == []


def test_an_effect_of_a_step_that_the_fold_no_longer_has_is_listed_without_its_tool() -> None:
    toy = Toy().begin(step("send")).start("send", "once")
    del toy.run.graph.steps[SEND]
    assert only(toy).tool is None
