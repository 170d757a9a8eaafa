"""Long-term memory over any store of rows: checks what comes in, asks the embedder, and joins what words and vectors find."""

import asyncio
import hashlib
import logging
import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.digest import canonical_json
from agent_sdk.core.errors import AgentSDKError, InputTooLarge, RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import TenantId
from agent_sdk.core.memory import (
    MAX_LIMIT,
    MAX_METADATA_BYTES,
    MAX_QUERY_BYTES,
    MAX_TEXT_BYTES,
    Embedder,
    EmbeddingInvalid,
    Found,
    Hit,
    MemoryId,
    Owner,
    Page,
    Remembered,
    Scope,
)
from agent_sdk.core.strict_json import require_name, require_storable
from agent_sdk.storage.memories.rows import Cursor, Draft, MemoryRows, Vector, cursor_of
from agent_sdk.storage.memories.words import query_words, words_of

_LOG = logging.getLogger("agent_sdk.memory")
_CANDIDATES = 50
"""How many of each ranking are joined at least: what both know must be in both."""
_RANK_CONSTANT = 60
"""Of reciprocal rank fusion, as its authors chose it (Cormack, Clarke and Buettcher, SIGIR 2009)."""
_BATCH = 64


@frozen
class KeptMemory:
    """Memory in `rows`, found by words, and by meaning too where there is an `embedder`, which gets `embedding_timeout_s` a call.

    What the embedder is given are whole texts of users.
    """

    rows: MemoryRows
    embedder: Embedder | None = None
    embedding_timeout_s: float = 30.0

    async def remember(
        self, scope: Scope, text: str, *, kind: str = "note", metadata: Mapping[str, JsonValue] | None = None, key: str | None = None
    ) -> MemoryId:
        _require_text("the text of a memory", text, MAX_TEXT_BYTES)
        _require_label("kind", kind)
        if key is not None:
            _require_label("key", key)
        encoded = _checked_metadata(metadata)
        vector = None
        try:
            vector = await self._vector(text, "document")
        except EmbeddingInvalid:
            raise
        except Exception as error:  # noqa: BLE001  (the boundary to an embedder, which may be the user's own: the text counts more than its vector)
            _LOG.warning("a memory is kept without its vector, until it is reindexed: %s", _words(error))
        draft = Draft(_new_id(scope, key), scope, text, kind, encoded, words_of(text))
        await self.rows.add(draft, vector)
        return draft.id

    async def search(self, scope: Scope, query: str, limit: int = 10) -> Found:
        _require_text("the query", query, MAX_QUERY_BYTES)
        _require_limit(limit)
        count = max(limit, _CANDIDATES)
        words = query_words(query)
        by_words = await self.rows.by_words(scope, words, count) if words else ()
        vector, problem = None, None
        try:
            vector = await self._vector(query, "query")
        except Exception as error:  # noqa: BLE001  (the boundary to an embedder, which may be the user's own: words still find)
            problem = f"the embedder failed: {_words(error)}"
        by_vector = await self.rows.by_vector(scope, vector, count) if vector is not None else ()
        return Found(_fused(by_words, by_vector)[:limit], problem)

    async def forget(self, owner: Owner, memory: MemoryId) -> bool:
        _require_label("id", memory)
        return await self.rows.delete(owner, memory) > 0

    async def list(self, owner: Owner, *, after: str | None = None, limit: int = 100) -> Page:
        _require_limit(limit)
        found = await self.rows.page(owner, None if after is None else _parse_cursor(after), limit + 1)
        if len(found) <= limit:
            return Page(tuple(found))
        last = cursor_of(found[limit - 1])
        return Page(tuple(found[:limit]), f"{last.at_us}.{last.id}")

    async def erase(self, owner: Owner) -> int:
        return await self.rows.delete(owner, None)

    async def reindex(self, tenant: TenantId) -> int:
        if self.embedder is None:
            raise RequestError("there is no embedder to make vectors with", hint="give one: LongTermMemory(url, embedder=...)")
        made = 0
        while found := await self.rows.without_vector(tenant, self.embedder.name, _BATCH):
            vectors = await self._embedded(self.embedder, [memory.text for memory in found], "document")
            await self.rows.set_vectors(tenant, list(zip([memory.id for memory in found], vectors, strict=True)))
            made += len(found)
        return made

    async def close(self) -> None:
        await self.rows.close()

    async def _vector(self, text: str, purpose: Literal["document", "query"]) -> Vector | None:
        if self.embedder is None:
            return None
        (vector,) = await self._embedded(self.embedder, [text], purpose)
        return vector

    async def _embedded(self, embedder: Embedder, texts: Sequence[str], purpose: Literal["document", "query"]) -> Sequence[Vector]:
        async with asyncio.timeout(self.embedding_timeout_s):
            found = await embedder.embed(texts, purpose)
        if len(found) != len(texts):
            raise EmbeddingInvalid(f"{embedder.name} returned {len(found)} vectors for {len(texts)} texts")
        size = embedder.dimensions or len(found[0])
        return [Vector(embedder.name, _unit(embedder.name, values, size)) for values in found]


