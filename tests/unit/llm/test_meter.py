"""The most that a call may cost, before it is made."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from agent_sdk.core.budget import Amounts, PriceUnknown, to_nano
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.usage import Usage
from agent_sdk.llm.catalog import Catalog, CatalogEntry, Prices, Rates
from agent_sdk.llm.meter import ASSUMED_REPLY_TOKENS, CatalogMeter
from agent_sdk.llm.pricing import price_of

RATES = Rates(*map(Decimal, ("1", "0.1", "1.25", "2", "5")))
LONG = Rates(*map(Decimal, ("2", "0.2", "2.5", "4", "10")))
SMALL = CatalogEntry("openai", "small", None, 2000, 100, Prices(RATES, ((1000, LONG),)))
LARGE = CatalogEntry("anthropic", "large", None, 9000, 50, Prices(LONG))
ENTRIES = [
    SMALL,
    LARGE,
    CatalogEntry("openai", "unpriced", None, None, 70),
    CatalogEntry("openai", "endless", None, None, None, Prices(RATES)),
    CatalogEntry("openai", "context", None, 300, None, Prices(RATES)),
    CatalogEntry("object", "Mine", None, None, 10, Prices(RATES)),
]
CATALOG = Catalog(date(2026, 11, 23), {(entry.vendor, entry.name): entry for entry in ENTRIES})


def asked(**settings: object) -> ModelRequest:
    return ModelRequest(StepId("t1"), "small", Conversation(), settings=ModelSettings(**settings))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (of a few kinds)


def meter(*models: str, allow_unpriced: bool = False) -> CatalogMeter:
    names = [model.partition(":") for model in models]
    return CatalogMeter(CATALOG, [(vendor, name) for vendor, _, name in names], allow_unpriced)


@pytest.mark.parametrize(
    ("settings", "input_tokens", "most"),
    [
        ({}, 1000, Amounts(1_250_000 + 500_000, 1100, 1)),
        ({"max_output_tokens": 10}, 1000, Amounts(1_250_000 + 50_000, 1010, 1)),
        ({"max_output_tokens": 1000}, 1000, Amounts(1_250_000 + 500_000, 1100, 1)),
        ({}, 1001, Amounts(2_502_500 + 1_000_000, 1101, 1)),
        ({"cache": "long"}, 1000, Amounts(2_000_000 + 500_000, 1100, 1)),
        ({"cache": "short"}, 0, Amounts(500_000, 100, 1)),
    ],
)
def test_the_most_is_the_dearest_input_and_the_longest_reply(settings: dict[str, object], input_tokens: int, most: Amounts) -> None:
    assert meter("openai:small").most(asked(**settings), input_tokens) == most


def test_the_most_of_several_models_is_the_largest_in_each_unit() -> None:
    assert meter("openai:small", "anthropic:large").most(asked(), 1000) == Amounts(2_500_000 + 500_000, 1100, 1)


TOKENS = st.integers(min_value=0, max_value=2000)


@given(TOKENS, st.integers(min_value=0, max_value=100), st.integers(min_value=0, max_value=100), st.integers(min_value=0, max_value=100))
def test_no_answer_costs_more_than_the_most(plain: int, cached: int, written: int, output: int) -> None:
    usage = Usage(plain + cached + written, output, cached_tokens=cached, cache_write_tokens=written)
    cost = price_of(usage, SMALL)
    assert cost is not None
    assert meter("openai:small").most(asked(), usage.input_tokens).usd_nano >= to_nano(cost)


@pytest.mark.parametrize("name", ["openai:unheard-of", "openai:unpriced", "object:Stranger"])
def test_a_price_that_is_not_known_is_told_with_the_model_and_what_to_do(name: str) -> None:
    with pytest.raises(PriceUnknown, match=name) as caught:
        meter("openai:small", name).most(asked(), 1000)
    assert "catalog" in str(caught.value.hint)
    assert "allow_unpriced" in str(caught.value.hint)
    assert caught.value.most.usd_nano == 0
    assert caught.value.most.tokens >= 1100
    assert caught.value.most.calls == 1


def test_an_unpriced_model_counts_as_free_where_that_is_allowed() -> None:
    assert meter("openai:unpriced", allow_unpriced=True).most(asked(), 5) == Amounts(0, 75, 1)
    assert meter("openai:unheard-of", allow_unpriced=True).most(asked(), 5) == Amounts(0, 5 + ASSUMED_REPLY_TOKENS, 1)
    assert meter("openai:unheard-of", allow_unpriced=True).most(asked(max_output_tokens=9), 5) == Amounts(0, 14, 1)


def test_a_reply_of_no_known_length_has_no_known_price() -> None:
    with pytest.raises(PriceUnknown, match="how long a reply") as caught:
        meter("openai:endless").most(asked(), 5)
    assert "max_output_tokens" in str(caught.value.hint)
    assert meter("openai:endless").most(asked(max_output_tokens=1), 0) == Amounts(5000, 1, 1)


def test_a_reply_is_not_longer_than_the_context() -> None:
    assert meter("openai:context").most(asked(), 0).tokens == 300


def test_a_model_that_is_an_object_has_the_price_that_a_catalog_gives_it() -> None:
    assert meter("object:Mine").most(asked(), 0) == Amounts(50_000, 10, 1)


@pytest.mark.parametrize(
    ("models", "window"),
    [(["openai:small", "anthropic:large"], 2000), (["openai:unheard-of", "anthropic:large"], 9000), (["openai:unpriced"], None)],
)
def test_the_window_is_the_smallest_that_is_known(models: list[str], window: int | None) -> None:
    assert meter(*models).window("small") == window


def test_a_meter_needs_a_model() -> None:
    with pytest.raises(ConfigError):
        CatalogMeter(CATALOG, ())
