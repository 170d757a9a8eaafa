"""Where a database may lie: not on a network, not in a missing directory, not in a file of somebody else's."""

import errno
import os
import re
from pathlib import Path

from agent_sdk.core.errors import ConfigError, StorageError, StorageFull
from agent_sdk.storage.sqlite.failures import read_only

NETWORK_FILESYSTEMS = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
    }
    | {"nfs4", "smb2", "smb3", "smbfs"}
)
_MOUNTS = Path("/proc/self/mountinfo")


def prepared(path: Path) -> Path:
    """Return the database's absolute path, with the file made (readable by its user alone) if there was none.

    Raises:
        ConfigError: no database can lie there.
        StorageError: the file cannot be made.
    """
    try:
        path = path.resolve()
        is_other = path.exists() and not path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # of these, Python 3.11 raises two for links in a circle and for NUL
        raise ConfigError(f"{str(path)!r} is no path: {error}", hint="name a file, such as agent.db") from error
    if path.is_symlink():  # since Python 3.13 a circle resolves to a link in it
        raise ConfigError(f"{str(path)!r} is no path: its links go in a circle", hint="name a file, such as agent.db")
    if is_other:
        what = "a directory" if path.is_dir() else "no plain file"
        raise ConfigError(f"{path} is {what}", hint="name a file of its own for the journal, such as agent.db")
    if not path.parent.is_dir():
        raise ConfigError(f"the directory {path.parent} does not exist", hint=f"make it: mkdir -p {path.parent}")
    if _MOUNTS.exists():
        refuse_network(path, _MOUNTS.read_text(errors="surrogateescape"))
    _make(path)
    return path


def refuse_network(path: Path, mounts: str) -> None:
    """Refuse a path on a network file system, where locks and shared memory do not hold what SQLite needs.

    Raises:
        ConfigError: `mounts`, in the form of Linux's `/proc/self/mountinfo`, says that the path lies on one.
    """
    found, kind = Path("/"), ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), left.split(" ")[4]))
        if path.is_relative_to(point) and len(point.parts) >= len(found.parts):
            found, kind = point, right.split(" ")[0]
    if kind in NETWORK_FILESYSTEMS:
        raise ConfigError(
            f"{path} lies on a network file system ({kind} at {found})",
            hint="put the database on a local disk; for many machines use Postgres",
        )


def _make(path: Path) -> None:
    """Make an empty file. One that exists is not opened: closing it would drop the locks that this process may hold on it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise read_only(path) from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(f"the disk that is to hold {path} is full") from error
        raise StorageError(f"{path} cannot be made: {error.strerror}") from error
