"""From URLs to memories."""

import pytest

from agent_sdk.core.errors import ConfigError, StorageError
from agent_sdk.runtime.system import SystemClock
from agent_sdk.storage.memories import open_memory_rows


@pytest.mark.parametrize(
    "url",
    [
        "", "memory", "memory://x", "sqlite://", "sqlite:///", "sqlite://memory.db", "sqlite:///:memory:", "sqlite:///a?b=c",
        "redis://localhost", "http://[", "postgresql://u:hunter2@h/d#x", "postgresql://u:hunter2@h:x/d",
    ],
)  # fmt: skip
async def test_a_url_that_names_no_memory_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await open_memory_rows(url, clock=SystemClock())
    assert caught.value.hint is not None
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


async def test_a_server_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:1") as caught:
        await open_memory_rows("postgresql://u:hunter2@127.0.0.1:1/d", clock=SystemClock())
    assert "hunter2" not in str(caught.value)
