"""Numbered migrations: the files that bring a schema up to date, and what of them a database lacks. Each store applies them its own way."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Literal

from agent_sdk.core.errors import JournalCorrupt, JournalNewer
from agent_sdk.core.frozen import frozen


@frozen
class Migration:
    """A numbered script; its file is named `{number}_{name}.sql`."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


def load_migrations(dialect: Literal["sqlite", "postgres", "sqlite_memory", "postgres_memory"]) -> list[Migration]:
    """Return the scripts that this code brings, in order."""
    found: list[Migration] = []
    for file in files("agent_sdk.storage").joinpath("migrations", dialect).iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def missing_of(known: Sequence[Migration], applied: Mapping[int, str], place: object) -> list[Migration]:
    """Return those of `known` that were not applied, having compared the checksums of the others; `place` names the database.

    Raises:
        JournalNewer: the database has migrations that this code does not know.
        JournalCorrupt: a migration was applied in another form than this code brings.
    """
    checksums = {migration.number: migration.checksum for migration in known}
    if newer := applied.keys() - checksums.keys():
        raise JournalNewer(f"{place} has migration {max(newer)}, and this version of agent_sdk knows {len(known)}")
    if altered := [number for number, checksum in applied.items() if checksum != checksums[number]]:
        raise JournalCorrupt(
            f"migration {min(altered)} of {place} is not the one that this version of agent_sdk brings",
            hint="open it with the version that made it; a migration is never changed once it was released",
        )
    return [migration for migration in known if migration.number not in applied]
