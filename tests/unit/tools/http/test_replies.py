import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.tools.http.replies import retry_after_s, shown_body, shown_headers
from agent_sdk.tools.http.secrets import Secrets

NOTHING = Secrets([])
FILE = b'{"type": "file", "ref": "data:image/png;base64,aGk=", "media_type": "image/png"}'


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b'{"a": [1, "\xc3\xa9"]}', "application/json", {"a": [1, "é"]}),
        (b"[1]", "application/problem+json; charset=utf-8", [1]),
        (b"null", "text/json", None),
        ("Grüße".encode(), "text/plain", "Grüße"),
        ("Grüße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Grüße"),
        ("“x”".encode("cp1252"), 'text/html; charset="latin1"', "“x”"),
        ("かな".encode("shift_jis"), "text/html;charset=Shift_JIS", "かな"),
        ("Grüße".encode("utf-16"), "text/plain", "Grüße"),
        ("Grüße".encode("utf-16-be"), "text/plain; charset=utf-16be", "Grüße"),
        (b"\xef\xbb\xbfa", "text/plain; charset=latin1", "a"),
        (b"a", "text/plain; charset=nonsense", "a"),
        (b"a", "text/plain; charset=punycode", "a"),
        (b"a\\x41", "text/plain; charset=unicode_escape", "a\\x41"),
        (b"6161", "text/plain; charset=hex", "6161"),
        (b"<a/>", "application/xhtml+xml", "<a/>"),
        (b"a=b", "application/x-www-form-urlencoded", "a=b"),
        (b"plain", "", "plain"),
        (b"", "image/png", None),
        (FILE, "application/json", FILE.decode()),  # no server puts a file before the model, or has its vendor fetch one
    ],
)
def test_text_and_json_are_shown_as_such(body: bytes, content_type: str, shown: JsonValue) -> None:
    found = shown_body(body, content_type, NOTHING, is_cut=False)
    assert (found.body, found.note) == (shown, None)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"\x89PNG", "image/png"), (b"a\0b", "text/plain"), (b"\0", ""), (b"a", "application/octet-stream"), (b"a", "x" * 500)],
)
def test_what_is_no_text_is_not_shown_and_the_note_says_so(body: bytes, content_type: str) -> None:
    found = shown_body(body, content_type, NOTHING, is_cut=False)
    assert found.body is None
    assert found.note is not None
    assert f"{len(body)} bytes" in found.note
    assert len(found.note) < 150


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a": 1, "a": 2}',
        b"NaN",
        b'"\\ud800"',
        b"[" * 200 + b"]" * 200,
        b"[" * 99_999,
        b"9" * 5000,
        b"9" * 4250,
        b"<html>",
        b"1e999",
    ],
)
def test_what_only_calls_itself_json_is_shown_as_text(body: bytes) -> None:
    found = shown_body(body, "application/json", NOTHING, is_cut=False)
    assert found.body == body.decode()
    assert found.note is not None
    assert "JSON" in found.note


def test_bytes_that_are_no_text_are_replaced_and_the_note_says_so() -> None:
    found = shown_body(b"a\xffb", "text/plain", NOTHING, is_cut=False)
    assert found.body == "a\N{REPLACEMENT CHARACTER}b"
    assert found.note is not None


@given(st.text(st.characters(codec="utf-8"), max_size=8), st.integers(0, 40))
def test_a_cut_never_leaves_half_a_character(text: str, size: int) -> None:
    body = text.encode()[:size]
    found = shown_body(body, "text/plain", NOTHING, is_cut=len(body) < len(text.encode()))
    assert found.body is None or (isinstance(found.body, str) and (text.startswith(found.body) or "\0" in text or text[:1] == "\ufeff"))
    assert found.note is None or "\0" in text


def test_json_that_was_cut_is_text() -> None:
    assert shown_body(b'{"a": 1}', "application/json", NOTHING, is_cut=True).body == '{"a": 1}'


def test_secrets_are_cut_out_of_text_json_headers_and_complaints() -> None:
    secrets = Secrets(["hidden/key"])
    for body in [b"a hidden/key", b'{"hidden/key": "hidden\\/key"}', b'{"hidden\\u002fkey": 1}', b'{"hidden/key": 1, "hidden/key": 2}']:
        for content_type in ["text/plain", "application/json"]:
            if b"u002f" in body and content_type == "text/plain":
                continue  # read as text, it is no echo of the secret
            found = shown_body(body, content_type, secrets, is_cut=False)
            assert "key" not in f"{found.body}{found.note}".replace("the key", "")
    assert shown_headers({"location": "/?k=hidden%2Fkey", "set-cookie": "a=b", "x-other": "1"}, secrets) == {"location": "/?k=[secret]"}


def test_headers_are_text_of_bounded_length() -> None:
    shown = shown_headers({"etag": "\udcff" + "x" * 5000}, NOTHING)
    assert shown["etag"].encode().startswith(b"?x")
    assert len(shown["etag"]) == 1000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 22:00:10 GMT", "date": "Mon, 23 Nov 2026 22:00:00 GMT"}, 10.0),
        ({"retry-after": "Mon, 23 Nov 2026 21:00:00 GMT", "date": "Mon, 23 Nov 2026 22:00:00 GMT"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 22:00:10 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 22:00:10 -0000", "date": "Mon, 23 Nov 2026 22:00:00 GMT"}, None),
    ],
)
def test_how_long_to_wait_is_read_by_the_servers_own_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
