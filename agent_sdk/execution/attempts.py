"""Settles one started step: attempt after attempt, each journaled, until it finished, failed or its outcome is unknown."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.digest import digest_of
from agent_sdk.core.errors import AgentSDKError, ArgumentsInvalid
from agent_sdk.core.events import (
    CallMark,
    EffectDecided,
    ModelCalled,
    Purpose,
    StepFailed,
    StepFinished,
    StepRetried,
    StepStarted,
    StepUnknown,
)
from agent_sdk.core.graph import StepState
from agent_sdk.core.labels import TRUSTED, Label, join_all
from agent_sdk.core.messages import user_message
from agent_sdk.core.model import ModelReply, ModelRequest
from agent_sdk.core.plan import ModelStep, refs_in, sources_of
from agent_sdk.core.results import READ_ARTIFACT
from agent_sdk.core.run import Run
from agent_sdk.execution.backoff import delay_before
from agent_sdk.execution.flights import Flights, StopKind
from agent_sdk.execution.lease import Lease
from agent_sdk.execution.outcome import AttemptOutcome, Done, Failed, Stopped, failed
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.perform import Args, Performer
from agent_sdk.execution.sequencer import Sequencer
from agent_sdk.execution.spending import OutOfBudget, Spending

FURTHER_ATTEMPTS = 2
"""How often a step is tried again under `on_error: retry`, and a model told that its reply does not hold."""
_STOP_CODES: Mapping[StopKind, str] = {"cancel": "cancelled", "suspend": "suspended", "expire": "expired"}


@dataclass(slots=True)
class Attempts:
    """Performs started steps of one run, side by side."""

    run: Run
    parts: Parts
    performer: Performer
    sequencer: Sequencer
    flights: Flights
    lease: Lease
    spending: Spending

    def begin(self, state: StepState, args: Args) -> None:
        """Journal that the step starts its next attempt."""
        tool = self.parts.tools.get(state.tool or "")
        effect = tool.spec.effect if tool is not None else "read"
        key = None if effect == "read" else state.key or f"{self.run.run_id}/{state.id}"
        digest, refs = state.args_digest, None
        if digest is None:
            digest = digest_of(dict(args))
            refs = {path.removeprefix("$."): str(ref) for path, ref in refs_in(state.spec.args)} if state.spec is not None else None
        undoes = tool is not None and tool.spec.undoes
        self.sequencer.post(StepStarted(state.id, state.attempt + 1, effect, key, digest, refs or None, undoes=undoes))

    async def settle(self, state: StepState, args: Args) -> None:
        """Perform the started step until its end is posted; under `suspend`, one that may be repeated stays as started."""
        if self.flights.was_cancelled(state.id):
            self.stopped_before(state)
            return
        question = self.performer.question(state, state.spec, args) if isinstance(state.spec, ModelStep) else None
        while True:
            began_at = self.parts.clock.monotonic()
            try:
                outcome = await self._attempt(state, args, question)
            except OutOfBudget:  # the run waits; whoever goes on with it begins the step anew
                return
            delay_s = self._ended(state, outcome, began_at)
            if delay_s is None or not await self._begun_again(state, args, delay_s):
                return

    async def ask(self, request: ModelRequest, purpose: Purpose) -> ModelReply:
        """Put a question to the model and journal its reply.

        Raises:
            ModelError: the model failed, after the retries of its wrapper.
            OutOfBudget: what it may cost was not granted, so it was not put, or not put again.
        """
        if not self.spending.is_bounded:
            return await self._ask(request, purpose)
        async with self.spending.granted(request) as granted:
            return await self._ask(granted, purpose)

    async def _ask(self, request: ModelRequest, purpose: Purpose) -> ModelReply:
        reply = await self.performer.reply(request)
        parts = reply.message.tool_calls
        calls = tuple([CallMark(part.id, part.tool, digest_of(part.args) if part.args is not None else None) for part in parts])
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
            if self.flights.was_cancelled(state.id):
                return Stopped()
            raise
        outcome = self.performer.parsed(state.spec, reply)
        if isinstance(outcome, Failed):
            question.conversation.add(reply.message.without_calls())
            question.conversation.add(user_message(f"That reply does not hold: {outcome.message}\nAnswer again, mended."))
        return outcome

    def _ended(self, state: StepState, outcome: AttemptOutcome, began_at: float) -> float | None:
        """Journal how the attempt ended; return the seconds before the next one, None where the step is settled."""
        match outcome:
            case Done(output=output):
                spent_us = int((self.parts.clock.monotonic() - began_at) * 1_000_000)
                self.sequencer.post(StepFinished(state.id, state.attempt, spent_us, self._label(state), output, self._shown(state, output)))
            case Stopped():
                self._stopped(state, was_begun=True)
            case Failed():
                delay_s = self._delay_before_retry(state, outcome)
                if delay_s is not None:
                    self.sequencer.post(
                        StepRetried(state.id, state.attempt + 1, outcome.code, delay_s, outcome.message, outcome.usage, outcome.calls)
                    )
                    return delay_s
                self.sequencer.post(outcome.event(state.id, state.attempt, state.effect))
            case _:
                assert_never(outcome)
        return None

    def _shown(self, state: StepState, output: JsonValue) -> int | None:
        """Return how much of its call's output the model is shown; None for all of it."""
        preview = self.parts.agent.context.preview_chars
        if preview is None or (state.stands_for or state.id) not in self.run.calls or state.tool == READ_ARTIFACT:
            return None
        length = len(output) if isinstance(output, str) else len(to_json(output)) if isinstance(output, list | dict) else 0
        return preview if length > preview else None

    async def _begun_again(self, state: StepState, args: Args, delay_s: float) -> bool:
        """Wait, then journal the next attempt's start; return False if the run was asked to stop meanwhile."""
        try:
            await self.parts.clock.sleep(delay_s)
            self.begin(state, args)
            if state.effect != "read":
                await self.sequencer.flush()
                await self.lease.ensure(self.parts.journal, self.parts.clock)
        except asyncio.CancelledError:
            if not self.flights.was_cancelled(state.id):
                raise
        if self.flights.was_cancelled(state.id):
            self.stopped_before(state)
            return False
        return True

    def _delay_before_retry(self, state: StepState, outcome: Failed) -> float | None:
        """Return how long to wait before the next attempt, None where there is none."""
        if state.effect == "once" or self.run.retries >= self.run.limits.max_retries:
            return None
        tool = self.parts.tools.get(state.tool or "")
        allowed = tool.spec.retries if tool is not None and outcome.is_retryable else 0
        if outcome.is_mendable or (state.on_error == "retry" and outcome.code != ArgumentsInvalid.code):
            allowed = max(allowed, FURTHER_ATTEMPTS)
        if state.attempt > allowed:
            return None
        return delay_before(state.attempt + 1, self.parts.random, retry_after_s=outcome.retry_after_s)

    def _stopped(self, state: StepState, *, was_begun: bool) -> None:
        stop = self.flights.stop
        code = _STOP_CODES[stop] if stop is not None else "lease_lost"
        if state.effect == "once" and was_begun:
            self.sequencer.post(StepUnknown(state.id, state.attempt, code, "the run was stopped while the effect was under way"))
        elif stop in {"cancel", "expire"}:
            self.sequencer.post(StepFailed(state.id, state.attempt, code, message="the run was stopped before this step ended"))
        elif state.effect == "once":
            self.sequencer.post(StepUnknown(state.id, state.attempt, code, "the run was stopped before the effect began"))
            self.sequencer.post(EffectDecided(state.id, "retry"))

    def _label(self, state: StepState) -> Label:
        """Join the tool's own label with those of all that went into the call."""
        tool = self.parts.tools.get(state.tool or "")
        own = tool.spec.label if tool is not None else TRUSTED
        if (state.stands_for or state.id) in self.run.calls:
            return own.join(self.run.label)
        steps = self.run.graph.steps
        spec = state.spec if state.stands_for is None else steps[state.stands_for].spec
        sources = (steps[source].label for source in sources_of(spec) if source in steps) if spec is not None else ()
        return own.join(join_all(sources))
