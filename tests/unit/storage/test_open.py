from pathlib import Path

import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.storage import open_journal
from agent_sdk.storage.memory import MemoryJournal
from agent_sdk.storage.sqlite.journal import SqliteJournal
from tests.contract.batches import Clock


@pytest.mark.parametrize("url", ["memory:", "memory://"])
async def test_memory_is_named_by_its_scheme_alone(url: str) -> None:
    assert isinstance(await open_journal(url, clock=Clock()), MemoryJournal)


@pytest.mark.parametrize("path", ["agent.db", "my%20runs.db"])
async def test_three_slashes_name_a_file_in_the_working_directory(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = await open_journal(f"sqlite:///{path}", clock=Clock())
    await journal.close()
    assert (tmp_path / path.replace("%20", " ")).is_file()


async def test_four_slashes_name_an_absolute_path(tmp_path: Path) -> None:
    journal = await open_journal(f"sqlite:///{tmp_path}/agent.db", clock=Clock())
    assert isinstance(journal, SqliteJournal)
    assert journal.path == tmp_path.resolve() / "agent.db"
    await journal.close()


@pytest.mark.parametrize(
    "url",
    ["sqlite:", "sqlite://", "sqlite:///", "sqlite://agent.db", "sqlite:///a.db?mode=ro", "sqlite:///:memory:", "memory:///x", "agent.db"],
)
async def test_a_malformed_url_is_refused_with_the_forms_there_are(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await open_journal(url, clock=Clock())
    assert "sqlite:///agent.db" in (refused.value.hint or "")


async def test_an_unknown_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no journal for the scheme 'redis'"):
        await open_journal("redis://localhost", clock=Clock())


@pytest.mark.parametrize("url", ["postgresql+asyncpg://eve:secret@db/agents", "redis://eve@secret@db?key=secret", "sqlite://eve:secret@db"])
async def test_a_url_that_is_refused_is_not_shown_with_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        await open_journal(url, clock=Clock())
    assert "secret" not in refused.value.message
