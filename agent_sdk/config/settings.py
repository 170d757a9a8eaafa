"""The settings tree: what may be set, within which bounds, and what holds if nothing is. Where values come from is known by `load`."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationError

from agent_sdk.config.values import (
    VENDORS,
    Expects,
    Names,
    Section,
    app_name,
    dispatch_url,
    journal_url,
    model_name,
    model_names,
    store_url,
    structured,
    wrong,
)
from agent_sdk.config.vendors import AnthropicSettings, GeminiSettings, OpenAISettings
from agent_sdk.core.ids import TenantId
from agent_sdk.core.model import ModelSettings, OutputMode, Reasoning
from agent_sdk.core.rates import RateRule, RateScope

_LIMITED = re.compile(r"[a-z][a-z0-9_-]*(?::[\x21-\x7e]+)?")
_TENANT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


def _rate_limits(value: object) -> "dict[str, RateLimitSettings]":
    given = structured(value)
    if not isinstance(given, Mapping):
        raise wrong("write a mapping such as openai: {requests_per_minute: 500}")
    return {_limited(name): _rate_limit(str(name), limit) for name, limit in cast("Mapping[object, object]", given).items()}


def _limited(name: object) -> str:
    if not isinstance(name, str) or not _LIMITED.fullmatch(name):
        raise wrong("a limit is that of a model, openai:gpt-5-mini, of a vendor, openai, of each tenant, tenant, or of one, tenant:acme")
    vendor, colon, rest = name.partition(":")
    if vendor == "tenant" and colon and not re.fullmatch(_TENANT, rest):
        raise wrong("a tenant's name has letters, digits, '.', '_' and '-', as in tenant:acme")
    if vendor not in {*VENDORS, "object", "tenant"}:
        raise wrong(f"nobody speaks to {vendor}; there are {', '.join(VENDORS)}")
    return name


def _rate_limit(name: str, value: object) -> "RateLimitSettings":
    try:
        limit = RateLimitSettings.model_validate(value, strict=True)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "it"
        said = f"look at {name}: {where}: {error.errors()[0]['msg']}"
        raise wrong(f"{said}; a limit has requests_per_minute, tokens_per_minute or concurrent") from error
    if limit == RateLimitSettings():
        raise wrong(f"{name} limits nothing: give requests_per_minute, tokens_per_minute or concurrent")
    return limit


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class ModelCallSettings(Section):
    """How long one model call may take, how often it is tried, and what it asks for; None leaves the choice to the vendor."""

    connect_timeout_s: float = Field(default=10.0, gt=0, le=600)
    first_token_timeout_s: float = Field(default=120.0, gt=0, le=3600)
    idle_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    total_timeout_s: float = Field(default=600.0, gt=0, le=86400)
    max_attempts: int = Field(default=4, ge=1, le=20)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, le=2_147_483_647)
    max_output_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    reasoning: Reasoning | None = None
    parallel_tool_calls: Annotated[bool | None, Expects("true, false or null")] = None
    output_mode: OutputMode | None = None
    cache: Literal["short", "long"] | None = None

    def asked(self) -> ModelSettings:
        """Return what is asked of a model that nobody asks for something else."""
        return ModelSettings(
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            max_output_tokens=self.max_output_tokens,
            reasoning=self.reasoning,
            parallel_tool_calls=self.parallel_tool_calls,
            output_mode=self.output_mode,
            cache=self.cache,
        )


class RateLimitSettings(Section):
    """How much may be asked of a model, of a vendor, for each tenant or for one; None means no limit."""

    requests_per_minute: int | None = Field(default=None, ge=1, le=10_000_000)
    tokens_per_minute: int | None = Field(default=None, ge=1, le=100_000_000_000)
    concurrent: int | None = Field(default=None, ge=1, le=1_000_000)

    def rule(self, *by: RateScope, of: TenantId | None = None) -> RateRule:
        """Return the limit as a rule for each of what it goes by, or of one tenant alone."""
        return RateRule(by, self.requests_per_minute, self.tokens_per_minute, self.concurrent, of=of)


class BreakerSettings(Section):
    """After how many failures within a time a model is left alone, and for how long; with `failures` None it is asked again and again."""

    failures: int | None = Field(default=5, ge=1, le=10_000)
    window_s: float = Field(default=60.0, gt=0, le=86_400)
    open_s: float = Field(default=30.0, gt=0, le=86_400)


class BudgetSettings(Section):
    """What one run may spend, with all runs below it, where neither its agent nor whoever started it says so; None means no limit."""

    usd: Annotated[str | None, Expects("an amount in quotes such as '0.50', or null")] = Field(
        default=None, pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
    )
    tokens: int | None = Field(default=None, ge=0, le=2**62)
    calls: int | None = Field(default=None, ge=0, le=2**62)


class LimitSettings(Section):
    """How far one run may go, where its agent does not say; the names are those of `core.agent.Limits`."""

    max_turns: int = Field(default=50, ge=1, le=100_000)
    max_steps: int = Field(default=1000, ge=1, le=1_000_000)
    max_parallel: int = Field(default=8, ge=1, le=10_000)
    step_timeout_s: float = Field(default=60.0, gt=0, le=604_800)
    run_timeout_s: float | None = Field(default=None, gt=0, le=31_536_000)
    max_plan_repairs: int = Field(default=3, ge=0, le=100)
    max_answer_repairs: int = Field(default=2, ge=0, le=100)
    max_retries: int = Field(default=100, ge=0, le=10_000_000)
    max_repeats: int = Field(default=3, ge=1, le=1000)
    max_goal_bytes: int = Field(default=1024 * 1024, ge=1, le=64 * 1024 * 1024)
    max_output_bytes: int = Field(default=16 * 1024 * 1024, ge=1, le=1024 * 1024 * 1024)
    max_crashes: int = Field(default=5, ge=0, le=1000)
    max_depth: int = Field(default=5, ge=0, le=100)


class LoggingSettings(Section):
    """What the process logs, and in which form."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)] = "INFO"
    format: Literal["json", "text"] = "text"


