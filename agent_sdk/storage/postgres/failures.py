"""What Postgres' errors mean: which of ours they are, whether they pass by themselves, and how to mend them."""

from typing import Any, cast

import asyncpg  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  (it brings no types)

from agent_sdk.core.errors import AgentSDKError, ConfigError, JournalCorrupt, StorageBusy, StorageError, StorageFull, StorageReadOnly

_asyncpg = cast("Any", asyncpg)

FAILURES: tuple[type[Exception], ...] = (
    _asyncpg.PostgresError,
    _asyncpg.InterfaceError,
    _asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Whatever a call to the database raises."""

# From the documentation of PostgreSQL, appendix A.
_LOST = frozenset({"57P01", "57P02", "57P05", "08000", "08001", "08003", "08006", "08007", "25P03"})
_STARTING, _TOO_MANY = "57P03", "53300"
_AGAIN = frozenset({"40001", "40P01"})


def sqlstate(error: BaseException) -> str | None:
    """Return the server's code; None where it is the client's error, or the network's."""
    return cast("str | None", getattr(error, "sqlstate", None))


def passes(error: Exception) -> bool:
    """Say whether the same call may do better soon: the connection is lost, the server restarts or is crowded, two transactions collided.

    Whether the call was performed is not known then.
    """
    state = sqlstate(error)
    if state is None:
        return not isinstance(error, _asyncpg.DataError)
    return state in _LOST or state in _AGAIN or state in {_STARTING, _TOO_MANY}


def collided(error: Exception) -> bool:
    """Say whether the server took the transaction back since another was in its way: nothing was written."""
    return sqlstate(error) in _AGAIN


def is_duplicate(error: Exception) -> bool:
    """Say whether a key was there already."""
    return sqlstate(error) == "23505"


def is_crowded(error: Exception) -> bool:
    """Say whether the server, or this user, has no connection free."""
    return sqlstate(error) == _TOO_MANY


def is_refused(error: Exception) -> bool:
    """Say whether the server, there or not, did not let us in: at the first connection there is no use in waiting."""
    return isinstance(error, OSError | TimeoutError) or is_crowded(error)


def translated(error: Exception, name: str) -> AgentSDKError:
    """Return the error to raise in place of Postgres'; `name` says where the database lies, without its password."""
    state = sqlstate(error) or ""
    match state:
        case "53300":
            return StorageBusy(
                f"{name} has no connection free", hint="raise max_connections, or bound the processes' own with ?pool=4 in the URL"
            )
        case "57014" | "55P03":
            return StorageBusy(f"a statement on {name} took too long and was given up", hint="look what else keeps the database busy")
        case "40001" | "40P01":
            return StorageBusy(f"{name} refused a transaction again and again, since others collided with it", hint="try again")
        case "25006":
            return StorageReadOnly(
                f"{name} takes no writes",
                hint="name the primary, not a standby; look at default_transaction_read_only of user and database",
            )
        case "42501":
            return StorageReadOnly(f"{name} does not allow this: {error}", hint="grant this user all rights on the schema agent_sdk")
        case "53100":
            return StorageFull(f"the disk of {name} is full")
        case "28000" | "28P01" | "3D000" | "08004":
            return ConfigError(f"{name} lets nobody in this way: {error}", hint="look at user, password and database in the journal's URL")
        case "3F000" | "42P01" | "42703" | "42883":
            return ConfigError(f"the schema of {name} is not this version's: {error}", hint="run `agent-sdk migrate`")
        case "XX001" | "XX002":
            return JournalCorrupt(f"{name} is damaged: {error}", hint="restore the database from a backup")
        case _:
            return StorageError(f"{name} failed: {_words(error)}", hint="look whether the server runs and can be reached, then try again")


def closed(name: str) -> StorageError:
    """Say that the journal takes nothing more in this process."""
    return StorageError(f"the journal {name} is closed", hint="open it again")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
