"""A file of settings or of a plan: YAML, TOML or JSON, read as one JSON value that knows its lines. What the value means is for others."""

import stat
from pathlib import Path

from pydantic import JsonValue

from agent_sdk.config.json_text import parse_json
from agent_sdk.config.marks import DocumentError, Mark, Place
from agent_sdk.core.frozen import frozen

MAX_DOCUMENT_BYTES = 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".toml", ".json")


@frozen
class Document:
    """What a file holds; `mark` is None for TOML, whose lines are not known."""

    path: Path
    value: JsonValue
    mark: Mark | None = None

    def place_of(self, json_path: str) -> Place | None:
        """Return where the value at a path such as `$.steps[2].args.limit` stands, or the nearest one above it."""
        return self.mark.find(json_path).place if self.mark else None

    def line_of(self, json_path: str) -> int | None:
        place = self.place_of(json_path)
        return place.line if place else None


def read_document(path: Path) -> Document:
    """Read a file by what its name ends in.

    Raises:
        DocumentError: the file is not there, not readable, too large, empty, not UTF-8, or not what its name says.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DocumentError(path, "not a kind of file that is read here", hint=f"the name must end in one of {', '.join(SUFFIXES)}")
    text = read_text(path)
    if not text.strip():
        raise DocumentError(path, "the file is empty")
    if suffix == ".json":
        return Document(path, *parse_json(text, path))
    if suffix == ".toml":
        from agent_sdk.config.toml_text import parse_toml  # noqa: PLC0415  (few processes read TOML)

        return Document(path, parse_toml(text, path))
    from agent_sdk.config.yaml_text import parse_yaml  # noqa: PLC0415  (PyYAML is slow to import)

    return Document(path, *parse_yaml(text, path))


def read_text(path: Path, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> str:
    """Read a small UTF-8 file, with or without a byte order mark.

    Raises:
        DocumentError: it is not there, not a regular file, not readable, larger than `max_bytes`, or not UTF-8.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would keep us waiting
            raise DocumentError(path, "a directory, not a file" if stat.S_ISDIR(mode) else "not a regular file")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise DocumentError(path, "there is no such file") from error
    except OSError as error:
        raise DocumentError(path, f"cannot be read: {error.strerror}", hint="check its permissions") from error
    if len(data) > max_bytes:
        raise DocumentError(path, f"larger than {max_bytes} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(path, f"not UTF-8: byte {error.start + 1} is 0x{data[error.start]:02x}", hint="save it as UTF-8") from error
