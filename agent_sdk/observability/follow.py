"""The follower: it feeds sinks from the journal, each behind its own cursor, so that none holds up a run or another sink."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from agent_sdk.core.envelope import Envelope, artifacts_named, decode
from agent_sdk.core.errors import ConfigError, NotFound
from agent_sdk.core.events import Fact
from agent_sdk.core.ids import ArtifactId, RunId, TenantId
from agent_sdk.core.ports import Clock, Journal, Sink
from agent_sdk.observability.boundary import ObserverFailed, guarded

BATCH = 256
"""Most facts a sink is given at once."""
BATCH_BYTES = 8 * 1024 * 1024
"""A batch ends with the fact whose artifacts take it over this size."""
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 30.0
KEPT_FAILURES = 100

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Feed:
    """One sink's way through one run; `at` is the number of the last event it has taken, None while that is not known."""

    sink: Sink
    at: int | None = None
    failures: int = 0
    is_done: bool = False
    is_backing_off: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)


@dataclass(slots=True, eq=False)
class _Followed:
    """A run, its feeds by sink, and a watch for each open drive of it: without one, a feed ends where the journal ends."""

    tenant: TenantId
    run_id: RunId
    feeds: dict[str, _Feed] = field(default_factory=dict[str, _Feed])
    watches: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def tell(self) -> None:
        for feed in self.feeds.values():
            feed.news.set()


