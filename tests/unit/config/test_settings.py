"""The tree itself: defaults, bounds, forms of text, and what it never shows."""

import dataclasses
import json

import pytest
from pydantic import SecretStr, ValidationError

from agent_sdk.config.secret import SecretLiteral, SecretRef, SecretUnresolved
from agent_sdk.config.settings import LimitSettings, LoggingSettings, ModelCallSettings, OpenAISettings, Settings, ThreadSettings
from agent_sdk.core.agent import Limits

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
        ("connect_timeout_s", 0),
        ("total_timeout_s", float("inf")),
    ],
)
def test_model_config_refuses_what_is_out_of_range(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        ModelCallSettings.model_validate({name: value})


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


def test_a_base_url_loses_its_last_slash() -> None:
    assert OpenAISettings(base_url="http://localhost:11434/v1/").base_url == "http://localhost:11434/v1"


@pytest.mark.parametrize(
    "url", ["ftp://h", "https://", "localhost:11434", "https://u:p@h", "https://h?k=v", "https://h#f", "https://h:x", "https://h/\n"]
)
def test_a_base_url_is_plain_http(url: str) -> None:
    with pytest.raises(ValidationError):
        OpenAISettings(base_url=url)


@pytest.mark.parametrize("tenant", ["", "a b", "-a", "a" * 129, "a/b"])
def test_a_tenant_is_a_plain_name(tenant: str) -> None:
    with pytest.raises(ValidationError):
        Settings(tenant=tenant)


def test_the_level_may_be_written_small() -> None:
    assert LoggingSettings.model_validate({"level": "debug"}).level == "DEBUG"
    with pytest.raises(ValidationError):
        LoggingSettings.model_validate({"level": 10})


def test_a_literal_secret_is_taken_only_as_such() -> None:
    literal = SecretLiteral(SecretStr(HUSH))
    assert OpenAISettings(api_key=literal).api_key == literal
    with pytest.raises(ValidationError) as caught:
        OpenAISettings.model_validate({"api_key": HUSH})
    assert HUSH not in str(caught.value)


def test_no_form_of_the_settings_shows_a_secret() -> None:
    settings = Settings(openai=OpenAISettings(api_key=SecretLiteral(SecretStr(HUSH))))
    dumped = json.dumps(settings.model_dump(mode="json"))
    assert HUSH not in f"{settings} {settings!r} {settings.model_dump()} {dumped} {settings.model_dump_json()}"
    assert OpenAISettings(api_key=None).model_dump()["api_key"] is None


def test_the_key_comes_from_the_environment_by_default() -> None:
    assert OpenAISettings().key({"OPENAI_API_KEY": HUSH}) == HUSH
    with pytest.raises(SecretUnresolved, match="OPENAI_API_KEY"):
        OpenAISettings().key({})


def test_another_server_needs_no_key_that_nobody_asked_for() -> None:
    elsewhere = OpenAISettings(base_url="http://localhost:11434/v1")
    assert elsewhere.key({}) is None
    assert elsewhere.key({"OPENAI_API_KEY": HUSH}) == HUSH
    assert OpenAISettings(api_key=None).key({"OPENAI_API_KEY": HUSH}) is None


def test_a_key_that_was_asked_for_must_be_there() -> None:
    with pytest.raises(SecretUnresolved):
        OpenAISettings(base_url="http://localhost:11434/v1", api_key=SecretRef("env", "MINE")).key({})
