"""Performs one attempt of one step: the boundary to tools, and to the model inside a plan."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.errors import ContentRefused, ModelNotNamed, NotFound, ReplyInvalid
from agent_sdk.core.frozen import frozen
from agent_sdk.core.graph import StepState
from agent_sdk.core.history import earlier_call
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import AttemptStarted, Delta, ModelReply, ModelRequest, Progress, ReplyDone, TextDelta
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Model, TokenDelta, Tool
from agent_sdk.core.run import Run
from agent_sdk.core.schemas import Schema, mismatch, schema_of
from agent_sdk.core.strict_json import parse_json
from agent_sdk.core.tools import ToolContext
from agent_sdk.execution.loading import load_run
from agent_sdk.execution.outcome import AttemptOutcome, Done, Failed, Stopped, failed, timed_out
from agent_sdk.execution.parts import Parts
from agent_sdk.execution.within import OutOfTime, within

_LOG = logging.getLogger("agent_sdk.tool")

Args = Mapping[str, JsonValue]


@frozen
class Performer:
    """Calls tools and models for one run. `was_cancelled` says whether a cancellation is one that the run asked for.

    `streamed` counts, for each question, the attempts that were streamed so far, so that a later one is never taken for an earlier.
    """

    run: Run
    parts: Parts
    was_cancelled: Callable[[StepId], bool]
    streamed: dict[StepId, int] = field(default_factory=dict[StepId, int])

    async def tool(self, state: StepState, args: Args, attempt: int) -> AttemptOutcome:
        """Call the step's tool once."""
        tool = self.parts.tools.get(state.tool or "")
        if tool is None:
            return failed(NotFound(f"there is no tool {state.tool!r}"))
        limit_s = self._limit_s(tool)
        return await self._within(state.id, limit_s, self._called(tool, args, self._context(state, attempt, limit_s)))

    async def compensate(self, state: StepState, args: Args, attempt: int, key: str) -> AttemptOutcome:
        """Undo the step's finished call."""
        tool = self.parts.tools.get(state.tool or "")
        if tool is None:
            return failed(NotFound(f"there is no tool {state.tool!r} to undo what it did"))
        limit_s = self._limit_s(tool)
        context = replace(self._context(state, attempt, limit_s), idempotency_key=key)
        return await self._within(StepId(f"{state.id}~undo"), limit_s, _undone(tool, args, state.output, context))

    def _limit_s(self, tool: Tool) -> float:
        return tool.spec.timeout_s if tool.spec.timeout_s is not None else self.run.limits.step_timeout_s

    async def _within(self, step: StepId, limit_s: float, work: Coroutine[Any, Any, JsonValue]) -> AttemptOutcome:
        cancelling = _cancelling()
        try:
            return self._sized(await within(limit_s, work))
        except (KeyboardInterrupt, GeneratorExit):  # not the tool's: a person, or the interpreter, ends what it is part of
            raise
        except BaseException as error:  # the boundary to a tool: its failure is a fact for the journal
            if self.was_cancelled(step):
                return Stopped()
            if isinstance(error, asyncio.CancelledError) and _cancelling() > cancelling:
                raise
            return timed_out(limit_s) if isinstance(error, OutOfTime) else failed(error)

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Ask the model, streaming to whoever follows the run's tokens; who begins to in the midst of a reply is shown it whole.

        Raises:
            ModelError: the model failed, after the retries of its wrapper.
        """
        if self.parts.model is None:
            raise ModelNotNamed(f"agent {self.run.created.agent if self.run.created else ''!r} names no model")
        if self.parts.tokens.wants(self.run.run_id):
            return await self._streamed(self.parts.model, request)
        reply = await self.parts.model.complete(request)
        if self.parts.tokens.wants(self.run.run_id):
            text: list[Delta] = [TextDelta(reply.message.text)] if reply.message.text else []
            attempt = self._next_streamed(request.id)
            for index, delta in enumerate([*text, ReplyDone(reply)]):
                self.parts.tokens.publish(TokenDelta(self.run.run_id, self.run.head, request.id, attempt, index, delta))
        return reply

    async def _streamed(self, model: Model, request: ModelRequest) -> ModelReply:
        reply: ModelReply | None = None
        attempt, index = self._next_streamed(request.id), 0
        async for delta in model.stream(request):  # to its very end, so that nothing of it is left to be closed
            match delta:
                case ReplyDone():
                    reply = delta.reply
                case AttemptStarted():
                    attempt, index = self._next_streamed(request.id), 0
                case _:
                    pass
            self.parts.tokens.publish(TokenDelta(self.run.run_id, self.run.head, request.id, attempt, index, delta))
            index += 1
        if reply is None:
            raise ReplyInvalid("the model's stream ended without a reply")
        return reply

    def _next_streamed(self, question: StepId) -> int:
        attempt = self.streamed[question] = self.streamed.get(question, 0) + 1
        return attempt

    def question(self, state: StepState, spec: ModelStep, args: Args) -> ModelRequest:
        """Return the request of a plan's model step."""
        material = json.dumps(dict(args), ensure_ascii=False, indent=1) if args else ""
        text = f"{spec.prompt}\n\n{material}" if material else spec.prompt
        return ModelRequest(
            state.id,
            self.parts.model_name,
            Conversation([user_message(text)]),
            output_schema=spec.output_schema,
            settings=self.parts.settings,
            max_attempts=self.run.attempts_left,
            tenant=self.run.tenant,
        )

    def parsed(self, spec: ModelStep, reply: ModelReply) -> AttemptOutcome:
        """Return a model step's output, or what is wrong with the reply."""
        text = reply.message.text
        if reply.stop == "refused":
            return Failed(ContentRefused.code, f"the model refused: {text[:200]}" if text else "the model refused to answer")
        if reply.stop == "length":
            return Failed("reply_cut", "the model's reply was cut at its output limit", hint="raise max_output_tokens, or ask for less")
        if spec.output_schema is None:
            return self._sized(text) if text.strip() else _mendable("reply_empty", "the model's reply is empty")
        try:
            value = parse_json(text)
        except ValueError as error:
            return _mendable("reply_not_json", f"the model's reply is not JSON: {error}")
        misfit = mismatch(schema_of(value), Schema.of(spec.output_schema))
        if misfit is not None:
            return _mendable("reply_type", f"the reply does not fit at ${misfit.path}: expected {misfit.expected}, found {misfit.found}")
        return self._sized(value)

    def _context(self, state: StepState, attempt: int, limit_s: float) -> ToolContext[object]:
        run, deadline_s = self.run, self.parts.clock.monotonic() + limit_s
        report = partial(self._report, state.id, attempt)
        log = logging.LoggerAdapter(_LOG, {"tenant": run.tenant, "run_id": run.run_id, "step_id": state.id})
        principal, agent = (run.created.principal, run.created.agent) if run.created is not None else (None, "")
        return ToolContext(
            run.tenant,
            run.run_id,
            state.id,
            attempt,
            state.key or "",
            self.parts.deps,
            deadline_s,
            report,
            log,
            output_of=self._output_of,
            principal=principal,
            agent=agent,
        )

    async def _output_of(self, artifact: str) -> JsonValue:
        """Return the output of a call of this run, or of one before it in its session."""
        run, step = self.run, StepId(artifact)
        if (earlier := earlier_call(run.history, artifact)) is not None:
            run_id, step = earlier
            run = await load_run(self.parts.journal, run.tenant, run_id, run.limits)
        state = run.graph.steps.get(step)
        if state is None or state.status != "finished":
            raise NotFound(f"there is no output {artifact!r} in this run", hint="give the id that stands beside the shortened output")
        return state.output

    def _report(self, step: StepId, attempt: int, note: str, fraction: float | None) -> None:
        if self.parts.tokens.wants(self.run.run_id):
            self.parts.tokens.publish(TokenDelta(self.run.run_id, self.run.head, step, attempt, 0, Progress(note, fraction)))

    async def _called(self, tool: Tool, args: Args, context: ToolContext[object]) -> JsonValue:
        """Call the tool; one that can verify is asked first whether an earlier attempt was done."""
        if tool.spec.effect == "verify" and context.attempt > 1:
            verdict = await tool.verify(context)
            if verdict.is_done:
                return verdict.output
        return await tool.call(args, context)

    def _sized(self, output: JsonValue) -> AttemptOutcome:
        limit = self.run.limits.max_output_bytes
        if isinstance(output, (str, list, dict)) and (size := len(to_json(output))) > limit:
            return Failed(
                "output_too_large",
                f"the output has {size:,} bytes; at most {limit:,} are allowed",
                hint="return less, or write it to a file and return its name; Limits.max_output_bytes sets the cap",
            )
        return Done(output)


async def _undone(tool: Tool, args: Args, output: JsonValue, context: ToolContext[object]) -> None:
    await tool.compensate(args, output, context)


def _mendable(code: str, message: str) -> Failed:
    return Failed(code, message, is_retryable=True, is_mendable=True)


def _cancelling() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
