"""News between processes: who wrote says which runs changed, who follows hears it. All of it is a hint, and what is lost a look finds."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.ids import RunId, TenantId
from agent_sdk.storage.follow import DUE, MAIL, Bells, RunKey
from agent_sdk.storage.postgres.connect import Address, Connection, connect
from agent_sdk.storage.postgres.crew import Crew
from agent_sdk.storage.postgres.failures import FAILURES

CHANNEL = "agent_sdk"
LONGEST_BYTES = 7999
"""What Postgres takes as the payload of a NOTIFY."""
EVERYTHING = "*"
TOGETHER_S = 0.01
"""For how long news are collected: a NOTIFY takes a lock of the whole database while it is committed."""
LOOK_S = 1.0
_RECONNECT_S = 1.0
# What is lost in a crash is a hint: its commit waits for no disk.
_NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"

Key = RunKey | str


@dataclass(slots=True)
class News:
    """What changed since the last word: runs that have new events, and whether there may be mail, or due runs."""

    runs: set[RunKey] = field(default_factory=set[RunKey])
    marks: set[str] = field(default_factory=set[str])

    def __bool__(self) -> bool:
        return bool(self.runs or self.marks)


def render_news(news: News) -> str:
    """Return the news as a payload; one that would be too long says that everything may have changed."""
    payload = json.dumps([*sorted(news.marks), *(list(key) for key in news.runs)], separators=(",", ":"))
    return payload if len(payload) <= LONGEST_BYTES else EVERYTHING


def parse_news(payload: str) -> list[Key] | None:
    """Return the keys of the bells to ring; None means all, as where somebody else uses the channel."""
    try:
        found: object = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(found, list):
        return None
    keys: list[Key] = []
    for key in cast("list[object]", found):
        match key:
            case str():
                keys.append(key)
            case [str() as tenant, str() as run_id]:
                keys.append((TenantId(tenant), RunId(run_id)))
            case _:
                return None
    return keys


class Wire:
    """One connection of a process for news, both ways. Without it, as with it, one looks once a second at what is followed."""

    def __init__(self, address: Address, bells: Bells, heads: Callable[[Iterable[RunKey]], Awaitable[Mapping[RunKey, int]]]) -> None:
        self._address = address
        self._bells = bells
        self._heads = heads
        self._news = News()
        self._has_news = asyncio.Event()
        self._connection: Connection | None = None

    def start(self, crew: Crew) -> None:
        crew.start(self._listen(), "listen")
        crew.start(self._speak(), "notify")
        crew.start(self._look(), "look")

    def tell(self, run: RunKey | None, *marks: str) -> None:
        """Ring the bells here at once, and elsewhere soon."""
        if run is not None:
            self._bells.ring(run)
            self._news.runs.add(run)
        for mark in marks:
            self._bells.ring(mark)
            self._news.marks.add(mark)
        self._has_news.set()

    def give_way(self) -> None:
        """Let go of the connection, for a while, where the work found none: news are a hint, and a look finds what they would have told."""
        if self._connection is not None:
            self._connection.terminate()

    async def _speak(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            payload, self._news = render_news(self._news), News()
            if self._connection is not None:
                with suppress(*FAILURES):
                    await self._connection.fetch(_NOTIFY, CHANNEL, payload)
            await asyncio.sleep(TOGETHER_S)

    async def _listen(self) -> None:
        """Keep a connection that listens; what happened before it listened is rung for."""
        while True:
            with suppress(*FAILURES, AgentSDKError):
                connection = await connect(self._address)
                try:
                    gone = asyncio.Event()
                    connection.add_termination_listener(partial(_set, gone))
                    await connection.add_listener(CHANNEL, self._heard)
                    self._connection = connection
                    self._bells.ring_all()
                    await gone.wait()
                finally:
                    self._connection = None
                    connection.terminate()
            await asyncio.sleep(_RECONNECT_S)

    def _heard(self, connection: Connection, pid: int, channel: str, payload: str) -> None:
        if not self._bells or pid == connection.get_server_pid():
            return
        keys = parse_news(payload)
        if keys is None:
            self._bells.ring_all()
        else:
            self._bells.ring_each(keys)

    async def _look(self) -> None:
        """Look at all runs that are followed, with one query: whose writer died before it spoke, or spoke while the line was down."""
        known: Mapping[RunKey, int] = {}
        while True:
            await asyncio.sleep(LOOK_S)
            self._bells.ring_each([MAIL, DUE])
            followed = _runs(self._bells.keys())
            if not followed:
                known = {}
                continue
            with suppress(AgentSDKError):
                heads = await self._heads(followed)
                self._bells.ring_each(key for key, head in heads.items() if known.get(key) != head)
                known = heads


def _set(event: asyncio.Event, _: Connection) -> None:
    event.set()


def _runs(keys: Collection[object]) -> list[RunKey]:
    return [cast("RunKey", key) for key in keys if isinstance(key, tuple)]
