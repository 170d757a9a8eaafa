import pytest

from agent_sdk.planning.prompts import render_prompt


def test_placeholders_are_filled_and_other_braces_stay() -> None:
    text = render_prompt("plan", tools="THE TOOLS", output="{{words}}")
    assert "exactly these parameters:\nTHE TOOLS\n" in text
    assert "The answer must be {{words}}." in text
    assert '{"$ref": "goal"}' in text


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        render_prompt("plan", tools="t")
