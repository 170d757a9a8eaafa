import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm.anthropic_options import AnthropicOptions
from agent_sdk.llm.options import HttpRequest


async def unchanged(request: HttpRequest) -> HttpRequest:
    return request


def test_the_vendor_s_own_server_wants_a_key() -> None:
    with pytest.raises(ConfigError, match="needs an API key"):
        AnthropicOptions()
    assert AnthropicOptions(base_url="http://localhost:1").api_key is None
    assert AnthropicOptions(headers={"authorization": "Bearer x"}).api_key is None
    assert AnthropicOptions(sign=unchanged).api_key is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"api_key": "sk-1\n"}, "API key"),
        ({"api_key": "sk-1", "api_version": "new\r\nx"}, "API version"),
        ({"api_key": "sk-1", "beta": ("a", "b,c")}, "beta feature"),
        ({"api_key": "sk-1", "max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_showing_the_key(more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        AnthropicOptions(**more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (wrong on purpose)
    assert "sk-1" not in str(caught.value)


def test_a_reply_is_bounded_by_what_is_known_of_the_model() -> None:
    known = {"claude-haiku-4-5": 64_000}
    options = AnthropicOptions("k", max_tokens_of=known.get, max_tokens=100)
    assert (options.limit("claude-haiku-4-5"), options.limit("other")) == (64_000, 100)
    assert AnthropicOptions("k").limit("m") == 16_384


def test_neither_key_nor_headers_are_shown() -> None:
    assert "sk-1" not in repr(AnthropicOptions("sk-1", headers={"x-secret": "sk-12"}))
