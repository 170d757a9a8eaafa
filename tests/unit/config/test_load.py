"""Loading as a whole: who wins, what is told, and that no secret is."""

import json
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import JsonValue

from agent_sdk.config.findings import DEFAULT, BadSetting, Origin, SettingsInvalid
from agent_sdk.config.load import LoadedSettings, load_settings
from agent_sdk.config.marks import Place
from agent_sdk.config.schema import keys
from agent_sdk.config.secret import SecretLiteral, SecretRef
from agent_sdk.config.settings import Settings
from agent_sdk.config.show import show_settings

HUSH = "sk-hush"
Layer = Literal["file", ".env", "environment", "command line"]
LAYERS: tuple[Layer, ...] = ("file", ".env", "environment", "command line")


def load(cwd: Path, environ: dict[str, str] | None = None, overrides: dict[str, JsonValue] | None = None) -> LoadedSettings:
    return load_settings(environ=environ or {}, cwd=cwd, overrides=overrides)


def findings_of(cwd: Path, environ: dict[str, str] | None = None, overrides: dict[str, JsonValue] | None = None) -> tuple[BadSetting, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        load(cwd, environ, overrides)
    return caught.value.findings


def load_layers(cwd: Path, given: dict[Layer, int], key: str) -> LoadedSettings:
    """Set one key in each of the layers that are given."""
    section, _, leaf = key.partition(".")
    (cwd / "agent-sdk.json").write_text(json.dumps({section: {leaf: given["file"]}} if "file" in given else {}))
    (cwd / ".env").write_text(f"{keys()[key].variable}={given['.env']}" if ".env" in given else "")
    environ = {keys()[key].variable: str(given["environment"])} if "environment" in given else {}
    return load(cwd, environ, {key: given["command line"]} if "command line" in given else {})


def test_config_sources_are_optional(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {DEFAULT}
    assert list(loaded.origins) == list(keys())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    given_values=st.dictionaries(st.sampled_from(LAYERS), st.integers(1, 1000), min_size=1),
    key=st.sampled_from(["limits.max_turns", "threads.size", "limits.max_parallel"]),
)
def test_config_sources_win_over_all_below_them(tmp_path: Path, given_values: dict[Layer, int], key: str) -> None:
    winner = max(given_values, key=LAYERS.index)
    loaded = load_layers(tmp_path, given_values, key)
    section, _, leaf = key.partition(".")
    assert getattr(getattr(loaded.settings, section), leaf) == given_values[winner]
    assert loaded.origins[key].kind == winner
    assert {origin.kind for name, origin in loaded.origins.items() if name != key} == {"default"}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("agent-sdk.yaml", "limits:\n  max_turns: 7\n", Place(2, 3)),
        ("agent-sdk.yml", "limits: {max_turns: 7}\n", Place(1, 10)),
        ("agent-sdk.json", '{"limits":\n{"max_turns": 7}}', Place(2, 2)),
        ("agent-sdk.toml", "[limits]\nmax_turns = 7\n", None),
    ],
)
def test_config_sources_are_files_of_three_kinds(tmp_path: Path, name: str, text: str, place: Place | None) -> None:
    (tmp_path / name).write_text(text)
    loaded = load(tmp_path)
    assert loaded.settings.limits.max_turns == 7
    assert loaded.origins["limits.max_turns"] == Origin("file", Path(name), place)


def test_sources_are_merged_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("limits: {max_turns: 7, max_steps: 8}\ntenant: file\n")
    loaded = load(tmp_path, {"AGENT_SDK__LIMITS__MAX_STEPS": "9"})
    assert (loaded.settings.limits.max_turns, loaded.settings.limits.max_steps, loaded.settings.tenant) == (7, 9, "file")


