"""The rows of `config show`."""

from pathlib import Path

from agent_sdk.config.load import load_settings
from agent_sdk.config.schema import keys
from agent_sdk.config.show import SettingRow, show_settings


def test_every_setting_has_a_row_with_its_origin(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("limits:\n  max_turns: 7\n")
    environ = {"AGENT_SDK__OPENAI__API_KEY": "sk-hush", "AGENT_SDK__MODEL": "openai:a@b"}
    rows = {row.key: row for row in show_settings(load_settings(environ=environ, cwd=tmp_path))}
    assert list(rows) == list(keys())
    assert rows["limits.max_turns"] == SettingRow("limits.max_turns", "7", "agent-sdk.yaml:2:3")
    assert rows["openai.api_key"] == SettingRow("openai.api_key", "********", "environment AGENT_SDK__OPENAI__API_KEY")
    assert rows["model"].value == "openai:a@b"
    assert rows["app"] == SettingRow("app", "null", "default")
    assert rows["journal"].value == "sqlite:///agent.db"


def test_a_reference_is_shown_as_such(tmp_path: Path) -> None:
    rows = {row.key: row.value for row in show_settings(load_settings(environ={"OPENAI_API_KEY": "sk-hush"}, cwd=tmp_path))}
    assert rows["openai.api_key"] == "env:OPENAI_API_KEY"


def test_lists_mappings_and_claims_are_shown_as_json_and_their_secrets_masked(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text(
        "fallbacks: [openai:a]\n"
        "rate_limits: {openai: {concurrent: 3}}\n"
        "rate_store: redis://u:hush@h:6379\n"
        "openai: {headers: {X-Team: blue, Authorization: env:MINE}, proxy: env:PROXY}\n"
    )
    environ = {"AGENT_SDK__ANTHROPIC__HEADERS": '{"X-Api-Key": "sk-hush"}', "AGENT_SDK__ALLOW_UNPRICED": "true"}
    rows = {row.key: row.value for row in show_settings(load_settings(environ=environ, cwd=tmp_path))}
    assert rows["fallbacks"] == '["openai:a"]'
    assert rows["rate_limits"] == '{"openai": {"concurrent": 3}}'
    assert rows["rate_store"] == "redis://***@h:6379"
    assert rows["openai.headers"] == '{"X-Team": "blue", "Authorization": "env:MINE"}'
    assert rows["openai.proxy"] == "env:PROXY"
    assert rows["anthropic.headers"] == '{"X-Api-Key": "********"}'
    assert rows["allow_unpriced"] == "true"
    assert rows["model_call.parallel_tool_calls"] == "null"
