from random import Random

from hypothesis import given, strategies as st

from agent_sdk.core.ids import StepId
from agent_sdk.planning.order import cycle_in, stuck_behind

IDS = st.sampled_from([StepId(each) for each in "abcdef"])
NEEDS = st.dictionaries(IDS, st.lists(IDS, max_size=3))


@given(NEEDS)
def test_a_circle_that_is_named_is_one(needs: dict[StepId, list[StepId]]) -> None:
    circle = cycle_in(needs)
    for step, following in zip(circle, (*circle[1:], *circle[:1]), strict=True):
        assert step in needs[following]


@given(NEEDS)
def test_without_circles_every_step_comes_behind_what_it_needs(needs: dict[StepId, list[StepId]]) -> None:
    left = {step: set(sources) & needs.keys() for step, sources in needs.items()}
    while free := [step for step, sources in left.items() if not sources]:
        left = {step: sources - set(free) for step, sources in left.items() if step not in free}
    assert bool(left) == bool(cycle_in(needs))


@given(NEEDS)
def test_what_is_stuck_waits_for_the_circle_and_nothing_else_does(needs: dict[StepId, list[StepId]]) -> None:
    circle = set(cycle_in(needs))
    stuck = stuck_behind(needs, tuple(circle))
    for step, sources in needs.items():
        if step not in circle:
            assert (step in stuck) == bool(set(sources) & (stuck | circle))


def test_a_long_chain_behind_a_circle_is_found_at_once() -> None:
    ids = [StepId(f"s{n}") for n in range(5_000)]
    needs = {step: [ids[max(0, index - 1)]] for index, step in enumerate(ids)}
    shuffled = list(needs)
    Random(1).shuffle(shuffled)
    assert cycle_in(needs) == (ids[0],)
    assert len(stuck_behind({step: needs[step] for step in shuffled}, (ids[0],))) == 4_999
