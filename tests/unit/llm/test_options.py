import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm import OpenAIOptions, Timeouts

LOCAL = "http://localhost:11434/v1"


@pytest.mark.parametrize("key", ["", "  ", "sk-1\n", "sk 1", "sk-\u00e4", "sk-1\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAIOptions(key)
    assert "sk" not in str(caught.value)
    assert caught.value.hint is not None


def test_openai_itself_is_not_asked_without_a_key() -> None:
    with pytest.raises(ConfigError, match="needs an API key"):
        OpenAIOptions()
    assert OpenAIOptions(None, LOCAL).api_key is None


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port", "http://ho st/v1", "http://[::1", f"{LOCAL}?a=1", f"{LOCAL}#a"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        OpenAIOptions("k", url)


def test_an_address_is_shown_without_user_and_password() -> None:
    options = OpenAIOptions(None, "https://me:pass@host:8443/v1/")
    assert options.place.url == "https://host:8443/v1"
    assert "pass" not in repr(options)


def test_two_ways_to_prove_who_asks_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="one of them"):
        OpenAIOptions("k", "https://me:pass@host/v1")


def test_the_key_is_not_in_the_representation() -> None:
    assert "sk-secret" not in repr(OpenAIOptions("sk-secret"))


def test_a_bad_organization_is_refused() -> None:
    with pytest.raises(ConfigError, match="organization"):
        OpenAIOptions(None, LOCAL, organization="a\nb")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_timeout_is_above_zero(value: float) -> None:
    with pytest.raises(ConfigError, match="idle_s"):
        Timeouts(idle_s=value)


def test_all_that_was_given_in_confidence_is_cut_out_of_what_a_server_says() -> None:
    options = OpenAIOptions(
        None, "https://me:p%40ss-1@host/v1", headers={"X-Corp": "corp-7", "X-On": "1"}, query={"sig": "a b/c"}, proxy="http://me:prox-1@p:1"
    )
    said = "1 p%40ss-1 p@ss-1 corp-7 a+b%2Fc a b/c prox-1 bWU6cEBzcy0x"
    assert options.place.clean(said) == "1" + " [secret]" * 7
