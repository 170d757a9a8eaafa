"""Looks at whether what the settings name is there and goes together: catalog, models, prices, limits, functions, and the app's agents.

Nobody outside is asked: whether a model answers is for `model_check`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from agent_sdk.config import BadSetting, DocumentError, LoadedSettings, SecretUnresolved, VendorSettings
from agent_sdk.core.errors import AgentSDKError, ConfigError
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.ports import Clock
from agent_sdk.llm import parse_model_name
from agent_sdk.llm.catalog import Asks, CatalogInvalid, check_settings
from agent_sdk.runtime.app import App
from agent_sdk.runtime.compose import asks_model, require_model, with_settings
from agent_sdk.runtime.declaration import AgentDeclaration
from agent_sdk.runtime.models import Models
from agent_sdk.runtime.references import load_sign
from agent_sdk.runtime.system import SystemRandom

AnyAgent = AgentDeclaration[Any, Any]
_PRICE_HINT = "give its price in the file that the setting `catalog` names, or set allow_unpriced"


def check_whole(loaded: LoadedSettings, load_app: Callable[[], App], clock: Clock) -> list[BadSetting]:
    """Return all that is wrong or doubtful with settings of which each holds by itself; `load_app` is asked where they name an app."""
    found: list[BadSetting] = []
    without_catalog = replace(loaded, settings=loaded.settings.model_copy(update={"catalog": None}))
    try:
        models = Models(clock, SystemRandom(), loaded)
        _ = models.catalog
    except (CatalogInvalid, DocumentError) as error:
        models = Models(clock, SystemRandom(), without_catalog)
        told = error.findings if isinstance(error, CatalogInvalid) else ()
        found += [_bad(loaded, "catalog", f"{each.path}: {each.message}", each.hint) for each in told]
        found += [] if told else [_bad(loaded, "catalog", error.message, error.hint)]
    agents: Sequence[AnyAgent] = ()
    if loaded.settings.app is not None:
        try:
            agents = load_app().known
        except ConfigError as error:
            found.append(_bad(loaded, "app", error.message, error.hint))
    return list({(each.key, each.message): each for each in [*found, *_Look(loaded, models, agents).findings()]}.values())


def _bad(loaded: LoadedSettings, key: str, message: str, hint: str | None = None, *, is_sure: bool = True) -> BadSetting:
    return BadSetting("unusable" if is_sure else "doubtful", loaded.origins[key], message, key, hint=hint)


@dataclass(slots=True)
class _Look:
    """One look at the settings and the agents; `named` are the models found on the way, by vendor and name."""

    loaded: LoadedSettings
    models: Models
    agents: Sequence[AnyAgent]
    named: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def findings(self) -> Iterator[BadSetting]:
        settings = self.loaded.settings
        yield from self._signs()
        for key, names in {"model": (settings.model,), "fallbacks": settings.fallbacks}.items():
            for name in names:
                if name is not None:
                    yield from self._model(key, name)
                    yield from self._asked(name, settings.model_call.asked(), Asks())
        if settings.budget.usd is not None:
            yield from self._unpriced("budget.usd", [*self.named])
        for agent in self.agents:
            yield from self._agent(agent)
        yield from self._limits()
        yield from self._vendors()

    def _signs(self) -> Iterator[BadSetting]:
        for key, reference in self.loaded.settings.signs.items():
            try:
                load_sign(reference, key)
            except ConfigError as error:
                yield _bad(self.loaded, key, error.message.removeprefix(f"{key}: "), error.hint)

    def _model(self, key: str, name: str, about: str = "") -> Iterator[BadSetting]:
        """Look at whether there is who is to be asked; of a vendor's own models most are in the catalog."""
        try:
            vendor, model = self.named[name] = parse_model_name(name)
        except ConfigError as error:
            yield _bad(self.loaded, key, about + error.message, error.hint)
            return
        own = self._section(vendor)
        if self.models.catalog.find(vendor, model) is None and own.base_url == own.own_url:
            near = get_close_matches(name, [entry.full_name for entry in self.models.catalog.of_vendor(vendor)], n=1)
            hint = f"did you mean {near[0]}?" if near else "`agent-sdk models check` asks whether it is there"
            yield _bad(self.loaded, key, f"{about}the catalog does not know {name}", hint, is_sure=False)

    def _asked(self, name: str, settings: ModelSettings, asks: Asks, about: str | None = None) -> Iterator[BadSetting]:
        """Look at whether the model takes what it is asked for."""
        if name not in self.named:
            return
        for finding in check_settings(self.models.catalog.find(*self.named[name]), settings, asks):
            key = f"model_call.{finding.path.removeprefix('$.')}"
            is_general = about is None and key in self.loaded.origins
            yield _bad(self.loaded, key if is_general else "app", (about or "") + finding.message, finding.hint)

    def _unpriced(self, key: str, names: Iterable[str], about: str = "") -> Iterator[BadSetting]:
        """Look at whether a budget of money can grant a call at all."""
        for name in names if not self.loaded.settings.allow_unpriced else ():
            entry = self.models.catalog.find(*(self.named.get(name) or tuple(name.split(":", 1))))
            if entry is None or entry.prices is None:
                message = f"{about}money is bounded, and what {name} costs is not known: no call of it would be granted"
                yield _bad(self.loaded, key, message, _PRICE_HINT)

    def _agent(self, agent: AnyAgent) -> Iterator[BadSetting]:
        about, settings = f"agent {agent.name!r}: ", self.loaded.settings
        try:
            completed = with_settings(agent, self.models)
            require_model(completed)
            spec = completed.spec
            if completed.model is None or spec.model is None or not asks_model(completed):
                return
            fallbacks = self.models.fallbacks(completed.model, agent.fallbacks)
            own = [*([agent.model] if isinstance(agent.model, str) else []), *(each for each in agent.fallbacks if isinstance(each, str))]
            wrong = [each for name in own for each in self._model("app", name, about)]
            yield from wrong
            names = [spec.model, *(each for each in fallbacks if isinstance(each, str))]
            if all(name.startswith("object:") or name in self.named for name in names):
                asked = self.models.asked(completed.model, spec.settings, has_fallbacks=bool(fallbacks))
                asks = Asks(has_tools=bool(spec.tools), has_schema=spec.output_schema is not None)
                yield from self._asked(spec.model, asked, asks, about)
                if agent.budget is not None and agent.budget.usd is not None:
                    yield from self._unpriced("app", names, about)
                elif agent.budget is None and settings.budget.usd is not None:
                    yield from self._unpriced("budget.usd", names)
        except AgentSDKError as error:
            yield _bad(self.loaded, "app", about + error.message, error.hint)

    def _limits(self) -> Iterator[BadSetting]:
        """Look at whether limits are those of models that somebody has heard of."""
        for name in self.loaded.settings.rate_limits:
            vendor, colon, model = name.partition(":")
            if not colon or vendor in {"tenant", "object"} or name in self.named or self.models.catalog.find(vendor, model) is not None:
                continue
            near = get_close_matches(name, [*self.named, *(entry.full_name for entry in self.models.catalog.of_vendor(vendor))], n=1)
            message = f"{name} is limited, and neither the catalog nor an agent names such a model"
            yield _bad(self.loaded, "rate_limits", message, f"did you mean {near[0]}?" if near else None, is_sure=False)

    def _vendors(self) -> Iterator[BadSetting]:
        """Look at whether the models' vendors can be reached as the settings say: keys, headers, addresses."""
        for vendor in sorted({vendor for vendor, _ in self.named.values()}):
            section = _section_of(vendor)
            try:
                self.models.options(vendor)
            except SecretUnresolved as error:
                yield _bad(self.loaded, f"{section}.api_key", f"here {error.message}", error.hint, is_sure=False)
            except ConfigError as error:
                if not error.message.startswith(f"{section}.sign"):  # which was told already
                    yield _bad(self.loaded, f"{section}.api_key", error.message, error.hint)

    def _section(self, vendor: str) -> VendorSettings:
        settings = self.loaded.settings
        match _section_of(vendor):
            case "anthropic":
                return settings.anthropic
            case "gemini":
                return settings.gemini
            case _:
                return settings.openai


def _section_of(vendor: str) -> str:
    return vendor if vendor in {"anthropic", "gemini"} else "openai"
