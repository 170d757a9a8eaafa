"""What a finding shows, and what it hides."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.config.findings import BadSetting, Origin, SettingsInvalid, mask_url, name_kind, printable, render_found
from agent_sdk.config.marks import Place
from agent_sdk.core.errors import ConfigError


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("default"), "default"),
        (Origin("command line"), "command line"),
        (Origin("environment", variable="AGENT_SDK__MODEL"), "environment AGENT_SDK__MODEL"),
        (Origin("file", Path("agent-sdk.toml")), "agent-sdk.toml"),
        (Origin("file", Path("agent-sdk.yaml"), Place(3, 5)), "agent-sdk.yaml:3:5"),
        (Origin(".env", Path(".env"), Place(2, 1), "AGENT_SDK__MODEL"), ".env:2:1 AGENT_SDK__MODEL"),
    ],
)
def test_an_origin_says_where_a_value_was_given(origin: Origin, text: str) -> None:
    assert str(origin) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "null"), (True, "true or false"), (1, "a number"), (1.5, "a number"), ("x", "text"), ([1], "a list"), ({"a": 1}, "a mapping")],
)
def test_a_kind_is_named_without_its_value(value: JsonValue, kind: str) -> None:
    assert name_kind(value) == kind


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (False, "false"),
        (1.5, "1.5"),
        ("größer", '"größer"'),
        ("a\nb\x7f\x9b", r'"a\nb\x7f\x9b"'),
        ("\ud800", r'"\ud800"'),
        (["secret"], "a list"),
        ({"a": "secret"}, "a mapping"),
        ("x" * 100, "text of 102 characters"),
        (10**100, "a number of 101 characters"),
        ("postgres://me:pass/word@host/db?key=x", '"postgres://***@host/db?***"'),
        ("me:pass@host", '"me:***@host"'),
    ],
)
def test_what_was_found_is_short_and_without_credentials(value: JsonValue, text: str) -> None:
    assert render_found(value) == text


@given(st.text())
def test_printable_text_is_printable(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(alphabet="ab:/@? ", min_size=1))
def test_no_credentials_pass_the_mask(name: str) -> None:
    assert "hush" not in mask_url(f"postgres://{name}:hush@host/db")


def test_the_error_holds_every_finding() -> None:
    findings = [
        BadSetting("unknown_key", Origin("command line"), "unknown key", "limit", hint="did you mean limits.max_turns?"),
        BadSetting("source_invalid", Origin("file", Path("a.yaml")), "the file is empty"),
    ]
    error = SettingsInvalid(findings)
    assert isinstance(error, ConfigError)
    assert error.code == "settings_invalid"
    assert error.findings == tuple(findings)
    assert error.message == (
        "2 things are wrong in the settings:\n"
        "- command line (limit): unknown key; hint: did you mean limits.max_turns?\n"
        "- a.yaml: the file is empty"
    )
    assert SettingsInvalid(findings[1:]).message == "one thing is wrong in the settings:\n- a.yaml: the file is empty"