def test_null_takes_a_value_away(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("limits: {run_timeout_s: 7}\nmodel: openai:a\nopenai: {api_key: null}\n")
    loaded = load(tmp_path, {"AGENT_SDK__LIMITS__RUN_TIMEOUT_S": "null"}, {"model": None})
    assert loaded.settings.limits.run_timeout_s is None
    assert loaded.settings.model is None
    assert loaded.settings.openai.api_key is None
    assert loaded.origins["model"].kind == "command line"


def test_an_empty_variable_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AGENT_SDK__TENANT=from-env-file\n")
    assert load(tmp_path, {"AGENT_SDK__TENANT": ""}).settings.tenant == "from-env-file"


def test_a_file_is_named_by_option_or_variable(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.toml").write_text("tenant = 'a'")
    by_variable = load(tmp_path, {"AGENT_SDK__CONFIG": "sub/a.toml"})
    by_option = load_settings(environ={}, cwd=tmp_path / "sub", config_file=tmp_path / "sub" / "a.toml")
    from_elsewhere = load_settings(environ={}, cwd=tmp_path / "sub", config_file=Path("a.toml"))
    assert {loaded.settings.tenant for loaded in (by_variable, by_option, from_elsewhere)} == {"a"}
    assert by_variable.origins["tenant"].path == Path("sub/a.toml")
    assert by_option.origins["tenant"].path == Path("a.toml")


def test_a_file_outside_is_shown_with_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("tenant = 'a'")
    (tmp_path / "sub").mkdir()
    loaded = load_settings(environ={}, cwd=tmp_path / "sub", config_file=tmp_path / "a.toml")
    assert loaded.origins["tenant"].path == tmp_path / "a.toml"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    [finding] = findings_of(tmp_path, {"AGENT_SDK__CONFIG": "none.yaml"})
    assert str(finding) == "none.yaml: there is no such file"


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text(
        "model: gpt-5\n"
        "journal: mysql://me:hunter2@host/db\n"
        "tenant: 12\n"
        "logging: loud\n"
        "limits:\n"
        "  max_turn: 3\n"
        "  max_parallel: 0\n"
        '  step_timeout_s: "30"\n'
        "  max_steps: 1.5\n"
        "  max_repeats: true\n"
        "  max_retries: null\n"
        "openai:\n"
        "  api_key: sk-hush\n"
        "  base_url: [a]\n"
    )
    (tmp_path / ".env").write_text("AGENT_SDK__THREADS__SIZE=many\nAGENT_SDK__LIMITS__MAX_GOALS=1\n")
    environ = {"AGENT_SDK__MODEL_CALL__TEMPERATURE": "2.5", "AGENT_SDK__LOGGING__FORMAT": "xml"}
    assert "\n".join(str(finding) for finding in findings_of(tmp_path, environ, {"limits.max_turns": "9" * 5000, "app": "app"})) == (
        'agent-sdk.yaml:1:1 (model): not allowed; expected vendor:name such as openai:gpt-5-mini, or null; found "gpt-5"; '
        "hint: did you mean openai:gpt-5?\n"
        'agent-sdk.yaml:2:1 (journal): not allowed; expected a URL such as sqlite:///agent.db; found "mysql://***@host/db"; '
        "hint: the schemes are sqlite, memory, postgresql, postgres\n"
        "agent-sdk.yaml:3:1 (tenant): wrong type; expected 1 to 128 letters, digits, '.', '_' or '-', the first a letter or digit; "
        "found 12; hint: put it in quotes\n"
        "agent-sdk.yaml:4:1 (logging): wrong type; expected a mapping of settings; found text\n"
        "agent-sdk.yaml:6:3 (limits.max_turn): unknown key; hint: did you mean limits.max_turns?\n"
        "agent-sdk.yaml:7:3 (limits.max_parallel): out of range; expected a whole number from 1 to 10000; found 0\n"
        'agent-sdk.yaml:8:3 (limits.step_timeout_s): wrong type; expected a number above 0 and up to 604800; found "30"; '
        "hint: take the quotes off\n"
        "agent-sdk.yaml:9:3 (limits.max_steps): wrong type; expected a whole number from 1 to 1000000; found 1.5\n"
        "agent-sdk.yaml:10:3 (limits.max_repeats): wrong type; expected a whole number from 1 to 1000; found true\n"
        "agent-sdk.yaml:11:3 (limits.max_retries): wrong type; expected a whole number from 0 to 10000000; found null\n"
        "agent-sdk.yaml:13:3 (openai.api_key): a secret may not stand here itself; expected a reference to a secret, env:NAME or "
        "file:PATH, or null; hint: put it into an environment variable or a file, and write env:NAME or file:PATH here\n"
        "agent-sdk.yaml:14:3 (openai.base_url): wrong type; expected an http or https URL; found a list\n"
        '.env:1:1 AGENT_SDK__THREADS__SIZE (threads.size): wrong type; expected a whole number from 1 to 1024; found "many"\n'
        ".env:2:1 (AGENT_SDK__LIMITS__MAX_GOALS): unknown key; hint: did you mean AGENT_SDK__LIMITS__MAX_GOAL_BYTES?\n"
        'environment AGENT_SDK__LOGGING__FORMAT (logging.format): not allowed; expected one of json, text; found "xml"\n'
        "environment AGENT_SDK__MODEL_CALL__TEMPERATURE (model_call.temperature): out of range; expected a number from 0 to 2, or null; "
        'found "2.5"\n'
        "command line (limits.max_turns): out of range; expected a whole number from 1 to 100000; found text of 5002 characters\n"
        'command line (app): not allowed; expected module:app, or null; found "app"; '
        "hint: name the module and the App within it, as in my_agents.main:app"
    )


def test_a_value_that_does_not_hold_is_told_even_where_another_overrides_it(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("threads: {size: 0}\n")
    assert [finding.code for finding in findings_of(tmp_path, {}, {"threads.size": 3})] == ["out_of_range"]


def test_two_files_side_by_side_are_one_finding_among_others(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("")
    (tmp_path / "agent-sdk.toml").write_text("")
    assert [finding.code for finding in findings_of(tmp_path, {}, {"nope": 1})] == ["source_invalid", "unknown_key"]


@pytest.mark.parametrize("value", [HUSH, 123456, [HUSH], {"key": HUSH}, f"env:{HUSH}", True])
@pytest.mark.parametrize("layer", ["file", "command line"])
def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path, layer: Layer, value: JsonValue) -> None:
    if layer == "file":
        (tmp_path / "agent-sdk.json").write_text(json.dumps({"openai": {"api_key": value}}))
    [finding] = findings_of(tmp_path, {}, {"openai.api_key": value} if layer == "command line" else {})
    assert finding.code in {"literal_secret", "wrong_value"}
    assert HUSH not in str(finding)
    assert "123456" not in str(finding)


@pytest.mark.parametrize("layer", [".env", "environment"])
def test_a_literal_secret_is_taken_from_the_environment(tmp_path: Path, layer: Layer) -> None:
    if layer == ".env":
        (tmp_path / ".env").write_text(f"AGENT_SDK__OPENAI__API_KEY={HUSH}\n")
    loaded = load(tmp_path, {"AGENT_SDK__OPENAI__API_KEY": HUSH} if layer == "environment" else {})
    assert isinstance(loaded.settings.openai.api_key, SecretLiteral)
    assert loaded.resolve(loaded.settings.openai.api_key) == HUSH


def test_a_reference_finds_what_the_env_file_holds(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={HUSH}\n")
    loaded = load(tmp_path)
    assert loaded.resolve(SecretRef("env", "OPENAI_API_KEY")) == HUSH
    assert load(tmp_path, {"OPENAI_API_KEY": "other"}).settings.openai.key({"OPENAI_API_KEY": "other"}) == "other"


def test_a_reference_to_a_file_starts_at_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(HUSH + "\n")
    loaded = load(tmp_path, {"AGENT_SDK__OPENAI__API_KEY": "file:key"})
    assert loaded.settings.openai.api_key == SecretRef("file", "key")
    assert loaded.resolve(SecretRef("file", "key")) == HUSH


def told(cwd: Path, environ: dict[str, str], overrides: dict[str, JsonValue]) -> tuple[bool, str]:
    """Return whether the settings hold, and all that is shown of them or of what is wrong."""
    try:
        loaded = load(cwd, environ, overrides)
    except SettingsInvalid as error:
        return False, f"{error} {error!r} {error.findings}"
    return True, f"{loaded} {loaded!r} {list(show_settings(loaded))}"


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40).map(lambda text: f"sk-{text}")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(secret=SECRETS, layer=st.sampled_from(LAYERS))
def test_no_secret_is_ever_shown(tmp_path: Path, secret: str, layer: Layer) -> None:
    (tmp_path / "agent-sdk.json").write_text(json.dumps({"openai": {"api_key": secret}} if layer == "file" else {}))
    (tmp_path / ".env").write_text("AGENT_SDK__OPENAI__API_KEY=" + json.dumps(secret) if layer == ".env" else "")
    environ = {"OPENAI_API_KEY": secret} | ({"AGENT_SDK__OPENAI__API_KEY": secret} if layer == "environment" else {})
    holds, text = told(tmp_path, environ, {"openai.api_key": secret} if layer == "command line" else {})
    assert secret not in text
    assert holds == (layer in {".env", "environment"})


def test_a_secret_in_a_header_is_told_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "agent-sdk.yaml").write_text("openai:\n  headers: {Authorization: Bearer sk-hush}\n")
    environ = {"AGENT_SDK__GEMINI__HEADERS": "Authorization: sk-hush"}
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(environ=environ, cwd=tmp_path)
    assert "sk-hush" not in str(caught.value)
    assert "agent-sdk.yaml:2:3 (openai.headers): a secret may not stand here itself" in str(caught.value)
    assert "in a variable it is written as JSON" in str(caught.value)
