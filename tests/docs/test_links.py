"""Every link of a page leads somewhere: to a file of the repository, and a heading there; and the modules that pages name exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.test_pages import PAGES, ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
BLOCK = re.compile(r"^(`{3,}).*?^\1 *$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`[^`\n]+`")
MODULE = re.compile(r"`((?:\w+/)*[\w*]+\.(?:py|toml))`")
PLACEHOLDER = re.compile(r"VENDOR\*?")
NEVER = {"utils.py", "helpers.py"}
OUTSIDE = ("https://", "mailto:")
INDEX = "docs/README.md"


def links_of(page: str) -> Iterator[tuple[Path, str]]:
    """Yield where the page's links lead within the repository: the file, and the heading's anchor or an empty text."""
    for link in LINK.findall(SPAN.sub("", BLOCK.sub("", PAGES[page]))):
        if not link.startswith(OUTSIDE):
            path, _, anchor = unquote(link).partition("#")
            yield ((ROOT / page).parent / path).resolve() if path else ROOT / page, anchor


def anchors_of(text: str) -> set[str]:
    """Return the anchors that a page's headings get where Markdown is shown: lower case, hyphens for spaces, no other marks."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(BLOCK.sub("", text))}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    for file, anchor in links_of(page):
        assert file.is_relative_to(ROOT), f"{file} is outside of the repository"
        assert file.exists(), f"{file} is not there"
        assert not anchor or anchor in anchors_of(file.read_text(encoding="utf-8")), f"{file} has no heading #{anchor}"


def test_the_index_names_every_page() -> None:
    named = {file for file, _ in links_of(INDEX)}
    assert {ROOT / page for page in PAGES} <= {*named, ROOT / INDEX}


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_module_that_is_named_exists(page: str) -> None:
    for name in MODULE.findall(PAGES[page]):
        path = PLACEHOLDER.sub("*", name)
        found = [*ROOT.glob(path), *(ROOT / "agent_sdk").glob(path if "/" in path else f"**/{path}")]
        assert bool(found) == (name not in NEVER), name
