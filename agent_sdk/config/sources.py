"""The places where settings are given, each read into entries. Which of them wins, and whether a value holds, is decided by `load`."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path

from pydantic import JsonValue

from agent_sdk.config.documents import Document, read_document, read_text
from agent_sdk.config.findings import BadSetting, Origin, SourceKind, name_kind, printable
from agent_sdk.config.marks import DocumentError, Mark, Place
from agent_sdk.config.schema import ENV_PREFIX, Key, keys, sections
from agent_sdk.core.frozen import frozen
from agent_sdk.core.nearest import nearest

CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"
FILE_NAMES = ("agent-sdk.yaml", "agent-sdk.yml", "agent-sdk.toml", "agent-sdk.json")


@frozen
class Entry:
    """A value for a setting that there is, as it was given."""

    key: str
    value: JsonValue
    origin: Origin


@frozen
class Assignment:
    """One line of a `.env` file."""

    variable: str
    value: str
    place: Place


def read_environ() -> dict[str, str]:
    """Return a copy of the process's environment: the one read of it in the SDK."""
    return dict(os.environ)


def from_overrides(overrides: Mapping[str, JsonValue]) -> Iterator[Entry | BadSetting]:
    """Read what the command line gave, by dotted keys."""
    origin = Origin("command line")
    for name, value in overrides.items():
        yield Entry(name, value, origin) if name in keys() else _unknown_key(name, origin)


def from_environ(environ: Mapping[str, str]) -> Iterator[Entry | BadSetting]:
    """Read the variables that begin with our prefix; an empty one sets nothing."""
    for variable in sorted(environ):
        yield from _from_variable(variable, environ[variable], Origin("environment", variable=variable))


def from_assignments(lines: Iterable[Assignment | BadSetting], shown: Path) -> Iterator[Entry | BadSetting]:
    """Read the lines of a `.env` file by the same rules."""
    for line in lines:
        if isinstance(line, BadSetting):
            yield line
        else:
            yield from _from_variable(line.variable, line.value, Origin(".env", shown, line.place, line.variable))


def read_assignments(path: Path, shown: Path) -> Iterator[Assignment | BadSetting]:
    """Read a `.env` file if there is one; values are taken as they stand, without `${...}`.

    A directory of that name is passed over: many keep a virtual environment there.
    """
    if not os.path.isfile(path):  # noqa: PTH113  (unlike the method it never raises)
        return
    try:
        text = read_text(path)
    except DocumentError as error:
        yield _unreadable(error, ".env", shown)
        return
    from dotenv.parser import parse_stream  # noqa: PLC0415  (lazy: most processes have no such file)

    for binding in parse_stream(StringIO(text)):
        blank = re.match(r"\s*", binding.original.string)
        place = Place(binding.original.line + (blank[0].count("\n") if blank else 0), 1)
        if binding.error or (binding.key is not None and binding.value is None):
            yield BadSetting("source_invalid", Origin(".env", shown, place), "not an assignment", expected="NAME=value")
        elif binding.key is not None and binding.value is not None:
            yield Assignment(binding.key, binding.value, place)


def from_file(path: Path, shown: Path) -> Iterator[Entry | BadSetting]:
    """Read a settings file; whatever is wrong with it as a document is one finding."""
    try:
        document = read_document(path)
    except DocumentError as error:
        yield _unreadable(error, "file", shown)
    else:
        yield from _from_document(document, shown)


def find_file(cwd: Path, environ: Mapping[str, str], explicit: Path | None) -> Path | BadSetting | None:
    """Return the settings file that was named, or else the one that lies in the working directory, or None."""
    if explicit is not None:
        return cwd / explicit
    if named := environ.get(CONFIG_VARIABLE):
        return cwd / named
    present = [name for name in FILE_NAMES if os.path.lexists(cwd / name)]
    if len(present) > 1:
        message = f"{' and '.join(present)} lie side by side, and only one can count"
        return BadSetting("source_invalid", Origin("file", Path(present[0])), message, hint="keep one, or name one with --config")
    return cwd / present[0] if present else None


def _from_document(document: Document, shown: Path) -> Iterator[Entry | BadSetting]:
    top = document.value
    if not isinstance(top, dict):
        origin = Origin("file", shown, document.place_of("$"))
        yield BadSetting("wrong_type", origin, "no settings", expected="a mapping of settings", found=name_kind(top))
        return
    for name, value, origin in _members(top, document.mark, shown):
        if name not in sections():
            yield _entry(name, value, origin) if "." not in name else _dotted_key(name, origin)
        elif isinstance(value, dict):
            within = document.mark.inner[name] if document.mark else None
            for inner, inner_value, inner_origin in _members(value, within, shown):
                yield _entry(f"{name}.{inner}", inner_value, inner_origin)
        elif value is not None:  # a section whose keys are all commented out is null
            yield BadSetting("wrong_type", origin, "wrong type", name, expected="a mapping of settings", found=name_kind(value))


def _members(mapping: Mapping[str, JsonValue], mark: Mark | None, shown: Path) -> Iterator[tuple[str, JsonValue, Origin]]:
    for name, value in mapping.items():
        inner = mark.inner.get(name) if mark else None  # what an alias stands for has no marks of its own
        yield name, value, Origin("file", shown, inner.place if inner else mark.place if mark else None)


def _dotted_key(name: str, origin: Origin) -> BadSetting:
    section, _, leaf = name.partition(".")
    hint = f"in a file keys are nested: write {printable(leaf)} below {printable(section)}"
    return BadSetting("unknown_key", origin, "unknown key", printable(name), hint=hint)


def _entry(name: str, value: JsonValue, origin: Origin) -> Entry | BadSetting:
    return Entry(name, value, origin) if name in keys() else _unknown_key(name, origin)


def _from_variable(variable: str, value: str, origin: Origin) -> Iterator[Entry | BadSetting]:
    if not value or not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE:
        return
    variables = {key.variable: key.name for key in keys().values()}
    if variable in variables:
        yield Entry(variables[variable], value, origin)
    else:
        near = _nearest(variable.removeprefix(ENV_PREFIX).replace("__", ".").lower())
        hint = f"did you mean {near.variable}?" if near else "`agent-sdk config show` lists all keys"
        yield BadSetting("unknown_key", replace(origin, variable=None), "unknown key", printable(variable), hint=hint)


def _unknown_key(name: str, origin: Origin) -> BadSetting:
    near = _nearest(name)
    hint = f"did you mean {near.name}?" if near else "`agent-sdk config show` lists all keys"
    return BadSetting("unknown_key", origin, "unknown key", printable(name), hint=hint)


def _nearest(name: str) -> Key | None:
    """Return the key that was probably meant; where the section is right, only what stands behind it is compared."""
    section, dot, leaf = name.partition(".")
    if section in sections():
        leaves = [known.removeprefix(section + dot) for known in keys() if known.startswith(f"{section}.")]
        found = nearest(leaf, leaves)
        near = section + dot + found if found else None
    else:
        near = nearest(name, keys())
    return keys()[near] if near else None


def _unreadable(error: DocumentError, kind: SourceKind, shown: Path) -> BadSetting:
    return BadSetting("source_invalid", Origin(kind, shown, error.place), error.problem, hint=error.hint)
