"""Memories in a Postgres database, which may be the journal's: words by its full-text search, vectors by pgvector."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Self

from agent_sdk.core.ids import TenantId
from agent_sdk.core.memory import MemoryId, Owner, Person, Remembered, Scope
from agent_sdk.storage.memories.postgres_schema import prepare
from agent_sdk.storage.memories.rows import Cursor, Draft, Vector, parse_row, place_of, places_seen
from agent_sdk.storage.postgres.connect import Connection, parse_address
from agent_sdk.storage.postgres.database import Database

_PLANNING = frozenset({"plan_cache_mode", "enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"})
"""What the journal tells the planner, who must be free here: an index of words is read by bitmaps alone."""
_COLUMNS = "m.id, m.tenant, m.person, m.agent, m.text, m.kind, m.metadata, m.created_at"
_SEEN = "m.tenant = $1 AND (m.person IS NULL OR m.person = $2) AND (m.agent IS NULL OR m.agent = $3)"
_OWN = "m.tenant = $1 AND m.person IS NOT DISTINCT FROM $2 AND m.agent IS NOT DISTINCT FROM $3"
_PERSONS = "m.tenant = $1 AND m.person = $2 AND $3::text IS NULL"
_ADD = """
INSERT INTO agent_memory.memories (id, tenant, person, agent, text, kind, metadata, words)
VALUES ($1, $2, $3, $4, $5, $6, $7, array_to_tsvector(ARRAY[$8::text]) || to_tsvector('agent_memory.words', $9))
ON CONFLICT DO NOTHING RETURNING id
"""
_ADD_VECTOR = """
INSERT INTO agent_memory.vectors (tenant, id, model, size, vector)
SELECT $1, id, $3, $4, $5::text::vector FROM agent_memory.memories WHERE tenant = $1 AND id = $2 FOR KEY SHARE
ON CONFLICT (tenant, id) DO UPDATE SET model = excluded.model, size = excluded.size, vector = excluded.vector
"""
_BY_WORDS = f"""
SELECT {_COLUMNS} FROM agent_memory.memories m, to_tsquery('agent_memory.words', $5) AS query
WHERE {_SEEN} AND m.words @@ ($4::tsquery && query)
ORDER BY ts_rank_cd(m.words, query, 1) DESC, m.created_at DESC, m.id DESC LIMIT $6
"""  # noqa: S608  (constants)
_BY_VECTOR = f"""
SELECT {_COLUMNS} FROM agent_memory.memories m JOIN agent_memory.vectors v USING (tenant, id)
WHERE {_SEEN} AND v.model = $4 AND v.size = $5
ORDER BY v.vector <=> $6::text::vector, m.created_at DESC, m.id DESC LIMIT $7
"""  # noqa: S608  (constants)
_WITHOUT_VECTOR = f"""
SELECT {_COLUMNS} FROM agent_memory.memories m
WHERE m.tenant = $1
AND NOT EXISTS (SELECT 1 FROM agent_memory.vectors v WHERE v.tenant = m.tenant AND v.id = m.id AND v.model = $2) LIMIT $3
"""  # noqa: S608  (constants)


class PostgresRows:
    """Memories in the schema `agent_memory`. What is deleted leaves the indexes with it, and the disk when the server vacuums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, url: str, *, with_vectors: bool) -> Self:
        """Connect, and bring the schema up to date.

        Raises:
            ConfigError: the URL is malformed, the server too old or without pgvector, or nobody is let in this way.
            StorageError: the database cannot be reached or changed.
        """
        address = parse_address(url)
        address = replace(address, settings={name: value for name, value in address.settings.items() if name not in _PLANNING})
        await prepare(address, with_vectors=with_vectors)
        return cls(await Database.open(address))

    async def add(self, draft: Draft, vector: Vector | None) -> None:
        scope = draft.scope
        row = (
            draft.id,
            scope.tenant,
            scope.user,
            scope.agent,
            draft.text,
            draft.kind,
            draft.metadata,
            place_of(scope),
            " ".join(draft.words),
        )

        async def insert(connection: Connection, _: int) -> None:
            async with connection.transaction():
                if await connection.fetch(_ADD, *row) and vector is not None:
                    await connection.execute(_ADD_VECTOR, *_vector_row(scope.tenant, draft.id, vector))

        await self._database.perform(insert)

    async def by_words(self, scope: Scope, words: Sequence[str], limit: int) -> Sequence[Remembered]:
        return await self._rows(_BY_WORDS, *_names(scope), _any(places_seen(scope)), _any(words), limit)

    async def by_vector(self, scope: Scope, vector: Vector, limit: int) -> Sequence[Remembered]:
        return await self._rows(_BY_VECTOR, *_names(scope), vector.model, len(vector.values), _vector_text(vector), limit)

    async def page(self, owner: Owner, after: Cursor | None, limit: int) -> Sequence[Remembered]:
        condition = _PERSONS if isinstance(owner, Person) else _SEEN
        behind = "" if after is None else "AND (m.created_at, m.id) < ($5, $6)"
        query = (
            f"SELECT {_COLUMNS} FROM agent_memory.memories m WHERE {condition} {behind} "  # noqa: S608  (constants)
            "ORDER BY m.created_at DESC, m.id DESC LIMIT $4"
        )
        return await self._rows(query, *_names(owner), limit, *(after or ()))

    async def delete(self, owner: Owner, memory: MemoryId | None) -> int:
        condition = _PERSONS if isinstance(owner, Person) else _OWN
        query = f"DELETE FROM agent_memory.memories m WHERE {condition} AND ($4::text IS NULL OR m.id = $4) RETURNING 1"  # noqa: S608  (constants)
        return len(await self._database.fetch(query, *_names(owner), memory))

    async def without_vector(self, tenant: TenantId, model: str, limit: int) -> Sequence[Remembered]:
        return await self._rows(_WITHOUT_VECTOR, tenant, model, limit)

    async def set_vectors(self, tenant: TenantId, vectors: Sequence[tuple[MemoryId, Vector]]) -> None:
        async def insert(connection: Connection, _: int) -> None:
            async with connection.transaction():
                for memory, vector in vectors:
                    await connection.execute(_ADD_VECTOR, *_vector_row(tenant, memory, vector))

        await self._database.perform(insert)

    async def close(self) -> None:
        await self._database.close()

    async def _rows(self, query: str, *args: object) -> list[Remembered]:
        return [parse_row(row) for row in await self._database.fetch(query, *args)]


def _names(owner: Owner) -> tuple[str | None, ...]:
    return (owner.tenant, owner.user, None if isinstance(owner, Person) else owner.agent)


def _any(words: Iterable[str]) -> str:
    """Return a query: words have no quotes and no backslashes in them, so nothing in quotes is an operator."""
    return " | ".join(f"'{word}'" for word in words)


def _vector_row(tenant: TenantId, memory: MemoryId, vector: Vector) -> tuple[object, ...]:
    return (tenant, memory, vector.model, len(vector.values), _vector_text(vector))


def _vector_text(vector: Vector) -> str:
    return f"[{','.join(map(repr, vector.values))}]"
