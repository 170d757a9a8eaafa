"""Settings of which each holds by itself, and which do not hold together: all is found at once, each with its place."""

import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk import Agent, App, Budget, ConfigError, tool
from agent_sdk.config import BadSetting, load_settings
from agent_sdk.core.model import ModelSettings
from agent_sdk.runtime.settings_check import check_whole
from agent_sdk.runtime.system import SystemClock
from agent_sdk.testing import ScriptedModel

KEYS = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k"}
AnyAgent = Agent[None, Any]
Found = Callable[..., list[BadSetting]]


class Answer(BaseModel):
    total: int


@tool(effect="read")
async def look(what: str) -> str:
    """Look."""
    return what


def no_app() -> App:
    raise ConfigError("there is no module 'nowhere'", hint="start elsewhere")


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """Look at settings that a file has."""

    def look_at(text: str, *agents: AnyAgent, environ: Mapping[str, str] = KEYS, app: Callable[[], App] | None = None) -> list[BadSetting]:
        (tmp_path / "agent-sdk.yaml").write_text(text + ("\napp: shop:app\n" if agents or app else ""))
        loaded = load_settings(environ=environ, cwd=tmp_path)
        return check_whole(loaded, app or (lambda: App(agents)), SystemClock())

    return look_at


def told(findings: Sequence[BadSetting]) -> list[str]:
    return [str(each) for each in findings]


def test_settings_that_hold_together_have_no_findings(found: Found) -> None:
    assert found("model: openai:gpt-5-mini\nfallbacks: [anthropic:claude-sonnet-5-5]\nbudget: {usd: '1'}\n") == []


def test_every_finding_of_a_catalog_is_told_with_its_place(found: Found, tmp_path: Path) -> None:
    model = "{vendor: openai, name: a, prices: {input: x, output: 1}, contxt: 3}"
    (tmp_path / "prices.yaml").write_text(f"as_of: 2026-11-01\nmodels:\n  - {model}\n")
    one, other = found("model: openai:gpt-5-mini\ncatalog: prices.yaml\n")
    assert (one.key, one.code, str(one.origin)) == ("catalog", "unusable", "agent-sdk.yaml:2:1")
    assert f"{tmp_path}/prices.yaml:3:" in one.message + other.message
    assert {"$.models[0].prices.input", "$.models[0].contxt"} == {each.message.split(": ")[1] for each in (one, other)}


def test_a_catalog_that_is_not_there_is_told_and_the_rest_is_looked_at(found: Found) -> None:
    one, other = told(found("model: nobody:m\ncatalog: nowhere.toml\n"))
    assert "agent-sdk.yaml:2:1 (catalog)" in one
    assert "there is no such file" in one
    assert "agent-sdk.yaml:1:1 (model): there is no vendor 'nobody'" in other


def test_models_that_nobody_speaks_to_and_functions_that_are_not_there_are_told_at_once(found: Found) -> None:
    text = "model: opena:m\nfallbacks: [anthropc:x, gemini:gemini-3.8-flash]\nopenai: {sign: 'nowhere_at_all:sign'}\n"
    sign, model, fallback = told(found(text))
    assert sign.startswith("agent-sdk.yaml:3:10 (openai.sign): there is no module 'nowhere_at_all'; hint: start from the folder")
    assert model.startswith("agent-sdk.yaml:1:1 (model): there is no vendor 'opena'; known are: openai, ")
    assert model.endswith("hint: did you mean openai:m?")
    assert fallback.startswith("agent-sdk.yaml:2:1 (fallbacks): there is no vendor 'anthropc'")


def test_a_function_that_cannot_be_had_is_told_once(found: Found) -> None:
    (only,) = found("model: openai:gpt-5-mini\nopenai: {sign: 'sys:path'}\n")
    assert (only.key, only.code) == ("openai.sign", "unusable")
    assert "sys" in sys.modules


def test_what_a_model_refuses_is_told_where_it_is_asked_for(found: Found) -> None:
    (only,) = found("model: anthropic:claude-sonnet-5-5\nmodel_call:\n  seed: 7\n")
    assert (only.key, str(only.origin)) == ("model_call.seed", "agent-sdk.yaml:3:3")
    assert "takes no seed" in only.message


def test_a_budget_of_money_that_can_grant_nothing_is_told(found: Found) -> None:
    text = "model: openai:in-house\nopenai: {base_url: 'http://localhost:1/v1'}\nbudget: {usd: '1'}\n"
    (only,) = found(text)
    assert (only.key, "what openai:in-house costs is not known" in only.message) == ("budget.usd", True)
    assert found(f"{text}allow_unpriced: true\n") == []


