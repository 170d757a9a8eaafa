"""What holds for every run, whatever shape its plan has and whatever becomes of its steps."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from hypothesis import given, settings, strategies as st

from agent_sdk.core.agent import Limits
from agent_sdk.core.decide import Consult, decide
from agent_sdk.core.events import EffectDecided, RunClaimed, StepFinished, StepStarted, StepUnknown
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import OnError, sources_of
from agent_sdk.core.run import Run, fold
from tests.unit.core.toy import OWNER, Outcome, Toy, envelopes, new_run, random_steps, refold, step, walk

CHANCE = st.builds(Random, st.integers(0, 2**32))
ALL: Sequence[Outcome] = ("finish", "finish", "finish", "fail", "unknown")
EVERY_POLICY: Sequence[OnError] = ("fail", "skip", "retry", "repair", "skip", "repair")
FOLDED_FROM_META = (
    *("head", "epoch", "inbox_seen", "state", "reason", "revision", "usage", "retries", "label", "repairs", "to_repair"),
    *("undoable", "undone", "progress_epoch", "is_crash_looping", "pinned", "failed_step"),
)
KEPT_OF_A_STEP = (
    *("status", "attempt", "key", "effect", "label", "group", "items", "started_at", "ended_at"),
    *("stands_for", "is_allowed", "undoes", "args_digest"),
)


def any_walk(chance: Random) -> Toy:
    return walk(Toy().begin(*random_steps(chance, chance.randrange(12), EVERY_POLICY)), chance, ALL)


@given(CHANCE)
def test_a_dag_of_any_shape_is_performed_completely(chance: Random) -> None:
    toy = walk(Toy().begin(*random_steps(chance, chance.randrange(25))), chance)
    assert toy.next() == Consult()
    assert set(toy.statuses.values()) <= {"finished", "skipped"}
    assert not toy.run.graph.ready
    assert not toy.run.graph.running


@given(CHANCE)
def test_no_more_steps_run_side_by_side_than_may(chance: Random) -> None:
    counts: list[int] = []
    toy = Toy(new_run(Limits(max_parallel=3)))
    walk(toy.begin(*random_steps(chance, 12)), chance, look=lambda run: counts.append(len(run.graph.running)))
    assert max(counts) <= 3


@given(CHANCE)
def test_ready_holds_no_step_whose_sources_have_not_finished(chance: Random) -> None:
    def look(run: Run) -> None:
        settled = {each.id for each in run.graph.steps.values() if each.status in {"finished", "failed", "skipped"}}
        for state in (run.graph.steps[identity] for identity in run.graph.ready):
            assert state.status == "ready"
            assert state.spec is not None
            assert set(sources_of(state.spec)) <= run.graph.outputs.keys()
            assert set(state.spec.after) <= settled

    walk(Toy().begin(*random_steps(chance, 12, EVERY_POLICY)), chance, ALL, look)


@given(CHANCE)
def test_a_finished_step_is_never_started_again(chance: Random) -> None:
    finished = set[StepId]()
    for fact in any_walk(chance).facts:
        match fact.event:
            case StepStarted(step=started):
                assert started not in finished
            case StepFinished(step=ended):
                finished.add(ended)
            case _:
                pass


@given(CHANCE)
def test_an_unknown_effect_is_never_started_again_without_a_decision(chance: Random) -> None:
    under_way, unknown = set[StepId](), set[StepId]()
    for fact in any_walk(chance).facts:
        match fact.event:
            case StepStarted(step=started, effect=effect):
                assert started not in unknown
                under_way.update([started] if effect == "once" else [])
            case RunClaimed():
                unknown |= under_way
                under_way.clear()
            case StepUnknown(step=lost):
                unknown.add(lost)
                under_way.discard(lost)
            case EffectDecided(step=decided):
                unknown.remove(decided)
            case event:
                under_way.discard(getattr(event, "step", StepId("")))


@given(CHANCE)
def test_a_claim_settles_all_that_ran_and_nothing_else(chance: Random) -> None:
    toy = Toy().begin(*random_steps(chance, 10))

    def claim(run: Run) -> None:
        if not run.graph.running or chance.random() > 0.2:
            return
        expected = {identity: state.status for identity, state in run.graph.steps.items()}
        expected |= {identity: "unknown" if run.graph.steps[identity].effect == "once" else "ready" for identity in run.graph.running}
        assert Toy(fold(new_run(), toy.facts), list(toy.facts)).post(RunClaimed(OWNER)).statuses == expected

    walk(toy, chance, look=claim)


@given(st.lists(st.booleans(), max_size=8))
def test_nothing_starts_behind_a_failed_step(outcomes: list[bool]) -> None:
    toy = Toy().begin(*(step(f"s{index}", *([f"s{index - 1}"] if index else [])) for index in range(len(outcomes))))
    good = [*outcomes, False].index(False)
    for index in range(good):
        assert toy.ready == [f"s{index}"]
        toy.perform(f"s{index}")
    if good < len(outcomes):
        toy.start(f"s{good}").fail(f"s{good}")
    assert not toy.ready
    assert len(toy.run.graph.outputs) == good + 1  # with the goal


@given(CHANCE, st.floats(0, 1))
def test_the_fold_is_a_function_of_the_facts_in_order(chance: Random, share: float) -> None:
    toy = any_walk(chance)
    cut = int(share * len(toy.facts))
    assert fold(fold(new_run(), toy.facts[:cut]), toy.facts[cut:]) == toy.run


@given(CHANCE)
def test_a_run_that_was_stored_folds_to_the_same_run(chance: Random) -> None:
    toy = any_walk(chance)
    assert refold(envelopes(toy.facts)) == toy.run


@given(CHANCE)
def test_state_cost_and_effects_fold_with_every_body_gone(chance: Random) -> None:
    whole = any_walk(chance)
    bare = refold([replace(envelope, body=None) for envelope in envelopes(whole.facts)])
    assert [getattr(bare, name) for name in FOLDED_FROM_META] == [getattr(whole.run, name) for name in FOLDED_FROM_META]
    assert (bare.failure is None) == (whole.run.failure is None)
    assert bare.graph.ready == whole.run.graph.ready
    assert bare.graph.doomed == whole.run.graph.doomed
    assert {step: replace(pending, text=None, args=None) for step, pending in whole.run.graph.parked.items()} == bare.graph.parked
    assert {name: [seq for seq, _ in queue] for name, queue in bare.signals.items()} == {
        name: [seq for seq, _ in queue] for name, queue in whole.run.signals.items()
    }
    assert (bare.graph.needs, bare.graph.after) == (whole.run.graph.needs, whole.run.graph.after)
    for identity, state in whole.run.graph.steps.items():
        assert [getattr(bare.graph.steps[identity], name) for name in KEPT_OF_A_STEP] == [getattr(state, name) for name in KEPT_OF_A_STEP]


@given(CHANCE)
def test_every_finished_effect_that_can_be_undone_is_undone_once_in_reverse(chance: Random) -> None:
    toy = any_walk(chance)
    ends = [fact.event for fact in toy.facts if isinstance(fact.event, (StepFinished, EffectDecided))]
    finished = [end.step for end in ends if isinstance(end, StepFinished) or end.decision == "done"]
    if toy.run.undone:
        assert not toy.run.undoable
        assert list(toy.run.undone) == [step for step in reversed(finished) if step in toy.run.undone]
        assert len(set(toy.run.undone)) == len(toy.run.undone)


@given(CHANCE)
def test_a_step_whose_call_was_edited_ends_as_the_step_that_was_performed_in_its_place(chance: Random) -> None:
    steps = any_walk(chance).run.graph.steps
    for state in steps.values():
        if state.stands_for is not None and state.status in {"finished", "failed", "skipped"}:
            original = steps[state.stands_for]
            assert (original.status, original.output, original.label) == (state.status, state.output, state.label)


@settings(max_examples=30)
@given(CHANCE)
def test_deciding_changes_nothing(chance: Random) -> None:
    toy = any_walk(chance)
    before = fold(new_run(), toy.facts)
    assert decide(toy.run, 0) == decide(before, 0)
    assert toy.run == before
