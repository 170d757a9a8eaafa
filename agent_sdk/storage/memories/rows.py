"""What a database must do to keep memories: rows with words and vectors. What is the same for all of them lives in `kept.py`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from agent_sdk.core.digest import canonical_json
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.memory import MemoryId, Owner, Person, Remembered, Scope

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Draft:
    """A memory that is to be kept: `metadata` is JSON, `words` are what it is found by."""

    id: MemoryId
    scope: Scope
    text: str
    kind: str
    metadata: str
    words: tuple[str, ...]


@frozen
class Vector:
    """What an embedder made of a text, brought to length 1."""

    model: str
    values: tuple[float, ...]


class Cursor(NamedTuple):
    """Where a page ends: the time, in microseconds since 1970, and the id of its last memory."""

    at_us: int
    id: str


class MemoryRows(Protocol):
    """A store of memories. Each method is all or nothing; errors are `StorageError`s."""

    async def add(self, draft: Draft, vector: Vector | None) -> None:
        """Keep a draft, durable on return; one whose id there is already changes nothing."""
        ...

    async def by_words(self, scope: Scope, words: Sequence[str], limit: int) -> Sequence[Remembered]:
        """Return what the scope sees that has any of the words, the best first."""
        ...

    async def by_vector(self, scope: Scope, vector: Vector, limit: int) -> Sequence[Remembered]:
        """Return what the scope sees that has a vector of the same model and size, the closest first."""
        ...

    async def page(self, owner: Owner, after: Cursor | None, limit: int) -> Sequence[Remembered]:
        """Return what the scope sees, or is the person's, the newest first, from behind `after`."""
        ...

    async def delete(self, owner: Owner, memory: MemoryId | None) -> int:
        """Delete one memory, or all, that have exactly this scope or are this person's, so that nothing of it is left to read."""
        ...

    async def without_vector(self, tenant: TenantId, model: str, limit: int) -> Sequence[Remembered]:
        """Return some of the tenant's memories that have no vector of this model."""
        ...

    async def set_vectors(self, tenant: TenantId, vectors: Sequence[tuple[MemoryId, Vector]]) -> None:
        """Give memories that are still there their vectors."""
        ...

    async def close(self) -> None: ...


def place_of(scope: Scope) -> str:
    """Return one word that stands for the scope in an index of words; no text holds it, and no stemmer cuts it."""
    return f"x{hashlib.sha256(canonical_json([scope.tenant, scope.user, scope.agent])).hexdigest()[:32]}0"


def places_seen(scope: Scope) -> Iterator[str]:
    """Yield the places of all that the scope sees."""
    for user in {scope.user, None}:
        for agent in {scope.agent, None}:
            yield place_of(Scope(scope.tenant, user, agent))


def is_owned(owner: Owner, scope: Scope) -> bool:
    """Say whether what has this scope may be deleted by its owner."""
    return (scope.tenant, scope.user) == (owner.tenant, owner.user) if isinstance(owner, Person) else scope == owner


def parse_row(row: Sequence[object]) -> Remembered:
    """Read a row of id, tenant, person, agent, text, kind, metadata and created_at."""
    memory, tenant, user, agent, text, kind, metadata, at_us = row
    assert isinstance(at_us, int)  # noqa: S101  (for the type checkers: the schema says so)
    scope = Scope(TenantId(str(tenant)), None if user is None else PrincipalId(str(user)), None if agent is None else str(agent))
    created_at = EPOCH + timedelta(microseconds=at_us)
    return Remembered(MemoryId(str(memory)), scope, str(text), str(kind), json.loads(str(metadata)), created_at)


def cursor_of(memory: Remembered) -> Cursor:
    """Return where a page ends whose last memory this is."""
    return Cursor((memory.created_at - EPOCH) // timedelta(microseconds=1), memory.id)
