"""What is judged before it counts: the goal, the calls of a turn and the answer, by the checker and then by the agent's guardrails."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from agent_sdk.core.errors import GuardrailRefused, InputRefused
from agent_sdk.core.events import CheckRefused, RunFailed, RunSucceeded, StepFailed
from agent_sdk.core.ids import StepId
from agent_sdk.core.plan import GOAL
from agent_sdk.core.ports import Answer, Checker, Guards
from agent_sdk.core.run import Run
from agent_sdk.execution.flights import Flights
from agent_sdk.execution.proposals import ANSWER, answered, refusals, refused, unbegun_calls
from agent_sdk.execution.sequencer import Sequencer

GOAL_REFUSED = "a guardrail refuses the goal: "
JUDGING = StepId("run.guard")
"""What the judging of guardrails is called among what is under way; no step can have this id."""

T = TypeVar("T")


class Judging:
    """Judges for one run. A stop of the run ends what a guardrail is at, and nothing more is judged."""

    def __init__(self, run: Run, checker: Checker, guards: Guards | None, sequencer: Sequencer, flights: Flights) -> None:
        self._run = run
        self._checker = checker
        self._guards = guards
        self._sequencer = sequencer
        self._flights = flights
        self.must_judge_goal = guards is not None

    async def goal(self) -> None:
        """Ask the guardrails about the goal, as long as nothing was done for it; one that is refused fails the run."""
        run, guards = self._run, self._guards
        if guards is not None and not run.questions and not any(state.attempt for state in run.graph.steps.values()):
            complaint = await self._said(guards.goal(run), None)
            if self._flights.stop is not None:
                return
            if complaint is not None:
                self._sequencer.post(StepFailed(GOAL, 1, InputRefused.code, message=f"{GOAL_REFUSED}{complaint}"))
        self.must_judge_goal = False

    async def calls(self) -> None:
        """Refuse the calls of the newest turn that do not hold, or to which a guardrail objects, before any of them is performed."""
        for refusal in refusals(self._run, self._checker):
            self._sequencer.post(refusal)
        if self._guards is None:
            return
        for call in unbegun_calls(self._run):
            if self._flights.stop is not None:
                return
            if findings := await self._said(self._guards.call(call, self._run), ()):
                self._sequencer.post(refused(call.id, findings))

    async def answer(self, answer: Answer) -> RunSucceeded | RunFailed | CheckRefused | None:
        """Return what becomes of a proposed answer; None where it is one no longer, since a stop or a message came meanwhile."""
        event = answered(answer, self._run, self._checker)
        if isinstance(event, CheckRefused) or self._guards is None:
            return event
        reply = self._run.last_reply
        try:
            findings = await self._said(self._guards.answer(answer.value, self._run), ())
        except GuardrailRefused as error:
            return RunFailed(error.code, None, error.message, error.hint)
        if self._flights.stop is not None or self._run.last_reply is not reply:
            return None
        return refused(self._run.asked or ANSWER, findings) if findings else event

    async def _said(self, judging: Awaitable[T], otherwise: T) -> T:
        """Await what a guardrail says; where the run is stopped meanwhile, `otherwise`."""

        async def judge() -> T:
            try:
                return await judging
            except asyncio.CancelledError:
                if not self._flights.was_cancelled(JUDGING):
                    raise
                return otherwise

        return await self._flights.in_place(JUDGING, judge())
