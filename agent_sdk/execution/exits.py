"""The ways out of a walk: the run waits, is suspended, has ended, or is handed back after an error. Each gives up the lease."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

from agent_sdk.core.errors import JournalNewer, StorageError
from agent_sdk.core.events import (
    Event,
    RunCancelled,
    RunExpired,
    RunFailed,
    RunReleased,
    RunSucceeded,
    RunWaiting,
    Terminal,
    WaitReason,
)
from agent_sdk.core.ports import Mail
from agent_sdk.core.run import Run, RunState
from agent_sdk.execution.family import farewells
from agent_sdk.execution.sequencer import Sequencer
from agent_sdk.execution.spending import Spending
from agent_sdk.execution.store_clock import StoreClock

Outcome = Literal["ended", "waiting", "suspended"]
HAND_BACK_S = 5.0
NEWER_US = 30_000_000
"""How long a run that a newer version wrote on is left for others to take."""


class Exits:
    """Gives one run up. Where there is mail that nobody read, `take_mail` takes it and the walk goes on: then there is no outcome."""

    def __init__(
        self, run: Run, sequencer: Sequencer, spending: Spending, time: StoreClock, take_mail: Callable[[], Awaitable[None]]
    ) -> None:
        self._run = run
        self._sequencer = sequencer
        self._spending = spending
        self._time = time
        self._take_mail = take_mail

    async def waiting(self, waiting: RunWaiting) -> Outcome | None:
        """Let the run wait for what the event says."""
        events: list[Event] = [waiting, RunReleased("waiting")]
        return "waiting" if await self._released(events, "waiting", waiting.reason, waiting.wake_at) else None

    async def suspended(self) -> Outcome | None:
        """Leave the run to be resumed."""
        return "suspended" if await self._released([RunReleased("suspended")], "queued") else None

    async def ended(self, event: Terminal) -> Outcome | None:
        """Close the run, and tell its parent and its children."""
        state = _END_STATES[type(event)]
        return "ended" if await self._released([event], state, mail=farewells(self._run, event, state)) else None

    async def handed_back(self, error: BaseException) -> None:
        """Release the run on the way out; if that fails, its lease or its owner's death frees it.

        An error counts as a crash, so that a run that always ends in one waits as `crash_loop` at last. The mail of a run that a newer
        version wrote on is left to that: if there is any, the lease runs out by itself.
        """
        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(HAND_BACK_S):
                if isinstance(error, JournalNewer):
                    wake_at = self._time.now_us() + NEWER_US
                    waiting: list[Event] = [RunWaiting("timer", wake_at=wake_at), RunReleased("waiting")]
                    await self._sequencer.release(waiting, state="waiting", reason="timer", wake_at=wake_at)
                    return
                event = RunReleased("error" if isinstance(error, Exception) else "suspended")
                while not await self._released([event], "queued"):
                    pass

    async def _released(
        self,
        events: Sequence[Event],
        state: RunState,
        reason: WaitReason | None = None,
        wake_at: int | None = None,
        mail: Sequence[Mail] = (),
    ) -> bool:
        """Give the run up, with all that it holds of budgets; return False, with the mail taken, where the inbox held something unread."""
        if self._spending.is_bounded:
            await self._sequencer.flush()  # a reservation whose call was cancelled is held once it is written
        settled, ledger = self._spending.settlement()
        together = [*settled, *events]
        if await self._sequencer.release(together, state=state, reason=reason, wake_at=wake_at, mail=mail, ledger=ledger):
            return True
        await self._take_mail()
        return False


_END_STATES: Mapping[type[Terminal], RunState] = {
    RunSucceeded: "succeeded",
    RunFailed: "failed",
    RunCancelled: "cancelled",
    RunExpired: "expired",
}
