"""What operators do with memories, by command, on a file in the directory."""

import json
import logging
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent_sdk.cli.main import app
from agent_sdk.core.ids import DEFAULT_TENANT, PrincipalId, TenantId
from agent_sdk.core.memory import MemoryId, Scope
from agent_sdk.runtime.memories import LongTermMemory

Command = Callable[..., Result]
ANN, BOB = PrincipalId("ann"), PrincipalId("bob")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Command]:
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("agent_sdk")
    before = logger.level, list(logger.handlers), logger.propagate
    yield lambda *words: CliRunner().invoke(app, list(words))
    logger.level, logger.handlers, logger.propagate = before[0], before[1], before[2]
    logger.setLevel(before[0])


@pytest.fixture
async def kept(tmp_path: Path) -> dict[str, MemoryId]:
    """A file with memories of two users, two agents and everybody, and of another tenant's user of the same name."""
    async with LongTermMemory(f"sqlite:///{tmp_path}/memory.db") as memory:
        return {
            "tea": await memory.remember(Scope(DEFAULT_TENANT, ANN, "helper"), "Ann drinks tea", kind="preference", metadata={"n": 1}),
            "train": await memory.remember(Scope(DEFAULT_TENANT, ANN, "writer"), "Ann takes the \x1b[31mtrain"),
            "coffee": await memory.remember(Scope(DEFAULT_TENANT, BOB, "helper"), "Bob drinks coffee " + "long " * 100),
            "office": await memory.remember(Scope(DEFAULT_TENANT), "the office closes at six"),
            "robots": await memory.remember(Scope(DEFAULT_TENANT, None, "helper"), "robots work at night"),
            "other": await memory.remember(Scope(TenantId("acme"), ANN, "helper"), "of another tenant"),
        }


def test_all_of_a_user_is_listed_whichever_agent_keeps_it(command: Command, kept: dict[str, MemoryId]) -> None:
    result = command("memory", "list", "--user", "ann")
    assert result.exit_code == 0
    train, tea = result.stdout.splitlines()
    assert tea.startswith(f"{kept['tea']}  ")
    assert tea.endswith("  ann/helper  preference: Ann drinks tea")
    assert "\x1b" not in train
    assert kept["other"] not in result.stdout


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), {"office"}),
        (("--agent", "helper"), {"office", "robots"}),
        (("--user", "ann", "--agent", "helper"), {"office", "robots", "tea"}),
        (("--user", "nobody"), set[str]()),
    ],
)
def test_a_list_shows_what_its_scope_sees(command: Command, kept: dict[str, MemoryId], words: tuple[str, ...], shown: set[str]) -> None:
    result = command("memory", "list", *words, "--json")
    assert {each["id"] for each in json.loads(result.stdout)["memories"]} == {kept[name] for name in shown}


def test_a_list_goes_on_where_its_page_ended(command: Command, kept: dict[str, MemoryId]) -> None:
    first = command("memory", "list", "--user", "ann", "--limit", "1")
    assert "--after " in first.stderr
    after = first.stderr.split("--after ")[1].strip()
    assert "Ann drinks tea" in command("memory", "list", "--user", "ann", "--after", after).stdout
    assert "nothing is remembered" in command("memory", "list", "--user", "nobody").stderr
    assert command("memory", "list", "--after", "x").exit_code == 2


def test_a_search_is_one_of_a_run(command: Command, kept: dict[str, MemoryId]) -> None:
    found = command("memory", "search", "who DRINKS?", "--user", "ann", "--agent", "helper", "--json")
    (hit,) = json.loads(found.stdout)["hits"]
    assert (hit["id"], hit["user"], hit["agent"], hit["metadata"]) == (kept["tea"], "ann", "helper", {"n": 1})
    assert hit["score"] > 0
    assert "six" in command("memory", "search", "office").stdout
    assert "nothing is found" in command("memory", "search", "drinks").stderr
    assert command("memory", "search", "coffee", "--user", "bob", "--agent", "helper").stdout.endswith("...\n")


def test_one_memory_is_forgotten_for_good(command: Command, kept: dict[str, MemoryId], tmp_path: Path) -> None:
    assert command("memory", "forget", kept["tea"], "--user", "bob").exit_code == 2
    assert command("memory", "forget", kept["tea"]).exit_code == 2
    result = command("memory", "forget", kept["tea"], "--user", "ann")
    assert (result.exit_code, result.stderr) == (0, "1 memory deleted\n")
    assert json.loads(command("memory", "forget", kept["office"], "--json").stdout) == {"v": 1, "deleted": 1}
    assert b"drinks tea" not in b"".join(file.read_bytes() for file in tmp_path.glob("memory.db*"))


def test_a_person_is_erased_only_when_it_is_said_twice(command: Command, kept: dict[str, MemoryId]) -> None:
    counted = command("memory", "erase", "--user", "ann")
    assert counted.exit_code == 2
    assert "2 memories of 'ann' would be deleted" in counted.stderr
    assert command("memory", "erase", "--user", "ann", "--yes").stderr == "2 memories deleted\n"
    assert json.loads(command("memory", "erase", "--user", "ann", "--yes", "--json").stdout) == {"v": 1, "deleted": 0}
    assert "coffee" in command("memory", "list", "--user", "bob").stdout


def test_a_file_that_is_not_there_is_not_made(command: Command, tmp_path: Path) -> None:
    for words in (("list",), ("erase", "--user", "ann", "--yes")):
        result = command("memory", *words)
        assert result.exit_code == 2
        assert "there are no memories" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_is_none_and_a_name_that_is_none_are_refused(command: Command, kept: dict[str, MemoryId]) -> None:
    assert "redis" in command("memory", "list", "--memory", "redis://h").stderr
    assert "empty" in command("memory", "list", "--user", "").stderr
    assert json.loads(command("memory", "search", " ", "--json").stdout)["failure"]["code"] == "request_invalid"


NOTEBOOK = """\
from agent_sdk import Agent, LongTermMemory, memory_tools
from agent_sdk.testing import Call, ScriptedModel

script = [[Call("remember", {"text": "drinks tea"})], "Noted."]
helper = Agent(name="helper", model=ScriptedModel(script), tools=memory_tools(LongTermMemory("sqlite:///memory.db")))
"""


def test_a_run_that_names_its_principal_remembers_for_it(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    try:
        ran = command("run", "I drink tea", "--app", "notebook:helper", "--principal", "ann", "--session", "s", "--json")
    finally:
        sys.modules.pop("notebook", None)
    record = json.loads(ran.stdout)
    assert (record["state"], record["principal"], record["session"]) == ("succeeded", "ann", "s")
    (kept,) = json.loads(command("memory", "list", "--user", "ann", "--json").stdout)["memories"]
    assert (kept["text"], kept["user"], kept["agent"]) == ("drinks tea", "ann", "helper")
    assert "principal: ann  session: s" in command("runs", "show", record["run_id"]).stdout


@pytest.mark.parametrize(("name", "told"), [("", "the principal's name is empty"), ("a" * 5000, "the principal cannot be kept")])
def test_a_principal_that_is_none_is_refused_before_a_run_exists(command: Command, tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    try:
        ran = command("run", "hello", "--app", "notebook:helper", "--principal", name)
    finally:
        sys.modules.pop("notebook", None)
    assert (ran.exit_code, told in ran.stderr) == (2, True)
    assert "no runs" in command("runs", "list").stderr
