"""The watch that no `once` effect outlives the lease under which it began: whoever takes the run over may be told to repeat it."""

import asyncio

from agent_sdk.core.ids import StepId
from agent_sdk.core.ports import Clock
from agent_sdk.core.run import Run
from agent_sdk.execution.flights import Flights
from agent_sdk.execution.lease import Lease


class LeaseWatch:
    """Cancels the `once` effects of one run when its lease has run out, and nobody has renewed it."""

    def __init__(self, run: Run, flights: Flights, lease: Lease, clock: Clock) -> None:
        self._run = run
        self._flights = flights
        self._lease = lease
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Cancel the effects if the lease has run out, else look again when it may have; to be asked when one begins.

        A process that was stopped for longer finds all its timers due at once, and this one cancels before any of the work goes on.
        """
        self.end()
        left_s = self._lease.left_s(self._clock)
        if left_s > 0:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._look_again)
            return
        for step in self._under_way():
            self._flights.cancel_now(step)

    def end(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        self._timer = None
        if self._under_way():
            self.look()

    def _under_way(self) -> list[StepId]:
        steps, flights = self._run.graph.steps, self._flights
        return [step for step in flights if step in steps and steps[step].effect == "once" and not flights.was_cancelled(step)]
