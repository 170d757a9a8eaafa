"""A fork keeps what was known at its event, under names of its own, and says what it does not know of the world."""

from dataclasses import replace

import pytest

from agent_sdk.core.budget import NOTHING, Amounts, Purse, Shortfall, run_scope
from agent_sdk.core.errors import JournalNewer, RequestError
from agent_sdk.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    BudgetRefused,
    BudgetReserved,
    BudgetSettled,
    CallMark,
    ChildFinished,
    ChildStarted,
    EffectCompensated,
    EffectCompensating,
    Event,
    Fact,
    ModelCalled,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunCreated,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StepFailed,
    StepFinished,
    StepStarted,
    StepWaiting,
    UnknownEvent,
)
from agent_sdk.core.fork import Code, InFork, fork, last_good, repeated_effects
from agent_sdk.core.ids import DEFAULT_TENANT, OwnerId, RunId, SessionId, StepId
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.messages import Message, ToolCallPart
from agent_sdk.core.run import Run, fold
from agent_sdk.core.usage import NO_USAGE, Usage

OLD, NEW = RunId("old"), RunId("new")
A, B = StepId("t1.1"), StepId("t1.2")
CREATED = RunCreated(
    "agent", "1", {"tool:pay": "x"}, "goal", parent=RunId("above"), root=RunId("top"), depth=2, session=SessionId("s"), deadline_at=1000
)
CALLS = ModelCalled(
    StepId("t1"),
    "turn",
    "m",
    NO_USAGE,
    "tool_calls",
    (),
    (CallMark(A, "pay"), CallMark(B, "pay")),
    TRUSTED,
    message=Message("assistant", (ToolCallPart(A, "pay", {}), ToolCallPart(B, "pay", {}))),
)
BEGIN: tuple[Event, ...] = (CREATED, RunClaimed(OwnerId("o")), CALLS)


def facts(*events: Event, cause: str | None = None) -> list[Fact]:
    """Return the facts of a run of these events, one a microsecond, the last of them with this cause."""
    return [Fact(seq, 1, seq, event, cause if seq == len(events) else None) for seq, event in enumerate(events, 1)]


def paid(step: StepId, effect: str = "once") -> StepStarted:
    return StepStarted(step, 1, "once" if effect == "once" else "idempotent", f"{OLD}/{step}")


def forked(history: list[Fact], at: int | None = None, now_us: int = 0, code: Code | None = None) -> list[Fact]:
    return fork(history, at if at is not None else len(history), source=OLD, run_id=NEW, now_us=now_us, code=code)


def folded(history: list[Fact]) -> Run:
    return fold(Run(DEFAULT_TENANT, NEW), history)


def test_a_fork_is_nobodys_child_has_no_session_and_names_its_source() -> None:
    created = forked(facts(*BEGIN))[0].event
    assert isinstance(created, RunCreated)
    assert (created.parent, created.root, created.depth, created.session, created.place) == (None, None, 0, None, None)
    assert (created.forked_from, created.forked_at, created.goal) == (OLD, 3, "goal")


def test_numbers_have_no_gaps_and_no_epoch_or_cause_is_that_of_the_source() -> None:
    copied = forked(facts(*BEGIN, SignalReceived("paid"), cause="inbox:7"))
    assert [fact.seq for fact in copied] == [1, 2, 3, 4, 5]
    assert {(fact.epoch, fact.cause) for fact in copied} == {(0, None)}
    assert folded(copied).inbox_seen == 0
    assert folded(copied).state == "queued"


def test_every_key_is_the_forks_own() -> None:
    done = (*BEGIN, paid(A), StepFinished(A, 1, 1), EffectCompensating(A, 1, f"{OLD}/{A}~undo"))
    events = [fact.event for fact in forked(facts(*done))]
    assert [event.key for event in events if isinstance(event, StepStarted | EffectCompensating)] == [f"{NEW}/{A}", f"{NEW}/{A}~undo"]


