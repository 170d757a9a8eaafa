"""A catalog from outside: plain data, as a file of YAML, TOML or JSON holds it, parsed once, with every finding where it stands."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.nearest import nearest
from agent_sdk.llm.catalog.entries import Capabilities, Catalog, CatalogEntry, Prices
from agent_sdk.llm.catalog.shape import CatalogSpec, LaterSpec, LongPromptsSpec, ModelSpec, RatesSpec, Traits, VendorSpec

MAX_FINDINGS = 50


class CatalogInvalid(ConfigError):
    """A catalog does not hold; `findings` say all that is wrong with it, with paths from `$` on."""

    code = "catalog_invalid"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(f"the catalog of models does not hold:\n{render_findings(self.findings)}")


@frozen
class CatalogSource:
    """Catalogs in layers: what a later one says of a model or vendor goes before what the earlier ones say."""

    layers: tuple[CatalogSpec, ...] = field(default=(), repr=False)

    def over(self, data: object) -> "CatalogSource":
        """Return the source with one more layer: a mapping with `as_of`, and `models` or `vendors`, as `models.toml` shows them.

        Raises:
            CatalogInvalid: with all that is wrong.
        """
        try:
            layer = CatalogSpec.model_validate(data)
        except ValidationError as error:
            problems = error.errors(include_url=False)[:MAX_FINDINGS]
            raise CatalogInvalid([_finding(problem) for problem in problems]) from error
        if findings := [*_findings(layer)]:
            raise CatalogInvalid(findings)
        return CatalogSource((*self.layers, layer))

    def catalog(self, today: date) -> Catalog:
        """Return what the layers say, with the prices of that day."""
        vendors: dict[str, dict[str, Any]] = {}
        likes: dict[str, str] = {}
        models: dict[tuple[str, str], dict[str, Any]] = {}
        for layer in self.layers:
            for vendor, traits in layer.vendors.items():
                vendors.setdefault(vendor, {}).update(traits.said)
                if traits.like is not None:
                    likes[vendor] = traits.like
            for model in layer.models:
                models.setdefault((model.vendor, model.name), {}).update({"as_of": layer.as_of, **model.said})
        known = dict.fromkeys(models)
        for vendor, like in likes.items():
            known |= {(vendor, name): None for of, name in models if of == like}
        entries = {key: _entry(key, _said(key, vendors, likes, models), today) for key in known}
        return Catalog(max((layer.as_of for layer in self.layers), default=today), entries)


def _said(
    key: tuple[str, str], vendors: Mapping[str, dict[str, Any]], likes: Mapping[str, str], models: Mapping[tuple[str, str], dict[str, Any]]
) -> dict[str, Any]:
    vendor, name = key
    like = likes.get(vendor, "")
    return {**vendors.get(like, {}), **models.get((like, name), {}), **vendors.get(vendor, {}), **models.get(key, {})}


def _entry(key: tuple[str, str], said: Mapping[str, Any], today: date) -> CatalogEntry:
    traits = Traits.model_construct(**said)
    capabilities = Capabilities(**{name: getattr(traits, name) for name in Capabilities.__dataclass_fields__})
    return CatalogEntry(*key, traits.as_of, traits.context_tokens, traits.max_output_tokens, _prices(traits, today), capabilities)


def _prices(traits: Traits, today: date) -> Prices | None:
    if traits.prices is None:
        return None
    begun = [later for later in traits.later if later.first_day <= today]
    if begun:
        return Prices(max(begun, key=lambda later: later.first_day).rates())
    steps = sorted(traits.long_prompts, key=lambda step: step.above_tokens)
    return Prices(traits.prices.rates(), tuple((step.above_tokens, step.rates()) for step in steps))


def _findings(layer: CatalogSpec) -> Iterator[Finding]:
    """Yield what no field alone shows."""
    first: dict[tuple[str, str], int] = {}
    for index, model in enumerate(layer.models):
        at = first.setdefault((model.vendor, model.name), index)
        if at != index:
            message = f"{model.vendor}:{model.name} stands here already at $.models[{at}]"
            yield Finding("catalog_twice", f"$.models[{index}].name", message, hint="keep one of them")
        yield from _model_findings(model, f"$.models[{index}]")


def _model_findings(model: ModelSpec, path: str) -> Iterator[Finding]:
    if model.prices is None and (model.long_prompts or model.later):
        yield Finding("catalog_value", path, "it has prices for some requests or days, and none for all others", hint="add `prices`")
    above = [step.above_tokens for step in model.long_prompts]
    if len(set(above)) < len(above):
        yield Finding("catalog_value", f"{path}.long_prompts", "two prices hold above the same number of tokens", hint="keep one of them")
    if model.default_reasoning is not None and model.default_reasoning not in model.reasoning:
        hint = "add it to `reasoning`"
        yield Finding("catalog_value", f"{path}.default_reasoning", "the default is none of the efforts in `reasoning`", hint=hint)
    context, output = model.context_tokens, model.max_output_tokens
    if context is not None and output is not None and output > context:
        message = f"a reply of {output:,} tokens does not fit a context of {context:,}"
        yield Finding("catalog_value", f"{path}.max_output_tokens", message)


def _finding(problem: ErrorDetails) -> Finding:
    path = "$" + "".join(_segment(part) for part in problem["loc"] if part != "[key]")  # so pydantic calls a mapping's key itself
    match problem["type"]:
        case "extra_forbidden":
            name = str(problem["loc"][-1])
            near = nearest(name, _names_beside(problem["loc"]))
            return Finding("catalog_key", path, f"there is no key {name!r} here", hint=f"did you mean {near!r}?" if near else None)
        case "missing":
            return Finding("catalog_key", path, "this is missing", hint="add it")
        case "model_type" | "mapping_type":
            return Finding("catalog_value", path, "this is no mapping", hint="look at how `agent-sdk models show` prints a model")
        case _:
            context = problem.get("ctx", {})
            hint = "write a whole number above 0, without quotes" if path.endswith("_tokens") else context.get("hint")
            return Finding("catalog_value", path, problem["msg"], hint=hint or None)


def _segment(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}" if re.fullmatch(r"[\w-]+", part) else f"[{part!r}]"


_SHAPES: Mapping[str, type[BaseModel]] = {
    "models": ModelSpec,
    "vendors": VendorSpec,
    "prices": RatesSpec,
    "long_prompts": LongPromptsSpec,
    "later": LaterSpec,
}


def _names_beside(loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand where the last part of `loc` does."""
    shape: type[BaseModel] = CatalogSpec
    for part in loc[:-1]:
        shape = _SHAPES.get(str(part), shape)
    return [known.alias or name for name, known in shape.model_fields.items()]
