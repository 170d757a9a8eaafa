"""What an operator says about Gemini: the key, and which of its addresses is asked."""

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from agent_sdk.core.errors import ConfigError
from agent_sdk.llm.options import VendorOptions

GEMINI_URL = "https://generativelanguage.googleapis.com"
_VERSION = "/v1beta"


@dataclass(frozen=True, slots=True)
class GeminiOptions(VendorOptions):
    """How to reach the Gemini API, or Vertex AI by the address of a publisher.

    A `base_url` without a path stands for the version v1beta below it; one with a path says the version too.

    Raises:
        ConfigError: the key cannot stand in a header, the Gemini API has none, or `base_url` is no address.
    """

    base_url: str = field(default=GEMINI_URL, repr=False)

    def __post_init__(self) -> None:
        VendorOptions.__post_init__(self)
        if self.has_host("generativelanguage.googleapis.com") and self.api_key is None and self.sign is None:
            raise ConfigError("Gemini needs an API key, and none is set", hint="set GEMINI_API_KEY, or base_url for another server")

    @property
    def is_vertex(self) -> bool:
        """Whether Vertex AI is asked, which counts tokens in a form of its own."""
        return (urlsplit(self.base_url).hostname or "").endswith("aiplatform.googleapis.com")

    def path(self, model: str, method: str) -> str:
        """Return the path of a method of the model."""
        version = "" if urlsplit(self.base_url).path.strip("/") else _VERSION
        return f"{version}/{quote(resource(model), safe='/')}:{method}"


def resource(model: str) -> str:
    """Return what the vendor calls the model; a name with a slash, such as `tunedModels/x`, is such a name already."""
    return model if "/" in model else f"models/{model}"
