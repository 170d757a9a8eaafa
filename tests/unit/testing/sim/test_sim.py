"""The simulated model itself, without a protocol (fake_llm)."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, JsonValue

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.usage import Usage
from agent_sdk.testing import Call, Fault, FaultKind, Faults, ScriptExhausted, Sim, SimPrice, SimReply
from agent_sdk.testing.sim import FAULT_KINDS, Dialect, SimRequest, SimTool, Spoken, Wanted, count_tokens
from agent_sdk.testing.sim.sim import possible_faults
from agent_sdk.testing.sim.tokens import split_tokens

TOOLS = (SimTool("search", {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}), SimTool("look", {}))
PRICE = SimPrice(Decimal("2.50"), Decimal(10), cached_input=Decimal("0.25"), cache_write=Decimal("3.125"))


WITH_TOOLS = Wanted(TOOLS)


def asked(*messages: Spoken, text: str = "Hi", wanted: Wanted = WITH_TOOLS, dialect: Dialect = "port") -> SimRequest:
    return SimRequest(dialect, "m", "Be brief.", [Spoken("user", text), *messages], wanted)


def turn(number: int) -> list[Spoken]:
    return [Spoken("assistant", f"search {number}", 1), Spoken("tool", f"result {number}", 0, (f"result {number}",))]


def test_fake_llm_calls_tools_for_so_many_turns_and_then_answers() -> None:
    sim = Sim(turns=2)
    assert sim.decide(asked()).reply.calls
    assert sim.decide(asked(*turn(1))).reply.calls
    last = sim.decide(asked(*turn(1), *turn(2)))
    assert (last.reply.calls, last.reply.stopped) == ((), "end")
    assert last.reply.text
    assert sim.decide(asked(*turn(1), *turn(2), Spoken("user", "And now?"))).reply.calls


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(TOOLS, "none"), set[str]()),
        (Wanted(TOOLS, force_tool="look"), {"look"}),
        (Wanted(TOOLS, "required"), {"search", "look"}),
        (Wanted(), set[str]()),
    ],
)
def test_fake_llm_calls_what_it_must_and_no_more(wanted: Wanted, names: set[str]) -> None:
    called = {call.tool for seed in range(20) for call in Sim(turns=1, seed=seed).decide(asked(wanted=wanted)).reply.calls}
    assert called == names


def test_fake_llm_calls_one_by_one_where_that_is_asked() -> None:
    replies = [Sim(seed=seed).decide(asked(wanted=Wanted(TOOLS, is_parallel=False))).reply for seed in range(20)]
    assert {len(reply.calls) for reply in replies} == {1}


def test_fake_llm_answers_in_the_asked_schema() -> None:
    schema: dict[str, JsonValue] = {"type": "array", "items": {"type": "integer"}, "minItems": 2}
    reply = Sim().decide(asked(wanted=Wanted(output_schema=schema))).reply
    assert reply.text.startswith("[")


def test_fake_llm_says_the_same_with_the_same_seed_and_another_with_another() -> None:
    one, again, other = (Sim(seed=seed).decide(asked()).reply for seed in (1, 1, 2))
    assert one == again != other


def test_fake_llm_says_the_same_in_whatever_order_it_is_asked() -> None:
    there, back = Sim(), Sim()
    texts = [f"question {n}" for n in range(10)]
    first = [there.decide(asked(text=text)).reply for text in texts]
    assert [back.decide(asked(text=text)).reply for text in reversed(texts)] == first[::-1]


def test_fake_llm_may_answer_differently_when_asked_again() -> None:
    sim = Sim(faults=Faults(0.5))
    assert len({sim.decide(asked()).kind for _ in range(30)}) > 3


@given(st.floats(0, 1), st.integers(0, 1000))
def test_fake_llm_fails_the_same_with_the_same_seed(rate: float, seed: int) -> None:
    kinds = [[Sim(faults=Faults(rate, seed)).decide(asked(text=str(n))).kind for n in range(20)] for _ in range(2)]
    assert kinds[0] == kinds[1]


def test_fake_llm_fails_as_often_as_it_was_told_and_counts_it() -> None:
    sim = Sim(faults=Faults(0.2, seed=5, kinds=("rate_limited", "server_error"), weights={"server_error": 3.0}))
    kinds = Counter(sim.decide(asked(text=str(n))).kind for n in range(2000))
    assert 300 < sim.faulted.total() < 500
    assert 2 < sim.faulted["server_error"] / sim.faulted["rate_limited"] < 4
    assert sim.faulted == {kind: number for kind, number in kinds.items() if kind is not None}


def test_fake_llm_draws_no_fault_that_its_reply_cannot_have() -> None:
    text, call = SimReply("Hi"), SimReply(calls=(Call("a"),))
    two = SimReply(calls=(Call("a"), Call("b")))
    streamed = Wanted(is_stream=True)
    assert set(FAULT_KINDS) - possible_faults(asked(wanted=streamed, dialect="openai_chat"), two) == set()
    assert set(FAULT_KINDS) - possible_faults(asked(), text) == {"invalid_arguments", "duplicate_call_ids", "error_in_stream"}
    assert "invalid_arguments" not in possible_faults(asked(dialect="anthropic"), call)
    assert "invalid_arguments" in possible_faults(asked(dialect="anthropic", wanted=streamed), call)
    assert "invalid_arguments" in possible_faults(asked(dialect="gemini"), call)
    assert Faults(1.0, kinds=("duplicate_call_ids",)).draw("q", possible_faults(asked(), call)) is None


@pytest.mark.parametrize(
    ("rate", "kinds", "weights"),
    [(1.5, FAULT_KINDS, {}), (-0.1, FAULT_KINDS, {}), (0.1, ("flood",), {}), (0.1, FAULT_KINDS, {"flood": 1.0})],
)
def test_faults_that_are_none_are_refused(rate: float, kinds: tuple[FaultKind, ...], weights: dict[FaultKind, float]) -> None:
    with pytest.raises(ConfigError):
        Faults(rate, kinds=kinds, weights=weights)


class Answer(BaseModel):
    n: int


def test_a_script_answers_in_order_and_may_be_a_function() -> None:
    sim = Sim(["a", Call("look"), [Call("look"), Call("look")], {"n": 1}, Answer(n=2), SimReply("s"), lambda request: request.goal])
    replies = [sim.decide(asked()).reply for _ in range(7)]
    assert [reply.text for reply in replies] == ["a", "", "", '{"n": 1}', '{"n":2}', "s", "Hi"]
    assert [len(reply.calls) for reply in replies] == [0, 1, 2, 0, 0, 0, 0]
    with pytest.raises(ScriptExhausted):
        sim.decide(asked())
    assert Sim(lambda request: f"{request.turn}: {request.results}").decide(asked(*turn(1))).reply.text == "1: ['result 1']"


@pytest.mark.parametrize(
    ("kind", "stop"),
    [("truncated", "length"), ("refused", "refused"), ("empty", "end"), ("unknown_finish", "other"), ("stall", "tool_calls")],
)
def test_a_scripted_fault_spoils_what_would_have_been_said(kind: FaultKind, stop: str) -> None:
    assert Sim([Fault(kind)]).decide(asked()).reply.stopped == stop


def test_a_reply_ends_where_its_tokens_do() -> None:
    reply = SimReply("one two three", calls=(Call("a", {"x": "long enough"}), Call("b")), reasoning="hm hm")
    for most in range(reply.output_tokens):
        kept = reply.cut(most, keeps_half_calls=True)
        assert kept.output_tokens <= most
        assert kept.stop == "length"
    assert reply.cut(14, keeps_half_calls=False).calls == ()
    assert reply.cut(14, keeps_half_calls=True).calls == (Call("a", '{"x":'),)
    assert Sim([reply]).decide(asked(wanted=Wanted(max_output_tokens=3))).reply.text == "one"


def test_outright_refusals_come_before_any_script() -> None:
    sim = Sim([], context_window=5, models=frozenset({"m"}))
    assert sim.decide(asked()).kind == "context_too_long"
    assert Sim([], models=frozenset({"n"})).decide(asked()).kind == "unknown_model"


def test_what_came_before_counts_as_cached() -> None:
    sim = Sim(cache_from_tokens=10, prices={"m": PRICE})
    first = asked(text="word " * 20)
    longer = asked(*turn(1), text="word " * 20)
    assert sim.decide(first).usage.cached_tokens == 0
    assert sim.decide(longer).usage.cached_tokens == first.input_tokens
    assert Sim(cache_from_tokens=None).decide(first).usage.cached_tokens == 0
    theirs = Sim(cache_from_tokens=10)
    marked = Wanted(TOOLS, is_cached=True)
    written = theirs.decide(asked(text="word " * 20, dialect="anthropic", wanted=marked)).usage
    assert (written.cached_tokens, written.cache_write_tokens) == (0, written.input_tokens)
    assert theirs.decide(asked(text="word " * 20, dialect="anthropic")).usage.cached_tokens == 0


def test_money_is_exact_to_the_last_digit() -> None:
    assert PRICE.cost_usd(Usage(10, 3, 4, 0, None, 2)) == Decimal("0.00004725")
    assert PRICE.cost_usd(Usage(-10, -3, -4)) == 0
    assert SimPrice(Decimal(1), Decimal(2)).cost_usd(Usage(10, 1, 5, 0, None, 5)) == Decimal("0.000012")


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=20))
def test_what_is_billed_is_the_sum_of_what_was_reported(used: list[tuple[int, int]]) -> None:
    sim = Sim([SimReply("x", usage=Usage(*counts)) for counts in used], prices={"m": PRICE})
    for _ in used:
        verdict = sim.decide(asked())
        sim.charge(verdict, Usage(1), is_whole=False)
        sim.charge(verdict, verdict.reported, is_whole=True)
    assert sim.billed == sum((PRICE.cost_usd(Usage(*counts)) for counts in used), Decimal(0))


@pytest.mark.parametrize("kind", ["usage_missing", "usage_zero", "usage_negative"])
def test_what_is_not_reported_is_not_billed_and_told_apart(kind: FaultKind) -> None:
    sim = Sim([Fault(kind)], prices={"m": PRICE})
    verdict = sim.decide(asked())
    sim.charge(verdict, verdict.reported, is_whole=True)
    assert sim.billed == 0
    assert sim.unreported == PRICE.cost_usd(verdict.usage)


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text
    assert count_tokens(text) == len(split_tokens(text))


def test_a_request_tells_its_goal_results_and_size() -> None:
    request = asked(*turn(1), Spoken("tool", "more", 0, ("more",)))
    assert (request.goal, request.results, request.turn) == ("Hi", ["result 1", "more"], 1)
    assert request.input_tokens == sum(message.tokens for message in request.messages) + 4 + count_tokens("Be brief.")
    assert Sim().peak_input_tokens == 0
