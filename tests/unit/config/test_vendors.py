"""How vendors are reached: addresses, keys, headers and proxies, and which of them may be seen."""

import json

import pytest
from pydantic import SecretStr, ValidationError

from agent_sdk.config.secret import SecretLiteral, SecretRef, SecretUnresolved
from agent_sdk.config.vendors import AnthropicSettings, GeminiSettings, OpenAISettings, VendorSettings

HUSH = "sk-hush"
LITERALS = {"literal_secrets": True}


def hint_of(caught: pytest.ExceptionInfo[ValidationError]) -> str:
    return str(caught.value.errors()[0].get("ctx", {}).get("hint"))


def test_a_base_url_loses_its_last_slash() -> None:
    assert OpenAISettings(base_url="http://localhost:11434/v1/").base_url == "http://localhost:11434/v1"


@pytest.mark.parametrize(
    "url", ["ftp://h", "https://", "localhost:11434", "https://u:p@h", "https://h?k=v", "https://h#f", "https://h:x", "https://h/\n"]
)
def test_a_base_url_is_plain_http(url: str) -> None:
    with pytest.raises(ValidationError):
        OpenAISettings(base_url=url)


def test_a_literal_secret_is_taken_only_as_such() -> None:
    literal = SecretLiteral(SecretStr(HUSH))
    assert OpenAISettings(api_key=literal).api_key == literal
    with pytest.raises(ValidationError) as caught:
        OpenAISettings.model_validate({"api_key": HUSH})
    assert HUSH not in str(caught.value)


def test_the_key_comes_from_the_environment_by_default() -> None:
    assert OpenAISettings().key({"OPENAI_API_KEY": HUSH}) == HUSH
    with pytest.raises(SecretUnresolved, match="OPENAI_API_KEY"):
        OpenAISettings().key({})


def test_another_server_needs_no_key_that_nobody_asked_for() -> None:
    elsewhere = OpenAISettings(base_url="http://localhost:11434/v1")
    assert elsewhere.key({}) is None
    assert elsewhere.key({"OPENAI_API_KEY": HUSH}) == HUSH
    assert OpenAISettings(api_key=None).key({"OPENAI_API_KEY": HUSH}) is None


def test_a_function_that_signs_needs_no_key_that_nobody_asked_for() -> None:
    assert OpenAISettings(sign="my_cloud.auth:sign").key({}) is None
    with pytest.raises(SecretUnresolved):
        OpenAISettings(sign="my_cloud.auth:sign", api_key=SecretRef("env", "MINE")).key({})


@pytest.mark.parametrize("name", ["", "my_cloud", "my_cloud:", ":sign", "my cloud:sign", "my_cloud:sign()"])
def test_a_function_that_signs_is_named_with_its_module(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GeminiSettings(sign=name)
    assert "my_cloud.auth:sign" in hint_of(caught)


def test_a_key_that_was_asked_for_must_be_there() -> None:
    with pytest.raises(SecretUnresolved):
        OpenAISettings(base_url="http://localhost:11434/v1", api_key=SecretRef("env", "MINE")).key({})


@pytest.mark.parametrize(
    ("settings", "variable"),
    [(AnthropicSettings(), "ANTHROPIC_API_KEY"), (GeminiSettings(), "GEMINI_API_KEY"), (OpenAISettings(), "OPENAI_API_KEY")],
)
def test_each_vendor_has_a_key_of_its_own(settings: VendorSettings, variable: str) -> None:
    assert settings.key({variable: HUSH}) == HUSH
    with pytest.raises(SecretUnresolved, match=variable):
        settings.key({})


def test_headers_and_query_are_plain_or_references() -> None:
    settings = OpenAISettings.model_validate(
        {"headers": {"X-Team": "blue", "Authorization": "env:MINE"}, "query": {"api-version": "2026-01-01"}, "proxy": "http://proxy:3128"}
    )
    assert settings.headers == {"X-Team": "blue", "Authorization": SecretRef("env", "MINE")}
    assert settings.sent({"MINE": HUSH}) == ({"X-Team": "blue", "Authorization": HUSH}, {"api-version": "2026-01-01"}, "http://proxy:3128")
    with pytest.raises(SecretUnresolved, match="MINE"):
        settings.sent({})


def test_no_proxy_is_none() -> None:
    assert OpenAISettings().sent({}) == ({}, {}, None)


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "x-token", "Cookie", "Client-Secret", "X-Sig", "sig", "code", "pwd"])
def test_a_header_with_a_credential_may_not_stand_in_a_file(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAISettings.model_validate({"headers": {name: HUSH}})
    assert caught.value.errors()[0]["type"] == "literal_secret"
    assert HUSH not in str(caught.value)
    kept = OpenAISettings.model_validate({"headers": json.dumps({name: HUSH})}, context=LITERALS)
    assert kept.headers == {name: SecretLiteral(SecretStr(HUSH))}
    assert kept.sent({})[0] == {name: HUSH}
    assert HUSH not in f"{kept!r} {kept.model_dump()} {kept.model_dump_json()}"
    assert kept.model_dump()["headers"] == {name: "********"}


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        (3, ""),
        ("{", "written as JSON"),
        ({"a b": "c"}, "no spaces"),
        ({"X-A": 3}, "the value of X-A"),
        ({"X-A": " "}, "the value of X-A"),
        ({"X-A": "a\nb"}, "the value of X-A"),
        ({"X-A": "env:9"}, "a variable's name"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: object, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAISettings.model_validate({"headers": headers})
    assert hint in hint_of(caught)


@pytest.mark.parametrize(
    ("proxy", "hint"),
    [(3, ""), ("socks5://h", "such as http"), ("http://u:hush@h:3128", "env:NAME"), ("http://", "such as http"), ("env:9", "a variable")],
)
def test_a_proxy_is_a_plain_address_or_a_reference(proxy: object, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAISettings.model_validate({"proxy": proxy})
    assert hint in hint_of(caught)
    assert "hush" not in str(caught.value)


def test_a_proxy_with_a_password_comes_from_a_variable() -> None:
    url = "http://u:hush@h:3128"
    for settings in (
        OpenAISettings.model_validate({"proxy": "env:PROXY"}),
        OpenAISettings.model_validate({"proxy": url}, context=LITERALS),
        OpenAISettings(proxy=SecretRef("env", "PROXY")),
    ):
        assert settings.sent({"PROXY": url})[2] == url
        assert "hush" not in f"{settings!r} {settings.model_dump_json()}"


def test_versions_have_their_form() -> None:
    assert AnthropicSettings.model_validate({"beta": "a-2026, b"}).beta == ("a-2026", "b")
    assert AnthropicSettings(beta=("a",), api_version="2023-06-01").api_version == "2023-06-01"
    assert AnthropicSettings().api_version is None
    for given in ({"api_version": "1"}, {"beta": ["a b"]}, {"beta": 3}):
        with pytest.raises(ValidationError):
            AnthropicSettings.model_validate(given)
