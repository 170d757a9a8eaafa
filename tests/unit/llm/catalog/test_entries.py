"""Finding a model, and what its tokens cost."""

from datetime import date
from decimal import Decimal

import pytest

from agent_sdk.llm.catalog import Catalog, CatalogEntry, Prices, Rates

CHEAP = Rates(*map(Decimal, ("1", "0.1", "1.25", "2", "5")))
DEAR = Rates(*map(Decimal, ("2", "0.2", "2.5", "4", "10")))


def catalog(*names: str) -> Catalog:
    return Catalog(date(2026, 11, 23), {("openai", name): CatalogEntry("openai", name) for name in names})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash"),
    ],
)
def test_a_name_is_exact_or_a_dated_snapshot(name: str, found: str) -> None:
    known = catalog("gpt-5-mini", "gpt-4o", "gpt-4o-2024-05-13", "claude-haiku-4-5", "gemini-2.0-flash", "gemini-2.5-flash")
    entry = known.find("openai", name)
    assert entry is not None
    assert entry.name == found


@pytest.mark.parametrize(
    "name", ["gpt-5", "gpt-5-mini-fast", "gpt-5-mini-latest", "GPT-5-mini", "ft:gpt-5-mini:me", "gpt-5-mini-2025-08", ""]
)
def test_nothing_is_guessed(name: str) -> None:
    assert catalog("gpt-5-mini").find("openai", name) is None


def test_a_vendor_has_its_own_models_alone() -> None:
    known = Catalog(date(2026, 1, 1), {key: CatalogEntry(*key) for key in (("openai", "a"), ("gemini", "b"))})
    assert known.find("gemini", "a") is None
    assert [entry.full_name for entry in known.of_vendor("gemini")] == ["gemini:b"]
    assert [entry.full_name for entry in known.of_vendor()] == ["openai:a", "gemini:b"]


@pytest.mark.parametrize(("tokens", "rates"), [(0, CHEAP), (100, CHEAP), (101, DEAR), (10**9, DEAR)])
def test_long_prompts_have_prices_of_their_own_from_the_first_token_above(tokens: int, rates: Rates) -> None:
    assert Prices(CHEAP, ((100, DEAR),)).rates(tokens) == rates


def test_the_dearest_input_is_what_is_written_to_the_cache_for_minutes() -> None:
    assert CHEAP.dearest_input == Decimal("1.25")
