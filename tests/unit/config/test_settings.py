"""The tree itself: defaults, bounds, forms of text, and what it never shows."""

import dataclasses
import json

import pytest
from pydantic import SecretStr, ValidationError

from agent_sdk.config.secret import SecretLiteral, SecretRef
from agent_sdk.config.settings import LimitSettings, LoggingSettings, ModelCallSettings, RateLimitSettings, Settings, ThreadSettings
from agent_sdk.config.values import VENDORS
from agent_sdk.config.vendors import OpenAISettings
from agent_sdk.core.agent import Limits
from agent_sdk.core.ids import TenantId
from agent_sdk.core.model import ModelSettings
from agent_sdk.core.rates import RateRule
from agent_sdk.llm.resolve import VENDORS as SPOKEN

HUSH = "sk-hush"


def test_limits_are_those_of_the_core_with_its_defaults() -> None:
    assert LimitSettings().model_dump() == dataclasses.asdict(Limits())


def test_nothing_is_needed_to_make_settings() -> None:
    settings = Settings()
    assert settings.journal == "sqlite:///agent.db"
    assert settings.openai.api_key == SecretRef("env", "OPENAI_API_KEY")
    assert settings.threads == ThreadSettings(size=32, max_abandoned=64)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().limits.max_turns = 3


@pytest.mark.parametrize("temperature", [0.0, 0.7, 2.0, None])
def test_model_config_takes_a_temperature_in_its_range(temperature: float | None) -> None:
    assert ModelCallSettings(temperature=temperature).temperature == temperature


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", float("nan")),
        ("max_attempts", 0),
        ("max_attempts", 21),
        ("max_output_tokens", 0),
        ("top_p", 0),
        ("top_p", 1.1),
        ("seed", -1),
        ("seed", 1.5),
        ("connect_timeout_s", 0),
        ("total_timeout_s", float("inf")),
    ],
)
def test_model_config_refuses_what_is_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        ModelCallSettings.model_validate({name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("reasoning", "hard"), ("cache", "forever"), ("output_mode", "xml"), ("parallel_tool_calls", 2)]
)
def test_model_config_refuses_words_that_it_does_not_know(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ModelCallSettings.model_validate({name: value})


def test_model_config_is_what_a_model_is_asked_for() -> None:
    assert ModelCallSettings().asked() == ModelSettings()
    call = ModelCallSettings(
        temperature=0.5,
        top_p=0.9,
        seed=7,
        max_output_tokens=9,
        reasoning="low",
        parallel_tool_calls=False,
        output_mode="tool",
        cache="long",
    )
    assert call.asked() == ModelSettings(
        temperature=0.5,
        top_p=0.9,
        seed=7,
        max_output_tokens=9,
        reasoning="low",
        parallel_tool_calls=False,
        output_mode="tool",
        cache="long",
    )


@pytest.mark.parametrize("names", ["openai:a, anthropic:b", ["openai:a", "anthropic:b"], ("openai:a", "anthropic:b")])
def test_fallbacks_are_a_list_or_a_text_with_commas(names: object) -> None:
    assert Settings.model_validate({"fallbacks": names}).fallbacks == ("openai:a", "anthropic:b")


@pytest.mark.parametrize("names", [["openai:a", "openai:a"], ["a"], "openai:a,b", [1], {"openai:a": 1}])
def test_fallbacks_that_are_no_models_are_refused(names: object) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"fallbacks": names})


def test_rate_limits_are_given_for_models_vendors_and_tenants() -> None:
    given = {"openai:gpt-5-mini": {"concurrent": 3}, "anthropic": {"requests_per_minute": 50}, "tenant": {"tokens_per_minute": 9}}
    settings = Settings.model_validate({"rate_limits": given})
    assert settings.rate_limits["openai:gpt-5-mini"] == RateLimitSettings(concurrent=3)
    assert settings.rate_rules("openai", "gpt-5-mini") == (RateRule(("key", "model"), concurrency=3), RateRule(("tenant",), tokens=9))
    assert settings.rate_rules("anthropic", "x") == (RateRule(("key",), requests=50), RateRule(("tenant",), tokens=9))
    assert Settings.model_validate({"rate_limits": json.dumps(given)}).rate_limits["tenant"].tokens_per_minute == 9


