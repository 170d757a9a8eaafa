import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.core.ports import Ticket, Wanted
from agent_sdk.dispatch.lanes import Lane, is_open, lanes_of


def lane(agent: str = "clerk", version: str = "1", queue: str = "default") -> Lane:
    return Lane.of(Ticket(TenantId("acme"), RunId("r"), agent, version, queue))


CLERK = frozenset({("clerk", "1")})


@given(st.tuples(st.text(), st.text(), st.text()), st.tuples(st.text(), st.text(), st.text()))
def test_each_queue_and_version_has_a_lane_of_its_own_whatever_the_names_hold(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (lane(*one) == lane(*other)) == (one == other)


def test_a_lane_s_words_fit_into_a_subject_and_name_it_again() -> None:
    named = lane("a.b *>", "1.0 beta", "fast lane")
    assert all(letter.isalnum() or letter in ".-" for letter in named.words + named.name)
    assert Lane.parse(f"agent_sdk.run.{named.words}") == named


@pytest.mark.parametrize("subject", ["", "run"])
def test_a_subject_of_fewer_words_names_no_lane(subject: str) -> None:
    assert Lane.parse(subject) is None


def test_what_is_named_has_its_lanes_seen_or_not() -> None:
    wanted = Wanted(1, agents=frozenset({("clerk", "1"), ("cook", "2")}), queues=frozenset({"fast", "slow"}))
    expected = {lane(*agent, queue) for agent in [("clerk", "1"), ("cook", "2")] for queue in ("fast", "slow")}
    assert set(lanes_of(wanted, [lane("else")])) == expected
    assert not is_open(wanted)


def test_without_queues_there_are_the_default_one_and_those_seen() -> None:
    wanted = Wanted(1, agents=CLERK)
    assert set(lanes_of(wanted, [lane(queue="fast"), lane("cook", queue="fast")])) == {lane(), lane(queue="fast")}
    assert is_open(wanted)


def test_without_agents_there_are_those_seen() -> None:
    assert set(lanes_of(Wanted(1, queues=frozenset({"fast"})), [lane(queue="fast"), lane("cook")])) == {lane(queue="fast")}
    assert lanes_of(Wanted(1), []) == []
