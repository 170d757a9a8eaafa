"""JSON: strict values, and marks that never disagree with them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import JsonValue

from agent_sdk.config.json_text import parse_json
from agent_sdk.config.marks import MAX_DEPTH, DocumentError, Mark, Place

FILE = Path("a.json")

JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def shape(value: JsonValue) -> Iterator[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        yield (name,)
        yield from ((name, *rest) for rest in shape(inner))


def marked(mark: Mark) -> Iterator[tuple[str | int, ...]]:
    for name, inner in mark.inner.items():
        yield (name,)
        yield from ((name, *rest) for rest in marked(inner))


@settings(max_examples=40)
@given(JSON, st.sampled_from([None, 2, "\t"]))
def test_every_value_has_its_mark(value: JsonValue, indent: int | str | None) -> None:
    found, mark = parse_json(json.dumps(value, indent=indent), FILE)
    assert found == value
    assert list(marked(mark)) == list(shape(value))


def test_marks_point_at_keys_and_items() -> None:
    _, mark = parse_json('{\n\t"steps": [\n\t\t{"id": "a",\n\t\t "args": {}},\r\n\t\t7\n]}', FILE)
    assert mark.find("$.steps").place == Place(2, 2)
    assert mark.find("$.steps[0].args").place == Place(4, 4)
    assert mark.find("$.steps[1]").place == Place(5, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "a": 2}', "a.json:2:2: the key 'a' stands twice, in lines 1 and 2"),
        ('{"a": 1,\n "\\u0061": 2}', "a.json:2:2: the key 'a' stands twice, in lines 1 and 2"),
        ('{"a": x}', "a.json:1:7: not JSON: Expecting value"),
        ('{"a": NaN}', "a.json: not JSON: NaN is no JSON number"),
        ("1 2", "a.json:1:3: not JSON: Extra data"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_json(text, FILE)
    assert str(caught.value) == message


def test_a_number_of_thousands_of_digits_is_an_error_of_ours() -> None:
    with pytest.raises(DocumentError, match=r"^a\.json: not JSON: "):
        parse_json("9" * 5000, FILE)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 2, 100_000])
def test_depth_is_bounded(depth: int) -> None:
    with pytest.raises(DocumentError, match=f"more than {MAX_DEPTH} levels deep"):
        parse_json("[" * depth + "]" * depth, FILE)


def test_the_deepest_that_is_allowed_is_read() -> None:
    value, _ = parse_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), FILE)
    assert value != []
