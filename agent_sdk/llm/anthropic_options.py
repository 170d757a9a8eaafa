"""What an operator says about Anthropic: the key, the API's version, and through which platform its models are reached."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm.options import VendorOptions

ANTHROPIC_URL = "https://api.anthropic.com"
ANTHROPIC_VERSION = "2026-10-21"
_VERSION = re.compile(r"[a-z0-9-]{4,40}")
_BETA = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True)
class AnthropicOptions(VendorOptions):
    """How to reach Anthropic, or any server that speaks its Messages. `api_key` goes as `x-api-key`.

    `beta` are features that are asked for by name. Every question must bound its reply: where the settings do not, by what `max_tokens_of`
    knows of the model, else by `max_tokens`. `thinking_display` says whether thoughts come in a summary or as a signature alone.
    `platform` vertex puts questions as Google's Vertex AI wants them; `base_url` is then that of a location,
    `https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION`.

    Raises:
        ConfigError: the key cannot stand in a header, Anthropic's own server has none, or another value cannot be sent.
    """

    base_url: str = field(default=ANTHROPIC_URL, repr=False)
    api_version: str = ANTHROPIC_VERSION
    beta: tuple[str, ...] = ()
    max_tokens: int = 16_384
    max_tokens_of: Callable[[str], int | None] | None = None
    thinking_display: Literal["summarized", "omitted"] = "summarized"
    platform: Literal["anthropic", "vertex"] = "anthropic"

    def __post_init__(self) -> None:
        VendorOptions.__post_init__(self)
        if not _VERSION.fullmatch(self.api_version):
            raise ConfigError(f"the API version {self.api_version[:40]!r} is none", hint=f"write it such as {ANTHROPIC_VERSION}")
        if odd := next((name for name in self.beta if not _BETA.fullmatch(name)), None):
            raise ConfigError(f"the beta feature {odd[:40]!r} cannot be sent", hint="write it such as files-api-2025-04-14")
        if self.max_tokens < 1:
            raise ConfigError(f"max_tokens is {self.max_tokens}; it must be above 0")
        is_authorized = any(name.lower() == "authorization" for name in self.headers)
        if self.has_host("api.anthropic.com") and self.api_key is None and self.sign is None and not is_authorized:
            raise ConfigError("Anthropic needs an API key, and none is set", hint="set ANTHROPIC_API_KEY, or base_url for another server")

    def limit(self, model: str) -> int:
        """Return how many tokens a reply of the model may have where the question does not say."""
        known = self.max_tokens_of(model) if self.max_tokens_of is not None else None
        return known if known is not None else self.max_tokens
