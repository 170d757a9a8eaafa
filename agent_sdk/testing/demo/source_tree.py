"""A tree of Python sources: which files it has, what they hold, and what their modules are called."""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from fnmatch import translate
from importlib.util import decode_source
from pathlib import Path, PurePosixPath

from agent_sdk.core.errors import ConfigError, ToolError
from agent_sdk.core.frozen import frozen

MAX_SOURCE_BYTES = 16 * 1024 * 1024


class NoSource(ValueError):
    """A file is no Python source that this interpreter can read."""


@frozen
class SourceTree:
    """The Python files below `root`, which nothing that is asked for leads out of; links are not followed.

    Raises:
        ConfigError: `root` is no directory.
    """

    root: Path

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise ConfigError(f"the root of the sources is no directory: {self.root}", hint="name one that holds Python files")

    def packages(self, exclude: Collection[str]) -> list[str]:
        """Return the directories at the top that hold Python files at any depth; `exclude` is as in `paths`."""
        leaves_out = _matcher(exclude)
        return [
            name
            for name, is_directory in _entries(self.root)
            if is_directory and not leaves_out(name) and any(self._walk(name, leaves_out, []))
        ]

    def paths(self, exclude: Collection[str], package: str | None = None) -> tuple[list[str], list[str]]:
        """Return all Python files, or those of one package, and the directories that were passed over.

        `exclude` holds names of directories, or patterns of them such as "test*". The package "." is those modules that stand at the
        top by themselves.

        Raises:
            ToolError: there is no such package.
        """
        passed_over: list[str] = []
        if package == ".":
            return [name for name, is_directory in _entries(self.root) if not is_directory], passed_over
        if package is not None and (package, True) not in _entries(self.root):
            raise ToolError(f"there is no package {package!r}", hint="list_packages shows what there is")
        return sorted(self._walk(package or "", _matcher(exclude), passed_over)), sorted(passed_over)

    def read(self, path: str) -> str:
        """Return a file's text, decoded as Python does it, with plain line ends.

        Raises:
            NoSource: it is no such file, or no text.
        """
        place = self.root / path
        try:
            if not place.resolve().is_relative_to(self.root.resolve()):
                raise NoSource("it lies outside of the tree")
            status = place.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SOURCE_BYTES:
                raise NoSource(f"it is no regular file of at most {MAX_SOURCE_BYTES:,} bytes")
            return decode_source(place.read_bytes())
        except OSError as error:
            raise NoSource(error.strerror or type(error).__name__) from error
        except (SyntaxError, UnicodeDecodeError) as error:
            raise NoSource(f"its encoding: {error}") from error

    def _walk(self, start: str, leaves_out: Callable[[str], object], passed_over: list[str]) -> Iterator[str]:
        """Yield the Python files below `start`; add to `passed_over` the directories that are left out."""
        waiting = [start]
        while waiting:
            here = waiting.pop()
            for name, is_directory in _entries(self.root / here):
                path = f"{here}/{name}" if here else name
                if not is_directory:
                    yield path
                elif leaves_out(name):
                    passed_over.append(path)
                else:
                    waiting.append(path)


def module_name(path: str) -> str:
    """Return the dotted name of the module in a file: a package's is that of its directory."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def package_of(path: str) -> str:
    """Return the name that a file's relative imports start from; "" where it stands in no package."""
    return ".".join(PurePosixPath(path).parts[:-1])


def _matcher(exclude: Collection[str]) -> Callable[[str], object]:
    return re.compile("|".join(translate(pattern) for pattern in exclude) or r"(?!)").match


def _entries(directory: Path) -> list[tuple[str, bool]]:
    """Return a directory's Python files and its directories by name, with whether each is a directory; nothing of one that is closed to us.

    A name that is no Unicode is given with marks in it, so that reading it fails and is told.
    """
    try:
        with os.scandir(directory) as entries:
            found = [
                (os.fsencode(entry.name).decode("utf-8", "replace"), entry.is_dir(follow_symlinks=False))
                for entry in entries
                if entry.is_dir(follow_symlinks=False) or (entry.name.endswith(".py") and entry.is_file(follow_symlinks=False))
            ]
    except OSError:
        return []
    return sorted(found)
