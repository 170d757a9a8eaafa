"""Memories in one SQLite file: words by FTS5 and its BM25, vectors compared one by one among what a scope sees."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from agent_sdk.core.ids import TenantId
from agent_sdk.core.memory import MemoryId, Owner, Person, Remembered, Scope
from agent_sdk.core.ports import Clock
from agent_sdk.storage.memories.distance import to_blob
from agent_sdk.storage.memories.rows import Cursor, Draft, Vector, parse_row, place_of, places_seen
from agent_sdk.storage.memories.sqlite_lines import SqliteLines

_COLUMNS = "id, tenant, person, agent, text, kind, metadata, created_at"
_SEEN = "tenant = ? AND (person IS NULL OR person = ?) AND (agent IS NULL OR agent = ?)"
_OWN = "tenant = ? AND person IS ? AND agent IS ?"
_PERSONS = "tenant = ? AND person = ?"
_ADD = f"INSERT INTO memories ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608  (constants)
_ADD_WORDS = "INSERT INTO memory_words (rowid, place, words) VALUES (?, ?, ?)"
_ADD_VECTOR = "INSERT OR REPLACE INTO memory_vectors (number, model, vector) VALUES (?, ?, ?)"
# The place finds them; that the scope sees them is asked of the rows themselves all the same.
_BY_WORDS = f"""
SELECT {_COLUMNS} FROM (
    SELECT rowid AS found, bm25(memory_words, 0.0, 1.0) AS badness FROM memory_words WHERE memory_words MATCH ? ORDER BY badness LIMIT ?
) JOIN memories ON number = found WHERE {_SEEN} ORDER BY badness, created_at DESC, id DESC
"""  # noqa: S608  (constants)
_BY_VECTOR = f"""
SELECT {_COLUMNS} FROM memories JOIN memory_vectors USING (number) WHERE {_SEEN} AND model = ? AND length(vector) = ?
ORDER BY vec_distance_cosine(vector, ?), created_at DESC, id DESC LIMIT ?
"""  # noqa: S608  (constants)
_WITHOUT_VECTOR = f"""
SELECT {_COLUMNS} FROM memories
WHERE tenant = ? AND NOT EXISTS (SELECT 1 FROM memory_vectors WHERE memory_vectors.number = memories.number AND model = ?) LIMIT ?
"""  # noqa: S608  (constants)


class SqliteRows:
    """A file of memories, which several processes may work on. What is deleted is gone from the index and the file, not only hidden."""

    def __init__(self, lines: SqliteLines, clock: Clock) -> None:
        self._lines = lines
        self._clock = clock

    @classmethod
    async def open(cls, path: Path, *, clock: Clock) -> Self:
        """Open the file, made with its schema if there was none, readable by its user alone.

        Raises:
            ConfigError: no file of memories can lie there, or another program's does.
            StorageError: the file cannot be used.
        """
        return cls(await SqliteLines.open(path, now_us=clock.now_us()), clock)

    async def add(self, draft: Draft, vector: Vector | None) -> None:
        scope, now_us = draft.scope, self._clock.now_us()
        row = (draft.id, scope.tenant, scope.user, scope.agent, draft.text, draft.kind, draft.metadata, now_us)
        words, blob = " ".join(draft.words), None if vector is None else to_blob(vector.values)

        def insert(db: sqlite3.Connection) -> None:
            added = db.execute(_ADD, row)
            if added.rowcount:
                number = added.lastrowid
                db.execute(_ADD_WORDS, (number, place_of(scope), words))
                if vector is not None:
                    db.execute(_ADD_VECTOR, (number, vector.model, blob))

        await self._lines.write(insert)

    async def by_words(self, scope: Scope, words: Sequence[str], limit: int) -> Sequence[Remembered]:
        asked = f"place : ({_any(places_seen(scope))}) AND words : ({_any(words)})"
        return await self._rows(_BY_WORDS, (asked, limit, scope.tenant, scope.user, scope.agent))

    async def by_vector(self, scope: Scope, vector: Vector, limit: int) -> Sequence[Remembered]:
        blob = to_blob(vector.values)
        return await self._rows(_BY_VECTOR, (scope.tenant, scope.user, scope.agent, vector.model, len(blob), blob, limit))

    async def page(self, owner: Owner, after: Cursor | None, limit: int) -> Sequence[Remembered]:
        condition = _PERSONS if isinstance(owner, Person) else _SEEN
        args: tuple[object, ...] = _names(owner)
        if after is not None:
            condition, args = f"{condition} AND (created_at, id) < (?, ?)", (*args, *after)
        query = f"SELECT {_COLUMNS} FROM memories WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT ?"  # noqa: S608  (constants)
        return await self._rows(query, (*args, limit))

    async def delete(self, owner: Owner, memory: MemoryId | None) -> int:
        condition, args = _PERSONS if isinstance(owner, Person) else _OWN, _names(owner)
        if memory is not None:
            condition, args = f"{condition} AND id = ?", (*args, memory)

        def purge(db: sqlite3.Connection) -> int:
            gone = db.execute(f"SELECT number FROM memories WHERE {condition}", args).fetchall()  # noqa: S608  (constants)
            for table, key in (("memory_words", "rowid"), ("memory_vectors", "number"), ("memories", "number")):
                db.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)  # noqa: S608  (constants)
            if gone:  # FTS5 only marks its entries as deleted; this writes the index anew, without them
                db.execute("INSERT INTO memory_words (memory_words) VALUES ('optimize')")
            return len(gone)

        count = await self._lines.write(purge)
        await self._lines.wipe()  # though nothing was found: it may be what a reader kept from being wiped the last time
        return count

    async def without_vector(self, tenant: TenantId, model: str, limit: int) -> Sequence[Remembered]:
        return await self._rows(_WITHOUT_VECTOR, (tenant, model, limit))

    async def set_vectors(self, tenant: TenantId, vectors: Sequence[tuple[MemoryId, Vector]]) -> None:
        rows = [(vector.model, to_blob(vector.values), tenant, memory) for memory, vector in vectors]
        statement = (
            "INSERT OR REPLACE INTO memory_vectors (number, model, vector) SELECT number, ?, ? FROM memories WHERE tenant = ? AND id = ?"
        )
        await self._lines.write(lambda db: db.executemany(statement, rows))

    async def close(self) -> None:
        await self._lines.close()

    async def _rows(self, query: str, args: Sequence[object]) -> list[Remembered]:
        def fetch(db: sqlite3.Connection) -> list[Remembered]:
            return [parse_row(row) for row in db.execute(query, tuple(args))]

        return await self._lines.read(fetch)


def _names(owner: Owner) -> tuple[str | None, ...]:
    return (owner.tenant, owner.user) if isinstance(owner, Person) else (owner.tenant, owner.user, owner.agent)


def _any(words: Iterable[str]) -> str:
    """Return a part of FTS5's query: words have no quotes in them, so nothing in quotes is an operator."""
    return " OR ".join(f'"{word}"' for word in words)
