"""Secrets: what a reference is, how it is resolved, and that nothing shows one."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from agent_sdk.config.secret import Secret, SecretLiteral, SecretRef, SecretUnresolved

HUSH = "sk-hush"


@pytest.mark.parametrize("text", ["env:OPENAI_API_KEY", "file:/run/secrets/key", "file:key with spaces.txt"])
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(SecretRef.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "sk-hush", "env:", "env:1A", "env:a b", "env:A\n", "file:", "file:  ", "file:a\0b", "vault:x", "ENV:A"]
)
def test_other_text_is_no_reference(text: str) -> None:
    assert SecretRef.parse(text) is None


def test_a_variable_is_read_from_the_environment_that_is_given() -> None:
    assert SecretRef("env", "KEY").resolve({"KEY": HUSH}) == HUSH


@pytest.mark.parametrize("text", [HUSH, HUSH + "\n", HUSH + "\r\n"])
def test_a_file_is_read_without_its_last_line_end(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, newline="")
    assert SecretRef("file", "key").resolve({}, tmp_path) == HUSH
    assert SecretRef("file", str(tmp_path / "key")).resolve({}) == HUSH


@pytest.mark.parametrize(
    ("environ", "message", "hint"),
    [
        ({}, "the secret env:KEY is not set, or empty", "set the environment variable KEY"),
        ({"KEY": " "}, "the secret env:KEY is not set, or empty", "set the environment variable KEY"),
        ({"KEY": "a\nb"}, "the secret env:KEY holds line ends or other unprintable characters", "keep it on one line"),
        ({"KEY": "a\n\n"}, "the secret env:KEY holds line ends or other unprintable characters", "keep it on one line"),
    ],
)
def test_a_variable_that_gives_no_secret_says_why(environ: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(SecretUnresolved) as caught:
        SecretRef("env", "KEY").resolve(environ)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.code == "secret_unresolved"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("missing", None, "the secret file:missing cannot be had: there is no such file"),
        ("empty", b"\n", "the secret file:empty is an empty file"),
        ("binary", b"\xff\xfe", "the secret file:binary cannot be had: not UTF-8: byte 1 is 0xff"),
        ("large", b"x" * 70_000, "the secret file:large cannot be had: larger than 65536 bytes"),
        (".", None, "the secret file:. cannot be had: a directory, not a file"),
    ],
)
def test_a_file_that_gives_no_secret_says_why(tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(SecretUnresolved) as caught:
        SecretRef("file", name).resolve({}, tmp_path)
    assert caught.value.message == message
    assert caught.value.hint


def test_a_literal_resolves_to_itself_by_the_same_rules() -> None:
    assert SecretLiteral(SecretStr(HUSH + "\n")).resolve({}) == HUSH
    with pytest.raises(SecretUnresolved, match=r"^the secret \*{8} is empty"):
        SecretLiteral(SecretStr("")).resolve({})


@pytest.mark.parametrize("secret", [SecretLiteral(SecretStr(HUSH)), SecretRef("env", "KEY")])
def test_no_form_of_a_secret_shows_its_value(secret: Secret) -> None:
    assert HUSH not in f"{secret} {secret!r} {[secret]}"
