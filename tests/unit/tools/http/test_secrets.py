import json
from base64 import b64encode
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, strategies as st
from pydantic import SecretStr

from agent_sdk.core.errors import ConfigError
from agent_sdk.tools.http.secrets import MASK, Header, Secrets, checked_header

KEY = 'sk-a/b+c"d e&f'


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        f"Bearer {KEY}",
        quote(KEY, safe=""),
        quote_plus(KEY),
        quote(KEY, safe="").lower(),
        json.dumps(KEY)[1:-1],
        json.dumps(KEY)[1:-1].replace("/", "\\/"),
        escape(KEY),
        b64encode(KEY.encode()).decode(),
        b64encode(f"Bearer {KEY}".encode()).decode(),
    ],
)
def test_a_secret_is_cut_out_however_it_is_echoed(echo: str) -> None:
    secrets = Secrets.of_headers([("Authorization", f"Bearer {KEY}")])
    cleaned = secrets.clean(f"you sent <{echo}>, did you not?")
    assert cleaned.startswith("you sent <")
    assert cleaned.endswith(">, did you not?")
    assert MASK in cleaned
    assert "sk-a" not in cleaned


def test_basic_credentials_are_known_by_what_they_hold() -> None:
    pair = b64encode(b"ann:open sesame").decode()
    secrets = Secrets.of_headers([("authorization", f"Basic {pair}")])
    for echo in [pair, "ann:open sesame", "open sesame"]:
        assert secrets.clean(f"<{echo}>") in {f"<{MASK}>", f"<ann:{MASK}>"}
    assert Secrets.of_headers([("authorization", "Basic ???")]).clean("<???>") == "<???>", "too short to be cut out of every page"


@pytest.mark.parametrize(
    ("name", "value", "is_cut"),
    [
        ("X-Api-Key", "abcdef", True),
        ("Cookie", "abcdef", True),
        ("X-Session", "abcdef", True),
        ("Accept", "abcdef", False),
        ("Accept", SecretStr("abcdef"), True),
        ("X-Api-Key", "abc", False),
    ],
)
def test_what_is_secret_is_said_by_the_type_or_the_name(name: str, value: Header, is_cut: bool) -> None:
    text = value if isinstance(value, str) else value.get_secret_value()
    assert Secrets.of_headers([(name, value)]).clean(f"<{text}>") == (f"<{MASK}>" if is_cut else f"<{text}>")


def test_json_is_cleaned_at_every_depth_keys_too() -> None:
    secrets = Secrets(["abcdef"])
    assert secrets.clean_json({"abcdef": [1, None, {"x": "-abcdef-"}]}) == {MASK: [1, None, {"x": f"-{MASK}-"}]}
    assert Secrets([]).clean_json(["abcdef"]) == ["abcdef"]


@given(st.integers(0, 6))
def test_a_cut_leaves_no_large_part_of_a_secret_behind(kept: int) -> None:
    text = "x" * 10 + "abcdef"[:kept]
    assert Secrets(["abcdef"]).clean_cut(text) == ("x" * 10 + MASK if kept >= 4 else text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "evil.test"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "br"),
        ("Bad Name", "x"),
        ("", "x"),
        ("X:", "x"),
        ("X\n", "x"),
        ("X", "a\r\nHost: evil.test"),
        ("X", "a\0"),
        ("X", SecretStr("key\n")),
        ("X", " a"),
        ("X", "é"),
    ],
)
def test_headers_that_no_request_may_hold_are_refused_without_showing_them(name: str, value: Header) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_header(name, value)
    assert str(value) == "x" or str(value) not in str(caught.value)


def test_a_header_has_one_name_however_it_is_written() -> None:
    assert checked_header("x-api-KEY", SecretStr("k")) == ("X-Api-Key", "k")
