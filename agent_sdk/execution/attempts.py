"""Settles one started step: attempt after attempt, each journaled, until it finished, failed or its outcome is unknown."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent_sdk.core.digest import digest_of
from agent_sdk.core.errors import AgentSDKError
from agent_sdk.core.events import CallMark, ModelCalled, Purpose, StepFailed, StepFinished, StepRetried, StepStarted, StepUnknown
from agent_sdk.core.graph import StepState
from agent_sdk.core.labels import TRUSTED, Label, join_all
from agent_sdk.core.messages import user_message
from agent_sdk.core.model import ModelReply, ModelRequest
from agent_sdk.core.plan import ModelStep, refs_in, sources_of
from agent_sdk.core.ports import Clock, Random
from agent_sdk.core.run import Run
from agent_sdk.execution.backoff import delay_before
from agent_sdk.execution.outcome import AttemptOutcome, Done, Failed, Stopped, failed
from agent_sdk.execution.perform import Args, Performer
from agent_sdk.execution.sequencer import Sequencer

StopKind = Literal["cancel", "suspend", "expire"]
ON_ERROR_RETRIES = 2
_STOP_CODES: Mapping[StopKind, str] = {"cancel": "cancelled", "suspend": "suspended", "expire": "expired"}


@dataclass(slots=True)
class Attempts:
    """Performs started steps of one run, side by side. `stop` says whether, and how, the run was asked to stop."""

    run: Run
    performer: Performer
    sequencer: Sequencer
    clock: Clock
    random: Random
    stop: Callable[[], StopKind | None]

    def begin(self, state: StepState, args: Args) -> None:
        """Journal that the step starts its next attempt."""
        tool = self.performer.tools.get(state.tool or "")
        effect = tool.spec.effect if tool is not None else "read"
        key = None if effect == "read" else state.key or f"{self.run.run_id}/{state.id}"
        digest, refs = state.args_digest, None
        if digest is None:
            digest = digest_of(dict(args))
            refs = {path.removeprefix("$."): str(ref) for path, ref in refs_in(state.spec.args)} if state.spec is not None else None
        self.sequencer.post(StepStarted(state.id, state.attempt + 1, effect, key, digest, refs or None))

    async def settle(self, state: StepState, args: Args) -> None:
        """Perform the started step until its end is posted; under `suspend`, one that may be repeated stays as started."""
        question = self._question(state, args)
        while True:
            began_at = self.clock.monotonic()
            outcome = await self._attempt(state, args, question)
            delay_s = self._ended(state, outcome, began_at)
            if delay_s is None or not await self._begun_again(state, args, delay_s):
                return

    async def ask(self, request: ModelRequest, purpose: Purpose) -> ModelReply:
        """Put a question to the model and journal its reply.

        Raises:
            ModelError: the model failed, after the retries of its wrapper.
        """
        reply = await self.performer.reply(request)
        calls = tuple(
            CallMark(part.id, part.tool, digest_of(dict(part.args)) if part.args is not None else None) for part in reply.message.tool_calls
        )
        label = self.run.label if purpose != "step" else None
        model = reply.model or request.model
        self.sequencer.post(
            ModelCalled(request.id, purpose, model, reply.usage, reply.stop, reply.attempts, calls, label, reply.request_id, reply.message)
        )
        return reply

    def stopped_before(self, state: StepState) -> None:
        """Journal the end of a step that was started on paper and never performed."""
        self._stopped(state, was_begun=False)

    async def _attempt(self, state: StepState, args: Args, question: ModelRequest | None) -> AttemptOutcome:
        if question is None or not isinstance(state.spec, ModelStep):
            try:
                return await self.performer.tool(state, args, state.attempt)
            except asyncio.CancelledError:
                if state.effect == "once":
                    self.sequencer.post(StepUnknown(state.id, state.attempt, "interrupted", "the performing task was cancelled"))
                raise
        try:
            reply = await self.ask(question, "step")
        except AgentSDKError as error:
            return failed(error)
        except asyncio.CancelledError:
            if self.stop() is not None:
                return Stopped()
            raise
        outcome = self.performer.parsed(state.spec, reply.message.text)
        if isinstance(outcome, Failed):
            question.conversation.add(reply.message)
            question.conversation.add(user_message(f"That reply does not hold: {outcome.message}\nAnswer again, mended."))
        return outcome

    def _ended(self, state: StepState, outcome: AttemptOutcome, began_at: float) -> float | None:
        """Journal how the attempt ended; return the seconds before the next one, None where the step is settled."""
        match outcome:
            case Done(output=output):
                spent_us = int((self.clock.monotonic() - began_at) * 1_000_000)
                self.sequencer.post(StepFinished(state.id, state.attempt, spent_us, self._label(state), output))
            case Stopped():
                self._stopped(state, was_begun=True)
            case Failed():
                delay_s = self._delay_before_retry(state, outcome)
                if delay_s is not None:
                    self.sequencer.post(StepRetried(state.id, state.attempt + 1, outcome.code, delay_s, outcome.message))
                    return delay_s
                self.sequencer.post(outcome.event(state.id, state.attempt, state.effect))
        return None

    async def _begun_again(self, state: StepState, args: Args, delay_s: float) -> bool:
        """Wait, then journal the next attempt's start; return False if the run was asked to stop meanwhile."""
        try:
            await self.clock.sleep(delay_s)
            self.begin(state, args)
            if state.effect != "read":
                await self.sequencer.flush()
        except asyncio.CancelledError:
            if self.stop() is None:
                raise
        if self.stop() is not None:
            self._stopped(state, was_begun=False)
        return self.stop() is None

    def _question(self, state: StepState, args: Args) -> ModelRequest | None:
        return self.performer.question(state, state.spec, args) if isinstance(state.spec, ModelStep) else None

    def _delay_before_retry(self, state: StepState, outcome: Failed) -> float | None:
        """Return how long to wait before the next attempt, None where there is none."""
        if state.effect == "once" or self.run.retries >= self.run.limits.max_retries or self.stop() is not None:
            return None
        tool = self.performer.tools.get(state.tool or "")
        allowed = tool.spec.retries if tool is not None else 0
        if state.on_error == "retry" or isinstance(state.spec, ModelStep):
            allowed = max(allowed, ON_ERROR_RETRIES)
        asked_for = state.on_error == "retry" and outcome.was_done is None
        if state.attempt > allowed or not (outcome.is_retryable or asked_for):
            return None
        return delay_before(state.attempt + 1, self.random, retry_after_s=outcome.retry_after_s)

    def _stopped(self, state: StepState, *, was_begun: bool) -> None:
        stop = self.stop() or "cancel"
        code = _STOP_CODES[stop]
        if state.effect == "once" and was_begun:
            self.sequencer.post(StepUnknown(state.id, state.attempt, code, "the run was stopped while the effect was under way"))
        elif stop != "suspend" or state.effect == "once":
            self.sequencer.post(StepFailed(state.id, state.attempt, code, message="the run was stopped before this step ended"))

    def _label(self, state: StepState) -> Label:
        """Join the tool's own label with those of all that went into the call."""
        tool = self.performer.tools.get(state.tool or "")
        own = tool.spec.label if tool is not None else TRUSTED
        if state.args_digest is not None and state.id in self.run.calls:
            return own.join(self.run.label)
        steps = self.run.graph.steps
        sources = (steps[source].label for source in sources_of(state.spec) if source in steps) if state.spec is not None else ()
        return own.join(join_all(sources))
