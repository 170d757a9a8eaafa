"""`agent-sdk models`: the catalog as people and programs read it, and models that are asked over HTTP."""

import json
import logging
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from agent_sdk.testing import ChatReply, FakeOpenAI, error_reply

Command = Callable[..., Result]
MINE = """\
as_of: "2026-11-24"
models:
  - {vendor: openai, name: small, context_tokens: 8000, prices: {input: 1, output: 5}}
  - {vendor: openai, name: bare, images: false, files: false}
"""
APP = """\
from agent_sdk import Agent, App
from agent_sdk.testing import ScriptedModel

app = App([Agent(name="a", model="openai:small"), Agent(name="b", model=ScriptedModel(["x"])), Agent(name="c")])
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Command]:
    """Hand out the command, in a directory that holds a catalog and an app."""
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "agent-sdk.yaml").write_text("catalog: mine.yaml\n")
    (tmp_path / "checked.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    yield lambda *words: CliRunner().invoke(app, list(words))
    sys.modules.pop("checked", None)
    _, logger.handlers, logger.propagate = before
    logger.setLevel(before[0])


def test_models_are_listed_with_their_prices(command: Command) -> None:
    result = command("models", "list", "--vendor", "openai")
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert rows["openai:gpt-5-mini"] == ["400,000", "128,000", "$0.25", "$0.025", "$2", "2026-07-02"]
    assert rows["openai:small"] == ["8,000", "?", "$1", "$1", "$5", "2026-11-24"]
    assert rows["openai:bare"] == ["?", "?", "?", "?", "?", "2026-11-24"]
    assert not any(name.startswith("gemini") for name in rows)
    assert "2026-11-24" in result.stderr


def test_programs_get_all_of_the_catalog_as_json(command: Command) -> None:
    record = json.loads(command("models", "list", "--json").stdout)
    known = {model["model"]: model for model in record["models"]}
    assert (record["v"], record["as_of"]) == (1, "2026-11-24")
    assert known["openai:small"]["prices"]["cached"] == "1"
    assert known["openai:bare"]["prices"] is None
    assert known["gemini:gemini-2.5-pro"]["prices"]["long_prompts"][0]["above_tokens"] == 200_000
    assert known["openai-responses:gpt-5-mini"]["capabilities"]["output_modes"] == ["native", "tool", "prompt"]


def test_a_vendor_without_models_is_told_who_has_some(command: Command) -> None:
    result = command("models", "list", "--vendor", "nobody")
    assert result.exit_code == 2
    for vendor in ("openai", "openai-responses", "anthropic", "gemini"):
        assert vendor in result.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("anthropic:claude-haiku-5-5", "above 100,000 tokens"),
        ("openai:gpt-5.6-sol", "none, low, medium, high; unasked medium"),
        ("openai:bare", "not known"),
        ("gemini:gemini-2.5-flash", "text, images, files"),
    ],
)
def test_a_model_is_shown_with_all_that_is_known_of_it(command: Command, name: str, told: str) -> None:
    result = command("models", "show", name)
    assert result.exit_code == 0
    assert told in result.stdout
    assert json.loads(command("models", "show", name, "--json").stdout)["model"] == name


def test_each_fact_of_a_model_is_shown_with_where_it_was_said(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"{MINE}  - {{vendor: openai, name: gpt-5-mini, prices: {{input: 2, output: 3}}}}\n")
    rows = {line.split("  ")[0]: line for line in command("models", "show", "openai:gpt-5-mini").stdout.splitlines()}
    assert rows["prices"].startswith("prices  ")
    assert "$2 input" in rows["prices"]
    assert rows["prices"].endswith("  mine.yaml")
    assert rows["context"].split("  ")[-1].strip() == "the package"
    assert rows["seed"].endswith("the package, of all of openai")
    record = json.loads(command("models", "show", "openai:gpt-5-mini", "--json").stdout)
    assert (record["from"]["prices"], record["from"]["reasoning"]) == ("mine.yaml", "the package")


def test_what_nobody_said_of_a_model_is_shown_as_not_known(command: Command) -> None:
    shown = command("models", "show", "openai:small").stdout
    assert "reasoning         not known" in shown
    assert "text, images?, files?" in shown
    abilities = json.loads(command("models", "show", "openai:small", "--json").stdout)["capabilities"]
    assert (abilities["reasoning"], abilities["tools"], abilities["cache"]) == (None, None, "automatic")


@pytest.mark.parametrize("name", ["openai:unheard-of", "gpt-5-mini", ":x"])
def test_a_model_that_is_not_known_is_not_found(command: Command, name: str) -> None:
    result = command("models", "show", name)
    assert result.exit_code == 2
    assert "hint" in result.stderr


def test_a_catalog_that_does_not_hold_is_refused_with_its_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE.replace("input: 1", "input: much"))
    result = command("models", "list")
    assert result.exit_code == 2
    assert "mine.yaml:3:" in result.stderr
    assert "[catalog_invalid]" in result.stderr


def test_all_configured_models_are_asked_once(command: Command, tmp_path: Path) -> None:
    server = FakeOpenAI(lambda request: "ready" if request.model != "bare" else error_reply(503, "too busy"))
    with server.start_in_thread():
        settings = f"model: openai:small\nfallbacks: [openai:bare, openai:strange]\nopenai: {{base_url: '{server.base_url}'}}\n"
        (tmp_path / "agent-sdk.yaml").write_text(f"catalog: mine.yaml\napp: checked:app\n{settings}")
        result = command("models", "check")
        record = json.loads(command("models", "check", "--json").stdout)
    assert result.exit_code == 4
    assert [request.model for request in server.requests] == ["small", "bare", "strange"] * 2
    lines = result.stdout.splitlines()
    assert lines[0].startswith("ok    openai:small  ")
    assert "first token after" in lines[0]
    assert "$0.0" in lines[0]
    assert lines[1].strip().startswith("takes text, images?, files?; tools not known")
    assert lines[2].startswith("fail  openai:bare  ")
    assert "[model_overloaded]" in lines[2]
    assert any("not in the catalog" in line for line in lines)
    small, bare, strange = record["checks"]
    assert (small["ok"], small["streams"], small["counts_usage"], small["answered_by"]) == (True, True, True, "small")
    assert small["cost_usd"] is not None
    assert (bare["ok"], bare["failure"]["code"], bare["streams"], bare["latency_s"]) == (False, "model_overloaded", None, None)
    assert (strange["ok"], strange["catalog"], strange["cost_usd"]) == (True, None, None)


def test_the_models_that_are_named_are_asked_and_no_others(command: Command) -> None:
    server = FakeOpenAI(["ready", error_reply(401, "no such key")])
    with server.start_in_thread():
        assert command("models", "check", "openai:small", "--base-url", server.base_url).exit_code == 0
        result = command("models", "check", "openai:small", "--base-url", server.base_url)
    assert result.exit_code == 4
    assert "[model_auth_failed]" in result.stdout
    assert "hint: " in result.stdout


def test_a_model_that_does_not_say_what_it_used_is_told(command: Command) -> None:
    server = FakeOpenAI([ChatReply("ready", has_usage=False)])
    with server.start_in_thread():
        result = command("models", "check", "openai:small", "--base-url", server.base_url)
    assert "it does not say what was used" in result.stdout


def test_without_any_model_there_is_nothing_to_check(command: Command) -> None:
    result = command("models", "check")
    assert result.exit_code == 2
    assert "no model is configured" in result.stderr
