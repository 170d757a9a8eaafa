"""A catalog from outside: plain data, as a file of YAML, TOML or JSON holds it, parsed once, with every finding where it stands."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import Reasoning
from agent_sdk.core.nearest import nearest
from agent_sdk.llm.catalog.entries import Capabilities, Catalog, CatalogEntry, Prices, base_name
from agent_sdk.llm.catalog.shape import CatalogSpec, LaterSpec, LongPromptsSpec, ModelSpec, RatesSpec, Traits, VendorSpec

MAX_FINDINGS = 50
_PACKAGE = "the package"
_ANYTHING = Capabilities(reasoning=get_args(Reasoning), seed=True, cache="asked")
"""What is thought of a model of which nobody said anything: that it takes whatever it is asked for."""


class CatalogInvalid(ConfigError):
    """A catalog does not hold; `findings` say all that is wrong with it, with paths from `$` on."""

    code = "catalog_invalid"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(f"the catalog of models does not hold:\n{render_findings(self.findings)}")


@frozen
class _Layer:
    """One catalog, and the operator's file that it comes from: None for the package's own, in which what is not said has its default."""

    spec: CatalogSpec
    file: str | None = None

    @property
    def name(self) -> str:
        return _PACKAGE if self.file is None else self.file


@frozen
class CatalogSource:
    """Catalogs in layers: what a later one says of a model or vendor goes before what the earlier ones say, fact by fact."""

    layers: tuple[_Layer, ...] = field(default=(), repr=False)

    def over(self, data: object, *, file: str | None = None) -> "CatalogSource":
        """Return the source with one more layer: a mapping with `as_of`, and `models` or `vendors`, as `models.toml` shows them.

        Raises:
            CatalogInvalid: with all that is wrong.
        """
        try:
            spec = CatalogSpec.model_validate(data)
        except ValidationError as error:
            problems = error.errors(include_url=False)[:MAX_FINDINGS]
            raise CatalogInvalid([_finding(problem) for problem in problems]) from error
        if findings := [*_findings(spec)]:
            raise CatalogInvalid(findings)
        return CatalogSource((*self.layers, _Layer(spec, file)))

    def catalog(self, today: date) -> Catalog:
        """Return what the layers say, with the prices of that day."""
        said = _Sayings()
        for layer in self.layers:
            said.take(layer)
        entries = {key: _entry(key, said, today) for key in said.known()}
        return Catalog(max((layer.spec.as_of for layer in self.layers), default=today), entries)


_Said = dict[str, tuple[Any, str]]
"""Facts by name, each with where it was said."""


@dataclass(slots=True)
class _Sayings:
    """What layers said of vendors and models; `whole` are the models of which all is known."""

    vendors: dict[str, _Said] = field(default_factory=dict[str, _Said])
    likes: dict[str, str] = field(default_factory=dict[str, str])
    models: dict[tuple[str, str], _Said] = field(default_factory=dict[tuple[str, str], _Said])
    whole: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def take(self, layer: _Layer) -> None:
        for vendor, traits in layer.spec.vendors.items():
            self.vendors.setdefault(vendor, {}).update(_said(traits.said, f"{layer.name}, of all of {vendor}"))
            if traits.like is not None:
                self.likes[vendor] = traits.like
        for model in layer.spec.models:
            key = model.vendor, model.name
            self.models.setdefault(key, {}).update(_said({"as_of": layer.spec.as_of, **model.said}, layer.name))
            if layer.file is None:
                self.whole.add(key)

    def known(self) -> Iterable[tuple[str, str]]:
        """Return all models: those that were named, and those of vendors that others are like."""
        known = dict.fromkeys(self.models)
        for vendor, like in self.likes.items():
            known |= {(vendor, name): None for of, name in self.models if of == like}
        return known

    def of(self, key: tuple[str, str]) -> tuple[_Said, bool]:
        """Return all that was said of a model, and whether that is all; a snapshot has what was said of its model."""
        vendor, name = key
        like = self.likes.get(vendor, "")
        found: _Said = {**self.vendors.get(like, {}), **self._model((like, name)), **self.vendors.get(vendor, {}), **self._model(key)}
        return found, any(each in self.whole for each in _bases(key, like))

    def _model(self, key: tuple[str, str]) -> _Said:
        vendor, name = key
        base = {} if key in self.whole else self.models.get((vendor, base_name(name)), {})
        return {**base, **self.models.get(key, {})}


def _bases(key: tuple[str, str], like: str) -> Iterable[tuple[str, str]]:
    vendor, name = key
    return [(of, named) for of in (vendor, like) for named in (name, base_name(name))]


def _said(facts: Mapping[str, Any], where: str) -> _Said:
    return {name: (value, where) for name, value in facts.items()}


def _entry(key: tuple[str, str], sayings: _Sayings, today: date) -> CatalogEntry:
    said, is_whole = sayings.of(key)
    traits = Traits.model_construct(**{name: value for name, (value, _) in said.items()})
    names = Capabilities.__dataclass_fields__
    assumed = frozenset[str]() if is_whole else frozenset(names.keys() - said.keys())
    capabilities = Capabilities(**{name: getattr(_ANYTHING if name in assumed else traits, name) for name in names})
    origins = {name: where for name, (_, where) in said.items()}
    if is_whole:
        origins = dict.fromkeys(names, f"{_PACKAGE}, by default") | origins
    limits = traits.context_tokens, traits.max_output_tokens
    return CatalogEntry(*key, traits.as_of, *limits, _prices(traits, today), capabilities, origins, assumed)


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
