"""Backups of a journal: directories that appear whole or not at all, each with a copy of the journal and a manifest of what is in it."""

import asyncio
import errno
import hashlib
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from agent_sdk.core.codec import dump, load
from agent_sdk.core.errors import ConfigError, JournalCorrupt, JournalNewer, NotFound, RequestError, StorageError, StorageFull
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ports import Clock
from agent_sdk.storage.audit import audit_runs
from agent_sdk.storage.copier import Contents, Copier, NoScratch, Scratch, StoreKind
from agent_sdk.storage.durable import sync
from agent_sdk.storage.open import open_journal
from agent_sdk.storage.schema import migrate_journal
from agent_sdk.storage.sqlite.backup import SqliteCopier

MANIFEST = "manifest.json"
MAX_PROBLEMS = 100
_SCHEMES = frozenset({"postgres", "postgresql"})


@frozen
class Manifest:
    """What a backup says of itself; `created_at` in microseconds since 1970."""

    store: StoreKind
    file: str
    sha256: str
    size_bytes: int
    created_at: int
    contents: Contents
    v: Literal[1] = 1


@frozen
class Verified:
    """What was found wrong with a backup, the first 100 problems of it; nothing where all is well.

    `how` says how deep it was looked: `restored` means that the copy was brought back beside the journal and each run in it checked;
    `listed` that only its hash and its table of contents were, and `why_not` says why.
    """

    manifest: Manifest
    how: Literal["restored", "listed"]
    problems: tuple[str, ...]
    why_not: str | None = None


@frozen
class Tools:
    """What backups need of the world. `programs` is the directory of PostgreSQL's client programs; None looks for them on the PATH."""

    clock: Clock
    programs: Path | None = None


async def create_backup(url: str, target: Path, tools: Tools) -> Manifest:
    """Make the directory `target` with a copy of the journal in it, while others go on writing to the journal.

    Raises:
        RequestError: there is something at `target`. NotFound: there is no journal.
        JournalCorrupt: the journal is damaged. StorageError: it cannot be read, or the copy not be written.
        ConfigError: the URL names no journal that can be copied, or a program that copies it is missing.
    """
    copier = _copier(url, tools)
    with _writing(target), _unfinished(target) as directory:
        file = directory / copier.file
        contents = await copier.copy(file)
        digest, size_bytes = await asyncio.to_thread(_digest, file)
        manifest = Manifest(copier.store, copier.file, digest, size_bytes, tools.clock.now_us(), contents)
        await asyncio.to_thread(_publish, directory, manifest, target)
    return manifest


async def verify_backup(target: Path, tools: Tools, *, url: str | None = None) -> Verified:
    """Look whether the backup could be restored, and whether what it holds is what was written.

    A copy of a Postgres journal is brought back into a database of its own on the server of `url`, if one is given and that is allowed.

    Raises:
        NotFound: there is no backup. JournalCorrupt: its manifest cannot be read. StorageError: what is needed to look cannot be had.
        ConfigError: a program that is needed is missing.
    """
    manifest = read_manifest(target)
    copy = target / manifest.file
    if await asyncio.to_thread(_digest, copy) != (manifest.sha256, manifest.size_bytes):
        return Verified(manifest, "listed", (f"{copy} is missing or holds other bytes than were written",))
    copier = _copier_of(manifest, url, tools)
    try:
        async with copier.scratch(copy) as scratch:
            return Verified(manifest, "restored", await _problems(scratch, manifest, tools.clock))
    except NoScratch as reason:
        return Verified(manifest, "listed", (), str(reason))
    except (JournalCorrupt, JournalNewer) as error:
        return Verified(manifest, "restored", (error.message,))


async def restore_backup(target: Path, url: str, tools: Tools, *, force: bool = False) -> Verified:
    """Verify the backup, then bring its copy back as the journal at `url`.

    Runs that had not ended go on from where they stood when the backup was made: of what they did since, nothing is known.

    Raises:
        RequestError: there is a journal at `url` and not `force`, one that is in use, or one of another store.
        JournalCorrupt: the backup is not sound; nothing was changed. Else as `verify_backup` and `create_backup`.
    """
    manifest = read_manifest(target)
    copier = _copier(url, tools)
    if copier.store != manifest.store:
        raise RequestError(f"{target} is a backup of a {manifest.store} journal, not of {copier.store}", hint="name a URL of that scheme")
    await copier.require_free(force=force)
    verified = await verify_backup(target, tools, url=url)
    if verified.problems:
        raise JournalCorrupt(
            f"the backup {target} is not sound: {'; '.join(verified.problems[:3])}", hint="take another one; nothing was changed"
        )
    with _writing(target):
        await copier.restore(target / manifest.file, force=force)
    return verified


