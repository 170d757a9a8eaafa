"""Lock files that tell the living from the dead: each owner holds one, and the system lets go of it when the process ends, however it ends.

A forked child would keep its parent's locks: child processes are spawned or exec'd.
"""

import os
import sys
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from agent_sdk.core.ids import OwnerId

_SUFFIX = ".lock"
_TRIES = 20
_RETRY_S = 0.005


class Owners:
    """The lock files beside one database, and those of them that this process holds. Used by one thread."""

    def __init__(self, database: Path) -> None:
        self._directory = database.with_name(database.name + ".owners")
        self._held: dict[OwnerId, int | None] = {}

    def holds(self, owner: OwnerId) -> bool:
        """Say whether `hold` was called: then the owner lives here, with its lock or without."""
        return owner in self._held

    def hold(self, owner: OwnerId) -> None:
        """Lock the owner's file until `close`. Where that cannot be had, the lease alone says how long the owner lives."""
        self._held[owner] = None
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._held[owner] = _open_locked(self._file(owner))

    def is_dead(self, owner: OwnerId) -> bool:
        """Say whether the owner's process has ended for certain; False where that cannot be known."""
        if owner in self._held:
            return False
        try:
            descriptor = os.open(self._file(owner), os.O_RDWR)
        except OSError:
            return False
        try:
            return _try_lock(descriptor, shared=True)
        finally:
            os.close(descriptor)

    def clean(self, needed: Collection[OwnerId]) -> None:
        """Remove the files of the dead, but for those whose runs nobody has taken over yet."""
        kept = {self._file(owner).name for owner in needed}
        try:
            stale = [file for file in self._directory.iterdir() if file.suffix == _SUFFIX and file.name not in kept]
        except OSError:
            return
        for file in stale:
            self._remove_if_free(file)

    def close(self) -> None:
        """Let go of all locks, so that runs still held may be taken over at once."""
        while self._held:
            _, descriptor = self._held.popitem()
            if descriptor is not None:
                os.close(descriptor)

    def _file(self, owner: OwnerId) -> Path:
        return self._directory / (quote(owner, safe="") + _SUFFIX)

    def _remove_if_free(self, file: Path) -> None:
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDWR)
            try:
                if _try_lock(descriptor):
                    file.unlink()
            finally:
                os.close(descriptor)


def _open_locked(file: Path) -> int | None:
    """Make the file if need be, lock it and return its descriptor; None where it stays locked by another process."""
    for _ in range(_TRIES):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        if _try_lock(descriptor) and _lies_at(file, descriptor):
            return descriptor
        os.close(descriptor)  # somebody looks at it, or has just removed it
        time.sleep(_RETRY_S)
    return None


def _lies_at(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int, *, shared: bool = False) -> bool:  # noqa: ARG001  (Windows has no shared locks)
        """Lock the file without waiting, and say whether that was possible."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int, *, shared: bool = False) -> bool:
        """Lock the file without waiting, and say whether that was possible; those who only look share the lock."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
