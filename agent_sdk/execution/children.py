"""The child runs for which steps stand: each is there once its step's start is durable, whatever became of the owner before."""

from collections.abc import Iterable

from agent_sdk.core.errors import ConfigError, LimitError, RequestError
from agent_sdk.core.events import ChildFinished
from agent_sdk.core.ids import RunId, StepId
from agent_sdk.core.run import Run
from agent_sdk.execution.parts import BeginChild
from agent_sdk.execution.sequencer import Sequencer


class Children:
    """Begins the child runs of one run. `must_see` asks for a look at those of an owner before, who may not have come to make them."""

    def __init__(self, run: Run, begin_child: BeginChild, sequencer: Sequencer) -> None:
        self._run = run
        self._begin_child = begin_child
        self._sequencer = sequencer
        self.must_see = False

    async def see(self) -> None:
        """See that the child run of every step that waits for one is there."""
        self.must_see = False
        await self.begin(list(self._run.graph.parked))

    async def begin(self, steps: Iterable[StepId]) -> None:
        """See that the child runs are there for which these steps stand; one that cannot be made fails its step."""
        for step in steps:
            pending = self._run.graph.parked.get(step)
            if pending is not None and pending.child is not None:
                await self._begin(step, pending.child)

    async def _begin(self, step: StepId, child: RunId) -> None:
        try:
            await self._begin_child(self._run, step, child)
        except (RequestError, ConfigError, LimitError) as error:
            self._sequencer.post(ChildFinished(step, child, "failed", error.code, message=error.message))