class ThreadSettings(Section):
    """The pool of sync tools: its size, and how many threads may be given up on before no new one replaces them."""

    size: int = Field(default=32, ge=1, le=1024)
    max_abandoned: int = Field(default=64, ge=0, le=100_000)


class RetentionSettings(Section):
    """For how many days runs are kept after their end, by how they ended; None keeps them for good."""

    succeeded_days: float | None = Field(default=None, gt=0, le=36_500)
    failed_days: float | None = Field(default=None, gt=0, le=36_500)
    cancelled_days: float | None = Field(default=None, gt=0, le=36_500)
    expired_days: float | None = Field(default=None, gt=0, le=36_500)


class BackupSettings(Section):
    """How a Postgres journal is copied."""

    programs: Annotated[str | None, Expects("the directory of pg_dump and pg_restore, or null")] = Field(default=None, min_length=1)


class WorkerSettings(Section):
    """How a worker works: how many runs at once, and how long its leases and its farewell are."""

    concurrency: int = Field(default=64, ge=1, le=10_000)
    lease_s: float = Field(default=30.0, ge=1, le=3600)
    grace_s: float = Field(default=25.0, ge=0, le=86_400)


class Settings(Section):
    """All that an operator may set; relative paths start at the working directory."""

    model: Annotated[str | None, AfterValidator(model_name), Expects("vendor:name such as openai:gpt-5-mini, or null")] = None
    fallbacks: Annotated[tuple[str, ...], Names, AfterValidator(model_names), Expects("a list of models such as [openai:gpt-5-mini]")] = ()
    app: Annotated[str | None, AfterValidator(app_name), Expects("module:app, or null")] = None
    journal: Annotated[str, AfterValidator(journal_url), Expects("a URL such as sqlite:///agent.db")] = "sqlite:///agent.db"
    tenant: Annotated[str, Expects("1 to 128 letters, digits, '.', '_' or '-', the first a letter or digit")] = Field(
        default="default", pattern=f"^{_TENANT}$"
    )
    dispatch: Annotated[str | None, AfterValidator(dispatch_url), Expects("a URL such as nats://localhost:4222, or null")] = None
    catalog: Annotated[str | None, Expects("the path of a catalog of models, or null")] = Field(default=None, min_length=1, max_length=4096)
    allow_unpriced: Annotated[bool, Expects("true or false")] = False
    rate_limits: Annotated[
        Mapping[str, RateLimitSettings],
        PlainValidator(_rate_limits),
        Expects("a mapping of models, vendors, `tenant` or `tenant:NAME` to their limits"),
    ] = {}
    rate_store: Annotated[str | None, AfterValidator(store_url), Expects("a URL such as redis://localhost:6379, or null")] = None
    rate_max_wait_s: float = Field(default=60.0, ge=0, le=86_400)
    breaker: BreakerSettings = BreakerSettings()
    worker: WorkerSettings = WorkerSettings()
    openai: OpenAISettings = OpenAISettings()
    anthropic: AnthropicSettings = AnthropicSettings()
    gemini: GeminiSettings = GeminiSettings()
    model_call: ModelCallSettings = ModelCallSettings()
    limits: LimitSettings = LimitSettings()
    budget: BudgetSettings = BudgetSettings()
    memory: Annotated[str, AfterValidator(journal_url), Expects("a URL such as sqlite:///memory.db")] = "sqlite:///memory.db"
    logging: LoggingSettings = LoggingSettings()
    threads: ThreadSettings = ThreadSettings()
    retention: RetentionSettings = RetentionSettings()
    backup: BackupSettings = BackupSettings()

    @property
    def signs(self) -> Mapping[str, str]:
        """The functions that sign requests, as `module:function`, by the settings that name them."""
        vendors = {"openai": self.openai, "anthropic": self.anthropic, "gemini": self.gemini}
        return {f"{vendor}.sign": own.sign for vendor, own in vendors.items() if own.sign is not None}

    def rate_rules(self, vendor: str, name: str) -> tuple[RateRule, ...]:
        """Return the rules that hold for a model: its own, its vendor's, and those of each tenant, or of one, for all models together."""
        by: dict[str, tuple[RateScope, ...]] = {f"{vendor}:{name}": ("key", "model"), vendor: ("key",), "tenant": ("tenant",)}
        general = [self.rate_limits[key].rule(*scopes) for key, scopes in by.items() if key in self.rate_limits]
        prefix = "tenant:"
        named = {key.removeprefix(prefix): limit for key, limit in self.rate_limits.items() if key.startswith(prefix)}
        return (*general, *(limit.rule("tenant", of=TenantId(name)) for name, limit in named.items()))
