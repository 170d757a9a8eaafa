"""The catalog that comes with the package."""

import tomllib
from decimal import Decimal
from functools import cache
from importlib.resources import files

from agent_sdk.llm.catalog.parse import CatalogSource


@cache
def builtin_source() -> CatalogSource:
    """Return what `models.toml` says, read once in a process."""
    text = files("agent_sdk.llm.catalog").joinpath("models.toml").read_text(encoding="utf-8")
    return CatalogSource().over(tomllib.loads(text, parse_float=Decimal))
