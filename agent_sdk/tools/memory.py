"""Tools by which a model remembers, recalls and forgets: always for the run's own tenant, user and agent, whatever the model asks for."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from agent_sdk.core.errors import NotDone
from agent_sdk.core.frozen import frozen
from agent_sdk.core.labels import TRUSTED, Label
from agent_sdk.core.memory import Memory, MemoryId, Remembered, Scope
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.decorator import tool

Text = Annotated[str, Field(min_length=1, max_length=8000)]
Kind = Annotated[str, Field(min_length=1, max_length=64)]
Limit = Annotated[int, Field(ge=1, le=50)]


@frozen
class Recalled:
    """A memory as a model sees it; `remembered_at` is in ISO 8601, UTC."""

    id: str
    text: str
    kind: str
    remembered_at: str
    metadata: Mapping[str, JsonValue]


@frozen
class Recollection:
    """What was found, best first. `note` says why it may be less than it should be."""

    memories: list[Recalled]
    note: str | None = None


@frozen
class Forgotten:
    """Nothing with this id is kept any more; `was_kept` says whether there was, which a repeated call does not see."""

    id: str
    was_kept: bool


def memory_tools(
    memory: Memory, *, whose: Literal["user", "everybody"] = "user", per_agent: bool = True, label: Label | None = None
) -> tuple[Tool, ...]:
    """Return the tools `remember`, `recall` and `forget` over a memory.

    What they keep is of the run's principal, so that a run without one is refused; with `whose="everybody"` it is the whole tenant's, and
    one user's words come before another's model: only where all users trust each other. With `per_agent` it is this agent's alone. `recall`
    also returns what was kept for everybody, or for every agent. `label` is that of what `recall` returns; None: untrusted, as memories
    hold what users and other tools have said.
    """

    def scope(context: ToolContext[object]) -> Scope:
        if whose == "user" and context.principal is None:
            raise NotDone(
                "this run acts for no user, so that there is nobody whose memory it is",
                hint="start it with a principal: StartOptions(principal=...), agent-sdk run --principal USER;"
                ' or share one memory: memory_tools(memory, whose="everybody")',
            )
        return Scope(context.tenant, context.principal if whose == "user" else None, context.agent if per_agent and context.agent else None)

    @tool(effect="idempotent", output_label=TRUSTED)
    async def remember(text: Text, context: ToolContext[object], kind: Kind = "note") -> str:  # noqa: D417  (models do not see the context)
        """Keep something for later conversations, and return its id.

        Args:
            text: One fact, in words that make sense by themselves later.
            kind: What it is, such as preference, fact or task.
        """
        return await memory.remember(scope(context), text, kind=kind, key=context.idempotency_key)

    @tool(effect="read", output_label=label)
    async def recall(query: Text, context: ToolContext[object], limit: Limit = 10) -> Recollection:  # noqa: D417  (the same)
        """Find what was remembered in earlier conversations.

        Args:
            query: What it is about, in a few words.
            limit: How many memories at most.
        """
        found = await memory.search(scope(context), query, limit)
        return Recollection([_recalled(hit.memory) for hit in found.hits], found.words_only)

    @tool(effect="idempotent", output_label=TRUSTED)
    async def forget(id: str, context: ToolContext[object]) -> Forgotten:  # noqa: A002, D417  (the name that `recall` shows; the same)
        """Delete a memory for good.

        Args:
            id: As `recall` or `remember` returned it.
        """
        return Forgotten(id, await memory.forget(scope(context), MemoryId(id)))

    return remember, recall, forget


def _recalled(memory: Remembered) -> Recalled:
    return Recalled(memory.id, memory.text, memory.kind, memory.created_at.isoformat(timespec="seconds"), memory.metadata)