def test_a_rate_limit_may_be_that_of_one_tenant() -> None:
    settings = Settings.model_validate({"rate_limits": {"tenant:acme": {"concurrent": 3}, "tenant": {"concurrent": 1}}})
    one, acme = settings.rate_rules("openai", "m")
    assert (one, acme) == (RateRule(("tenant",), concurrency=1), RateRule(("tenant",), concurrency=3, of=TenantId("acme")))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3, "write a mapping"),
        ("{", "written as JSON"),
        ({"OpenAI": {"concurrent": 1}}, "a limit is that of"),
        ({"opnai": {"concurrent": 1}}, "nobody speaks to opnai; there are openai"),
        ({"tenant:": {"concurrent": 1}}, "a limit is that of"),
        ({"tenant:a/b": {"concurrent": 1}}, "as in tenant:acme"),
        ({"tenants": {"concurrent": 1}}, "nobody speaks to tenants"),
        ({"openai": {"concurrent": 0}}, "openai: concurrent"),
        ({"openai": {"concurrent": "3"}}, "openai: concurrent"),
        ({"openai": {"rpm": 3}}, "openai: rpm"),
        ({"openai": {"rpm": 3}}, "a limit has requests_per_minute, tokens_per_minute or concurrent"),
        ({"openai": {}}, "limits nothing"),
        ({"openai": 3}, "openai: it"),
    ],
)
def test_rate_limits_that_do_not_hold_say_where(value: object, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"rate_limits": value})
    assert hint in caught.value.errors()[0].get("ctx", {})["hint"]


@pytest.mark.parametrize("url", ["redis://localhost:6379", "rediss://h/1", "postgresql://u:p@h/db", None])
def test_limits_are_shared_through_redis_or_postgres(url: str | None) -> None:
    assert Settings(rate_store=url).rate_store == url


def test_limits_are_shared_through_nothing_else() -> None:
    with pytest.raises(ValidationError):
        Settings(rate_store="mysql://h/db")


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "openai:org/model:tag", "my-vendor:x"])
def test_a_model_is_named_with_its_vendor(name: str) -> None:
    assert Settings(model=name).model == name


@pytest.mark.parametrize("name", ["gpt-5-mini", "openai:", ":x", "OpenAI:x", "openai:a b", "openai:a\x00"])
def test_a_model_without_vendor_or_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Settings(model=name)


@pytest.mark.parametrize("name", ["app", "my agents:app", "a:b:c", "a:"])
def test_an_app_is_a_module_and_a_name(name: str) -> None:
    assert Settings(app="my_agents.main:app").app == "my_agents.main:app"
    with pytest.raises(ValidationError):
        Settings(app=name)


@pytest.mark.parametrize("url", ["sqlite:///agent.db", "sqlite:////var/lib/agent.db", "memory://"])
def test_a_journal_is_named_by_its_url(url: str) -> None:
    assert Settings(journal=url).journal == url


@pytest.mark.parametrize("url", ["agent.db", "sqlite://agent.db", "sqlite://", "mysql://h/db", "sqlite:///a b", "sqlite://[/x", ""])
def test_a_journal_that_no_adapter_opens_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(journal=url)


@pytest.mark.parametrize("tenant", ["", "a b", "-a", "a" * 129, "a/b"])
def test_a_tenant_is_a_plain_name(tenant: str) -> None:
    with pytest.raises(ValidationError):
        Settings(tenant=tenant)


def test_the_level_may_be_written_small() -> None:
    assert LoggingSettings.model_validate({"level": "debug"}).level == "DEBUG"
    with pytest.raises(ValidationError):
        LoggingSettings.model_validate({"level": 10})


def test_no_form_of_the_settings_shows_a_secret() -> None:
    settings = Settings(openai=OpenAISettings(api_key=SecretLiteral(SecretStr(HUSH))))
    dumped = json.dumps(settings.model_dump(mode="json"))
    assert HUSH not in f"{settings} {settings!r} {settings.model_dump()} {dumped} {settings.model_dump_json()}"
    assert OpenAISettings(api_key=None).model_dump()["api_key"] is None


def test_the_vendors_are_those_that_models_are_named_by() -> None:
    assert VENDORS == SPOKEN
