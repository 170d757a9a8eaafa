"""Keeps SQLite's locks standing while other code of this process reads the database's files.

POSIX drops all locks that a process has on a file as soon as it closes any descriptor of it (https://sqlite.org/howtocorrupt.html, 2.2),
and a tool that searches a directory may well open the journal in it. Another process then takes itself for the only one, and removes the
log that is still written to. Linux has locks that belong to a descriptor alone: two of them, beside SQLite's own, tell other processes
that somebody is here. Elsewhere SQLite's rule is left to the user: no other code of the process opens the database's files.
"""

import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

# From SQLite's file format and its `os_unix.c`: what each connection to the database, and to its shared memory, holds a shared lock on.
_SHARED_FIRST, _SHARED_SIZE = 0x40000000 + 2, 510
_DEAD_MAN_SWITCH = 128


class Guard:
    """Two shared locks on a database in WAL mode. Its connections are closed between `release` and `close`, which drops their locks."""

    def __init__(self, database: Path) -> None:
        memory = database.with_name(database.name + "-shm")
        self._places = [(database, _SHARED_FIRST, _SHARED_SIZE), (memory, _DEAD_MAN_SWITCH, 1)] if sys.platform == "linux" else []
        self._held: list[tuple[int, int, int]] = []

    def hold(self) -> None:
        """Lock both files; they exist once a connection has read from the database."""
        for path, start, size in self._places:
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY)
                self._held.append((descriptor, start, size))
                _set_lock(descriptor, start, size, is_held=True)

    def release(self) -> None:
        for held in self._held:
            with suppress(OSError):
                _set_lock(*held, is_held=False)

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop()[0])


if sys.platform == "linux":
    import fcntl

    def _set_lock(descriptor: int, start: int, size: int, *, is_held: bool) -> None:
        kind = fcntl.F_RDLCK if is_held else fcntl.F_UNLCK
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, start, size, 0))

else:

    def _set_lock(descriptor: int, start: int, size: int, *, is_held: bool) -> None:
        raise NotImplementedError
