"""Tools for the text files below one root: list, read, search and write."""

import io
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import Field

from agent_sdk.core.errors import ConfigError, ToolError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ports import Tool
from agent_sdk.tools.beneath import BY_DESCRIPTOR, Directory, Root, parts_of
from agent_sdk.tools.decorator import tool
from agent_sdk.tools.glob import Glob, State

MAX_DEPTH = 64
MAX_LINE = 300

Pattern = Annotated[str, Field(min_length=1, max_length=1000)]
Count = Annotated[int, Field(ge=1, le=10_000)]


@frozen
class Listing:
    """Paths relative to the root, in the tree's order; not `is_complete` where there are more, or names that are no Unicode."""

    paths: list[str]
    is_complete: bool


@frozen
class Excerpt:
    """Lines of a file. `is_complete`: nothing follows. Not `is_exact`: bytes that are no UTF-8 were replaced by U+FFFD."""

    path: str
    text: str
    first_line: int
    lines: int
    is_complete: bool
    is_exact: bool


@frozen
class Match:
    """A line that holds what was searched for, cut to a readable length."""

    path: str
    line: int
    text: str


@frozen
class Matches:
    """What was found, by path and line. `skipped` counts the files that cannot be read here, as they are too large or no text."""

    matches: list[Match]
    is_complete: bool
    skipped: int


@frozen
class Written:
    """What now stands in the file."""

    path: str
    size_bytes: int


class Files:
    """Tools over one directory, which no path, link or special file leads out of.

    `max_file_bytes` bounds what is read or written of one file, `max_text_chars` what one call of `read_file` returns. `by_descriptor` is
    False on systems whose directories cannot be opened.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        max_file_bytes: int = 16 * 1024 * 1024,
        max_text_chars: int = 256 * 1024,
        by_descriptor: bool = BY_DESCRIPTOR,
    ) -> None:
        path = Path(root).resolve()
        if not path.is_dir():
            raise ConfigError(f"the root of the file tools is no directory: {path}", hint="make it first, or name another")
        self._root = Root(path, by_descriptor)
        self._max_file_bytes = max_file_bytes
        self._max_text_chars = max_text_chars

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Return all four."""
        return (*self.readers, self.write_file)

    @property
    def readers(self) -> tuple[Tool, ...]:
        """Return those that change nothing."""
        return (self.list_files, self.read_file, self.search_text)

    @tool(effect="read")
    def list_files(self, pattern: Pattern = "**/*", limit: Count = 1000) -> Listing:
        """List the files whose path matches a pattern.

        Args:
            pattern: Where "*" stands for any part of a name and "**" for any directories, as in "src/**/*.py".
                Hidden names are matched by patterns with a dot alone.
            limit: How many paths at most.
        """
        paths: list[str] = []
        is_complete = True
        for _, _, path in self._walk(pattern):
            if not _is_unicode(path):
                is_complete = False
            elif len(paths) == limit:
                return Listing(paths, is_complete=False)
            else:
                paths.append(path)
        return Listing(paths, is_complete)

    @tool(effect="read")
    def read_file(self, path: str, offset: Annotated[int, Field(ge=0)] = 0, limit: Annotated[int, Field(ge=1)] = 10_000) -> Excerpt:
        """Read lines of a text file.

        Args:
            path: Relative to the root, as list_files gives it.
            offset: How many lines to pass over.
            limit: How many lines to return at most.
        """
        with self._place(path) as (directory, name):
            content, is_exact = _decoded(directory.read(name, self._max_file_bytes), path)
        lines = io.StringIO(content, newline="\n").readlines()
        chosen = _fitting(lines[offset : offset + limit], self._max_text_chars)
        text = "".join(chosen)[: self._max_text_chars]
        is_complete = offset + len(chosen) >= len(lines) and len(text) == sum(map(len, chosen))
        return Excerpt(path, text, offset + 1, len(chosen), is_complete, is_exact)

    @tool(effect="read")
    def search_text(self, text: Annotated[str, Field(min_length=1)], pattern: Pattern = "**/*", limit: Count = 200) -> Matches:
        """Find the lines of text files that hold a text.

        Args:
            text: What to look for: literally, in the same case, within one line.
            pattern: Which files to look at, as in list_files.
            limit: How many lines at most.
        """
        found: list[Match] = []
        skipped = 0
        for directory, name, path in self._walk(pattern):
            content = self._content(directory, name, path)
            if content is None:
                skipped += 1
                continue
            found += _matches(path, content, text)
            if len(found) > limit:
                return Matches(found[:limit], is_complete=False, skipped=skipped)
        return Matches(found, is_complete=True, skipped=skipped)

    @tool(effect="idempotent")
    def write_file(self, path: str, text: str) -> Written:
        """Write a whole text file, in place of what was there; missing directories are made.

        The file is old or new at any moment, never half of it.

        Args:
            path: Relative to the root.
            text: The new content, stored as UTF-8.
        """
        data = text.encode()
        if len(data) > self._max_file_bytes:
            raise ToolError(f"{path!r} would be larger than {self._max_file_bytes} bytes", hint="write several smaller files")
        with self._place(path, makes=True) as (directory, name):
            directory.write(name, data, f".{secrets.token_hex(8)}.tmp")
        return Written(path, len(data))

    def _content(self, directory: Directory, name: str, path: str) -> str | None:
        try:
            return _decoded(directory.read(name, self._max_file_bytes), path)[0] if _is_unicode(path) else None
        except ToolError:
            return None

    @contextmanager
    def _place(self, path: str, *, makes: bool = False) -> Generator[tuple[Directory, str], None, None]:
        *above, name = parts_of(path)
        with self._root.directory(tuple(above), makes=makes) as directory:
            yield directory, name

    def _walk(self, pattern: str) -> Iterator[tuple[Directory, str, str]]:
        glob = Glob.parse("/".join(parts_of(pattern)))
        with self._root.directory() as top:
            yield from _below(top, glob, glob.start(), MAX_DEPTH)


def _below(directory: Directory, glob: Glob, state: State, depth: int) -> Iterator[tuple[Directory, str, str]]:
    """Yield the files that match, each with its open directory; links, special files and closed directories are passed over."""
    for entry in directory.entries():
        after = glob.step(state, entry.name)
        if entry.is_file(follow_symlinks=False) and glob.is_match(after):
            yield directory, entry.name, directory.show(entry.name)
        elif entry.is_dir(follow_symlinks=False) and after and depth:
            try:
                below = directory.enter(entry.name)
            except ToolError:
                continue
            try:
                yield from _below(below, glob, after, depth - 1)
            finally:
                below.close()


def _decoded(data: bytes, path: str) -> tuple[str, bool]:
    """Return the text, and whether it is exactly what the bytes say."""
    if b"\0" in data[:8192]:
        raise ToolError(f"{path!r} is no text file", hint="these tools read text alone")
    try:
        return data.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        return data.decode("utf-8-sig", "replace"), False


def _fitting(lines: list[str], max_chars: int) -> list[str]:
    """Return the first lines that fit together, and one at least."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line)
        if size > max_chars:
            return lines[: max(count, 1)]
    return lines


def _matches(path: str, content: str, text: str) -> list[Match]:
    if text not in content:
        return []
    lines = enumerate(content.split("\n"), start=1)
    return [Match(path, number, line.strip()[:MAX_LINE]) for number, line in lines if text in line]


def _is_unicode(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
