"""Loads the settings: command line over environment over `.env` over file over default; tells all that is wrong at once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from agent_sdk.config.findings import DEFAULT, BadSetting, Origin, SettingsInvalid, name_kind, render_found
from agent_sdk.config.schema import Key, keys
from agent_sdk.config.secret import Secret
from agent_sdk.config.settings import Settings
from agent_sdk.config.sources import (
    Assignment,
    Entry,
    find_file,
    from_assignments,
    from_environ,
    from_file,
    from_overrides,
    read_assignments,
)
from agent_sdk.core.frozen import frozen

_HOLDS_SECRETS = {".env", "environment"}
_RANGE_ERRORS = {"greater_than", "greater_than_equal", "less_than_equal", "finite_number", "int_parsing_size"}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@frozen
class LoadedSettings:
    """The settings with the origin of each by its dotted key.

    `environ` is the environment with what `.env` adds to it, and `cwd` is where relative paths start; references to secrets
    are resolved there.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path

    def resolve(self, secret: Secret) -> str:
        """Fetch a secret.

        Raises:
            SecretUnresolved: it cannot be had.
        """
        return secret.resolve(self.environ, self.cwd)


def load_settings(
    *,
    overrides: Mapping[str, JsonValue] | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str],
    cwd: Path,
) -> LoadedSettings:
    """Read all sources; `overrides` come from the command line by dotted keys, `config_file` is one that must be there.

    Raises:
        SettingsInvalid: anything in any source is wrong, even where another source overrides it.
    """
    loaded, findings = examine_settings(overrides=overrides, config_file=config_file, environ=environ, cwd=cwd)
    if findings:
        raise SettingsInvalid(findings)
    return loaded


def examine_settings(
    *,
    overrides: Mapping[str, JsonValue] | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str],
    cwd: Path,
) -> tuple[LoadedSettings, list[BadSetting]]:
    """Read all sources as `load_settings` does, and return what holds beside all that is wrong."""
    lines = list(read_assignments(cwd / ".env", Path(".env")))
    surroundings = {line.variable: line.value for line in lines if isinstance(line, Assignment) and line.value}
    surroundings |= {name: value for name, value in environ.items() if value}
    file = find_file(cwd, surroundings, config_file)
    given: list[Entry | BadSetting] = [
        *(from_file(file, _shown(file, cwd)) if isinstance(file, Path) else [file] if file else []),
        *from_assignments(lines, Path(".env")),
        *from_environ(environ),
        *from_overrides(overrides or {}),
    ]
    settings, origins, findings = _merge(given)
    return LoadedSettings(settings, origins, surroundings, cwd), findings


def _shown(path: Path, cwd: Path) -> Path:
    return path.relative_to(cwd) if path.is_relative_to(cwd) else path


def _merge(given: Iterable[Entry | BadSetting]) -> tuple[Settings, Mapping[str, Origin], list[BadSetting]]:
    """Let later entries win over earlier ones, and leave out those that are wrong."""
    findings: list[BadSetting] = []
    values: dict[str, object] = {}
    origins = dict.fromkeys(keys(), DEFAULT)
    for entry in given:
        if isinstance(entry, BadSetting):
            findings.append(entry)
            continue
        try:
            values[entry.key] = _parse(entry)
        except ValidationError as error:
            findings.extend(_finding(entry, details) for details in error.errors(include_url=False))
        else:
            origins[entry.key] = entry.origin
    return Settings.model_validate(_tree(values)), origins, findings


def _parse(entry: Entry) -> object:
    """Check one value by its field.

    Text from a variable or an option may stand for a number, or for `null`; in a file a value has its type.
    """
    value = entry.value
    is_loose = entry.origin.kind != "file" and isinstance(value, str)
    if is_loose and value == "null" and keys()[entry.key].is_nullable:
        value = None
    parsed = Settings.model_validate(
        _tree({entry.key: value}),
        strict=not is_loose,
        context={"literal_secrets": entry.origin.kind in _HOLDS_SECRETS},
    )
    found: object = parsed
    for name in entry.key.split("."):
        found = getattr(found, name)
    return found


def _tree(values: Mapping[str, object]) -> dict[str, object]:
    """Nest the values of dotted keys."""
    tree: dict[str, object] = {}
    inner: dict[str, dict[str, object]] = {}
    for name, value in values.items():
        section, _, leaf = name.rpartition(".")
        if section:
            tree[section] = inner.setdefault(section, {})
            inner[section][leaf] = value
        else:
            tree[leaf] = value
    return tree


def _finding(entry: Entry, details: ErrorDetails) -> BadSetting:
    key = keys()[entry.key]
    context = details.get("ctx", {})
    found = name_kind(entry.value) if key.is_secret else render_found(entry.value)
    kind = details["type"]
    if kind == "literal_secret":
        return BadSetting("literal_secret", entry.origin, details["msg"], key.name, key.expected, hint=context["hint"])
    if kind in _RANGE_ERRORS:
        return BadSetting("out_of_range", entry.origin, "out of range", key.name, key.expected, found)
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return BadSetting("wrong_type", entry.origin, "wrong type", key.name, key.expected, found, _hint_on_type(entry, key))
    return BadSetting("wrong_value", entry.origin, "not allowed", key.name, key.expected, found, context.get("hint") or None)


def _hint_on_type(entry: Entry, key: Key) -> str | None:
    """Say so where only quotes are missing or too many."""
    if entry.origin.kind != "file" or isinstance(entry.value, dict | list | None):
        return None
    if not isinstance(entry.value, str):
        return None if key.is_number else "put it in quotes"
    return "take the quotes off" if key.is_number and _NUMBER.fullmatch(entry.value) else None