def read_manifest(target: Path) -> Manifest:
    """Return what the backup says of itself.

    Raises:
        NotFound: there is no backup. JournalCorrupt: the manifest cannot be read.
    """
    try:
        manifest = load(Manifest, (target / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{target} is no backup: it has no {MANIFEST}", hint="name the directory that `backup create` made") from error
    except ValueError as error:
        raise _no_manifest(target) from error
    except OSError as error:
        raise StorageError(f"{target / MANIFEST} cannot be read: {error.strerror}") from error
    if Path(manifest.file).name != manifest.file:  # the copy lies in its backup, and nowhere else
        raise _no_manifest(target)
    return manifest


async def _problems(scratch: Scratch, manifest: Manifest, clock: Clock) -> tuple[str, ...]:
    await migrate_journal(scratch.url, clock=clock)
    journal = await open_journal(scratch.url, clock=clock)
    runs, events = 0, 0
    try:
        problems = list(await journal.check_integrity())
        for tenant in scratch.tenants:
            async for found in audit_runs(journal, tenant):
                runs, events = runs + 1, events + found.events
                problems += found.problems
    finally:
        await journal.close()
    if not problems and (runs, events) != (manifest.contents.runs, manifest.contents.events):
        problems.append(
            f"it has {runs} runs and {events} events; its manifest says {manifest.contents.runs} and {manifest.contents.events}"
        )
    return tuple(problems[:MAX_PROBLEMS])


def _no_manifest(target: Path) -> JournalCorrupt:
    return JournalCorrupt(f"{target / MANIFEST} is no manifest of a backup", hint="take another backup")


def _copier_of(manifest: Manifest, url: str | None, tools: Tools) -> Copier:
    """Return what opens a backup's copy; that of another store's URL would be of no use."""
    match manifest.store:
        case "sqlite":
            return SqliteCopier(Path(manifest.file))
        case "postgresql":
            return _postgres(url if url is not None and urlsplit(url).scheme in _SCHEMES else "", tools)


def _copier(url: str, tools: Tools) -> Copier:
    parts = urlsplit(url)
    match parts.scheme:
        case "sqlite" if len(parts.path) > 1 and not (parts.netloc or parts.query or parts.fragment):
            return SqliteCopier(Path(unquote(parts.path[1:])))
        case scheme if scheme in _SCHEMES:
            return _postgres(url, tools)
        case _:
            raise ConfigError(
                f"a journal of scheme {parts.scheme!r} has no backups", hint="name one: --journal sqlite:///agent.db or postgresql://..."
            )


def _postgres(url: str, tools: Tools) -> Copier:
    from agent_sdk.storage.postgres_backup import PostgresCopier  # noqa: PLC0415  (it needs an extra)
    from agent_sdk.storage.postgres_tools import PostgresTools  # noqa: PLC0415  (the same)

    return PostgresCopier(url, PostgresTools(tools.programs))


def _digest(path: Path) -> tuple[str, int]:
    """Return a file's SHA-256 and size, of none where there is no file."""
    if not path.is_file():
        return "", 0
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


@contextmanager
def _unfinished(target: Path) -> Generator[Path]:
    """Hand out a directory beside `target`, which is gone at the end unless it was published."""
    if target.exists() or target.is_symlink():
        raise RequestError(f"there is something at {target}", hint="name a directory that does not exist: each backup gets one of its own")
    if not target.parent.is_dir():
        raise RequestError(f"the directory {target.parent} does not exist", hint=f"make it: mkdir -p {target.parent}")
    directory = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _publish(directory: Path, manifest: Manifest, target: Path) -> None:
    (directory / MANIFEST).write_bytes(dump(manifest) + b"\n")
    for path in (directory / manifest.file, directory / MANIFEST, directory):
        sync(path)
    directory.rename(target)
    sync(target.parent)


@contextmanager
def _writing(target: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"the disk is full: {error.filename or target}") from error
        raise StorageError(
            f"{error.filename or target} cannot be written: {error.strerror}", hint="look at the directory's rights"
        ) from error
