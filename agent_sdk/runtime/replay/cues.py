"""The order of a recorded drive: whatever is performed again comes in its turn, and the first thing that is not as recorded ends it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from agent_sdk.core.events import Event, Fact
from agent_sdk.core.run import Run
from agent_sdk.runtime.replay.divergence import Divergence, as_recorded, is_same, with_digests
from agent_sdk.runtime.replay.drives import Drive


class RecordEnds(Exception):
    """What is done now was not done, or comes behind what is recorded; `Cues.divergence` says which, None where the owner was lost here."""


@dataclass(slots=True)
class Cues:
    """One drive of a record, and how far it was performed again: `at` is the index of the fact that comes next.

    Where `rebases`, digests are taken over as they are now, and `facts` holds them. `is_stopped` says that the stop that the record shows
    has been made, and `on_stop` makes it;
    `is_over` that nothing more is performed.
    """

    facts: list[Fact]
    drive: Drive
    rebases: bool = False
    at: int = 0
    is_stopped: bool = False
    is_over: bool = False
    divergence: Divergence | None = None
    on_stop: Callable[[], None] = lambda: None
    _waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict[int, "asyncio.Future[None]"])

    @property
    def next(self) -> Fact | None:
        """The fact that comes next in this drive."""
        return self.facts[self.at] if self.at < self.drive.end else None

    @property
    def rest(self) -> Sequence[Fact]:
        return self.facts[self.at : self.drive.end]

    @property
    def must_stop(self) -> bool:
        """Whether the owner was stopped from outside about now."""
        return self.drive.stop is not None and not self.is_stopped and self.at >= self.drive.stop_from

    @property
    def must_kill(self) -> bool:
        """Whether nothing is left but the release of a stopped owner that was killed."""
        return self.drive.is_killed_last and self.at == self.drive.end - 1

    def take(self, fact: Fact) -> Fact:
        """Return what is recorded in the place of `fact`.

        Raises:
            RecordEnds: that is something else, or nothing.
        """
        recorded = self.next
        if recorded is None and self.drive.breaks:
            self.is_over = True
            raise RecordEnds
        if recorded is None or self.divergence is not None or fact.seq != recorded.seq or fact.cause != recorded.cause:
            raise self._differs(fact, recorded)
        event = as_recorded(fact, recorded)
        if self.rebases:
            recorded = self.facts[self.at] = replace(recorded, event=with_digests(recorded.event, event))
        if not is_same(event, recorded.event):
            raise self._differs(replace(fact, event=event), recorded)
        return recorded

    def taken(self) -> None:
        """Go on to the next fact, and let go who waits for its turn."""
        self.at += 1
        if self.must_stop and self.drive.stops_at_once:
            self.stop()
        self._let_go()

    def stop(self) -> None:
        """Stop the owner, as it was stopped then."""
        self.is_stopped = True
        self.on_stop()
        self._let_go()

    async def turn(self, index: int | None) -> None:
        """Return when the fact at `index` comes next; never where it is None, which is what was not recorded."""
        if index is None or not self._is_turn(index):
            waiting = asyncio.get_running_loop().create_future()
            if index is not None:
                self._waiting[index] = waiting
            await waiting

    def find(self, is_it: Callable[[Event], bool]) -> int | None:
        """Return the index of the first fact to come that is sought."""
        return next((index for index in range(self.at, self.drive.end) if is_it(self.facts[index].event)), None)

    def _is_turn(self, index: int) -> bool:
        return index == self.at and not self.must_stop

    def _let_go(self) -> None:
        waiting = self._waiting.get(self.at)
        if waiting is not None and self._is_turn(self.at):
            del self._waiting[self.at]
            if not waiting.done():
                waiting.set_result(None)

    def _differs(self, fact: Fact, recorded: Fact | None) -> RecordEnds:
        if self.divergence is None:
            self.divergence = Divergence(self.at + 1, recorded, fact)
        self.is_over = True
        return RecordEnds()


@dataclass(slots=True)
class CheckedRun(Run):
    """A run whose facts are held to the record as they are posted; what is folded is the recorded one."""

    cues: Cues | None = None

    def apply(self, fact: Fact) -> None:
        if self.cues is None:
            Run.apply(self, fact)
            return
        Run.apply(self, self.cues.take(fact))
        self.cues.taken()
