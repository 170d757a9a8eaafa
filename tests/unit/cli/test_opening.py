"""What a command's options say of the settings."""

import pytest

from agent_sdk.cli.opening import Given

LOCAL = "http://localhost:1/v1"


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        (None, "openai.base_url"),
        ("openai:m", "openai.base_url"),
        ("openai-responses:m", "openai.base_url"),
        ("anthropic:m", "anthropic.base_url"),
        ("gemini:m", "gemini.base_url"),
    ],
)
def test_a_server_is_that_of_the_model_s_vendor_and_no_other_key_reaches_it(model: str | None, setting: str) -> None:
    addresses = {key for key, value in Given(model=model, base_url=LOCAL).overrides().items() if value == LOCAL}
    assert addresses == {setting}