def test_what_is_doubtful_is_told_as_such(found: Found) -> None:
    text = (
        "model: openai:gpt-5-minni\nrate_limits: {'openai:gpt-5-mimi': {concurrent: 1}, openai: {concurrent: 9}, tenant: {concurrent: 2}}\n"
    )
    model, limit, key = found(text, environ={})
    assert {each.code for each in (model, limit, key)} == {"doubtful"}
    assert (model.key, model.hint) == ("model", "did you mean openai:gpt-5-mini?")
    assert (limit.key, limit.hint) == ("rate_limits", "did you mean openai:gpt-5-mini?")
    assert (key.key, "OPENAI_API_KEY" in key.message) == ("openai.api_key", True)


def test_a_model_of_another_server_need_not_be_known(found: Found) -> None:
    assert found("model: openai:llama\nopenai: {base_url: 'http://localhost:1/v1'}\nrate_limits: {'openai:llama': {concurrent: 1}}\n") == []


def test_what_cannot_be_sent_is_told(found: Found) -> None:
    (only,) = found("model: openai:gpt-5-mini\n", environ={"OPENAI_API_KEY": "two words"})
    assert (only.key, only.code) == ("openai.api_key", "unusable")
    assert "two words" not in str(only)


def test_an_app_that_cannot_be_had_is_told(found: Found) -> None:
    (only,) = found("model: openai:gpt-5-mini", app=no_app)
    assert str(only) == "agent-sdk.yaml:2:1 (app): there is no module 'nowhere'; hint: start elsewhere"


AGENTS: Mapping[str, tuple[AnyAgent, str, str, str]] = {
    "no model": (Agent(name="a"), "tenant: t", "app", "agent 'a' names no model"),
    "no vendor": (Agent(name="a", model="nobody:m"), "tenant: t", "app", "agent 'a': there is no vendor 'nobody'"),
    "fallback": (Agent(name="a", model="openai:gpt-5-mini", fallbacks=["x:m"]), "tenant: t", "app", "agent 'a': there is no vendor 'x'"),
    "seed": (
        Agent(name="a", model="anthropic:claude-sonnet-5-5", settings=ModelSettings(seed=1)),
        "tenant: t",
        "app",
        "agent 'a': anthropic:claude-sonnet-5-5 takes no seed",
    ),
    "the model of the settings": (
        Agent(name="a", settings=ModelSettings(seed=1)),
        "model: anthropic:claude-sonnet-5-5",
        "app",
        "agent 'a': anthropic:claude-sonnet-5-5 takes no seed",
    ),
    "forced": (
        Agent(name="a", model="openai:gpt-5-mini", settings=ModelSettings(tool_choice="required")),
        "tenant: t",
        "app",
        "agent 'a': a tool must be called, and there are none",
    ),
    "budget of its own": (
        Agent(name="a", model=ScriptedModel(["x"]), budget=Budget(usd=Decimal(1))),
        "tenant: t",
        "app",
        "agent 'a': money is bounded, and what object:ScriptedModel costs is not known",
    ),
    "budget of the settings": (
        Agent(name="a", model=ScriptedModel(["x"])),
        "budget: {usd: '1'}",
        "budget.usd",
        "what object:ScriptedModel costs is not known",
    ),
}


@pytest.mark.parametrize("case", AGENTS)
def test_what_is_wrong_with_an_agent_is_told_with_its_name(case: str, found: Found) -> None:
    agent, text, key, message = AGENTS[case]
    (only,) = found(text, agent)
    assert (only.key, only.code) == (key, "unusable")
    assert message in only.message


def test_agents_that_hold_have_no_findings(found: Found) -> None:
    agents: list[AnyAgent] = [
        Agent(name="one", model="openai:gpt-5-mini", tools=[look], budget=Budget(usd=Decimal(1))),
        Agent(name="two", tools=[look], output=Answer, fallbacks=[ScriptedModel(["x"])]),
        Agent(name="three", model=ScriptedModel(["x"])),
    ]
    assert found("model: gemini:gemini-3.8-flash\n", *agents) == []


def test_a_wrong_model_of_the_settings_is_told_once_however_many_agents_have_it(found: Found) -> None:
    (only,) = found("model: nobody:m", Agent(name="one"), Agent(name="two"))
    assert only.key == "model"


def test_what_a_name_in_a_catalog_of_ones_own_says_counts(found: Found, tmp_path: Path) -> None:
    table: dict[str, JsonValue] = {"vendor": "openai", "name": "in-house", "prices": {"input": 1, "output": 1}}
    (tmp_path / "own.yaml").write_text(f"as_of: 2026-11-01\nmodels: [{table}]\n")
    assert found("model: openai:in-house\ncatalog: own.yaml\nbudget: {usd: '1'}\n") == []
