import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath

import pytest
from hypothesis import given, strategies as st

from agent_sdk.observability.plain import CUT, MAX_VALUES, encodable, lines, one_line, to_plain, to_text, to_traceback


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Broken(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("changed while it was read")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("text", "text"),
        (b"\x00\x01", "<2 bytes>"),
        ((1, "a"), [1, "a"]),
        ({1: {2}}, {"1": [2]}),
        (Decimal("1.50"), "1.50"),
        (PurePosixPath("a/b"), "a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        (Mute(), "<Mute without text: RuntimeError>"),
    ],
)
def test_a_value_becomes_what_json_can_hold(value: object, plain: object) -> None:
    assert to_plain(value) == plain


def test_an_integer_that_python_refuses_to_print_is_named() -> None:
    assert to_plain(2**64) == "18446744073709551616"
    assert to_plain(10**5000) == "<int without text: ValueError>"


def test_a_mapping_that_breaks_while_it_is_read_becomes_its_text() -> None:
    assert isinstance(to_plain({"inner": Broken()}), str)


def test_a_value_that_holds_itself_comes_to_an_end() -> None:
    loop: list[object] = []
    loop.extend([loop] * 50)
    text = json.dumps(to_plain(loop))
    assert text.count("[") <= MAX_VALUES
    assert CUT in text


@given(st.recursive(st.none() | st.text() | st.floats() | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_is_nested_can_be_written_as_strict_json(value: object) -> None:
    json.dumps(to_plain(value), allow_nan=False)


def test_an_error_whose_traceback_cannot_be_had_is_named() -> None:
    error = SyntaxError("wrong")
    error.lineno, error.text = 1, 5  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    assert to_traceback(error) == "<SyntaxError without traceback: AttributeError>"
    assert to_traceback(ValueError("no")) == "ValueError: no\n"


def test_control_characters_are_shown_and_neither_forge_a_line_nor_steer_a_terminal() -> None:
    assert one_line("a\nb\x1b[2Jc\u202e") == "a\\nb\\x1b[2Jc\\u202e"
    assert lines("a\nb\x1b[2J\n") == "a\nb\\x1b[2J"


@given(st.text())
def test_one_line_is_always_printable(text: str) -> None:
    assert one_line(text).isprintable()


def test_what_an_encoding_cannot_hold_is_escaped() -> None:
    assert encodable("äx", "ascii") == "\\xe4x"
    assert encodable("ä\ud800", None) == "ä\\ud800"
    assert to_text("x") == "x"
