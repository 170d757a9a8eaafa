"""Catalogs in layers, and all that is wrong with one at once."""

from datetime import date
from decimal import Decimal

import pytest
from pydantic import JsonValue

from agent_sdk.core.model import ModelSettings
from agent_sdk.llm.catalog import Asks, Capabilities, Catalog, CatalogInvalid, CatalogSource, check_settings

TODAY = date(2026, 11, 23)
MINI: dict[str, JsonValue] = {"vendor": "openai", "name": "mini", "prices": {"input": "0.25", "output": 2}, "context_tokens": 400}

STEP: JsonValue = {"above_tokens": 5, "input": 1, "output": 1}


def layer(*models: dict[str, JsonValue], **more: JsonValue) -> dict[str, JsonValue]:
    return {"as_of": "2026-11-01", "models": list(models), **more}


def read(*layers: dict[str, JsonValue], today: date = TODAY) -> Catalog:
    source = CatalogSource()
    for data in layers:
        source = source.over(data)
    return source.catalog(today)


def findings_of(data: object) -> list[tuple[str, str, str | None]]:
    with pytest.raises(CatalogInvalid) as caught:
        CatalogSource().over(data)
    assert caught.value.code == "catalog_invalid"
    return [(finding.path, finding.message, finding.hint) for finding in caught.value.findings]


def test_a_model_is_known_with_what_is_said_of_it() -> None:
    entry = read(layer({**MINI, "max_output_tokens": 100, "reasoning": ["low"], "default_reasoning": "low"})).find("openai", "mini")
    assert entry is not None
    assert (entry.full_name, entry.as_of, entry.context_tokens, entry.max_output_tokens) == ("openai:mini", date(2026, 11, 1), 400, 100)
    assert entry.prices is not None
    assert entry.prices.base.input == Decimal("0.25")
    assert entry.capabilities == Capabilities(reasoning=("low",), default_reasoning="low")


def test_of_a_model_that_is_merely_named_nothing_else_is_known() -> None:
    entry = read(layer({"vendor": "object", "name": "MyModel"})).find("object", "MyModel")
    assert entry is not None
    assert (entry.context_tokens, entry.max_output_tokens, entry.prices) == (None, None, None)


def test_a_later_layer_overrides_what_it_says_and_leaves_the_rest() -> None:
    over: dict[str, JsonValue] = {"as_of": "2026-11-20", "models": [{"vendor": "openai", "name": "mini", "temperature": "never"}]}
    catalog = read(layer(MINI), over)
    entry = catalog.find("openai", "mini")
    assert entry is not None
    assert (entry.context_tokens, entry.capabilities.temperature, entry.as_of) == (400, "never", date(2026, 11, 20))
    assert entry.prices is not None
    assert catalog.as_of == date(2026, 11, 20)


def test_prices_alone_lie_over_what_the_package_says_of_the_model_and_of_the_one_that_it_is_a_snapshot_of() -> None:
    prices: JsonValue = {"input": 1, "output": 1}
    named: list[dict[str, JsonValue]] = [{"vendor": "openai", "name": name, "prices": prices} for name in ("mini", "mini-2026-01-02")]
    own = layer(*named)
    catalog = CatalogSource().over(layer({**MINI, "reasoning": ["low"], "seed": True})).over(own, file="own.toml").catalog(TODAY)
    for name in ("mini", "mini-2026-01-02"):
        entry = catalog.find("openai", name)
        assert entry is not None
        assert (entry.context_tokens, entry.capabilities, entry.assumed) == (400, Capabilities(reasoning=("low",), seed=True), frozenset())
        assert entry.prices is not None
        assert entry.prices.base.input == 1
        assert (entry.origins["prices"], entry.origins["context_tokens"]) == ("own.toml", "the package")
        assert entry.origins["temperature"] == "the package, by default"


def test_of_a_model_that_an_operators_file_alone_names_nothing_is_refused_that_nobody_said() -> None:
    own = layer({"vendor": "openai", "name": "house", "prices": {"input": 1, "output": 1}, "temperature": "never"})
    vendors: JsonValue = {"openai": {"seed": False}}
    entry = CatalogSource().over(layer(vendors=vendors)).over(own, file="own.toml").catalog(TODAY).find("openai", "house")
    assert entry is not None
    assert {"reasoning", "cache", "tools", "output_modes"} <= entry.assumed
    assert not {"temperature", "seed"} & entry.assumed
    assert entry.origins["seed"] == "the package, of all of openai"
    asked = ModelSettings(reasoning="high", cache="long", parallel_tool_calls=True, output_mode="native", tool_choice="required")
    asks = Asks(has_tools=True, has_schema=True, has_images=True, has_files=True)
    assert check_settings(entry, asked, asks) == []
    refused = check_settings(entry, ModelSettings(temperature=1.0, seed=1), asks)
    assert [each.code for each in refused] == ["temperature_refused", "seed_refused"]


def test_a_twin_of_a_model_that_an_operators_file_alone_names_is_no_better_known() -> None:
    package = layer(vendors={"twin": {"like": "openai"}})
    own = layer({"vendor": "openai", "name": "house", "images": False})
    entry = CatalogSource().over(package).over(own, file="own.toml").catalog(TODAY).find("twin", "house")
    assert entry is not None
    assert (entry.capabilities.images, "reasoning" in entry.assumed, entry.origins["images"]) == (False, True, "own.toml")


def test_prices_are_overridden_as_a_whole() -> None:
    long: JsonValue = [{"above_tokens": 100, "input": 9, "output": 9}]
    over = layer({"vendor": "openai", "name": "mini", "prices": {"input": 1, "output": 1}})
    entry = read(layer({**MINI, "long_prompts": long}), over).find("openai", "mini")
    assert entry is not None
    assert entry.prices is not None
    assert entry.prices.rates(1000).input == 1


