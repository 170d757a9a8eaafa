"""What a model would refuse is known before it is asked."""

import pytest

from agent_sdk.core.model import ModelSettings, Reasoning
from agent_sdk.llm.catalog import Asks, Capabilities, CatalogEntry, check_settings, default_output_mode

NOTHING = Asks()
ALL = Asks(has_tools=True, has_schema=True, has_images=True, has_files=True)
THINKS: tuple[Reasoning, ...] = ("none", "low", "medium", "high")


def entry(capabilities: Capabilities, *, vendor: str = "anthropic", max_output_tokens: int | None = 100) -> CatalogEntry:
    return CatalogEntry(vendor, "m", None, 1000, max_output_tokens, None, capabilities)


def codes(capabilities: Capabilities, settings: ModelSettings, asks: Asks = NOTHING) -> list[str]:
    return [finding.code for finding in check_settings(entry(capabilities), settings, asks)]


def test_model_config_without_wishes_suits_every_model() -> None:
    least = Capabilities("never", "never", False, ("prompt",), False, False, (), None, "never", False, "none")
    assert codes(least, ModelSettings()) == []
    assert codes(Capabilities(), ModelSettings(), ALL) == []


def test_model_config_of_an_unknown_model_is_left_to_the_vendor() -> None:
    assert check_settings(None, ModelSettings(temperature=1, seed=1, reasoning="high", max_output_tokens=10**7), ALL) == []


@pytest.mark.parametrize(
    ("capabilities", "settings", "asks", "code"),
    [
        (Capabilities(temperature="never"), ModelSettings(temperature=0), NOTHING, "temperature_refused"),
        (Capabilities(temperature="never"), ModelSettings(top_p=0.5), NOTHING, "top_p_refused"),
        (Capabilities(), ModelSettings(seed=1), NOTHING, "seed_refused"),
        (Capabilities(), ModelSettings(reasoning="low"), NOTHING, "reasoning_refused"),
        (Capabilities(reasoning=("low", "high")), ModelSettings(reasoning="none"), NOTHING, "reasoning_refused"),
        (Capabilities(), ModelSettings(max_output_tokens=101), NOTHING, "output_too_long"),
        (Capabilities(), ModelSettings(force_tool="x"), NOTHING, "force_without_tools"),
        (Capabilities(), ModelSettings(tool_choice="required"), NOTHING, "force_without_tools"),
        (Capabilities(tools="never"), ModelSettings(), Asks(has_tools=True), "tools_refused"),
        (Capabilities(tools="never"), ModelSettings(output_mode="tool"), Asks(has_schema=True), "tools_refused"),
        (Capabilities(forced_tools="never"), ModelSettings(force_tool="x"), Asks(has_tools=True), "force_refused"),
        (Capabilities(forced_tools="never"), ModelSettings(tool_choice="required"), Asks(has_tools=True), "force_refused"),
        (Capabilities(parallel_tools=False), ModelSettings(parallel_tool_calls=True), NOTHING, "parallel_refused"),
        (Capabilities(output_modes=("tool", "prompt")), ModelSettings(output_mode="native"), Asks(has_schema=True), "output_mode_refused"),
        (Capabilities(images=False), ModelSettings(), Asks(has_images=True), "images_refused"),
        (Capabilities(files=False), ModelSettings(), Asks(has_files=True), "files_refused"),
        (Capabilities(), ModelSettings(cache="long"), NOTHING, "cache_refused"),
    ],
)
def test_model_config_that_a_model_refuses_is_found_with_a_hint(
    capabilities: Capabilities, settings: ModelSettings, asks: Asks, code: str
) -> None:
    (finding,) = check_settings(entry(capabilities), settings, asks)
    assert finding.code == code
    assert finding.hint


@pytest.mark.parametrize(
    ("capabilities", "settings", "asks"),
    [
        (Capabilities(seed=True, cache="asked"), ModelSettings(seed=1, cache="short", temperature=1), NOTHING),
        (Capabilities(), ModelSettings(reasoning="none"), NOTHING),
        (Capabilities(output_modes=("prompt",)), ModelSettings(output_mode="native"), NOTHING),
        (Capabilities(forced_tools="never"), ModelSettings(tool_choice="none"), Asks(has_tools=True)),
        (Capabilities(forced_tools="never"), ModelSettings(output_mode="tool"), Asks(has_schema=True)),
        (Capabilities(parallel_tools=False), ModelSettings(parallel_tool_calls=False), NOTHING),
        (Capabilities(), ModelSettings(max_output_tokens=100), NOTHING),
    ],
)
def test_model_config_that_a_model_takes_is_let_through(capabilities: Capabilities, settings: ModelSettings, asks: Asks) -> None:
    assert check_settings(entry(capabilities), settings, asks) == []


@pytest.mark.parametrize(("default", "is_refused"), [("none", False), (None, False), ("medium", True)])
def test_model_config_that_is_taken_without_reasoning_goes_by_what_the_model_does_unasked(
    default: Reasoning | None, is_refused: bool
) -> None:
    takes = Capabilities(temperature="unreasoned", reasoning=THINKS, default_reasoning=default)
    assert bool(codes(takes, ModelSettings(temperature=1))) == is_refused
    assert codes(takes, ModelSettings(temperature=1, reasoning="none")) == []
    assert codes(takes, ModelSettings(temperature=1, reasoning="low")) == ["temperature_refused"]


def test_tools_that_one_protocol_refuses_are_found_with_the_other_as_a_hint() -> None:
    takes = Capabilities(tools="unreasoned", reasoning=THINKS)
    (finding,) = check_settings(entry(takes, vendor="openai"), ModelSettings(reasoning="low"), Asks(has_tools=True))
    assert finding.hint == "name it openai-responses:m, or set model_call.reasoning to none"


def test_a_model_without_a_known_limit_writes_as_much_as_is_asked() -> None:
    assert check_settings(entry(Capabilities(), max_output_tokens=None), ModelSettings(max_output_tokens=10**7), NOTHING) == []


def test_the_best_way_to_json_is_the_models_first() -> None:
    assert default_output_mode(entry(Capabilities(output_modes=("tool", "prompt")))) == "tool"
    assert default_output_mode(None) == "native"
