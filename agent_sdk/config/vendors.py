"""How vendors are reached: the settings of each, and what of them is a secret."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agent_sdk.config.secret import Secret, SecretRef
from agent_sdk.config.values import OPENAI_URL, BaseUrl, Expects, FunctionName, Key, Names, Pairs, Proxy, Section

ANTHROPIC_URL = "https://api.anthropic.com"
GEMINI_URL = "https://generativelanguage.googleapis.com/v1beta"


class VendorSettings(Section):
    """How to reach a vendor, or a server that speaks its protocol. `headers` and `query` go with every request.

    `sign` names the async function that each request passes last, for clouds that want more than a key.
    """

    own_url: ClassVar[str] = ""

    api_key: Key = None
    base_url: BaseUrl = "http://localhost"
    headers: Pairs = Field(default={})
    query: Pairs = Field(default={})
    proxy: Proxy = None
    sign: FunctionName = None

    def key(self, environ: Mapping[str, str], cwd: Path | None = None) -> str | None:
        """Fetch the API key; None where none is set.

        The default reference may lead nowhere where another server than the vendor's is asked, or a function signs.

        Raises:
            SecretUnresolved: the key cannot be had.
        """
        by_default = "api_key" not in self.model_fields_set
        if self.api_key is None:
            return None
        is_needed = self.base_url == self.own_url and self.sign is None
        if by_default and not is_needed and isinstance(self.api_key, SecretRef) and not environ.get(self.api_key.name):
            return None
        return self.api_key.resolve(environ, cwd)

    def sent(self, environ: Mapping[str, str], cwd: Path | None = None) -> tuple[dict[str, str], dict[str, str], str | None]:
        """Fetch headers, query and proxy as they are used.

        Raises:
            SecretUnresolved: a secret among them cannot be had.
        """
        headers = {name: _text(value, environ, cwd) for name, value in self.headers.items()}
        query = {name: _text(value, environ, cwd) for name, value in self.query.items()}
        return headers, query, None if self.proxy is None else _text(self.proxy, environ, cwd)


class OpenAISettings(VendorSettings):
    """How to reach OpenAI, or any server that speaks its protocols."""

    own_url: ClassVar[str] = OPENAI_URL

    api_key: Key = SecretRef("env", "OPENAI_API_KEY")
    base_url: BaseUrl = OPENAI_URL
    organization: Annotated[str | None, Expects("an organization's id, or null")] = Field(default=None, pattern=r"^[\x21-\x7e]{1,200}$")


class AnthropicSettings(VendorSettings):
    """How to reach Anthropic, or its models at Google's Vertex AI. `api_version` None is the one that the adapter was written for.

    `beta` are features that are asked for by name.
    """

    own_url: ClassVar[str] = ANTHROPIC_URL

    api_key: Key = SecretRef("env", "ANTHROPIC_API_KEY")
    base_url: BaseUrl = ANTHROPIC_URL
    api_version: Annotated[str | None, Expects("a version such as 2023-06-01, or null")] = Field(default=None, pattern=r"^[a-z0-9-]{4,40}$")
    beta: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")], ...], Names, Expects("a list of names")] = ()
    platform: Literal["anthropic", "vertex"] = "anthropic"


class GeminiSettings(VendorSettings):
    """How to reach Google Gemini; the version of its interface stands in `base_url`."""

    own_url: ClassVar[str] = GEMINI_URL

    api_key: Key = SecretRef("env", "GEMINI_API_KEY")
    base_url: BaseUrl = GEMINI_URL


def _text(value: str | Secret, environ: Mapping[str, str], cwd: Path | None) -> str:
    return value if isinstance(value, str) else value.resolve(environ, cwd)
