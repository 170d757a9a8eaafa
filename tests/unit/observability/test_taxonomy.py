import pytest

from agent_sdk.core.budget import Shortfall
from agent_sdk.core.envelope import EVENT_CLASSES
from agent_sdk.core.events import (
    ApprovalDecided,
    ChildFinished,
    CodeChange,
    ContextCompacted,
    EffectCompensated,
    EffectCompensating,
    Event,
    MessageReceived,
    ModelCalled,
    QuestionAnswered,
    RunCreated,
    RunWaiting,
    RunWoken,
    SignalReceived,
    StepFailed,
    StepRetried,
    StepSkipped,
    StepStarted,
    StepWaiting,
    UnknownEvent,
)
from agent_sdk.core.ids import PrincipalId, RunId, StepId
from agent_sdk.core.usage import Usage
from agent_sdk.observability.taxonomy import KINDS, detail_of, family_of, render_duration, severity_of, summary_of
from tests.unit.observability.samples import EVENTS, SECRET, TEXT

RANK = {"info": 0, "warn": 1, "error": 2}


def test_the_samples_and_the_table_of_kinds_hold_every_event_type() -> None:
    every = {*EVENT_CLASSES.values(), UnknownEvent}
    assert set(KINDS) == every
    assert {type(event) for event in EVENTS} == every


def test_the_meaning_of_each_type_is_a_sentence_of_its_own() -> None:
    meanings = [kind.meaning for kind in KINDS.values()]
    assert all(meaning.endswith(".") for meaning in meanings)
    assert len(set(meanings)) == len(meanings)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_event_has_a_family_and_is_no_less_grave_than_its_type(event: Event) -> None:
    assert family_of(event) == ("unknown" if isinstance(event, UnknownEvent) else event.type.partition(".")[0])
    assert RANK[severity_of(event)] >= RANK[KINDS[type(event)].severity]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_a_summary_is_one_line_without_users_content(event: Event) -> None:
    summary = summary_of(event)
    assert summary
    assert summary.isprintable()
    assert SECRET not in summary


@pytest.mark.parametrize(
    ("event", "severity"),
    [
        (RunWaiting("approval"), "info"),
        (RunWaiting("crash_loop"), "warn"),
        (MessageReceived(), "info"),
        (MessageReceived("run_ended"), "warn"),
        (StepSkipped(StepId("a"), "condition"), "info"),
        (StepSkipped(StepId("a"), "source_failed"), "warn"),
        (ModelCalled(StepId("t1"), "turn", "m", Usage(), "end", ()), "info"),
        (ModelCalled(StepId("t1"), "turn", "m", Usage(), "refused", ()), "warn"),
    ],
)
def test_an_event_may_be_graver_than_its_type(event: Event, severity: str) -> None:
    assert severity_of(event) == severity


def test_summaries_say_what_matters_and_leave_out_what_is_usual() -> None:
    said = {event.type: summary_of(event) for event in EVENTS}
    assert said["step.started"] == "count started, attempt 2, 3 items"
    assert summary_of(StepStarted(StepId("count"))) == "count started"
    assert said["step.finished"] == "count finished in 12 ms"
    assert said["step.retried"] == "count failed: tool_timed_out, attempt 1; tried again in 1.5 s"
    assert said["plan.rejected"] == "plan rejected: unknown_tool"
    assert said["model.called"] == "gpt answered t1 (turn): 10 + 20 tokens, 1 calls, 2 attempts, stopped: length"
    assert said["budget.reserved"] == "budget reserved for t2: $0.08, 4000 tokens, 4 calls"
    assert said["budget.refused"] == "budget refused for t2: a call more would be too many"
    assert said["budget.settled"] == "budget settled: $0.01, 30 tokens, 1 calls spent, $0.07, 3970 tokens, 3 calls released"
    assert said["context.compacted"] == "context compacted from about 9000 to 4000 tokens: 4 messages kept, 1 outputs cleared"
    assert said["context.exceeded"] == "t2 was too long for the model"
    assert summary_of(RunWaiting("budget", shortfall=Shortfall("price_unknown", "no price"))) == "waits: budget (no price)"
    assert said["run.teleported"] == "event run.teleported v3 is not known to this version"
    assert summary_of(RunWaiting("approval")) == "waits: approval"
    retried = StepRetried(StepId("t1"), 2, "model_unavailable", 0.0)
    assert summary_of(retried) == "t1 failed: model_unavailable, attempt 2; tried again", "whenever the budget allows"
    assert summary_of(ContextCompacted(3, (), 90, 40, drafts=2)).endswith("3 messages kept, 0 outputs cleared, 2 rejected plans left out")
    assert summary_of(ModelCalled(StepId("t1"), "turn", "m", Usage(), "end", ())) == "m answered t1 (turn): 0 + 0 tokens"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (StepWaiting(StepId("a"), "timer", wake_at=1), "a waits for its time"),
        (
            RunWaiting("code_changed", changes=(CodeChange("tool:pay", "a" * 64, "b" * 64), CodeChange("tool:old", "c" * 64))),
            "waits: code_changed (tool:pay: aaaaaaaaaaaa is now bbbbbbbbbbbb, tool:old: cccccccccccc is now gone)",
        ),
        (StepWaiting(StepId("a"), "signal", "paid"), "a waits for the signal paid"),
        (StepWaiting(StepId("a"), "question"), "a waits for a person's answer"),
        (ApprovalDecided(StepId("a"), "expire", "ab"), "a denied: nobody decided in time"),
        (ApprovalDecided(StepId("a"), "edit", "ab", becomes=StepId("a~7")), "a approved with other arguments, as a~7"),
        (QuestionAnswered(StepId("a"), PrincipalId("ann")), "a answered by ann"),
        (SignalReceived("paid"), "signal paid received"),
        (ChildFinished(StepId("a"), RunId("run_2"), "succeeded"), "a: child run run_2 succeeded"),
        (EffectCompensating(StepId("a"), 1, "k"), "undoing a"),
        (EffectCompensated(StepId("a"), 1), "a undone"),
        (RunWoken(PrincipalId("ann"), {}), "let go on by ann, with changed code"),
    ],
)
def test_waits_and_what_ends_them_are_told_in_plain_words(event: Event, said: str) -> None:
    assert summary_of(event) == said


def test_details_are_the_users_own_texts_and_none_where_there_are_none() -> None:
    details = {event.type: detail_of(event) for event in EVENTS}
    assert details["run.created"] == TEXT
    assert details["step.failed"] == f"{TEXT}; hint: {TEXT}"
    assert details["plan.rejected"] == f"$.steps[0].tool: {TEXT}"
    assert details["step.started"] is None
    assert detail_of(StepFailed(StepId("a"), 1, "x")) is None
    assert detail_of(RunCreated("a", "1", {})) is None


@pytest.mark.parametrize(
    ("duration_us", "text"), [(0, "0 us"), (999, "999 us"), (1000, "1 ms"), (999_499, "999 ms"), (999_500, "1.0 s"), (61_000_000, "61.0 s")]
)
def test_durations_are_read_in_the_unit_that_fits(duration_us: int, text: str) -> None:
    assert render_duration(duration_us) == text
