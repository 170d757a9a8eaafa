"""Long-term memory: what outlives its run, whose it is and who sees it. Where it is kept is known by `storage`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NewType, Protocol

from pydantic import JsonValue

from agent_sdk.core.errors import OutsideError, RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.strict_json import require_name, require_storable

MemoryId = NewType("MemoryId", str)

MAX_TEXT_BYTES = 32 * 1024
MAX_METADATA_BYTES = 16 * 1024
MAX_QUERY_BYTES = 32 * 1024
MAX_LIMIT = 1000


@frozen
class Scope:
    """Whose a memory is: a tenant's, and within it a user's and an agent's; None stands for everybody there.

    Whoever looks with a scope sees what was kept for its tenant, for its user or everybody, and for its agent or every agent. So one with
    user None sees no user's own, and one with agent None no agent's own.

    Raises:
        RequestError: a name is empty, too long or no valid text.
    """

    tenant: TenantId
    user: PrincipalId | None = None
    agent: str | None = None

    def __post_init__(self) -> None:
        _check_names(self.tenant, self.user, self.agent)

    def sees(self, kept: "Scope") -> bool:
        """Say whether what was kept for the other scope may be shown to this one."""
        return kept.tenant == self.tenant and kept.user in {None, self.user} and kept.agent in {None, self.agent}


@frozen
class Person:
    """One user of a tenant, with all that any agent keeps for it; what is everybody's is not among it.

    Raises:
        RequestError: a name is empty, too long or no valid text.
    """

    tenant: TenantId
    user: PrincipalId

    def __post_init__(self) -> None:
        _check_names(self.tenant, self.user)


Owner = Scope | Person


@frozen
class Remembered:
    """One memory as it is kept, with the scope that it was given; nobody vouches for its text."""

    id: MemoryId
    scope: Scope
    text: str
    kind: str
    metadata: Mapping[str, JsonValue]
    created_at: datetime


@frozen
class Hit:
    """A memory that was found. The score is above 0, the higher the better, and compares hits of one search alone."""

    memory: Remembered
    score: float


@frozen
class Found:
    """What a search found, best first. `words_only` says why it went by words alone where it should have gone by meaning too."""

    hits: tuple[Hit, ...]
    words_only: str | None = None


@frozen
class Page:
    """A part of a list, newest first; `after` is where the next page begins, None on the last."""

    memories: tuple[Remembered, ...]
    after: str | None = None


class EmbeddingInvalid(OutsideError):
    """An embedder returned what cannot be the vectors of the texts: their number, their size or their values are wrong."""

    code = "embedding_invalid"


class Embedder(Protocol):
    """Turns texts into vectors that lie close together where the texts mean the like."""

    @property
    def name(self) -> str:
        """The model's name: vectors are compared with those of the same name and size alone."""
        ...

    @property
    def dimensions(self) -> int | None:
        """The size that every vector must have; None where it is not known beforehand."""
        ...

    async def embed(self, texts: Sequence[str], purpose: Literal["document", "query"]) -> Sequence[Sequence[float]]:
        """Return one vector a text, all of the same size and none of length 0."""
        ...


class Memory(Protocol):
    """Keeps texts for later runs, and finds them again. What it takes is checked, and none of it is ever read as a query's syntax."""

    async def remember(
        self, scope: Scope, text: str, *, kind: str = "note", metadata: Mapping[str, JsonValue] | None = None, key: str | None = None
    ) -> MemoryId:
        """Keep a text, durable on return. The same `key` in the same scope keeps the first text, and returns its id again.

        Raises:
            InputTooLarge: the text or the metadata are over their caps.
            RequestError: the text is empty or no valid text, or a name is none.
            EmbeddingInvalid: the embedder's vectors cannot be used. One that merely fails costs nothing but the vector.
            StorageError: it cannot be kept.
        """
        ...

    async def search(self, scope: Scope, query: str, limit: int = 10) -> Found:
        """Return what the scope sees and the query speaks of. Its first 64 different words count.

        Raises:
            InputTooLarge, RequestError: the query is too large, empty or no valid text, or `limit` is not between 1 and `MAX_LIMIT`.
            StorageError: the store failed.
        """
        ...

    async def forget(self, owner: Owner, memory: MemoryId) -> bool:
        """Delete a memory for good, index included, and say whether there was one: with exactly this scope, or of this person."""
        ...

    async def list(self, owner: Owner, *, after: str | None = None, limit: int = 100) -> Page:
        """Return a page of what the scope sees, or of what is this person's."""
        ...

    async def erase(self, owner: Owner) -> int:
        """Delete all that has exactly this scope, or is this person's, for good, index included; return how many there were."""
        ...

    async def reindex(self, tenant: TenantId) -> int:
        """Make the vectors that the tenant's memories lack, as after an embedder failed or was changed; return how many.

        Raises:
            RequestError: there is no embedder. OutsideError: it fails.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds open."""
        ...


def _check_names(*names: str | None) -> None:
    for name in names:
        if name is None:
            continue
        if not name:
            raise RequestError(
                "the name of a memory's tenant, user or agent is empty", hint="leave user and agent out: None means everybody"
            )
        try:
            require_name(name)
            require_storable(name)
        except ValueError as error:
            raise RequestError(f"a memory's tenant, user or agent has no valid name: {error}") from error
