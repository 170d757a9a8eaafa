"""The locks: exact versions with hashes, and nothing of the machine that wrote them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"[a-z0-9.-]+==\S+(?: ; [^;]+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def locked(name: str) -> str:
    return (ROOT / "locks" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run.txt", "dev.txt"])
def test_a_lock_holds_pinned_and_hashed_requirements_and_nothing_else(name: str) -> None:
    assert PINNED.sub("", locked(name)) == ""


def test_what_runs_is_tested_in_the_same_versions() -> None:
    assert set(PINNED.findall(locked("run.txt"))) <= set(PINNED.findall(locked("dev.txt")))
