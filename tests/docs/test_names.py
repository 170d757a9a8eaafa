"""What the pages name exists: commands with their options, settings, events, and how each failure of a model is treated."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from agent_sdk.cli.errors import MEANINGS
from agent_sdk.cli.main import PARTS, app, load_part
from agent_sdk.config import load_settings
from agent_sdk.config.schema import keys, sections
from agent_sdk.core.events import Event
from agent_sdk.llm.failures import TREATMENTS
from tests.docs.test_pages import PAGES

EVENTS = {kind.type for kind in get_args(Event) if isinstance(kind.type, str)}  # an unknown event's type is a field
FAMILIES = {name.partition(".")[0] for name in EVENTS}
COMMAND = re.compile(r"^agent-sdk .+|(?<=`)agent-sdk [^`]+(?=`)", re.MULTILINE)
FILE = re.compile(r"^```yaml\n(.+?)^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```.+?^```", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"`([a-z_]+\.[a-z_]+)`")
EXIT = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)
FAILURE = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def options_of(command: Any, words: list[str]) -> Iterable[str]:  # noqa: ANN401  (the classes are Typer's own affair)
    """Return the options of the command that the words begin with, which are used up; of a group there are none to give."""
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists_with_its_options(page: str) -> None:
    for line in COMMAND.findall(PAGES[page]):
        _, *words = shlex.split(line.partition("  #")[0])
        known = options_of(load_part(PARTS[words.pop(0)]), words) if words[0] in PARTS else options_of(get_command(app), [])
        assert {word for word in words if word.startswith("--")} <= {*known}, line


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_and_event_exists(page: str) -> None:
    for name in NAME.findall(BLOCK.sub("", PAGES[page])):
        first, _, last = name.partition(".")
        if first in sections() | FAMILIES and last not in {"md", "py"}:
            assert name in keys() or name in EVENTS, name


@pytest.mark.parametrize("page", [page for page in PAGES if FILE.search(PAGES[page])])
def test_every_file_of_settings_holds(page: str, tmp_path: Path) -> None:
    for text in FILE.findall(PAGES[page]):
        (tmp_path / "agent-sdk.yaml").write_text(text)
        load_settings(environ={}, cwd=tmp_path)


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    told = {int(code): meaning for code, meaning in EXIT.findall(PAGES["docs/command-line.md"])}
    assert told == {code.value: meaning for code, meaning in MEANINGS.items()}


def test_the_table_of_failures_is_that_of_the_code() -> None:
    rows = FAILURE.findall(PAGES["docs/limits-budgets-context.md"])
    told = {code: (again.startswith("yes"), circuit, onward == "yes") for code, again, circuit, onward in rows}
    vendors = {"up": "up", "down": "down", "unknown": "-"}
    assert told == {kind.code: (kind.retryable, vendors[how.vendor], how.falls_back) for kind, how in TREATMENTS.items()}
