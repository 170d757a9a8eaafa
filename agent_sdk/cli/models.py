"""`agent-sdk models`: what is known of models and what they cost, and whether those that are configured answer."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

import typer
from pydantic import JsonValue

from agent_sdk.cli.errors import ExitCode
from agent_sdk.cli.opening import Given, Opened, open_settings
from agent_sdk.cli.options import AppOption, BaseUrlOption, JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import render_usage, to_json_text
from agent_sdk.cli.terminal import Grid, emit, emit_grid, safe, tell
from agent_sdk.core.errors import NotFound
from agent_sdk.llm import parse_model_name
from agent_sdk.llm.catalog import Catalog, CatalogEntry, Prices, Rates
from agent_sdk.observability.taxonomy import render_duration
from agent_sdk.runtime.catalogs import configured_catalog
from agent_sdk.runtime.model_check import ModelCheck, check_models
from agent_sdk.runtime.models import Models
from agent_sdk.runtime.system import SystemClock, SystemRandom

models = typer.Typer(
    help="See what is known of models and what they cost, and ask them whether they answer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@models.command("list")
def list_models(
    ctx: typer.Context,
    vendor: Annotated[str | None, typer.Option("--vendor", metavar="VENDOR", help="One vendor's models alone, such as openai.")] = None,
    json: JsonOption = False,
) -> None:
    """List the models that the catalog knows, with prices in US dollars per million tokens."""
    catalog = _catalog(open_settings(ctx))
    found = list(catalog.of_vendor(vendor))
    if not found:
        vendors = dict.fromkeys(entry.vendor for entry in catalog.of_vendor())
        raise NotFound(f"the catalog knows no models of {vendor!r}", hint=f"it knows those of: {', '.join(vendors)}")
    if json:
        emit(to_json_text({"v": 1, "as_of": catalog.as_of.isoformat(), "models": [_record(entry) for entry in found]}))
        return
    heads = ("model", "context", "reply", "input", "cached", "output", "as of")
    emit_grid(Grid(heads, [_cells(entry) for entry in found], spare=(6, 4, 2)))
    tell(f"the catalog is of {catalog.as_of}; prices are in US dollars per million tokens, those of short prompts")


@models.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="MODEL", help="The model as vendor:name, such as openai:gpt-5-mini.")],
    json: JsonOption = False,
) -> None:
    """Print all that the catalog knows of a model."""
    entry = _catalog(open_settings(ctx)).find(*_split(name))
    if entry is None:
        raise NotFound(
            f"the catalog does not know {name!r}",
            hint="list what it knows with `agent-sdk models list`, or add it by the setting `catalog`",
        )
    if json:
        emit(to_json_text({"v": 1, **_record(entry)}))
    else:
        emit_grid(Grid(("what", "is", "from"), [*_facts(entry)]))


@models.command()
def check(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Models as vendor:name; all that are configured if left out.")
    ] = None,
    app: AppOption = None,
    base_url: BaseUrlOption = None,
    json: JsonOption = False,
) -> None:
    """Ask each model one tiny question, and say how fast it answered and what that cost.

    Without names: the model of the settings, what stands in for it, and the models of the app's agents.
    """
    with errors_as_json(json):
        opened = open_settings(ctx, Given(app=app, base_url=base_url))
        catalog = _catalog(opened)
        checks = asyncio.run(_check(names or list(_configured(opened)), opened, catalog))
    if json:
        emit(to_json_text({"v": 1, "checks": [_check_record(each) for each in checks]}))
    else:
        for line in (line for each in checks for line in _check_lines(each)):
            emit(line)
    if any(each.failure is not None for each in checks):
        tell("not every model answers")
        raise typer.Exit(ExitCode.OUTSIDE)


async def _check(names: list[str], opened: Opened, catalog: Catalog) -> list[ModelCheck]:
    known = Models(SystemClock(), SystemRandom(), opened.loaded)
    try:
        return await check_models(names, known.model, catalog, SystemClock())
    finally:
        await known.close()


def _configured(opened: Opened) -> Iterator[str]:
    settings = opened.settings
    if settings.model is not None:
        yield settings.model
    yield from settings.fallbacks
    if settings.app is not None:
        yield from (agent.model for agent in opened.app().agents if isinstance(agent.model, str))


def _catalog(opened: Opened) -> Catalog:
    return configured_catalog(opened.loaded, SystemClock())


def _split(name: str) -> tuple[str, str]:
    """Return vendor and name; a catalog may know more vendors than are spoken to, such as `object`."""
    vendor, colon, model = name.partition(":")
    return (vendor, model) if colon and model else parse_model_name(name)


def _cells(entry: CatalogEntry) -> tuple[str, ...]:
    rates = entry.prices.base if entry.prices is not None else None
    prices = ("?", "?", "?") if rates is None else (_money(rates.input), _money(rates.cached), _money(rates.output))
    return safe(entry.full_name), _count(entry.context_tokens), _count(entry.max_output_tokens), *prices, str(entry.as_of or "?")


def _facts(entry: CatalogEntry) -> Iterator[tuple[str, str, str]]:
    """Yield what is known, and where it was said."""
    takes = entry.capabilities
    yield "model", safe(entry.full_name), ""
    yield "as of", str(entry.as_of or "?"), _from(entry, "as_of")
    yield "context", f"{_count(entry.context_tokens)} tokens", _from(entry, "context_tokens")
    yield "longest reply", f"{_count(entry.max_output_tokens)} tokens", _from(entry, "max_output_tokens")
    yield "prices", "not known" if entry.prices is None else _rates(entry.prices.base), _from(entry, "prices")
    for above_tokens, rates in entry.prices.long_prompts if entry.prices is not None else ():
        yield f"above {above_tokens:,} tokens", _rates(rates), _from(entry, "long_prompts")
    several = "several at a time" if takes.parallel_tools else "one at a time"
    tools = f"{_ability(entry, 'tools', takes.tools)}, {_ability(entry, 'parallel_tools', several)}"
    yield "tools", tools, _from(entry, "tools", "parallel_tools")
    yield "forced tools", _ability(entry, "forced_tools", takes.forced_tools), _from(entry, "forced_tools")
    yield "JSON of a schema", _ability(entry, "output_modes", ", ".join(takes.output_modes)), _from(entry, "output_modes")
    yield "takes", _kinds(entry), _from(entry, "images", "files")
    asked = f"; unasked {takes.default_reasoning}" if takes.default_reasoning else ""
    efforts = f"{', '.join(takes.reasoning) or 'cannot be set'}{asked}"
    yield "reasoning", _ability(entry, "reasoning", efforts), _from(entry, "reasoning")
    yield "temperature", _ability(entry, "temperature", takes.temperature), _from(entry, "temperature")
    yield "seed", _ability(entry, "seed", "yes" if takes.seed else "no"), _from(entry, "seed")
    yield "cache", _ability(entry, "cache", takes.cache), _from(entry, "cache")


def _ability(entry: CatalogEntry, name: str, text: str) -> str:
    return "not known" if name in entry.assumed else text


def _from(entry: CatalogEntry, *names: str) -> str:
    return safe("; ".join(dict.fromkeys(entry.origins[name] for name in names if name in entry.origins)))


def _kinds(entry: CatalogEntry) -> str:
    takes = {"images": entry.capabilities.images, "files": entry.capabilities.files}
    return ", ".join(["text", *(f"{kind}?" if kind in entry.assumed else kind for kind, is_taken in takes.items() if is_taken)])


def _rates(rates: Rates) -> str:
    writes = f"{_money(rates.cache_write)} written to the cache, {_money(rates.cache_write_long)} for long"
    return f"{_money(rates.input)} input, {_money(rates.cached)} cached, {writes}, {_money(rates.output)} output"


def _money(amount: Decimal) -> str:
    return f"${amount.normalize():f}"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _check_lines(each: ModelCheck) -> Iterator[str]:
    if each.failure is not None:
        yield f"fail  {safe(each.model)}  {safe(each.failure.message)} [{each.failure.code}]"
        if each.failure.hint is not None:
            yield f"      hint: {safe(each.failure.hint)}"
        return
    first = "did not stream" if each.first_token_s is None else f"first token after {_seconds(each.first_token_s)}"
    yield f"ok    {safe(each.model)}  {_seconds(each.latency_s or 0)}, {first}; {_used(each)}"
    if each.entry is None:
        yield "      not in the catalog: neither its price nor its limits are known"
    else:
        takes = each.entry.capabilities
        tools, mode = _ability(each.entry, "tools", takes.tools), _ability(each.entry, "output_modes", takes.output_modes[0])
        temperature = _ability(each.entry, "temperature", takes.temperature)
        yield f"      takes {_kinds(each.entry)}; tools {tools}; JSON by {mode}; temperature {temperature}"


def _used(each: ModelCheck) -> str:
    if each.usage is None or not each.is_counted:
        return "it does not say what was used"
    return render_usage(each.usage) + ("" if each.usage.cost_usd is not None else ", cost not known")


def _seconds(seconds: float) -> str:
    return render_duration(round(seconds * 1e6))


def _record(entry: CatalogEntry) -> dict[str, JsonValue]:
    """Return a model as `--json` prints it; prices are decimal text, in US dollars per million tokens. What is not known is null."""
    takes = entry.capabilities
    abilities: dict[str, JsonValue] = {
        "tools": takes.tools,
        "forced_tools": takes.forced_tools,
        "parallel_tools": takes.parallel_tools,
        "output_modes": list[JsonValue](takes.output_modes),
        "images": takes.images,
        "files": takes.files,
        "reasoning": list[JsonValue](takes.reasoning),
        "default_reasoning": takes.default_reasoning,
        "temperature": takes.temperature,
        "seed": takes.seed,
        "cache": takes.cache,
    }
    return {
        "model": entry.full_name,
        "as_of": None if entry.as_of is None else entry.as_of.isoformat(),
        "context_tokens": entry.context_tokens,
        "max_output_tokens": entry.max_output_tokens,
        "prices": None if entry.prices is None else _prices_record(entry.prices),
        "capabilities": {name: None if name in entry.assumed else value for name, value in abilities.items()},
        "from": dict[str, JsonValue](entry.origins),
    }


def _prices_record(prices: Prices) -> JsonValue:
    long = [{"above_tokens": above, **_rates_record(rates)} for above, rates in prices.long_prompts]
    return {**_rates_record(prices.base), "long_prompts": list[JsonValue](long)}


def _rates_record(rates: Rates) -> dict[str, JsonValue]:
    return {name: f"{getattr(rates, name):f}" for name in ("input", "cached", "cache_write", "cache_write_long", "output")}


def _check_record(each: ModelCheck) -> JsonValue:
    usage, failure = each.usage, each.failure
    return {
        "model": each.model,
        "ok": failure is None,
        "latency_s": each.latency_s,
        "first_token_s": each.first_token_s,
        "streams": None if failure is not None else each.first_token_s is not None,
        "counts_usage": None if failure is not None else each.is_counted,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "cost_usd": None if usage is None or usage.cost_usd is None else f"{usage.cost_usd:f}",
        "answered_by": safe(each.answered_by),
        "request_id": None if each.request_id is None else safe(each.request_id),
        "catalog": None if each.entry is None else _record(each.entry),
        "failure": None
        if failure is None
        else {"code": failure.code, "message": safe(failure.message), "hint": None if failure.hint is None else safe(failure.hint)},
    }
