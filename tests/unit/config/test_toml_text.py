"""TOML: values as JSON has them."""

from pathlib import Path

import pytest
from pydantic import JsonValue

from agent_sdk.config.marks import MAX_DEPTH, DocumentError
from agent_sdk.config.toml_text import parse_toml

FILE = Path("a.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("a = 1\n[b]\nc = [true, 1.5, 'x']", {"a": 1, "b": {"c": [True, 1.5, "x"]}}),
        ("a = 2026-01-01\nb = 12:30:00", {"a": "2026-01-01", "b": "12:30:00"}),
        ("a = 2026-01-01T00:00:00Z", {"a": "2026-01-01T00:00:00+00:00"}),
    ],
)
def test_a_text_has_its_value(text: str, value: JsonValue) -> None:
    assert parse_toml(text, FILE) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = \n", "a.toml:1:5: not TOML: Invalid value"),
        ("a = 1\na = 2\n", "a.toml:2:6: not TOML: Cannot overwrite a value"),
        ("a = nan", "a.toml: $.a is a number that cannot be read"),
        ("[a]\nb = [1, inf]", "a.toml: $.a.b[1] is a number that cannot be read"),
        (f"a = 0x{'f' * 5000}", "a.toml: $.a is a number that cannot be read"),
        ("a = " + "[" * 50_000, f"a.toml: values lie more than {MAX_DEPTH} levels deep"),
        (".".join("a" * (MAX_DEPTH + 1)) + " = 1", f"a.toml: values lie more than {MAX_DEPTH} levels deep"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_toml(text, FILE)
    assert str(caught.value) == message


def test_an_end_that_comes_too_early_has_no_place() -> None:
    with pytest.raises(DocumentError, match=r"^a\.toml: not TOML: [^(]+$"):
        parse_toml("a = '''x", FILE)


def test_a_number_of_thousands_of_digits_is_an_error_of_ours() -> None:
    with pytest.raises(DocumentError, match=r"^a\.toml: not TOML: "):
        parse_toml("a = " + "9" * 5000, FILE)