def _unit(model: str, values: Sequence[float], size: int) -> tuple[float, ...]:
    """Return the vector in length 1."""
    length = math.hypot(*values)
    if len(values) != size or not 0 < length < math.inf:
        raise EmbeddingInvalid(
            f"{model} returned a vector of {len(values)} numbers and length {length:g}; expected are {size} numbers, not all of them 0",
            hint="look at the embedding model and its dimensions; all its vectors have one size",
        )
    return tuple(value / length for value in values)


def _fused(*rankings: Sequence[Remembered]) -> tuple[Hit, ...]:
    """Join rankings by reciprocal rank fusion; of equals the newer comes first."""
    scores: dict[MemoryId, float] = {}
    known: dict[MemoryId, Remembered] = {}
    for ranking in rankings:
        for rank, memory in enumerate(ranking, 1):
            scores[memory.id] = scores.get(memory.id, 0.0) + 1 / (_RANK_CONSTANT + rank)
            known[memory.id] = memory
    order = sorted(known.values(), key=lambda memory: (scores[memory.id], memory.created_at), reverse=True)
    return tuple(Hit(memory, scores[memory.id]) for memory in order)


def _new_id(scope: Scope, key: str | None) -> MemoryId:
    """Return an id: by chance, or made of the scope and the key, so that a repeated call finds what the first one kept."""
    if key is None:
        return MemoryId(f"mem_{secrets.token_hex(16)}")
    return MemoryId("mem_" + hashlib.sha256(canonical_json([scope.tenant, scope.user, scope.agent, key])).hexdigest()[:32])


def _checked_metadata(metadata: Mapping[str, JsonValue] | None) -> str:
    try:
        given = dict(metadata or {})
        require_storable(given)
        encoded = canonical_json(given)
    except (ValueError, TypeError) as error:
        raise RequestError(f"the metadata of a memory cannot be kept: {error}", hint="give plain JSON data") from error
    if len(encoded) > MAX_METADATA_BYTES:
        raise InputTooLarge(f"the metadata of a memory has {len(encoded):,} bytes; at most {MAX_METADATA_BYTES:,} are allowed")
    return encoded.decode()


def _require_text(what: str, text: str, max_bytes: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise RequestError(f"{what} holds half a character, {error.object[error.start]!r}, which UTF-8 cannot encode") from None
    if size > max_bytes:
        raise InputTooLarge(f"{what} has {size:,} bytes; at most {max_bytes:,} are allowed", hint="say it shorter, or in several pieces")
    if "\0" in text:
        raise RequestError(f"{what} holds the character NUL, which not every store can keep", hint="take it out")
    if not text.strip():
        raise RequestError(f"{what} is empty")


def _require_label(what: str, name: str) -> None:
    _require_text(f"the {what} of a memory", name, MAX_TEXT_BYTES)
    try:
        require_name(name)
    except ValueError as error:
        raise RequestError(f"the {what} of a memory cannot be kept: {error}") from error


def _require_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise RequestError(f"the limit is {limit}; it must be between 1 and {MAX_LIMIT:,}")


def _parse_cursor(text: str) -> Cursor:
    at_us, _, memory = text.partition(".")
    if not (at_us.isascii() and at_us.isdigit() and len(at_us) <= 18 and memory.isascii() and memory.isprintable()):
        raise RequestError("that is no place to go on from", hint="hand in `after` as the page before gave it")
    return Cursor(int(at_us), memory)


def _words(error: Exception) -> str:
    """Return what is wrong in words of a kind that may be shown: our own errors know what to say of secrets."""
    if isinstance(error, AgentSDKError):
        return error.message
    return "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
