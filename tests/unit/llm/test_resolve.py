import pytest

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm import OpenAIOptions, open_model, parse_model_name
from agent_sdk.llm.openai_chat import OpenAIChat


def test_a_name_is_split_at_its_first_colon() -> None:
    assert parse_model_name("openai:gpt-5-mini") == ("openai", "gpt-5-mini")
    assert parse_model_name("openai:llama3:8b") == ("openai", "llama3:8b")


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("", "empty", "vendor:name"),
        ("gpt-5-mini", "names no vendor", "did you mean openai:gpt-5-mini"),
        ("openai:", "no model", "openai:name"),
        ("opnai:gpt-5-mini", "known are: openai", "did you mean openai:gpt-5-mini"),
        ("OpenAI:gpt-5-mini", "known are: openai", "did you mean openai:gpt-5-mini"),
        ("llama3:8b", "no vendor 'llama3'", "with base_url"),
    ],
)
def test_another_name_is_refused_with_the_nearest_right_one(name: str, says: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_model_name(name)
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")


async def test_a_known_vendor_is_opened_and_closed() -> None:
    model, close = open_model("openai", OpenAIOptions("k"))
    assert isinstance(model, OpenAIChat)
    await close()


def test_an_unknown_vendor_is_not_opened() -> None:
    with pytest.raises(ConfigError, match="known are: openai"):
        open_model("acme", OpenAIOptions("k"))
