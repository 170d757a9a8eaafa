"""What Postgres says where pgvector is missing, as words that help."""

from typing import Any, cast

import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  (it brings no types)
import pytest

from agent_sdk.core.errors import ConfigError, StorageReadOnly
from agent_sdk.storage.memories.postgres_schema import perform
from agent_sdk.storage.numbered import Migration
from agent_sdk.storage.postgres.connect import Connection, parse_address
from agent_sdk.storage.postgres.failures import FAILURES

ADDRESS = parse_address("postgresql://ann:hunter2@db.local/agents")
WORDS, VECTORS = Migration(1, "memory", "CREATE 1"), Migration(2, "vectors", "CREATE 2")
ERRORS = cast("Any", asyncpg.exceptions)


class Refusing:
    """A connection that refuses every script."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def execute(self, query: str, *args: object) -> str:
        raise self._error


async def tried(error: Exception, migration: Migration) -> None:
    await perform(cast("Connection", Refusing(error)), ADDRESS, migration)


@pytest.mark.parametrize("error", [ERRORS.FeatureNotSupportedError("no extension"), ERRORS.UndefinedFileError("no control file")])
async def test_a_server_that_lacks_pgvector_is_said_to_lack_it(error: Exception) -> None:
    with pytest.raises(ConfigError, match="no extension pgvector") as caught:
        await tried(error, VECTORS)
    assert "hunter2" not in str(caught.value)


async def test_who_may_not_switch_it_on_is_told_who_must() -> None:
    with pytest.raises(StorageReadOnly, match="pgvector on"):
        await tried(ERRORS.InsufficientPrivilegeError("no"), VECTORS)


async def test_other_errors_come_out_as_they_are() -> None:
    for error, migration in ((ERRORS.InsufficientPrivilegeError("no"), WORDS), (ERRORS.DiskFullError("full"), VECTORS)):
        with pytest.raises(FAILURES, match=str(error)):
            await tried(error, migration)
