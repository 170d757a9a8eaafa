"""The way to files below one root, which no path, link or race leaves: each directory is opened from the one above; no link is followed."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from agent_sdk.core.errors import ToolError
from agent_sdk.core.frozen import frozen

BY_DESCRIPTOR = {os.open, os.stat, os.mkdir, os.unlink} <= os.supports_dir_fd and os.scandir in os.supports_fd
"""Whether the system can name a file relative to an open directory. Without it, who changes the tree meanwhile could win a race."""

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | _NOFOLLOW | _BINARY | getattr(os, "O_NONBLOCK", 0)  # a FIFO that came in between does not hold us up
_ENTER = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY


def parts_of(path: str) -> tuple[str, ...]:
    """Split a relative path; `/` parts it on every system.

    Raises:
        ToolError: it is absolute, holds `..`, or what no file name can hold.
    """
    windows = PureWindowsPath(path)  # its rules are the stricter ones, and take "/" too
    if windows.drive or windows.root or ".." in windows.parts:
        raise ToolError(f"{path!r} leads out of the root", hint="give a path relative to the root, without '..', such as 'docs/notes.txt'")
    parts = PurePosixPath(path).parts
    if not parts or "\0" in path or any("\ud800" <= char <= "\udfff" for char in path):
        raise ToolError(f"{path!r} is no file name", hint="give a path relative to the root, such as 'docs/notes.txt'")
    return parts


@frozen
class Directory:
    """An open directory below the root; `fd` is None where the system has no names relative to one. `shown` is its path below the root."""

    path: Path
    fd: int | None
    shown: str

    def enter(self, name: str) -> "Directory":
        """Open a directory in this one.

        Raises:
            ToolError: there is none of that name, or it is a link.
        """
        shown, target = self.show(name), self._target(name)
        if not stat.S_ISDIR(self.status(name).st_mode):
            raise ToolError(f"{shown!r} is {self._kind(name)}, not a directory")
        with _told(shown):
            fd = None if self.fd is None else os.open(target, _ENTER, dir_fd=self.fd)
        if fd is None and os.path.normcase((self.path / name).resolve()) != os.path.normcase(self.path / name):
            raise ToolError(f"{shown!r} is a link, and links are not followed")
        return Directory(self.path / name, fd, shown)

    def make(self, name: str) -> None:
        """Make a directory, if there is nothing of that name."""
        with _told(self.show(name)):
            try:
                os.mkdir(self._target(name), dir_fd=self.fd)
            except FileExistsError:
                return

    def status(self, name: str) -> os.stat_result:
        """Return what the system knows of the name itself, not of what a link points to."""
        with _told(self.show(name)):
            return os.stat(self._target(name), dir_fd=self.fd, follow_symlinks=False)

    def read(self, name: str, max_bytes: int) -> bytes:
        """Read a regular file.

        Raises:
            ToolError: there is none of that name, it is a link, a device or another special file, or over the size.
        """
        shown = self.show(name)
        if not stat.S_ISREG(self.status(name).st_mode):
            raise ToolError(f"{shown!r} is {self._kind(name)}, not a regular file", hint="list_files shows the files that can be read")
        self._refuse_live_database(name)
        with _told(shown), os.fdopen(os.open(self._target(name), _READ, dir_fd=self.fd), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ToolError(f"{shown!r} is no regular file any more")
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ToolError(f"{shown!r} is larger than {max_bytes} bytes", hint="read a smaller file")
        return data

    def write(self, name: str, data: bytes, temporary: str) -> None:
        """Put a whole file in place of what was there, or leave all as it was; `temporary` names it until it is whole.

        Raises:
            ToolError: what is there is no regular file, or the system refuses.
        """
        self._refuse_live_database(name)
        mode = self._mode_to_keep(name)
        with _told(self.show(name)):
            fd = os.open(self._target(temporary), _CREATE, 0o666, dir_fd=self.fd)
            try:
                with os.fdopen(fd, "wb") as file:
                    if mode is not None and os.chmod in os.supports_fd:
                        os.chmod(file.fileno(), mode)  # noqa: PTH101  (a descriptor has no Path)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(self._target(temporary), self._target(name), src_dir_fd=self.fd, dst_dir_fd=self.fd)
            except BaseException:
                os.unlink(self._target(temporary), dir_fd=self.fd)
                raise
            if self.fd is not None:
                os.fsync(self.fd)

    def entries(self) -> list[os.DirEntry[str]]:
        """Return what the directory holds, by name."""
        with _told(self.shown or "."), os.scandir(self.path if self.fd is None else self.fd) as entries:
            return sorted(entries, key=lambda entry: entry.name)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)

    def _refuse_live_database(self, name: str) -> None:
        """Refuse a database in use: to open and close one of its files gives away the locks of this process's journal.

        See https://www.sqlite.org/howtocorrupt.html, 2.2.
        """
        database = name.removesuffix("-wal").removesuffix("-shm")
        for beside in (f"{database}-wal", f"{database}-shm"):
            try:
                os.stat(self._target(beside), dir_fd=self.fd, follow_symlinks=False)
            except OSError:
                continue
            raise ToolError(f"{self.show(name)!r} belongs to a database in use", hint="ask whoever keeps the database instead")

    def _mode_to_keep(self, name: str) -> int | None:
        try:
            mode = os.stat(self._target(name), dir_fd=self.fd, follow_symlinks=False).st_mode
        except OSError:
            return None
        if not stat.S_ISREG(mode):
            raise ToolError(f"{self.show(name)!r} is {self._kind(name)}, and only regular files are written over")
        return stat.S_IMODE(mode)

    def _target(self, name: str) -> Path:
        return self.path / name if self.fd is None else Path(name)

    def show(self, name: str) -> str:
        """Return the name's path below the root."""
        return f"{self.shown}/{name}" if self.shown else name

    def _kind(self, name: str) -> str:
        mode = self.status(name).st_mode
        if stat.S_ISLNK(mode):
            return "a link"
        if stat.S_ISDIR(mode):
            return "a directory"
        return "a regular file" if stat.S_ISREG(mode) else "a special file"


@frozen
class Root:
    """A directory that everything stays below; its own path may hold links, since who configures it vouches for it."""

    path: Path
    by_descriptor: bool = BY_DESCRIPTOR

    @contextmanager
    def directory(self, parts: tuple[str, ...] = (), *, makes: bool = False) -> Generator[Directory, None, None]:
        """Open the directory at `parts`; with `makes`, make what is missing on the way.

        Raises:
            ToolError: a part is missing, no directory, or a link.
        """
        with _told("."):
            fd = os.open(self.path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)) if self.by_descriptor else None
        here = Directory(self.path, fd, "")
        try:
            for name in parts:
                if makes:
                    here.make(name)
                above, here = here, here.enter(name)
                above.close()
            yield here
        finally:
            here.close()


@contextmanager
def _told(shown: str) -> Generator[None, None, None]:
    """Tell what the system refuses in words that name the path below the root alone."""
    try:
        yield
    except FileNotFoundError as error:
        raise ToolError(f"{shown!r} does not exist", hint="list_files shows what there is") from error
    except OSError as error:
        raise ToolError(f"{shown!r}: {error.strerror or type(error).__name__}") from error
