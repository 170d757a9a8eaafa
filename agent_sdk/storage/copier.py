"""What a store does for its backups: copy itself as of one moment, bring a copy back, and open one beside itself to look into it."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId

StoreKind = Literal["sqlite", "postgresql"]


@frozen
class Contents:
    """What a copy holds: the number of the last migration, all runs, those of them that had not ended, and all events."""

    schema_version: int
    runs: int
    unfinished: int
    events: int


@frozen
class Scratch:
    """A copy that was brought back beside the journal: a journal of its own, and the tenants in it."""

    url: str
    tenants: tuple[TenantId, ...]


class Copier(Protocol):
    """One store, as its backups see it. `file` is the name of a copy within its backup."""

    @property
    def store(self) -> StoreKind: ...

    @property
    def file(self) -> str: ...

    async def copy(self, to: Path) -> Contents:
        """Write the journal as it is at one moment, while others go on writing.

        Raises:
            NotFound: there is no journal. StorageError: it cannot be read, or the copy not be written. ConfigError: a program is missing.
        """
        ...

    async def require_free(self, *, force: bool) -> None:
        """Refuse a place where a journal is, unless `force`, or where one is in use.

        Raises:
            RequestError: the journal would be overwritten, or is in use.
        """
        ...

    async def restore(self, copy: Path, *, force: bool) -> None:
        """Bring a copy back, whole or not at all.

        Raises:
            RequestError: as by `require_free`. StorageError: it cannot be written.
        """
        ...

    def scratch(self, copy: Path) -> AbstractAsyncContextManager[Scratch]:
        """Bring a copy back into a place of its own for as long as the block lasts.

        Raises:
            NoScratch: there is no such place.
        """
        ...


class NoScratch(Exception):
    """A copy cannot be brought back beside the journal; the message says why."""
