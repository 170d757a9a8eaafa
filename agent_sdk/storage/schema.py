"""How far a journal's schema is behind this code's, and bringing it up to date; and the store's own clock."""

import asyncio
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent_sdk.core.errors import NotFound
from agent_sdk.core.ports import Clock
from agent_sdk.storage.open import open_journal

_BUSY_TIMEOUT_S = 10.0


async def pending_migrations(url: str) -> list[int]:
    """Return the numbers of the migrations that the journal lacks; nothing is changed.

    Raises:
        NotFound: there is no journal. ConfigError, StorageError: it cannot be opened, or is none.
        JournalNewer, JournalCorrupt: its schema is not one that this code brings up to date.
    """
    match urlsplit(url).scheme:
        case "sqlite":
            return await asyncio.to_thread(_sqlite_pending, Path(unquote(urlsplit(url).path[1:])))
        case "postgres" | "postgresql":
            from agent_sdk.storage.postgres.migrate import pending  # noqa: PLC0415  (it needs an extra)

            return await pending(url)
        case _:
            return []


async def migrate_journal(url: str, *, clock: Clock) -> list[int]:
    """Bring the journal up to this code's schema, or make it, and return the numbers of the migrations that it lacked.

    Raises:
        ConfigError, StorageError: it cannot be opened or changed.
        JournalNewer, JournalCorrupt: its schema is not one that this code brings up to date.
    """
    if urlsplit(url).scheme in {"postgres", "postgresql"}:
        from agent_sdk.storage.postgres.migrate import migrate  # noqa: PLC0415  (it needs an extra)

        return await migrate(url)
    try:
        missing = await pending_migrations(url)
    except NotFound:
        missing = []
    await (await open_journal(url, clock=clock)).close()
    return missing


async def store_time_us(url: str) -> int | None:
    """Return what time it is for the journal's store, in microseconds since 1970; None where it goes by this machine's clock.

    Raises:
        ConfigError, StorageError: the store cannot be reached.
    """
    if urlsplit(url).scheme not in {"postgres", "postgresql"}:
        return None
    from agent_sdk.storage.postgres_session import server_time_us  # noqa: PLC0415  (it needs an extra)

    return await server_time_us(url)


def _sqlite_pending(path: Path) -> list[int]:
    import sqlite3  # noqa: PLC0415  (a process that keeps its journal elsewhere loads no SQLite)

    from agent_sdk.storage.sqlite.connect import connect_reader  # noqa: PLC0415  (the same)
    from agent_sdk.storage.sqlite.failures import storage_error  # noqa: PLC0415  (the same)
    from agent_sdk.storage.sqlite.migrate import lacking, migrations, refuse_foreign  # noqa: PLC0415  (the same)

    if not path.is_file():
        raise NotFound(f"there is no journal at {path}", hint="name the one that has the runs: --journal sqlite:///PATH")
    try:
        with closing(connect_reader(path, busy_timeout_s=_BUSY_TIMEOUT_S)) as db:
            refuse_foreign(db, path)
            return [migration.number for migration in lacking(db, path, known=migrations())]
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