def test_a_child_that_had_not_ended_begins_anew_and_one_that_had_stays() -> None:
    children = (ChildStarted(A, RunId("a"), "sub"), ChildStarted(B, RunId("b"), "sub"), ChildFinished(B, RunId("b"), "succeeded"))
    run = folded(forked(facts(*BEGIN, *children)))
    assert (run.graph.steps[A].status, run.graph.steps[B].status) == ("ready", "finished")


@pytest.mark.parametrize("becomes", [None, StepId("t1.1~5")])
def test_an_approval_that_was_not_used_is_asked_for_again(becomes: StepId | None) -> None:
    ruling = ApprovalDecided(A, "approve", "d") if becomes is None else ApprovalDecided(A, "edit", "d", becomes=becomes, args={})
    history = facts(*BEGIN, ApprovalRequested(A, "pay", "d", expires_at=104), ruling)
    asked = folded(forked(history, now_us=1005))
    assert asked.graph.parked[A].wake_at == 1104
    used = folded(forked(facts(*(fact.event for fact in history), paid(becomes or A))))
    assert A not in used.graph.parked


def test_a_denial_stays() -> None:
    run = folded(forked(facts(*BEGIN, ApprovalRequested(A, "pay", "d"), ApprovalDecided(A, "deny", "d"))))
    assert run.graph.steps[A].status == "failed"


def test_time_that_was_left_is_left_in_the_fork() -> None:
    history = facts(
        *BEGIN, StepWaiting(A, "timer", wake_at=50), StepWaiting(B, "question"), RunWaiting("timer", (A,)), RunReleased("waiting")
    )
    run = folded(forked(history, now_us=2007))
    assert run.graph.parked[A].wake_at == 2050
    assert run.created is not None
    assert run.created.deadline_at == 3000
    assert (run.state, run.reason) == ("queued", None)


def test_a_wait_that_was_over_stays_as_it_was() -> None:
    copied = forked(facts(*BEGIN, StepWaiting(A, "timer", wake_at=5), StepFinished(A, 1, 0)), now_us=2000)
    assert copied[3].event == StepWaiting(A, "timer", wake_at=5)


def test_a_fork_pins_the_code_that_was_accepted_or_the_one_it_is_given() -> None:
    history = facts(*BEGIN, RunWoken(accepted={"tool:pay": "y"}, agent_version="2"))
    kept = folded(forked(history))
    assert kept.created is not None
    assert (kept.created.agent_version, kept.pinned) == ("2", {"tool:pay": "y"})
    given = folded(forked(history, code=Code("3", {"tool:pay": "z"})))
    assert given.created is not None
    assert (given.created.agent_version, given.created.digests, given.pinned) == ("3", {"tool:pay": "z"}, {"tool:pay": "z"})


def test_a_fork_of_the_first_event_alone_is_a_new_run_of_the_same_goal() -> None:
    assert [fact.event.type for fact in forked(facts(*BEGIN), 1)] == ["run.created"]


@pytest.mark.parametrize("at", [0, 9])
def test_an_event_that_is_not_there_is_refused(at: int) -> None:
    with pytest.raises(RequestError, match=f"no event {at}"):
        forked(facts(*BEGIN), at)


def test_the_end_of_a_run_is_refused_with_a_better_place() -> None:
    with pytest.raises(RequestError, match="is the end") as caught:
        forked(facts(*BEGIN, RunSucceeded(TRUSTED)))
    assert caught.value.hint == "choose an earlier one, such as 3"


def test_what_is_not_understood_is_not_copied() -> None:
    with pytest.raises(JournalNewer, match=r"event 4 .* 'run\.taught'"):
        forked(facts(*BEGIN, UnknownEvent("run.taught", 1)))
    with pytest.raises(RequestError, match="no first event"):
        forked(facts(RunClaimed(OwnerId("o"))))


@pytest.mark.parametrize(
    ("events", "at"),
    [
        (BEGIN, 3),
        ((*BEGIN, RunSucceeded(TRUSTED)), 3),
        ((*BEGIN, StepFailed(StepId("t2"), 1, "model_failed"), RunFailed("model_failed")), 3),
        ((*BEGIN, paid(A), RunCancelRequested(), RunCancelled()), 4),
        ((*BEGIN, RunFailed("turn_limit")), 3),
        ((RunCreated("agent", "1", {}), RunCancelRequested()), 1),
    ],
)
def test_the_last_good_event_stands_before_what_decided_on_the_end(events: tuple[Event, ...], at: int) -> None:
    assert last_good(facts(*events)) == at


