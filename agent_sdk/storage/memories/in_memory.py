"""Memories in this process alone, for tests: gone with it. Words are ranked by BM25, and no word is brought to its stem."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from operator import mul

from agent_sdk.core.ids import TenantId
from agent_sdk.core.memory import MemoryId, Owner, Remembered, Scope
from agent_sdk.core.ports import Clock
from agent_sdk.storage.memories.rows import EPOCH, Cursor, Draft, Vector, cursor_of, is_owned

_SATURATION, _LENGTH_WEIGHT = 1.2, 0.75
"""The constants of BM25, as in SQLite."""


@dataclass(slots=True)
class _Kept:
    memory: Remembered
    counts: Counter[str]
    vector: Vector | None


@dataclass(slots=True)
class InMemoryRows:
    """All tenants' memories, by tenant and id, in the order in which they were kept."""

    clock: Clock
    _kept: dict[tuple[TenantId, MemoryId], _Kept] = field(default_factory=dict[tuple[TenantId, MemoryId], _Kept])

    async def add(self, draft: Draft, vector: Vector | None) -> None:
        created_at = EPOCH + timedelta(microseconds=self.clock.now_us())
        memory = Remembered(draft.id, draft.scope, draft.text, draft.kind, json.loads(draft.metadata), created_at)
        self._kept.setdefault((draft.scope.tenant, draft.id), _Kept(memory, Counter(draft.words), vector))

    async def by_words(self, scope: Scope, words: Sequence[str], limit: int) -> Sequence[Remembered]:
        seen = self._seen(scope)
        scores = {kept.memory.id: score for kept in seen if (score := _bm25(kept, seen, words)) > 0}
        found = [kept.memory for kept in seen if kept.memory.id in scores]
        return sorted(found, key=lambda memory: scores[memory.id], reverse=True)[:limit]

    async def by_vector(self, scope: Scope, vector: Vector, limit: int) -> Sequence[Remembered]:
        near = [(kept.memory, _closeness(kept.vector, vector)) for kept in self._seen(scope) if _is_like(kept.vector, vector)]
        return [memory for memory, _ in sorted(near, key=lambda found: found[1], reverse=True)[:limit]]

    async def page(self, owner: Owner, after: Cursor | None, limit: int) -> Sequence[Remembered]:
        memories = [kept.memory for kept in self._kept.values()]
        shown = [each for each in memories if (owner.sees(each.scope) if isinstance(owner, Scope) else is_owned(owner, each.scope))]
        newest = sorted(shown, key=cursor_of, reverse=True)
        return [memory for memory in newest if after is None or cursor_of(memory) < after][:limit]

    async def delete(self, owner: Owner, memory: MemoryId | None) -> int:
        gone = [key for key, kept in self._kept.items() if memory in {None, kept.memory.id} and is_owned(owner, kept.memory.scope)]
        for key in gone:
            del self._kept[key]
        return len(gone)

    async def without_vector(self, tenant: TenantId, model: str, limit: int) -> Sequence[Remembered]:
        mine = [kept for (of, _), kept in self._kept.items() if of == tenant]
        return [kept.memory for kept in mine if kept.vector is None or kept.vector.model != model][:limit]

    async def set_vectors(self, tenant: TenantId, vectors: Sequence[tuple[MemoryId, Vector]]) -> None:
        for memory, vector in vectors:
            if (kept := self._kept.get((tenant, memory))) is not None:
                kept.vector = vector

    async def close(self) -> None:
        self._kept.clear()

    def _seen(self, scope: Scope) -> list[_Kept]:
        """Return what the scope sees, the newest first."""
        return [kept for kept in reversed(self._kept.values()) if scope.sees(kept.memory.scope)]


def _bm25(kept: _Kept, among: Sequence[_Kept], words: Sequence[str]) -> float:
    average = sum(other.counts.total() for other in among) / len(among)
    score = 0.0
    for word in words:
        if count := kept.counts[word]:
            holding = sum(word in other.counts for other in among)
            rarity = math.log(1 + (len(among) - holding + 0.5) / (holding + 0.5))
            length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * kept.counts.total() / average
            score += rarity * count * (_SATURATION + 1) / (count + _SATURATION * length)
    return score


def _is_like(kept: Vector | None, asked: Vector) -> bool:
    return kept is not None and (kept.model, len(kept.values)) == (asked.model, len(asked.values))


def _closeness(kept: Vector | None, asked: Vector) -> float:
    return sum(map(mul, kept.values, asked.values)) if kept is not None else 0.0
