import json
import string

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.observability.redact import MASK, MAX_DEPTH, is_secret_name, redact_json, redact_text

ALNUM = string.ascii_letters + string.digits
SECRET_NAMES = [
    *("password", "db_password", "userPassword", "passwd", "passphrase", "pwd", "secret", "client_secret", "secrets", "credentials"),
    *("api_key", "apiKey", "API-KEY", "x-api-key", "OPENAI_API_KEY", "aws_secret_access_key", "accessKey", "privateKey", "signing_key"),
    *("token", "access_token", "accessToken", "X-Auth-Token", "csrftoken", "refresh_tokens", "Authorization", "proxy-authorization"),
    *("cookie", "Set-Cookie", " token "),
]
PLAIN_NAMES = [
    "tokens",
    "input_tokens",
    "max_output_tokens",
    "token_type",
    "key",
    "idempotency_key",
    "author",
    "path",
    "monkey",
    "keys",
    "",
]


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def letters(length: int, alphabet: str = ALNUM) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=length, max_size=length + 20)


KNOWN_FORMS = st.one_of(
    joined(st.sampled_from(["sk-", "sk-proj-", "sk-ant-api03-", "sk_live_", "rk_test_"]), letters(20)),
    joined(st.sampled_from(["ghp_", "gho_", "hf_", "gsk_", "npm_"]), letters(36)),
    joined(st.sampled_from(["github_pat_", "glpat-", "xoxb-", "ya29.", "nvapi-"]), letters(24)),
    joined(st.just("AIza"), letters(35)),
    joined(st.sampled_from(["AKIA", "ASIA"]), st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16)),
    joined(st.just("eyJ"), letters(20), st.just("."), letters(20), st.just("."), letters(20)),
)
AROUND = st.text(st.characters(exclude_categories=["Cs", "L", "N"]), max_size=12)
"""Anything but letters and digits: a key in the middle of a word is no key."""


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_of_other_things_are_left(name: str) -> None:
    assert not is_secret_name(name)


@given(KNOWN_FORMS, AROUND, AROUND)
def test_a_planted_key_of_a_known_form_never_survives(secret: str, before: str, after: str) -> None:
    assert secret not in redact_text(before + secret + after)


@given(KNOWN_FORMS, st.integers(0, 400), st.integers(1, 300))
def test_no_piece_of_a_planted_key_survives_where_the_text_is_cut(secret: str, place: int, limit: int) -> None:
    text = "word " * (place // 5) + secret + " word" * 100
    assert not any(secret[start : start + 12] in redact_text(text, limit) for start in range(len(secret) - 11))


@given(
    st.sampled_from([name for name in SECRET_NAMES if name == name.strip() and not name.endswith("tokens")]),
    st.sampled_from(["=", ": ", " = ", '="', "='", '": "', "': '", '\\": \\"', " => ", ":="]),
    letters(8),
)
def test_a_value_written_behind_the_name_of_a_secret_never_survives(name: str, between: str, secret: str) -> None:
    quote = between[-1] if between[-1] in "'\"" else ""
    assert secret not in redact_text(f"call with {name}{between}{secret}{quote} and go on")


@given(st.sampled_from(["Bearer", "bearer", "Basic"]), letters(16))
def test_credentials_behind_their_scheme_never_survive(scheme: str, secret: str) -> None:
    assert secret not in redact_text(f"sent {scheme} {secret} to it")


@given(st.sampled_from(["postgresql", "https", "redis", "mongodb+srv"]), letters(4), st.text(ALNUM + ":@!$%", min_size=8))
def test_userinfo_of_a_url_never_survives(scheme: str, user: str, password: str) -> None:
    shown = redact_text(f"connect to {scheme}://{user}:{password}@db.example/app failed")
    assert shown == f"connect to {scheme}://{MASK}@db.example/app failed"


@pytest.mark.parametrize("end", ["\n-----END RSA PRIVATE KEY-----\nrest", ""])
def test_a_private_key_goes_with_its_whole_block_even_if_the_text_breaks_off(end: str) -> None:
    assert (
        redact_text(f"a -----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc{end}") == f"a {MASK}{end.partition('-----END RSA PRIVATE KEY-----')[2]}"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Digest a=1, b=2\nnext", f"Authorization: {MASK}\nnext"),
        ("{'Authorization': 'Digest a b', 'Accept': '*'}", f"{{'Authorization': {MASK}, 'Accept': '*'}}"),
        ("GET /x?api_key=abc&limit=3", f"GET /x?api_key={MASK}&limit=3"),
        ("Settings(password='a b', port=1)", f"Settings(password={MASK}, port=1)"),
        ('{"password": "a\\"b", "port": 1}', f'{{"password": {MASK}, "port": 1}}'),
        ("password=b'a b'", f"password={MASK}"),
    ],
)
def test_what_stands_around_a_secret_is_kept(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "counted 120 modules in 3.2 s",
        "input_tokens=12 output_tokens: 5 max_tokens=100",
        "the basic idea; a bearer of news",
        "see https://example.com/a@b?c=d:e@f",
        "step.finished task-understanding-the-things",
        "the key is in the monkey's passport",
        "digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_ordinary_text_is_left(text: str) -> None:
    assert redact_text(text) == text


@given(st.text() | KNOWN_FORMS.map(lambda secret: f"password={secret}; Authorization: {secret}\n{secret} http://u:{secret}@h"))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


def test_a_long_text_is_cut_between_words_and_says_so() -> None:
    assert redact_text("one two three", 9) == "one two ... (5 more characters)"
    assert redact_text("one two three", 13) == "one two three"


def test_data_is_masked_by_name_and_by_pattern_at_any_depth() -> None:
    value: JsonValue = {"a": [{"Password": 12345, "is_secret": True, "token": None}], "note": "Bearer abcdefgh12345678", "n": 1}
    assert redact_json(value) == {"a": [{"Password": MASK, "is_secret": True, "token": None}], "note": f"Bearer {MASK}", "n": 1}


def test_everything_under_the_name_of_a_secret_goes() -> None:
    assert redact_json({"credentials": {"user": "ann", "list": [1]}}) == {"credentials": MASK}


def test_a_secret_that_is_itself_a_name_is_masked() -> None:
    assert redact_json({"sk-proj-abcdefghijklmnop": 1}) == {MASK: 1}


def test_what_is_nested_too_deep_is_masked_whole() -> None:
    value: JsonValue = "sk-proj-abcdefghijklmnop"
    for _ in range(MAX_DEPTH + 10):
        value = [value]
    assert MASK in json.dumps(redact_json(value))
    assert "sk-proj" not in json.dumps(redact_json(value))


@given(KNOWN_FORMS, st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_a_key_planted_in_data_never_survives(secret: str, value: JsonValue) -> None:
    assert secret not in json.dumps(redact_json({"outer": [value, {"inner": f"<{secret}>"}, {"password": value}]}))


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        ("", "password="),
        ("", "://"),
        ("://", "a"),
        ("eyJ", "a"),
        ("Bearer ", "a"),
        ("Bearer", " "),
        ('password="', "\\"),
        ("", "-----BEGIN PRIVATE KEY-----"),
        ("", "sk-"),
        ("token", " "),
        ("", "api-"),
    ],
)
def test_hostile_text_costs_no_more_than_linear_time(start: str, repeated: str) -> None:
    """With quadratic time each of these would take minutes."""
    redact_text(start + repeated * 50_000)
