"""Where a setting came from, and what is wrong with one: facts for the faces, and the error that carries all of them at once."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from agent_sdk.config.marks import Place
from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen

MAX_FOUND = 60

SourceKind = Literal["default", "file", ".env", "environment", "command line"]

_CREDENTIALS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:(?://)?)?.*@", re.DOTALL)
_QUERY = re.compile(r"(?<=\?).*", re.DOTALL)


@frozen
class Origin:
    """Where a value was given: in a file (`place` is None for TOML), a variable, an option, or nowhere.

    `path` is relative where the file lies within the working directory.
    """

    kind: SourceKind
    path: Path | None = None
    place: Place | None = None
    variable: str | None = None

    def __str__(self) -> str:
        where = f"{self.path}:{self.place}" if self.place else str(self.path or self.kind)
        return f"{where} {self.variable}" if self.variable else where


DEFAULT = Origin("default")


@frozen
class BadSetting:
    """One thing that is wrong; `key` is dotted, or None where a whole source is meant. No text of it ever holds a secret's value.

    Where the code is `unusable`, what the setting names is not there, or does not go together with the others; where it is `doubtful`, that
    may be so.
    As text the key stands in brackets: what stands behind `api_key:` is taken for a secret wherever texts are redacted.
    """

    code: Literal["unknown_key", "wrong_type", "out_of_range", "wrong_value", "literal_secret", "source_invalid", "unusable", "doubtful"]
    origin: Origin
    message: str
    key: str | None = None
    expected: str | None = None
    found: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        parts = [f"{self.origin} ({self.key}): {self.message}" if self.key else f"{self.origin}: {self.message}"]
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.hint is not None:
            parts.append(f"hint: {self.hint}")
        return "; ".join(parts)


class SettingsInvalid(ConfigError):
    """The settings do not hold; `findings` has every reason."""

    code = "settings_invalid"

    def __init__(self, findings: Sequence[BadSetting]) -> None:
        self.findings = tuple(findings)
        count = "one thing is" if len(self.findings) == 1 else f"{len(self.findings)} things are"
        super().__init__("\n".join([f"{count} wrong in the settings:", *(f"- {finding}" for finding in self.findings)]))


def name_kind(value: JsonValue) -> str:
    """Return what kind of value it is, for where the value itself may be a secret."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def render_found(value: JsonValue) -> str:
    """Return what was found as a short text on one line."""
    if isinstance(value, dict | list):
        return name_kind(value)
    text = json.dumps(mask_url(value) if isinstance(value, str) else value, ensure_ascii=False)
    return printable(text) if len(text) <= MAX_FOUND else f"{name_kind(value)} of {len(text)} characters"


def mask_url(text: str) -> str:
    """Return what may be a URL without its credentials and its query."""
    return _QUERY.sub("***", _CREDENTIALS.sub(r"\1***@", text))


def printable(text: str) -> str:
    """Return the text with its unprintable characters escaped, so that it is safe on a terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
