"""Where the values of a text stand, and the error that points there. Knows no format."""

import re
from dataclasses import field
from pathlib import Path

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen

MAX_DEPTH = 100
"""How deep a document's values may lie; nobody writes deeper by hand, and no reader of ours overflows its stack."""

_SEGMENT = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


@frozen
class Place:
    """A line and a column, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@frozen
class Mark:
    """Where a value's key or list item begins, and the marks of what lies within it."""

    place: Place
    inner: dict[str | int, "Mark"] = field(default_factory=dict["str | int", "Mark"])

    def find(self, json_path: str) -> "Mark":
        """Return the mark of a path such as `$.steps[2].args.limit`, or of the nearest value above it that is there."""
        mark = self
        for name, index in _SEGMENT.findall(json_path):
            inner = mark.inner.get(name or int(index))
            if inner is None:
                break
            mark = inner
        return mark


class DocumentError(ConfigError):
    """A file cannot be read as the document that it should be; `place` is None where the whole file is meant."""

    code = "document_invalid"

    def __init__(self, path: Path, problem: str, *, place: Place | None = None, hint: str | None = None) -> None:
        self.path = path
        self.problem = problem
        self.place = place
        super().__init__(f"{path}:{place}: {problem}" if place else f"{path}: {problem}", hint=hint)


def too_deep(path: Path, place: Place | None = None) -> DocumentError:
    """Make the error on a document deeper than `MAX_DEPTH`."""
    return DocumentError(path, f"values lie more than {MAX_DEPTH} levels deep", place=place)


def twice(path: Path, name: str, first: Place, again: Place) -> DocumentError:
    """Make the error on a key that its mapping holds two times."""
    problem = f"the key {name!r} stands twice, in lines {first.line} and {again.line}"
    return DocumentError(path, problem, place=again, hint="keep one of them")
