"""The models of one runtime: names to adapters, and what every call goes through on the way to one."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from agent_sdk.core.budget import NO_BUDGET, Budget, Meter, NoMeter
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.findings import render_findings
from agent_sdk.core.model import ModelRequest, ModelSettings
from agent_sdk.core.ports import Clock, Model, Random
from agent_sdk.core.rates import CircuitStore, RateLimiter
from agent_sdk.core.tokens import tokens_of_message, tokens_of_text, tokens_of_tools
from agent_sdk.llm import OpenAIOptions, OwnModel, RetryPolicy, Streaming, Timeouts, open_model, parse_model_name, with_complete
from agent_sdk.llm.chain import Link, Resilience, compose_chain
from agent_sdk.llm.circuit import BreakerPolicy, Circuits
from agent_sdk.llm.options import Sign, VendorOptions
from agent_sdk.llm.rate_limiter import LocalLimiter
from agent_sdk.runtime.references import load_sign

if TYPE_CHECKING:  # the settings' models and the catalog load with the first settings
    from agent_sdk.config import LoadedSettings
    from agent_sdk.config.vendors import VendorSettings
    from agent_sdk.llm.catalog import Catalog

Named = str | Model | Streaming
Reach = tuple[str | None, str, Timeouts, dict[str, str], dict[str, str], str | None, Sign | None]
REPLY_TOKENS = 1024
"""How long a reply is taken to be where a limit of tokens counts it beforehand and nothing bounds it; the rest is counted afterwards."""
BOUNDED_REPLY_TOKENS = 16_384
"""How long a reply may become where a budget must grant it beforehand and nobody said how long."""


@dataclass(slots=True, weakref_slot=True)
class Models:
    """One adapter, with one pool of connections, a vendor; limits and circuits are shared by all models of the runtime.

    Where no settings were handed in, they are read when a vendor's model is first named.
    """

    clock: Clock
    random: Random
    settings: "LoadedSettings | None" = None
    _adapters: dict[str, Model] = field(default_factory=dict[str, Model])
    _chains: dict[tuple[str, ...], Model] = field(default_factory=dict[tuple[str, ...], Model])
    _limiter: RateLimiter | None = None
    _circuits: Circuits | None = None
    _circuit_store: CircuitStore | None = None
    _catalog: "Catalog | None" = None
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def share(self, journal: str) -> None:
        """Share limits and circuits with other processes: through the store that the settings name, or the journal's Postgres.

        Raises:
            ConfigError, StorageError: the store cannot be used.
        """
        settings = self.loaded().settings
        is_postgres = urlsplit(journal).scheme in {"postgres", "postgresql"}
        url = settings.rate_store if settings.rate_store is not None else journal if is_postgres else None
        if url is None:
            return
        from agent_sdk.llm.shared_limiter import SharedLimiter  # noqa: PLC0415  (few processes share limits)

        if urlsplit(url).scheme in {"postgres", "postgresql"}:
            from agent_sdk.storage.postgres_rates import PostgresRates  # noqa: PLC0415  (it needs an extra)

            rates = await PostgresRates.open(url)
            self._closing.push_async_callback(rates.close)
            self._circuit_store = rates
            self._limiter = SharedLimiter(rates, max_wait_s=settings.rate_max_wait_s)
        else:
            from agent_sdk.storage.redis_rates import RedisRates  # noqa: PLC0415  (it needs an extra)

            store = await RedisRates.open(url)
            self._closing.push_async_callback(store.close)
            self._limiter = SharedLimiter(store, max_wait_s=settings.rate_max_wait_s)

    def model(self, named: Named, fallbacks: Sequence[Named] = ()) -> tuple[Model, str]:
        """Return the model with all that its calls go through, and the name that requests give it.

        Raises:
            ConfigError: the vendor is unknown, or its key is missing.
        """
        chain = [named, *fallbacks]
        names = tuple(_name_of(each) for each in chain)
        request_name = names[0].partition(":")[2] if isinstance(named, str) else names[0]
        if all(isinstance(each, str) for each in chain):
            if names not in self._chains:
                self._chains[names] = self._chain(chain)
            return self._chains[names], request_name
        return self._chain(chain), request_name

    def fallbacks(self, named: Named, own: Sequence[Named]) -> Sequence[Named]:
        """Return the models that stand in for `named`: the agent's, else those of the settings."""
        if own or (self.settings is None and not isinstance(named, str)):
            return own
        return [each for each in self.loaded().settings.fallbacks if each != named]

    def meter(self, named: Named, fallbacks: Sequence[Named] = ()) -> Meter:
        """Return what knows beforehand what a call may cost; nothing does for an object, where no settings were read."""
        if not isinstance(named, str) and self.settings is None:
            return NoMeter()
        from agent_sdk.llm.meter import CatalogMeter  # noqa: PLC0415  (it loads the catalog)

        models = [_split(_name_of(each)) for each in (named, *fallbacks)]
        return CatalogMeter(self.catalog, models, self.loaded().settings.allow_unpriced)

    def asked(self, named: Named | None, own: ModelSettings, *, has_fallbacks: bool) -> ModelSettings:
        """Return how the model is to answer: as the agent says, else the settings, else the catalog."""
        if not isinstance(named, str) and self.settings is None:
            return own
        general = self.loaded().settings.model_call.asked()
        default = ModelSettings()
        said = {each.name: getattr(own, each.name) for each in fields(own) if getattr(own, each.name) != getattr(default, each.name)}
        settings = replace(general, **said)
        if isinstance(named, str) and settings.output_mode is None and not has_fallbacks:
            from agent_sdk.llm.catalog import default_output_mode  # noqa: PLC0415  (the same)

            entry = self.catalog.find(*parse_model_name(named))
            is_known = entry is not None and "output_modes" not in entry.assumed
            settings = replace(settings, output_mode=default_output_mode(entry)) if is_known else settings
        return settings

    def require_possible(self, named: Named | None, settings: ModelSettings, *, has_tools: bool, has_schema: bool) -> None:
        """Refuse what the catalog knows that the model cannot do.

        Raises:
            ConfigError: it would refuse every question.
        """
        if not isinstance(named, str):
            return
        from agent_sdk.llm.catalog import Asks, check_settings  # noqa: PLC0415  (the same)

        found = check_settings(self.catalog.find(*parse_model_name(named)), settings, Asks(has_tools, has_schema))
        if found:
            raise ConfigError(f"{named} cannot be asked so:\n{render_findings(found)}", hint="change the model, or its settings")

    @property
    def catalog(self) -> "Catalog":
        """What is known of models."""
        if self._catalog is None:
            from agent_sdk.runtime.catalogs import configured_catalog  # noqa: PLC0415  (it is loaded where somebody asks for it)

            self._catalog = configured_catalog(self.loaded(), self.clock)
        return self._catalog

    def budget(self, named: Named | None) -> Budget | None:
        """Return what a run may spend where nobody said so; no settings are read for a model that is an object."""
        if self.settings is None and not isinstance(named, str):
            return None
        general = self.loaded().settings.budget
        budget = Budget(None if general.usd is None else Decimal(general.usd), general.tokens, general.calls)
        return budget if budget != NO_BUDGET else None

    async def close(self) -> None:
        """Close all connections."""
        self._adapters.clear()
        self._chains.clear()
        await self._closing.aclose()

    def loaded(self) -> "LoadedSettings":
        """Return the settings, reading them where nobody has."""
        if self.settings is None:
            from agent_sdk.config import load_settings, read_environ  # noqa: PLC0415  (the same)

            self.settings = load_settings(environ=read_environ(), cwd=Path.cwd())
        return self.settings

    def _chain(self, chain: Sequence[Named]) -> Model:
        return compose_chain([self._link(each) for each in chain], self._resilience())

    def _link(self, named: Named) -> Link:
        full_name = _name_of(named)
        if not isinstance(named, str) and self.settings is None:
            return Link(OwnModel(with_complete(named)), full_name)
        from agent_sdk.llm.pricing import PricedModel  # noqa: PLC0415  (the same)

        vendor, name = parse_model_name(named) if isinstance(named, str) else _split(full_name)
        entry = self.catalog.find(vendor, name)
        window = entry.context_tokens if entry is not None else None
        rules = self.loaded().settings.rate_rules(vendor, name)
        if not isinstance(named, str):
            return Link(PricedModel(OwnModel(with_complete(named)), self.catalog, vendor, name), full_name, "", vendor, window, rules)
        if vendor not in self._adapters:
            adapter, close = open_model(vendor, self.options(vendor))
            self._closing.push_async_callback(close)
            self._adapters[vendor] = PricedModel(adapter, self.catalog, vendor)
        return Link(self._adapters[vendor], name, self.options(vendor).place.url, vendor, window, rules)

    def _resilience(self) -> Resilience:
        if self.settings is None:
            return Resilience(self.clock, self.random)
        settings = self.settings.settings
        if self._limiter is None:
            self._limiter = LocalLimiter(self.clock, max_wait_s=settings.rate_max_wait_s)
        breaker = settings.breaker
        if self._circuits is None and breaker.failures is not None:
            policy = BreakerPolicy(breaker.failures, window_s=breaker.window_s, open_s=breaker.open_s)
            self._circuits = Circuits(policy, self.clock, self._circuit_store)
        return Resilience(
            self.clock,
            self.random,
            RetryPolicy(max_attempts=settings.model_call.max_attempts),
            self._circuits,
            limiter=self._limiter,
            estimate=_estimate,
        )

    def options(self, vendor: str) -> VendorOptions:
        """Return how the vendor is reached.

        Raises:
            SecretUnresolved: a key or another secret cannot be had. ConfigError: what the settings say cannot be sent.
        """
        settings = self.loaded().settings
        match vendor:
            case "anthropic":
                from agent_sdk.llm.anthropic_options import ANTHROPIC_VERSION, AnthropicOptions  # noqa: PLC0415  (who asks another vendor loads none)

                own = settings.anthropic
                version = own.api_version if own.api_version is not None else ANTHROPIC_VERSION
                return AnthropicOptions(*self._reach(vendor), api_version=version, beta=own.beta, platform=own.platform)
            case "gemini":
                from agent_sdk.llm.gemini_options import GeminiOptions  # noqa: PLC0415  (the same)

                return GeminiOptions(*self._reach(vendor))
            case _:
                return OpenAIOptions(*self._reach("openai"), organization=settings.openai.organization)

    def _reach(self, section: Literal["openai", "anthropic", "gemini"]) -> Reach:
        """Return how a vendor is reached: key, address, patience, headers, query, proxy, and what signs its requests."""
        loaded = self.loaded()
        call = loaded.settings.model_call
        own: VendorSettings = getattr(loaded.settings, section)
        timeouts = Timeouts(call.connect_timeout_s, call.first_token_timeout_s, call.idle_timeout_s, call.total_timeout_s)
        sign = None if own.sign is None else load_sign(own.sign, f"{section}.sign")
        return own.key(loaded.environ, loaded.cwd), own.base_url, timeouts, *own.sent(loaded.environ, loaded.cwd), sign


def bounded(settings: ModelSettings) -> ModelSettings:
    """Return settings under which a reply has a bound, so that a budget can grant it."""
    return settings if settings.max_output_tokens is not None else replace(settings, max_output_tokens=BOUNDED_REPLY_TOKENS)


def _name_of(named: Named) -> str:
    return named if isinstance(named, str) else f"object:{type(named).__name__}"


def _split(name: str) -> tuple[str, str]:
    vendor, _, rest = name.partition(":")
    return vendor, rest.strip()


def _estimate(request: ModelRequest) -> int:
    """Return how many tokens a call takes of a limit, before it is known."""
    asked = tokens_of_text(request.instructions) + tokens_of_tools(request.tools) + request.conversation.sums(tokens_of_message)[-1]
    reply = request.settings.max_output_tokens
    return asked + (REPLY_TOKENS if reply is None else min(reply, REPLY_TOKENS))
