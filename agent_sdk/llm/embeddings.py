"""Embeddings by OpenAI's protocol, as OpenAI and the servers like it (Ollama, vLLM, Gemini's compatible address) offer them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.memory import EmbeddingInvalid
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.openai_chat import OpenAIChat
from agent_sdk.llm.options import OpenAIOptions
from agent_sdk.llm.resolve import parse_model_name
from agent_sdk.llm.transport import Outgoing
from agent_sdk.llm.vendor_errors import not_the_protocol

GEMINI_OPENAI_URL = "https://generativelanguage.googleapis.com/v1beta/openai"
"""Where Gemini's embedding models, such as `gemini-embedding-001`, are asked by OpenAI's protocol."""
MAX_CHARS = 8_000
"""A text is embedded by its beginning: the vendor takes 8,192 tokens, and refuses what has more."""
_BATCH_CHARS = 100_000

Purpose = Literal["document", "query"]


@frozen
class EmbeddingOptions:
    """Which model embeds, and how. `dimensions` None takes the model's own size.

    `prefixes` stand before the texts, by their purpose, for models that were trained so: `{"query": "search_query: "}`.

    Raises:
        ConfigError: the model has no name, or the size is not between 1 and 16,000.
    """

    model: str
    dimensions: int | None = None
    prefixes: Mapping[Purpose, str] = field(default_factory=dict[Purpose, str])

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ConfigError("the embedding model has no name", hint="write it such as text-embedding-3-small")
        if self.dimensions is not None and not 1 <= self.dimensions <= 16_000:  # the most that pgvector keeps
            raise ConfigError(f"vectors of {self.dimensions} numbers are asked for; at least 1 and at most 16,000 can be kept")


class OpenAIEmbedder:
    """An embedding model behind OpenAI's protocol. It connects with the first text; `close` lets go."""

    def __init__(self, embedding: EmbeddingOptions, server: OpenAIOptions) -> None:
        self._embedding = embedding
        self._place = server.place
        self._line = OpenAIChat(server)

    @property
    def name(self) -> str:
        return f"openai:{self._embedding.model}"

    @property
    def dimensions(self) -> int | None:
        return self._embedding.dimensions

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        """Return one vector a text.

        Raises:
            ModelError: the server does not answer, or not so.
            EmbeddingInvalid: it answers with other vectors than were asked for.
        """
        prefix = self._embedding.prefixes.get(purpose, "")
        return [vector for batch in _batches([prefix + text[:MAX_CHARS] for text in texts]) for vector in await self._asked(batch)]

    async def close(self) -> None:
        """Close all connections; a later text opens new ones."""
        await self._line.close()

    async def _asked(self, texts: Sequence[str]) -> list[list[float]]:
        size = self.dimensions
        question = {"model": self._embedding.model, "input": texts} | ({} if size is None else {"dimensions": size})
        body = await self._line.fetch(Outgoing("/embeddings", encode_json(question)))
        try:
            found = sorted(_Reply.model_validate_json(body).data, key=lambda row: row.index)
        except ValidationError:
            raise not_the_protocol("what are no embeddings", body, self._place) from None
        if [row.index for row in found] != list(range(len(texts))):
            raise EmbeddingInvalid(f"{self._place.url} returned {len(found)} vectors for {len(texts)} texts, or not one for each")
        return [row.embedding for row in found]


def open_embedder(named: str, server: OpenAIOptions, *, dimensions: int | None = None) -> OpenAIEmbedder:
    """Return the embedder of a model named `vendor:name`, as settings name it.

    Raises:
        ConfigError: the name is none, or its vendor has no embeddings by OpenAI's protocol.
    """
    vendor, model = parse_model_name(named)
    if vendor != "openai":
        hint = "embeddings go by OpenAI's protocol, which many servers speak: name it openai:MODEL, and set openai.base_url"
        raise ConfigError(f"there are no embeddings of the vendor {vendor!r}", hint=hint)
    return OpenAIEmbedder(EmbeddingOptions(model, dimensions), server)


class _Row(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, hide_input_in_errors=True)
    index: int
    embedding: list[float]


class _Reply(BaseModel):
    data: list[_Row]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in order, in requests that a vendor takes; one at least in each."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > _BATCH_CHARS:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch
