"""The catalog that comes with the package: it holds, and says nothing that cannot be."""

from datetime import date
from decimal import Decimal

import pytest

from agent_sdk.llm.catalog import CatalogEntry, builtin_source

CATALOG = builtin_source().catalog(date(2026, 11, 23))


@pytest.mark.parametrize(
    "name",
    [
        "openai:gpt-5-mini",
        "openai-responses:gpt-5-mini",
        "anthropic:claude-sonnet-5-5",
        "gemini:gemini-2.5-flash",
    ],
)
def test_each_vendor_has_models(name: str) -> None:
    vendor, _, model = name.partition(":")
    assert CATALOG.find(vendor, model) is not None


@pytest.mark.parametrize("entry", [*CATALOG.of_vendor()], ids=lambda entry: entry.full_name)
def test_an_entry_is_whole_and_makes_sense(entry: CatalogEntry) -> None:
    assert entry.as_of is not None
    assert entry.as_of <= CATALOG.as_of
    assert entry.context_tokens is not None
    assert entry.max_output_tokens is not None
    assert entry.prices is not None
    for _, rates in ((0, entry.prices.base), *entry.prices.long_prompts):
        assert Decimal(0) < rates.cached <= rates.input <= rates.output
        assert rates.input <= rates.cache_write <= rates.cache_write_long
    assert all(above < entry.context_tokens for above, _ in entry.prices.long_prompts)


def test_what_one_protocol_refuses_the_other_may_take() -> None:
    chat, responses = CATALOG.find("openai", "gpt-5.6-sol"), CATALOG.find("openai-responses", "gpt-5.6-sol")
    assert chat is not None
    assert responses is not None
    assert chat.prices == responses.prices
    assert (chat.capabilities.tools, responses.capabilities.tools) == ("unreasoned", "always")


def test_announced_prices_come_with_their_day() -> None:
    now, later = CATALOG.find("gemini", "gemini-3.8-flash"), builtin_source().catalog(date(2027, 1, 1)).find("gemini", "gemini-3.8-flash")
    assert now is not None
    assert later is not None
    assert now.prices is not None
    assert later.prices is not None
    assert (now.prices.base.input, later.prices.base.input) == (Decimal("0.75"), Decimal("1.5"))


def test_an_operators_file_goes_over_it() -> None:
    mine = {"as_of": "2026-11-24", "models": [{"vendor": "openai", "name": "gpt-5-mini", "prices": {"input": "0.2", "output": "1.5"}}]}
    catalog = builtin_source().over(mine).catalog(date(2026, 11, 24))
    for vendor in ("openai", "openai-responses"):
        entry = catalog.find(vendor, "gpt-5-mini")
        assert entry is not None
        assert entry.prices is not None
        assert entry.prices.base.output == Decimal("1.5")
        assert entry.context_tokens == 400_000
