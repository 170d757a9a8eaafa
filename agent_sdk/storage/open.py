"""From a URL to the journal that it names."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ports import Clock, Journal

_FORMS = (
    "write memory:, sqlite:///agent.db for a file in the working directory, sqlite:////var/lib/agent.db for an absolute path, "
    "or postgresql://user:password@host:5432/database"
)


async def open_journal(url: str, *, clock: Clock) -> Journal:
    """Open the journal at a URL of scheme `memory`, `sqlite`, `postgres` or `postgresql`; the last two take the time from the database.

    Raises:
        ConfigError: the URL names no journal, or none that can be opened.
        StorageError: the file or the database cannot be used.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "memory" if not (parts.netloc or parts.path):
            from agent_sdk.storage.memory import MemoryJournal  # noqa: PLC0415  (a process that keeps its journal in a database loads none in memory)

            return MemoryJournal(clock)
        case "sqlite" if len(parts.path) > 1 and parts.path != "/:memory:" and not (parts.netloc or parts.query or parts.fragment):
            from agent_sdk.storage.sqlite.journal import SqliteJournal  # noqa: PLC0415  (a process that keeps its journal in memory loads no SQLite)

            return await SqliteJournal.open(Path(unquote(parts.path[1:])), clock=clock)
        case "postgres" | "postgresql":
            from agent_sdk.storage.postgres.journal import PostgresJournal  # noqa: PLC0415  (an extra)

            return await PostgresJournal.open(url)
        case "memory" | "sqlite":
            raise ConfigError(f"the journal's URL {_shown(url)!r} is malformed", hint=_FORMS)
        case scheme:
            raise ConfigError(f"there is no journal for the scheme {scheme!r} of {_shown(url)!r}", hint=_FORMS)


def _shown(url: str) -> str:
    """Return the URL without what may be a password in it."""
    return re.sub(r"//.*@|\?.*", lambda secret: secret[0][:2] + "***@" if secret[0].startswith("//") else "?***", url)
