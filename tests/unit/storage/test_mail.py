"""What is read of an inbox item's body."""

import pytest
from pydantic import JsonValue

from agent_sdk.storage.mail import inbox_body


@pytest.mark.parametrize(
    ("stored", "body"),
    [(b'{"step":"a"}', {"step": "a"}), ('"text"', "text"), (b"not json", None), (b"\xff\x00\xfe", None), (b"", None)],
)
def test_a_body_that_is_no_json_is_none_and_not_an_error(stored: str | bytes, body: JsonValue) -> None:
    assert inbox_body(stored) == body
