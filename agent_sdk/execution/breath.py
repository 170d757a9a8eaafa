"""When a walk that never has to wait gives the other tasks of its event loop a turn."""

import asyncio

from agent_sdk.core.ports import Clock

BREATH_S = 0.005
"""The walk yields to the event loop at least this often."""


class Breath:
    """Knows whether a walk has held the loop for too long; where the loop went round by itself, the time counts from then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._went_round = True
        self._drawn_at = 0.0

    def is_due(self) -> bool:
        """Say whether to yield now; to be asked before every move."""
        now = self._clock.monotonic()
        if self._went_round:
            self._went_round, self._drawn_at = False, now
            asyncio.get_running_loop().call_soon(self._note_round)
            return False
        return now - self._drawn_at > BREATH_S

    def _note_round(self) -> None:
        self._went_round = True
