"""The catalog of a process: the package's own, an operator's file over it, and errors with file and line."""

from pathlib import Path

import pytest

from agent_sdk.config import DocumentError, load_settings
from agent_sdk.llm.catalog import CatalogInvalid
from agent_sdk.runtime.catalogs import configured_catalog, open_catalog
from agent_sdk.testing import VirtualClock, run_virtual

MINE = """\
as_of: "2026-11-24"
models:
  - vendor: openai
    name: house-model
    context_tokens: 8000
    prices: {input: 0.25, output: "1.5"}
"""


async def in_its_time(path: Path | None) -> object:
    return open_catalog(path, VirtualClock())


def test_without_a_file_it_is_the_packages_own(tmp_path: Path) -> None:
    async def main() -> None:
        catalog = configured_catalog(load_settings(environ={}, cwd=tmp_path), VirtualClock())
        assert catalog.find("openai", "gpt-5-mini") is not None

    run_virtual(main())


def test_a_file_goes_over_it_found_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(MINE)

    async def main() -> None:
        catalog = configured_catalog(load_settings(environ={"AGENT_SDK__CATALOG": "models.yaml"}, cwd=tmp_path), VirtualClock())
        entry = catalog.find("openai", "house-model")
        assert entry is not None
        assert entry.prices is not None
        assert (str(entry.prices.base.input), str(entry.prices.base.output)) == ("0.25", "1.5")
        assert catalog.find("openai", "gpt-5-mini") is not None

    run_virtual(main())


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("models.yaml", MINE.replace("0.25", "a lot"), "models.yaml:6:14: $.models[0].prices.input: this is no price"),
        ("models.toml", 'as_of = "2026-11-24"\nmodel = []\n', "models.toml: $.model: there is no key 'model' here"),
        ("models.json", "[]", "models.json:1:1: $: this is no mapping"),
    ],
)
def test_a_file_that_does_not_hold_is_told_with_its_place(tmp_path: Path, name: str, text: str, where: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CatalogInvalid, match="does not hold") as caught:
        run_virtual(in_its_time(tmp_path / name))
    assert where in caught.value.message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="there is no such file"):
        run_virtual(in_its_time(tmp_path / "none.yaml"))
