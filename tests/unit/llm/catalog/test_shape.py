"""What a price, a day and a number may be."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from agent_sdk.llm.catalog.shape import CatalogSpec, RatesSpec


def input_price(value: object) -> Decimal:
    return RatesSpec.model_validate({"input": value, "output": 1}).input


@pytest.mark.parametrize("value", ["0.25", 0.25, Decimal("0.25")], ids=repr)
def test_a_price_is_exact_however_it_is_written(value: object) -> None:
    assert input_price(value) == Decimal("0.25")
    assert str(input_price(value)) == "0.25"


@given(st.decimals(min_value=0, max_value=999_999, places=6, allow_nan=False, allow_infinity=False))
def test_a_price_that_was_read_as_a_float_is_what_was_written(price: Decimal) -> None:
    assert input_price(float(str(price))) == price
    assert input_price(str(price)) == price


@pytest.mark.parametrize(
    "value",
    [
        *("cheap", "", " 0.25", "$0.25", "0,25", "1e-3", "-1", "NaN", "inf", "0x1", "0." + "1" * 13, "9" * 10),
        *(-1, -0.5, float("nan"), float("inf"), 1e300, 10**400, 1_000_001, 1e-13, 0.1 + 0.2),
        *(Decimal("NaN"), Decimal(-1), Decimal("1e-13"), True, None, [], {}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_exact_price_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        input_price(value)


def test_what_is_not_said_costs_what_other_input_costs() -> None:
    rates = RatesSpec.model_validate({"input": 2, "output": 8}).rates()
    assert {rates.cached, rates.cache_write, rates.cache_write_long} == {Decimal(2)}
    assert RatesSpec.model_validate({"input": 2, "output": 8, "cache_write": 3}).rates().cache_write_long == 3


@pytest.mark.parametrize("value", ["2026-11-23", date(2026, 11, 23)])
def test_a_day_is_a_date_or_its_text(value: object) -> None:
    assert CatalogSpec.model_validate({"as_of": value}).as_of == date(2026, 11, 23)


@pytest.mark.parametrize("value", [5, "1700000000", "23.11.2026", "2026-02-30", datetime(2026, 11, 23, 1), None])  # noqa: DTZ001  (it is refused)
def test_what_is_no_day_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        CatalogSpec.model_validate({"as_of": value})