@pytest.mark.parametrize(
    ("behind", "at", "effect", "said"),
    [
        ((StepFinished(A, 1, 1),), 3, "once", ("confirmed", "repeated")),
        ((StepFinished(A, 1, 1),), 4, "once", ("confirmed", "asked")),
        ((StepFinished(A, 1, 1),), 4, "idempotent", ("confirmed", "repeated")),
        ((), 3, "once", ("under_way", "repeated")),
        ((StepFinished(A, 1, 1),), 5, "once", None),
        ((StepFinished(A, 1, 1), EffectCompensating(A, 1, "k"), EffectCompensated(A, 1)), 5, "once", ("undone", "taken_as_done")),
        ((StepFinished(A, 1, 1), EffectCompensating(A, 1, "k"), EffectCompensated(A, 1)), 7, "once", None),
    ],
)
def test_a_fork_says_which_effects_it_does_not_know_as_they_are(
    behind: tuple[Event, ...], at: int, effect: str, said: tuple[str, InFork] | None
) -> None:
    found = repeated_effects(facts(*BEGIN, paid(A, effect), *behind), at)
    assert [(each.step, each.tool, each.key, each.became, each.in_fork) for each in found] == (
        [(A, "pay", f"{OLD}/{A}", *said)] if said is not None else []
    )


def test_a_child_counts_as_an_effect() -> None:
    history = facts(*BEGIN, ChildStarted(A, RunId("a"), "sub"), ChildStarted(B, RunId("b"), "sub"), ChildFinished(B, RunId("b"), "failed"))
    assert [(each.step, each.effect, each.became) for each in repeated_effects(history, 3)] == [
        (A, "child", "under_way"),
        (B, "child", "failed"),
    ]
    assert [each.step for each in repeated_effects(history, 6)] == [A]
    done = facts(*BEGIN, ChildStarted(A, RunId("a"), "sub"), ChildFinished(A, RunId("a"), "succeeded"))
    assert repeated_effects(done, 3)[0].became == "confirmed"


@pytest.mark.parametrize(
    ("scopes", "in_fork"),
    [
        (None, None),
        (("tenant", run_scope(OLD)), ("tenant", run_scope(NEW))),
        (("tenant", "session/s", run_scope(RunId("top"))), ("tenant", "session/s")),
    ],
)
def test_a_fork_spends_from_the_shared_budgets_and_one_of_its_own(scopes: tuple[str, ...] | None, in_fork: tuple[str, ...] | None) -> None:
    created = forked(facts(replace(CREATED, budgets=scopes)))[0].event
    assert isinstance(created, RunCreated)
    assert created.budgets == in_fork


def test_what_the_source_reserved_and_spent_is_not_the_forks_to_settle() -> None:
    lacking = Shortfall("budget_exceeded", "too much", f"run/{OLD}:calls", 5, 4, 0, 4)
    paid_for = replace(CALLS, usage=Usage(10, 20))
    history = facts(
        replace(CREATED, budgets=("tenant", run_scope(OLD))),
        RunClaimed(OwnerId("o")),
        BudgetReserved(StepId("t1"), Amounts(0, 500, 4)),
        paid_for,
        BudgetRefused(StepId("t2"), lacking),
    )
    assert folded(history).purse == Purse(("tenant", run_scope(OLD)), Amounts(0, 500, 4), Amounts(0, 30, 1), 1)
    run = folded(forked(history))
    assert run.purse == Purse(("tenant", run_scope(NEW)))
    assert run.usage.output_tokens == 20, "it is told what its past cost all the same"
    settled = folded(forked([*history, Fact(6, 1, 6, BudgetSettled(Amounts(0, 30, 1), NOTHING))]))
    assert settled.purse == run.purse
