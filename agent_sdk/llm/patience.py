"""The time limits of one stream, which run only while somebody listens to it."""

import asyncio
from collections.abc import Callable

from agent_sdk.llm.options import Timeouts


class Patience:
    """The time limits of one stream, which run only while it is listened to.

    One timer serves all reads: a read moves the deadline, and the timer looks, when it fires, whether that has come.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._end = now + timeouts.total_s
        self._timer: asyncio.TimerHandle | None = None
        self._is_listening = False
        self._give_up: Callable[[], None] | None = None
        self.has_begun = False
        self.is_over = False
        self.deadline = min(now + timeouts.first_token_s, self._end)

    def listen(self, give_up: Callable[[], None]) -> None:
        """Begin to wait for bytes; `give_up` is called when that takes too long. Until the first event, comments buy no time."""
        self._is_listening, self._give_up = True, give_up
        if self.has_begun:
            self.deadline = min(self._loop.time() + self._timeouts.idle_s, self._end)
        if self._timer is None or self._timer.when() > self.deadline:
            self._arm()

    def rest(self) -> None:
        self._is_listening = False

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    @property
    def exceeded(self) -> str:
        """What took too long, in words."""
        if self.deadline >= self._end:
            return f"did not finish its reply within {self._timeouts.total_s:g} s"
        if self.has_begun:
            return f"fell silent for {self._timeouts.idle_s:g} s in the middle of its reply"
        return f"did not begin its reply within {self._timeouts.first_token_s:g} s"

    def _arm(self) -> None:
        self.close()
        self._timer = self._loop.call_at(self.deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._is_listening or self._give_up is None:
            return
        if self._loop.time() < self.deadline:
            self._arm()
        else:
            self.is_over = True
            self._give_up()
