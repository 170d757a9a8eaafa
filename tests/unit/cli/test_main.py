"""The commands come when they are called, and help speaks of all of them."""

import pytest

from agent_sdk.cli.main import PARTS, load_part


@pytest.mark.parametrize("name", PARTS)
def test_a_command_says_of_itself_what_the_help_of_all_says(name: str) -> None:
    summary = " ".join(load_part(PARTS[name]).help.split("\n\n")[0].split())
    assert summary == PARTS[name].summary