def test_long_prompts_are_priced_in_steps() -> None:
    steps: JsonValue = [{"above_tokens": 200, "input": 3, "output": 3}, {"above_tokens": 100, "input": 2, "output": 2}]
    entry = read(layer({**MINI, "long_prompts": steps})).find("openai", "mini")
    assert entry is not None
    assert entry.prices is not None
    assert [entry.prices.rates(tokens).output for tokens in (100, 101, 201)] == [2, 2, 3]


@pytest.mark.parametrize(("today", "price"), [(date(2026, 12, 31), "0.25"), (date(2027, 1, 1), "0.5"), (date(2027, 6, 1), "1")])
def test_announced_prices_hold_from_their_day_on(today: date, price: str) -> None:
    later: JsonValue = [{"from": "2027-06-01", "input": 1, "output": 4}, {"from": "2027-01-01", "input": "0.5", "output": 4}]
    entry = read(layer({**MINI, "later": later}), today=today).find("openai", "mini")
    assert entry is not None
    assert entry.prices is not None
    assert entry.prices.base.input == Decimal(price)


def test_what_holds_for_a_vendor_holds_for_its_models_that_say_nothing_else() -> None:
    vendors: JsonValue = {"openai": {"seed": True, "cache": "automatic"}}
    catalog = read(layer(MINI, {"vendor": "openai", "name": "odd", "seed": False}, vendors=vendors))
    mini, odd = catalog.find("openai", "mini"), catalog.find("openai", "odd")
    assert mini is not None
    assert odd is not None
    assert (mini.capabilities.seed, odd.capabilities.seed, odd.capabilities.cache) == (True, False, "automatic")


def test_a_vendor_like_another_has_its_models_and_goes_before_what_they_say() -> None:
    vendors: JsonValue = {"openai": {"seed": True}, "twin": {"like": "openai", "seed": False, "tools": "always"}}
    own: dict[str, JsonValue] = {"vendor": "twin", "name": "alone"}
    catalog = read(layer({**MINI, "tools": "never"}, own, vendors=vendors), layer({**MINI, "context_tokens": 500}))
    twin = catalog.find("twin", "mini")
    assert twin is not None
    assert (twin.capabilities.seed, twin.capabilities.tools, twin.context_tokens) == (False, "always", 500)
    assert twin.prices is not None
    assert [entry.full_name for entry in catalog.of_vendor()] == ["openai:mini", "twin:alone", "twin:mini"]


def test_no_layers_are_an_empty_catalog() -> None:
    catalog = read()
    assert catalog.as_of == TODAY
    assert list(catalog.of_vendor()) == []


def test_all_that_is_wrong_is_told_at_once_with_path_and_hint() -> None:
    prices: JsonValue = {"input": "cheap", "output": -1, "cache_wirte": 3}
    data = {**layer({**MINI, "prices": prices, "context_tokens": 0, "max_output_tokens": "5", "reasoning": ["hard"]}), "modles": []}
    found = {path: (message, hint) for path, message, hint in findings_of(data)}
    price_hint = 'write US dollars per million tokens, such as 0.25 or "0.25"'
    tokens_hint = "write a whole number above 0, without quotes"
    assert found == {
        "$.models[0].prices.input": ("this is no price", price_hint),
        "$.models[0].prices.output": ("a price is from 0 to 1,000,000 US dollars per million tokens", price_hint),
        "$.models[0].prices.cache_wirte": ("there is no key 'cache_wirte' here", "did you mean 'cache_write'?"),
        "$.models[0].context_tokens": ("Input should be greater than or equal to 1", tokens_hint),
        "$.models[0].max_output_tokens": ("Input should be a valid integer", tokens_hint),
        "$.models[0].reasoning[0]": ("Input should be 'none', 'minimal', 'low', 'medium' or 'high'", None),
        "$.modles": ("there is no key 'modles' here", "did you mean 'models'?"),
    }


@pytest.mark.parametrize(
    ("data", "path", "told"),
    [
        ([], "$", "this is no mapping"),
        ({}, "$.as_of", "this is missing"),
        (layer({"vendor": "openai"}), "$.models[0].name", "this is missing"),
        (layer(MINI, MINI), "$.models[1].name", "openai:mini stands here already at $.models[0]"),
        (
            layer({"vendor": "openai", "name": "x", "later": [{"from": "2027-01-01", "input": 1, "output": 1}]}),
            "$.models[0]",
            "none for all others",
        ),
        (layer({**MINI, "long_prompts": [STEP, STEP]}), "$.models[0].long_prompts", "same number"),
        (layer({**MINI, "default_reasoning": "low"}), "$.models[0].default_reasoning", "none of the efforts"),
        (layer({**MINI, "max_output_tokens": 401}), "$.models[0].max_output_tokens", "does not fit a context of 400"),
        (layer({**MINI, "prices": 3}), "$.models[0].prices", "this is no mapping"),
        (layer({**MINI, "output_modes": ["tool", "tool"]}), "$.models[0].output_modes", "stands twice"),
        (layer({**MINI, "seed": 1}), "$.models[0].seed", "valid boolean"),
        (layer({**MINI, "zzz": 1}), "$.models[0].zzz", "there is no key 'zzz' here"),
        (layer(vendors={"openai": {"prices": {"input": 1}}}), "$.vendors.openai.prices.output", "this is missing"),
        (layer(vendors={"a b": {}}), "$.vendors['a b']", "should match pattern"),
    ],
)
def test_a_catalog_that_does_not_hold_says_where(data: object, path: str, told: str) -> None:
    found = findings_of(data)
    assert [each[0] for each in found] == [path]
    assert told in found[0][1]
