"""The settings as people see them: each key with its value, secrets masked, and where it came from."""

import json
from collections.abc import Iterator, Mapping
from typing import cast

from pydantic import BaseModel

from agent_sdk.config.findings import mask_url, printable
from agent_sdk.config.load import LoadedSettings
from agent_sdk.config.schema import keys
from agent_sdk.core.frozen import frozen


@frozen
class SettingRow:
    """One line of `config show`."""

    key: str
    value: str
    origin: str


def show_settings(loaded: LoadedSettings) -> Iterator[SettingRow]:
    """Yield a row for each setting, in the order of the tree."""
    for key in keys():
        value: object = loaded.settings
        for name in key.split("."):
            value = getattr(value, name)
        yield SettingRow(key, _render(value), str(loaded.origins[key]))


def _render(value: object) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else printable(json.dumps(plain, ensure_ascii=False))


def _plain(value: object) -> object:
    """Return JSON data; a secret is its reference, or a mask."""
    match value:
        case None | bool():
            return value
        case tuple():
            return [_plain(inner) for inner in cast("tuple[object, ...]", value)]
        case Mapping():
            return {name: _plain(inner) for name, inner in cast("Mapping[str, object]", value).items()}
        case BaseModel():
            return value.model_dump(exclude_none=True)
        case _:
            text = str(value)
            return printable(mask_url(text) if "://" in text else text)
