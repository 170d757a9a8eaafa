"""From a model's name, `vendor:name`, to the adapter that asks it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.nearest import nearest
from agent_sdk.core.ports import Model
from agent_sdk.llm.options import OpenAIOptions, VendorOptions

if TYPE_CHECKING:
    from agent_sdk.llm.transport import HttpModel

VENDORS = ("openai", "openai-responses", "anthropic", "gemini")


def parse_model_name(text: str) -> tuple[str, str]:
    """Return vendor and name.

    Raises:
        ConfigError: it is not `vendor:name`, or nobody here speaks to the vendor.
    """
    vendor, colon, name = text.strip().partition(":")
    if not text.strip():
        raise ConfigError("the model's name is empty", hint="write it as vendor:name, such as openai:gpt-5-mini")
    if not colon:
        raise ConfigError(f"the model {text!r} names no vendor", hint=f"write it as vendor:name; did you mean openai:{vendor}?")
    if not name.strip():
        raise ConfigError(f"the model {text!r} names a vendor and no model", hint=f"write it as {vendor}:name")
    _check_vendor(vendor, name)
    return vendor, name.strip()


def open_model(vendor: str, options: VendorOptions) -> tuple[Model, Callable[[], Awaitable[None]]]:
    """Return the vendor's adapter, which connects with the first question, and what closes it.

    Raises:
        ConfigError: nobody here speaks to the vendor. TypeError: the options are another vendor's.
    """
    _check_vendor(vendor, "NAME")
    model = _adapter(vendor, options)
    return model, model.close


def _adapter(vendor: str, options: VendorOptions) -> "HttpModel":
    """Load what speaks to the vendor, and with it aiohttp: only where a model is asked."""
    match vendor:
        case "openai" if isinstance(options, OpenAIOptions):
            from agent_sdk.llm.openai_chat import OpenAIChat  # noqa: PLC0415

            return OpenAIChat(options)
        case "openai-responses" if isinstance(options, OpenAIOptions):
            from agent_sdk.llm.openai_responses import OpenAIResponses  # noqa: PLC0415

            return OpenAIResponses(options)
        case "anthropic":
            from agent_sdk.llm.anthropic import Anthropic  # noqa: PLC0415
            from agent_sdk.llm.anthropic_options import AnthropicOptions  # noqa: PLC0415

            if isinstance(options, AnthropicOptions):
                return Anthropic(options)
        case "gemini":
            from agent_sdk.llm.gemini import Gemini  # noqa: PLC0415
            from agent_sdk.llm.gemini_options import GeminiOptions  # noqa: PLC0415

            if isinstance(options, GeminiOptions):
                return Gemini(options)
        case _:
            pass
    raise TypeError(f"{type(options).__name__} says nothing of {vendor}")


def _check_vendor(vendor: str, name: str) -> None:
    if vendor in VENDORS:
        return
    near = nearest(vendor.lower(), VENDORS, likeness=0.5)
    hint = f"did you mean {near}:{name}?" if near else f"a server that speaks OpenAI's protocol is named openai:{name}, with base_url"
    raise ConfigError(f"there is no vendor {vendor!r}; known are: {', '.join(VENDORS)}", hint=hint)
