"""What an import loads, each in a fresh process: it is what every process pays before it does anything."""

import subprocess
import sys
from types import ModuleType

import pytest

import agent_sdk.testing

BARE = "import asyncio\nfrom pydantic import BaseModel\nclass Model(BaseModel):\n    number: int\n"
NAMES = "from agent_sdk import Agent, App, Runtime, tool\n"
LATER = {
    "agent_sdk.cli": "commands",
    "agent_sdk.config": "settings",
    "agent_sdk.dispatch.jetstream": "NATS",
    "agent_sdk.dispatch.tokens": "a line of tokens between processes",
    "agent_sdk.llm.anthropic_options": "Anthropic",
    "agent_sdk.llm.catalog": "the catalog",
    "agent_sdk.llm.gemini_options": "Gemini",
    "agent_sdk.llm.transport": "a model over HTTP",
    "agent_sdk.storage.memory": "a journal in memory",
    "agent_sdk.storage.postgres": "a journal in Postgres",
    "agent_sdk.storage.sqlite": "a journal in SQLite",
    "agent_sdk.testing": "tests",
    "agent_sdk.tools.files": "the tools for files",
    "agent_sdk.tools.http": "the tool for HTTP",
    "difflib": "a word that is not known",
    "email": "a server that says at what date to ask again",
    "importlib.metadata": "the first validator that pydantic builds",
    "multiprocessing": "processes for tools",
    "sqlite3": "a journal in SQLite",
    "tomllib": "the catalog",
}
"""What is loaded at the first use of what stands behind it."""


def loaded(program: str) -> set[str]:
    """Return what the program loads, in an environment that is empty: else coverage would follow into the process, and load more."""
    words = [sys.executable, "-c", f"{program}import sys\nprint(*sys.modules)"]
    done = subprocess.run(words, env={}, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def by_names() -> set[str]:
    return loaded(NAMES)


def test_the_package_alone_loads_nothing_but_itself() -> None:
    assert {name for name in loaded("import agent_sdk\n") if name.startswith(("agent_sdk", "pydantic", "asyncio"))} == {"agent_sdk"}


def test_what_every_program_uses_loads_no_package_but_pydantic(by_names: set[str]) -> None:
    bare, ours = ({name.partition(".")[0] for name in names} for names in (loaded(BARE), by_names))
    assert ours - bare - sys.stdlib_module_names == {"agent_sdk"}


@pytest.mark.parametrize("name", LATER)
def test_what_is_used_later_is_loaded_later(name: str, by_names: set[str]) -> None:
    assert name not in by_names


def test_a_test_with_a_scripted_model_loads_no_server() -> None:
    assert not {"aiohttp", "agent_sdk.testing.openai_server", "agent_sdk.testing.sim"} & loaded(
        "from agent_sdk.testing import ScriptedModel\n"
    )


@pytest.mark.parametrize("package", [agent_sdk, agent_sdk.testing])
def test_each_name_of_a_package_can_be_had_and_no_other(package: ModuleType) -> None:
    names: list[str] = package.__all__
    assert dir(package) == sorted(names)
    assert [name for name in names if not hasattr(package, name)] == []
    assert not hasattr(package, "unheard_of")
