"""YAML: values by the core schema, marks, and what is refused."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.config.marks import MAX_DEPTH, DocumentError, Place
from agent_sdk.config.yaml_text import MAX_ALIASED_VALUES, parse_yaml

FILE = Path("a.yaml")


def value_of(text: str) -> JsonValue:
    return parse_yaml(text, FILE)[0]


def error_of(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text, FILE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("~", None),
        ("null", None),
        ("a:", {"a": None}),
        ("true", True),
        ("False", False),
        ("-12", -12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5e1", 5.0),
        ("1e3", 1000.0),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("'5'", "5"),
        ('"null"', "null"),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
        ("---\na: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ('"<<": 1', {"<<": 1}),
    ],
)
def test_a_text_has_the_value_of_the_core_schema(text: str, value: JsonValue) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


def test_marks_point_at_keys_and_items() -> None:
    _, mark = parse_yaml("steps:\n  - id: a\n    tool: read\n  - {id: b}\n", FILE)
    assert mark.find("$.steps").place == Place(1, 1)
    assert mark.find("$.steps[0].tool").place == Place(3, 5)
    assert mark.find("$.steps[1]").place == Place(4, 5)
    assert mark.find("$.steps[1].id").place == Place(4, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: the key 'a' stands twice, in lines 1 and 3"),
        ("a: [1,\n", "a.yaml:2:1: not YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\n\tb: 2\n", "a.yaml:2:1: not YAML: found character '\\t' that cannot start any token"),
        ("a: {b: 1\n  c: 2}", "a.yaml:2:4: not YAML: expected ',' or '}', but got ':'"),
        ("a: [b: {c", "a.yaml:1:10: not YAML: expected ',' or '}', but got '<stream end>'"),
        ('a: "\\q"', "a.yaml:1:6: not YAML: found unknown escape character 'q'"),
        ("a: b: c", "a.yaml:1:5: not YAML: mapping values are not allowed here"),
        ("a: 1\nb: x\x01y", "a.yaml:2:5: not YAML: the character U+0001 may not stand here"),
        ("# nothing", "a.yaml: the file holds no value"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a second document begins here"),
        ("a: !!python/object/apply:os.system [ls]", "a.yaml:1:4: tags are not read"),
        ("!x a: 1", "a.yaml:1:1: tags are not read"),
        ("a: !!set {x}", "a.yaml:1:4: tags are not read"),
        ("1: a", "a.yaml:1:1: a key must be text"),
        ("? [a]\n: b", "a.yaml:1:3: a key must be text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "a.yaml:3:3: merge keys are not read"),
        ("a: *nowhere", "a.yaml:1:4: an alias of nothing above it"),
        ("a: &x [*x]", "a.yaml:1:8: an alias of nothing above it"),
        ("a: " + "9" * 5000, "a.yaml:1:4: a number of so many digits is not read"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, message: str) -> None:
    assert error_of(text) == message


def test_text_that_was_meant_as_a_secret_is_not_repeated() -> None:
    assert "hunter2" not in error_of("api_key: *hunter2")
    assert error_of("api_key: !hunter2!x y") == "a.yaml:1:10: not YAML: found undefined tag handle this"
    assert error_of("%TAG !hunter2! x\n%TAG !hunter2! y\n---\na") == "a.yaml:2:1: not YAML: duplicate tag handle this"


def test_depth_is_bounded() -> None:
    assert error_of("[" * (MAX_DEPTH + 2)) == f"a.yaml:1:{MAX_DEPTH + 2}: values lie more than {MAX_DEPTH} levels deep"


def test_aliases_of_aliases_are_bounded() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert f"aliases stand for more than {MAX_ALIASED_VALUES} values" in error_of(bomb)


@given(st.text(max_size=200))
def test_any_text_gives_a_value_or_an_error_of_ours(text: str) -> None:
    with suppress(DocumentError):
        parse_yaml(text, FILE)
