"""The catalog of models that holds for a process: the package's own, and the operator's file over it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agent_sdk.core.ports import Clock
from agent_sdk.llm.catalog import Catalog, CatalogInvalid, builtin_source

if TYPE_CHECKING:  # the settings' models load with the first settings
    from agent_sdk.config import LoadedSettings


def configured_catalog(loaded: "LoadedSettings", clock: Clock) -> Catalog:
    """Return the catalog that the settings name.

    Raises:
        DocumentError: the operator's file cannot be read.
        CatalogInvalid: it does not hold.
    """
    named = loaded.settings.catalog
    return open_catalog(None if named is None else loaded.cwd / named, clock, named)


def open_catalog(path: Path | None, clock: Clock, name: str | None = None) -> Catalog:
    """Return the catalog with the prices of today; `path` is the operator's file, of YAML, TOML or JSON, and `name` what it is called.

    Raises:
        DocumentError: the file cannot be read.
        CatalogInvalid: it does not hold; each finding has file and line in front of its path.
    """
    source = builtin_source()
    if path is not None:
        from agent_sdk.config import read_document  # noqa: PLC0415  (few processes have a catalog of their own)

        document = read_document(path)
        try:
            source = source.over(document.value, file=name or str(path))
        except CatalogInvalid as error:
            places = [document.place_of(finding.path) for finding in error.findings]
            where = [f"{path}:{place}" if place is not None else str(path) for place in places]
            found = [replace(finding, path=f"{at}: {finding.path}") for at, finding in zip(where, error.findings, strict=True)]
            raise CatalogInvalid(found) from error
    return source.catalog(datetime.fromtimestamp(clock.now_us() / 1e6, UTC).date())
