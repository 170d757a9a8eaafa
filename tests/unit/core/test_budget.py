from decimal import Decimal
from typing import cast

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.budget import (
    NOTHING,
    UNITS,
    Amounts,
    Budget,
    NoMeter,
    PriceUnknown,
    Purse,
    Shortfall,
    Unit,
    ledger_rows,
    run_scope,
    session_scope,
    to_nano,
    to_usd,
)
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import RunId, SessionId, StepId
from agent_sdk.core.messages import Conversation
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.usage import Usage

NUMBERS = st.integers(-(10**12), 10**12)
AMOUNTS = st.builds(Amounts, NUMBERS, NUMBERS, NUMBERS)
USAGE = Usage(100, 20, cost_usd=Decimal("0.0000000011"))


@given(AMOUNTS, AMOUNTS, st.integers(0, 9))
def test_amounts_are_reckoned_unit_by_unit(one: Amounts, other: Amounts, times: int) -> None:
    for unit in UNITS:
        a, b = one.in_unit(unit), other.in_unit(unit)
        assert (one + other).in_unit(unit) == a + b
        assert (one - other).in_unit(unit) == a - b
        assert (one * times).in_unit(unit) == a * times
        assert one.at_least(other).in_unit(unit) == max(a, b)
        assert one.at_most(other).in_unit(unit) == min(a, b)
        assert one.with_unit(unit, b) == one + NOTHING.with_unit(unit, b - a)
    assert one.covers(other) == (one - other).covers(NOTHING)
    assert one.covers(other) == (one.at_least(other) == one)


def test_amounts_are_told_in_the_units_of_people() -> None:
    assert str(Amounts(1_500_000_000, 7, 2)) == "$1.5, 7 tokens, 2 calls"


def test_an_answered_call_counts_its_cost_rounded_up_and_its_tokens_in_and_out() -> None:
    assert Amounts.of(USAGE) == Amounts(2, 120, 1)
    assert Amounts.of(Usage(1, 1)) == Amounts(0, 2, 1)


@given(st.integers(0, 10**15))
def test_money_goes_into_the_ledger_and_back_without_loss(nano: int) -> None:
    assert to_nano(to_usd(nano)) == nano


@pytest.mark.parametrize(
    ("amounts", "complaint"),
    [
        ({"usd": 0.1}, "0.1 US dollars is not exact"),
        ({"usd": Decimal("NaN")}, "is not exact"),
        ({"usd": Decimal(-1)}, "cannot be negative: usd is -1"),
        ({"tokens": -5}, "cannot be negative: tokens is -5"),
        ({"calls": -1}, "cannot be negative: calls is -1"),
        ({"tokens": float("nan")}, "a budget of nan tokens is no whole number"),
        ({"tokens": "5"}, "a budget of '5' tokens is no whole number"),
        ({"calls": 1.5}, "a budget of 1.5 calls is no whole number"),
        ({"calls": True}, "a budget of True calls is no whole number"),
    ],
)
def test_a_budget_that_is_none_is_refused(amounts: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Budget(cast("Decimal", amounts.get("usd")), cast("int", amounts.get("tokens")), cast("int", amounts.get("calls")))


def test_a_budget_is_kept_in_the_ledgers_units() -> None:
    assert Budget(Decimal("0.5"), calls=3).limits == (("usd", 500_000_000), ("tokens", None), ("calls", 3))
    assert ledger_rows([run_scope(RunId("r")), session_scope(SessionId("s"))]) == [
        ("run/r:usd", "usd"),
        ("run/r:tokens", "tokens"),
        ("run/r:calls", "calls"),
        ("session/s:usd", "usd"),
        ("session/s:tokens", "tokens"),
        ("session/s:calls", "calls"),
    ]


@pytest.mark.parametrize(
    ("reserved", "settled", "is_passing"),
    [(9, 0, True), (1, 7, True), (0, 8, False), (0, 10, False)],
)
def test_a_shortage_passes_where_there_is_enough_that_others_may_let_go_of(reserved: int, settled: int, *, is_passing: bool) -> None:
    assert Shortfall("budget_exceeded", "", "run/r:calls", 3, 10, reserved, settled).is_passing == is_passing


def test_a_price_that_nobody_knows_does_not_come_by_waiting() -> None:
    assert not Shortfall("price_unknown", "").is_passing


def test_a_purse_lets_go_of_all_at_once() -> None:
    purse = Purse(("tenant",), refusals=3)
    purse.reserve(Amounts(10, 300, 4))
    purse.spend(USAGE, calls=1)
    purse.spend(USAGE, calls=0)
    assert (purse.held, purse.spent, purse.refusals) == (Amounts(10, 300, 4), Amounts(4, 240, 1), 0)
    purse.settle()
    assert purse.held == purse.spent == NOTHING


def test_a_run_without_budgets_counts_nothing() -> None:
    purse = Purse()
    purse.spend(USAGE, calls=1)
    assert purse.spent == NOTHING


@pytest.mark.parametrize(("settings", "tokens"), [(ModelSettings(), 50), (ModelSettings(max_output_tokens=7), 57)])
def test_who_has_no_meter_knows_the_tokens_and_no_price(settings: ModelSettings, tokens: int) -> None:
    meter = NoMeter()
    with pytest.raises(PriceUnknown, match="no price of m is known") as unknown:
        meter.most(ModelRequest(StepId("t1"), "m", Conversation(), settings=settings), 50)
    assert unknown.value.most == Amounts(0, tokens, 1)
    assert meter.window("m") is None


def test_every_unit_has_a_row() -> None:
    units: list[Unit] = [unit for _, unit in ledger_rows(["tenant"])]
    assert units == list(UNITS)


def test_a_shortfall_without_a_row_counts_calls() -> None:
    assert Shortfall("price_unknown", "nobody knows").unit == "calls"
    assert Shortfall("budget_exceeded", "", "tenant:tokens").unit == "tokens"
