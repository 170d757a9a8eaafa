import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  (it brings no types)
import pytest

from agent_sdk.core.errors import (
    AgentSDKError,
    ConfigError,
    JournalCorrupt,
    StorageBusy,
    StorageError,
    StorageFull,
    StorageReadOnly,
)
from agent_sdk.storage.postgres.failures import collided, is_duplicate, is_refused, passes, translated

NAME = "postgresql://eve@db/agents"


def failed(sqlstate: str) -> Exception:
    error: Exception = asyncpg.PostgresError("what the server says")
    error.sqlstate = sqlstate  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  (asyncpg sets it so)
    return error


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("53300", StorageBusy),
        ("57014", StorageBusy),
        ("40P01", StorageBusy),
        ("25006", StorageReadOnly),
        ("42501", StorageReadOnly),
        ("53100", StorageFull),
        ("28P01", ConfigError),
        ("3D000", ConfigError),
        ("42P01", ConfigError),
        ("XX001", JournalCorrupt),
        ("08006", StorageError),
        ("22021", StorageError),
    ],
)
def test_each_error_of_postgres_has_a_class_a_place_and_a_hint(sqlstate: str, kind: type[AgentSDKError]) -> None:
    error = translated(failed(sqlstate), NAME)
    assert type(error) is kind
    assert NAME in error.message
    assert error.hint


@pytest.mark.parametrize("error", [OSError(111, "refused"), TimeoutError()])
def test_a_server_that_is_not_reached_is_a_storage_error_with_words(error: Exception) -> None:
    assert type(translated(error, NAME)) is StorageError
    assert translated(error, NAME).message.rstrip() != f"{NAME} failed:"
    assert is_refused(error)
    assert passes(error)


def test_what_passes_by_itself_is_told_from_what_does_not() -> None:
    assert all(passes(failed(state)) for state in ("57P01", "57P03", "08003", "53300", "40001"))
    assert not any(passes(failed(state)) for state in ("57014", "25006", "53100", "42P01", "23505"))
    assert passes(asyncpg.InterfaceError("connection is closed"))
    assert not passes(asyncpg.DataError("no text"))


def test_a_collision_and_a_duplicate_are_known_by_their_codes() -> None:
    assert collided(failed("40P01"))
    assert not collided(failed("08003"))
    assert is_duplicate(failed("23505"))
    assert not is_refused(failed("57P03"))
