"""Paths through the marks of a document."""

from pathlib import Path

import pytest

from agent_sdk.config.marks import DocumentError, Mark, Place

STEP = Mark(Place(2, 3), {"tool": Mark(Place(2, 5)), "args": Mark(Place(3, 5), {"limit": Mark(Place(4, 7))})})
ROOT = Mark(Place(1, 1), {"steps": Mark(Place(1, 1), {0: STEP})})


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("$", Place(1, 1)),
        ("$.steps[0].tool", Place(2, 5)),
        ("$.steps[0].args.limit", Place(4, 7)),
        ("$.steps[0].args.missing.deeper", Place(3, 5)),
        ("$.steps[7].tool", Place(1, 1)),
        ("$.nothing", Place(1, 1)),
    ],
)
def test_a_path_leads_to_its_mark_or_the_nearest_above_it(path: str, place: Place) -> None:
    assert ROOT.find(path).place == place


def test_an_error_names_file_line_and_column() -> None:
    assert str(DocumentError(Path("plan.yaml"), "it is odd", place=Place(3, 7))) == "plan.yaml:3:7: it is odd"
    assert str(DocumentError(Path("plan.yaml"), "it is odd")) == "plan.yaml: it is odd"
