"""`agent-sdk memory`: what is remembered of whom; and its end."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from urllib.parse import unquote, urlsplit

import typer
from pydantic import JsonValue

from agent_sdk.cli.opening import Opened, open_settings
from agent_sdk.cli.options import JsonOption
from agent_sdk.cli.perform import errors_as_json
from agent_sdk.cli.report import to_json_text
from agent_sdk.cli.terminal import emit, safe, tell
from agent_sdk.core.errors import NotFound, RequestError
from agent_sdk.core.ids import PrincipalId, TenantId
from agent_sdk.core.memory import MAX_LIMIT, Memory, MemoryId, Owner, Person, Remembered, Scope
from agent_sdk.runtime.memories import LongTermMemory

T = TypeVar("T")

UrlOption = Annotated[
    str | None,
    typer.Option("--memory", metavar="URL", help="Where memories are kept: sqlite:///memory.db or postgresql://host/db. [setting: memory]"),
]
UserOption = Annotated[str | None, typer.Option("--user", metavar="USER", help="Of one user, whichever agent keeps it.")]
SomeUserOption = Annotated[str, typer.Option("--user", metavar="USER", help="Whose: the principal of runs.")]
AgentOption = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="As the agent of that name sees it.")]

memory = typer.Typer(
    help="See what is remembered of whom, and delete it for good.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)


@memory.command("list")
def list_(
    ctx: typer.Context,
    user: UserOption = None,
    agent: AgentOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_LIMIT, help="How many at most.")] = 50,
    after: Annotated[str | None, typer.Option("--after", metavar="PLACE", help="Where the page before ended.")] = None,
    json: JsonOption = False,
    url: UrlOption = None,
) -> None:
    """List memories, the newest first: all of one user; with --agent what that agent sees; without --user what all users share."""
    opened = open_settings(ctx)
    with errors_as_json(json):
        page = _do(opened, url, lambda memory: memory.list(_owner(opened, user, agent), after=after, limit=limit))
    if json:
        emit(to_json_text({"v": 1, "memories": [_record(each) for each in page.memories], "after": page.after}))
        return
    for each in page.memories:
        emit(_line(each))
    if not page.memories:
        tell("nothing is remembered here")
    if page.after is not None:
        tell(f"there is more: --after {page.after}")


@memory.command()
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="What it is about.")],
    user: UserOption = None,
    agent: AgentOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_LIMIT, help="How many at most.")] = 10,
    json: JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Search by words, as a run of that user and agent would; without them what is everybody's."""
    opened = open_settings(ctx)
    with errors_as_json(json):
        scope = Scope(TenantId(opened.settings.tenant), None if user is None else PrincipalId(user), agent)
        found = _do(opened, url, lambda memory: memory.search(scope, query, limit))
    if json:
        hits: list[JsonValue] = [{**_record(hit.memory), "score": hit.score} for hit in found.hits]
        emit(to_json_text({"v": 1, "hits": hits}))
        return
    for hit in found.hits:
        emit(_line(hit.memory))
    if not found.hits:
        tell("nothing is found")


@memory.command()
def forget(
    ctx: typer.Context,
    memory: Annotated[str, typer.Argument(metavar="ID", help="The memory's id, as list shows it.")],
    user: UserOption = None,
    agent: AgentOption = None,
    json: JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Delete one memory for good: of the user, or with --agent of exactly that user and agent; without --user one that all users share."""
    opened = open_settings(ctx)
    with errors_as_json(json):
        if not _do(opened, url, lambda kept: kept.forget(_owner(opened, user, agent), MemoryId(memory))):
            raise NotFound(
                f"nothing with the id {memory!r} is kept there",
                hint="agent-sdk memory list shows what is; name its --user, and where none, its --agent",
            )
    _report(1, json=json)


@memory.command()
def erase(
    ctx: typer.Context,
    user: SomeUserOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only counted.")] = False,
    json: JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Delete all that is remembered of a user, by every agent, for good, from the index of words and the vectors too."""
    opened = open_settings(ctx)
    person = Person(TenantId(opened.settings.tenant), PrincipalId(user))
    with errors_as_json(json):
        if not yes:
            count = _do(opened, url, lambda memory: _count(memory, person))
            raise RequestError(f"{_memories(count)} of {user!r} would be deleted for good", hint="say so: --yes")
        count = _do(opened, url, lambda memory: memory.erase(person))
    _report(count, json=json)


def _report(count: int, *, json: bool) -> None:
    if json:
        emit(to_json_text({"v": 1, "deleted": count}))
    else:
        tell(f"{_memories(count)} deleted")


def _do(opened: Opened, named: str | None, work: Callable[[Memory], Awaitable[T]]) -> T:
    url = named if named is not None else opened.settings.memory

    async def done() -> T:
        async with LongTermMemory(url) as memory:
            return await work(memory)

    _require(opened, url)
    return asyncio.run(done())


def _require(opened: Opened, url: str) -> None:
    """Refuse to look into a file that is not there: to open it would make it."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and not os.path.lexists(path := opened.loaded.cwd / unquote(parts.path[1:])):
        raise NotFound(f"there are no memories at {path}", hint="name the file that has them: --memory sqlite:///PATH")


def _owner(opened: Opened, user: str | None, agent: str | None) -> Owner:
    tenant = TenantId(opened.settings.tenant)
    if user is not None and agent is None:
        return Person(tenant, PrincipalId(user))
    return Scope(tenant, None if user is None else PrincipalId(user), agent)


async def _count(memory: Memory, person: Person) -> int:
    count, after = 0, None
    while True:
        page = await memory.list(person, after=after, limit=MAX_LIMIT)
        count, after = count + len(page.memories), page.after
        if after is None:
            return count


def _memories(count: int) -> str:
    return "1 memory" if count == 1 else f"{count:,} memories"


def _line(memory: Remembered) -> str:
    who = f"{memory.scope.user or 'everybody'}/{memory.scope.agent or 'every agent'}"
    text = memory.text if len(memory.text) <= 200 else memory.text[:200] + "..."
    return safe(f"{memory.id}  {memory.created_at:%Y-%m-%d %H:%M}  {who}  {memory.kind}: {' '.join(text.split())}")


def _record(memory: Remembered) -> dict[str, JsonValue]:
    return {
        "id": memory.id,
        "user": memory.scope.user,
        "agent": memory.scope.agent,
        "kind": memory.kind,
        "text": memory.text,
        "metadata": dict(memory.metadata),
        "created_at": memory.created_at.isoformat(),
    }