class Follower:
    """Gives every sink a run's facts in order and at least once, and moves the sink's cursor behind what it took.

    A sink that fails is tried again, with delays that double up to 30 seconds; its cursor stays, so nothing is lost, and whoever follows
    the run next goes on from there. Facts come whole: values that the journal keeps as artifacts are fetched, None where they were erased.
    """

    def __init__(self, journal: Journal, sinks: Mapping[str, Sink], clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._journal = journal
        self._sinks = sinks
        self._clock = clock
        self._tasks = tasks
        self._runs: dict[tuple[TenantId, RunId], _Followed] = {}
        self._is_closing = False
        self.failed: Counter[str] = Counter()
        """How often each sink failed."""
        self.failures: deque[ObserverFailed] = deque(maxlen=KEPT_FAILURES)
        """The last failures."""

    @classmethod
    @asynccontextmanager
    async def open(cls, journal: Journal, sinks: Sequence[Sink], *, clock: Clock, drain_s: float = 5.0) -> AsyncGenerator["Follower"]:
        """Hand out a follower, drained for at most `drain_s` when the block is left.

        Raises:
            ConfigError: two sinks have the same name.
        """
        named = _by_name(sinks)
        raised: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            follower = cls(journal, named, clock, tasks)
            try:
                yield follower
            except Exception as error:  # noqa: BLE001  (raised again outside of the group, which would wrap it)
                raised = error
            finally:
                await follower.drain(drain_s)
        if raised is not None:
            raise raised

    @contextmanager
    def follow(self, tenant: TenantId, run_id: RunId) -> Generator[None]:
        """Feed the sinks live while the block is open, then what the journal still holds; leaving the block does not wait for that.

        The run must exist. Around an empty block it catches up on a run that another process left.
        """
        if not self._sinks or self._is_closing:
            yield
            return
        run = self._runs.setdefault((tenant, run_id), _Followed(tenant, run_id))
        watch = self._begin(run)
        try:
            yield
        finally:
            run.watches.discard(watch)
            watch.cancel()
            run.tell()

    async def drain(self, timeout_s: float) -> int:
        """Stop following: feed what the journal holds, for at most `timeout_s`, and return how many feeds stay behind.

        A sink that fails now is not tried again, so that a dead one does not hold up the exit.
        """
        self._is_closing = True
        feeds = [feed for run in self._runs.values() for feed in run.feeds.values()]
        for run in self._runs.values():
            for watch in run.watches:
                watch.cancel()
            run.tell()
        for feed in feeds:
            if feed.is_backing_off:
                feed.task.cancel()
        if feeds:
            _, late = await asyncio.wait([feed.task for feed in feeds], timeout=timeout_s)
            for task in late:
                task.cancel()
        behind = [feed.sink.name for feed in feeds if not feed.is_done]
        if behind:
            _log.warning("sinks are behind at the end, and go on when their runs are followed again", extra={"sinks": Counter(behind)})
        return len(behind)

    def _begin(self, run: _Followed) -> asyncio.Task[None]:
        for name, sink in self._sinks.items():
            if name not in run.feeds:
                feed = run.feeds[name] = _Feed(sink)
                feed.task = self._tasks.create_task(self._feed(run, feed), name=f"sink {name} of run {run.run_id}")
        watch = self._tasks.create_task(self._watch(run), name=f"watch of run {run.run_id}")
        run.watches.add(watch)
        return watch

    async def _watch(self, run: _Followed) -> None:
        """Tell the feeds whenever the journal has something new."""
        failures = 0
        while (error := await guarded(self._ring(run))) is not None:
            failures += 1
            _log.warning("run %s cannot be watched; tried again", run.run_id, exc_info=error)
            await self._clock.sleep(_delay_s(failures))

    async def _ring(self, run: _Followed) -> None:
        head = (await self._journal.row(run.tenant, run.run_id)).head
        run.tell()
        async for _ in self._journal.watch(run.tenant, run.run_id, after=head):
            run.tell()

    async def _feed(self, run: _Followed, feed: _Feed) -> None:
        """Take the sink from its cursor to the end of the journal, again and again, until nobody drives the run any more."""
        while True:
            feed.news.clear()
            was_over = self._is_over(run)
            before = feed.at
            if (error := await guarded(self._pass(run, feed))) is not None:
                self._record(run, feed, error)
                if self._is_closing:
                    break
                feed.is_backing_off = True
                await self._clock.sleep(_delay_s(feed.failures))
                feed.is_backing_off = False
            elif feed.at == before and not was_over:
                await feed.news.wait()
            elif feed.at == before and self._is_over(run):
                feed.is_done = True
                break
        del run.feeds[feed.sink.name]
        if not run.feeds:
            self._runs.pop((run.tenant, run.run_id), None)

    async def _pass(self, run: _Followed, feed: _Feed) -> None:
        """Give the sink one batch, if there is one."""
        if feed.at is None:
            feed.at = await self._journal.cursor(run.tenant, feed.sink.name, run.run_id)
        envelopes = await self._journal.read(run.tenant, run.run_id, after=feed.at, limit=BATCH)
        if envelopes:
            facts = await self._facts(envelopes)
            await feed.sink.take(run.tenant, run.run_id, facts)
            await self._journal.move_cursor(run.tenant, feed.sink.name, run.run_id, facts[-1].seq)
            feed.at = facts[-1].seq
        feed.failures = 0

    async def _facts(self, envelopes: Sequence[Envelope]) -> list[Fact]:
        """Decode the first of the envelopes: all of them, unless their artifacts are too much to be held at once."""
        facts: list[Fact] = []
        size_bytes = 0
        for envelope in envelopes:
            artifacts = await self._artifacts(envelope)
            facts.append(decode(envelope, artifacts))
            size_bytes += sum(map(len, artifacts.values()))
            if size_bytes > BATCH_BYTES:
                break
        return facts

    async def _artifacts(self, envelope: Envelope) -> dict[ArtifactId, bytes]:
        found: dict[ArtifactId, bytes] = {}
        for identity in artifacts_named(envelope).values():
            try:
                found[identity] = await self._journal.artifact(envelope.tenant, identity)
            except NotFound:
                continue
        return found

    def _is_over(self, run: _Followed) -> bool:
        return self._is_closing or not run.watches

    def _record(self, run: _Followed, feed: _Feed, error: BaseException) -> None:
        name, at = feed.sink.name, (feed.at or 0) + 1
        feed.failures += 1
        self.failed[name] += 1
        self.failures.append(ObserverFailed.of(error, name, run.tenant, run.run_id, at))
        _log.warning(
            "sink %s failed; its events are kept and tried again",
            name,
            exc_info=error if feed.failures == 1 else None,
            extra={"run_id": run.run_id, "tenant": run.tenant, "seq": at, "times": feed.failures, "error_type": type(error).__name__},
        )


def _by_name(sinks: Sequence[Sink]) -> dict[str, Sink]:
    for name, times in Counter(sink.name for sink in sinks).items():
        if times > 1:
            raise ConfigError(f"two sinks are named {name!r}", hint="give each its own name: its place in the journal is kept under it")
    return {sink.name: sink for sink in sinks}


def _delay_s(failures: int) -> float:
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))
