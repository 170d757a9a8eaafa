"""From a URL to the rows that it names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ports import Clock
from agent_sdk.storage.memories.in_memory import InMemoryRows
from agent_sdk.storage.memories.rows import MemoryRows

_FORMS = (
    "write memory://, sqlite:///memory.db for a file in the working directory, sqlite:////var/lib/memory.db for an absolute path, "
    "or postgresql://user:password@host:5432/database, which may be the journal's"
)


async def open_memory_rows(url: str, *, clock: Clock, with_vectors: bool = False) -> MemoryRows:
    """Open the memories at a URL of scheme `memory`, `sqlite`, `postgres` or `postgresql`; the last two take the time from the database.

    `with_vectors` makes room for vectors where that is not there from the beginning: in Postgres, by its extension pgvector.

    Raises:
        ConfigError: the URL names no memory, or none that can be opened.
        StorageError: the file or the database cannot be used.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError("the memory's URL cannot be read", hint=_FORMS) from error
    match parts.scheme:
        case "memory" if not (parts.netloc or parts.path):
            return InMemoryRows(clock)
        case "sqlite" if len(parts.path) > 1 and parts.path != "/:memory:" and not (parts.netloc or parts.query or parts.fragment):
            from agent_sdk.storage.memories.sqlite import SqliteRows  # noqa: PLC0415  (a process that keeps none loads no SQLite)

            return await SqliteRows.open(Path(unquote(parts.path[1:])), clock=clock)
        case "postgres" | "postgresql":
            from agent_sdk.storage.memories.postgres import PostgresRows  # noqa: PLC0415  (an extra)

            return await PostgresRows.open(url, with_vectors=with_vectors)
        case "memory" | "sqlite":
            raise ConfigError(f"the memory's URL of scheme {parts.scheme} is malformed", hint=_FORMS)
        case scheme:
            raise ConfigError(f"there is no memory for the scheme {scheme!r}", hint=_FORMS)
