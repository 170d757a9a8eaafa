"""The settings as people see them: each key with its value, secrets masked, and where it came from."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent_sdk.config.findings import mask_url, printable
from agent_sdk.config.load import LoadedSettings
from agent_sdk.config.schema import keys


@dataclass(frozen=True, slots=True)
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
    if value is None:
        return "null"
    text = str(value)
    return printable(mask_url(text) if "://" in text else text)
