"""The table of keys."""

from agent_sdk.config.schema import keys, sections


def test_every_key_says_what_it_expects() -> None:
    expected = {name: key.expected for name, key in keys().items()}
    assert expected["limits.max_turns"] == "a whole number from 1 to 100000"
    assert expected["limits.run_timeout_s"] == "a number above 0 and up to 31536000, or null"
    assert expected["model_call.temperature"] == "a number from 0 to 2, or null"
    assert expected["logging.format"] == "one of json, text"
    assert expected["model_call.reasoning"] == "one of none, minimal, low, medium, high, or null"
    assert expected["model_call.parallel_tool_calls"] == "true, false or null"
    assert expected["fallbacks"] == "a list of models such as [openai:gpt-5-mini]"
    assert expected["openai.api_key"] == "a reference to a secret, env:NAME or file:PATH, or null"


def test_every_key_has_its_variable() -> None:
    assert keys()["model"].variable == "AGENT_SDK__MODEL"
    assert keys()["model_call.max_attempts"].variable == "AGENT_SDK__MODEL_CALL__MAX_ATTEMPTS"
    assert len({key.variable for key in keys().values()}) == len(keys())


def test_the_table_knows_what_a_key_may_hold() -> None:
    secret = {name for name, key in keys().items() if key.is_secret}
    assert secret == {
        f"{vendor}.{leaf}" for vendor in ("openai", "anthropic", "gemini") for leaf in ("api_key", "headers", "query", "proxy")
    }
    assert keys()["app"].is_nullable
    assert not keys()["tenant"].is_nullable
    assert keys()["threads.size"].is_number
    assert not keys()["logging.level"].is_number


def test_sections_hold_keys_and_are_none() -> None:
    vendors = {"openai", "anthropic", "gemini"}
    assert sections() == vendors | {"model_call", "breaker", "budget", "limits", "logging", "threads", "worker", "backup", "retention"}
