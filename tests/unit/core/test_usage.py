from decimal import Decimal

from agent_sdk.core.usage import NO_USAGE, Usage


def test_usage_adds_up_part_by_part() -> None:
    assert Usage(1, 2, 3, 4, Decimal("0.1")) + Usage(10, 20, 30, 40, Decimal("0.2")) == Usage(11, 22, 33, 44, Decimal("0.3"))


def test_a_sum_with_an_unknown_price_is_unknown() -> None:
    assert (Usage(1) + Usage(1, cost_usd=Decimal(1))).cost_usd is None
    assert (Usage(1, cost_usd=Decimal(1)) + Usage(1)).cost_usd is None


def test_no_usage_costs_nothing() -> None:
    assert NO_USAGE + Usage(1, 2, cost_usd=Decimal(3)) == Usage(1, 2, cost_usd=Decimal(3))
