"""Performs one attempt of one step: the boundary to tools, and to the model inside a plan."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.errors import AgentSDKError, ArgumentsInvalid, ModelNotNamed, NotFound
from agent_sdk.core.graph import StepState
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import AttemptStarted, ModelReply, ModelRequest, Progress, ReplyDone
from agent_sdk.core.plan import ModelStep
from agent_sdk.core.ports import Clock, Model, TokenDelta, TokenSink, Tool
from agent_sdk.core.run import Run
from agent_sdk.core.schemas import Schema, mismatch, schema_of
from agent_sdk.core.tools import ToolContext
from agent_sdk.execution.outcome import AttemptOutcome, Done, Failed, Stopped, failed, timed_out

_LOG = logging.getLogger("agent_sdk.tool")

Args = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Performer:
    """Calls tools and models for one run. `is_stopping` says whether a cancellation is one that the run asked for."""

    run: Run
    tools: Mapping[str, Tool]
    model: Model | None
    model_name: str
    clock: Clock
    deps: object
    tokens: TokenSink
    is_stopping: Callable[[], bool]

    async def tool(self, state: StepState, args: Args, attempt: int) -> AttemptOutcome:
        """Call the step's tool once."""
        tool = self.tools.get(state.tool or "")
        if tool is None:
            return failed(NotFound(f"there is no tool {state.tool!r}"))
        limit_s = tool.spec.timeout_s if tool.spec.timeout_s is not None else self.run.limits.step_timeout_s
        context = self._context(state, attempt, limit_s)
        scope = asyncio.timeout(limit_s)
        try:
            async with scope:
                output = await self._called(tool, args, context)
        except ArgumentsInvalid as error:
            return Failed(error.code, error.message, hint=error.hint, was_done=False)
        except asyncio.CancelledError as error:
            if self.is_stopping():
                return Stopped()
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return failed(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (the boundary to a tool: its failure is a fact for the journal)
            return timed_out(limit_s) if scope.expired() else failed(error)
        return self._sized(output)

    async def reply(self, request: ModelRequest) -> ModelReply:
        """Ask the model, streaming to whoever follows the run's tokens.

        Raises:
            ModelError: the model failed, after the retries of its wrapper.
        """
        if self.model is None:
            raise ModelNotNamed(f"agent {self.run.created.agent if self.run.created else ''!r} names no model")
        if not self.tokens.wants(self.run.run_id):
            return await self.model.complete(request)
        attempt, index = 1, 0
        async for delta in self.model.stream(request):
            match delta:
                case ReplyDone(reply=reply):
                    return reply
                case AttemptStarted():
                    attempt, index = delta.attempt, -1
                case _:
                    pass
            self.tokens.publish(TokenDelta(self.run.run_id, self.run.head, request.id, attempt, max(index, 0), delta))
            index += 1
        raise AgentSDKError("the model's stream ended without a reply")

    def question(self, state: StepState, spec: ModelStep, args: Args) -> ModelRequest:
        """Return the request of a plan's model step."""
        material = json.dumps(dict(args), ensure_ascii=False, indent=1) if args else ""
        text = f"{spec.prompt}\n\n{material}" if material else spec.prompt
        return ModelRequest(
            state.id,
            self.model_name,
            Conversation([user_message(text)]),
            output_schema=spec.output_schema,
            max_attempts=self.run.attempts_left,
        )

    def parsed(self, spec: ModelStep, text: str) -> AttemptOutcome:
        """Return a model step's output, or what is wrong with the reply."""
        if spec.output_schema is None:
            return self._sized(text) if text.strip() else Failed("reply_empty", "the model's reply is empty", is_retryable=True)
        try:
            value: JsonValue = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            return Failed("reply_not_json", f"the model's reply is not JSON: {error}", is_retryable=True)
        misfit = mismatch(schema_of(value), Schema.of(spec.output_schema))
        if misfit is not None:
            return Failed(
                "reply_type",
                f"the reply does not fit at ${misfit.path}: expected {misfit.expected}, found {misfit.found}",
                is_retryable=True,
            )
        return self._sized(value)

    def _context(self, state: StepState, attempt: int, limit_s: float) -> ToolContext[object]:
        run, deadline_s = self.run, self.clock.monotonic() + limit_s
        report = partial(self._report, state.id, attempt)
        log = logging.LoggerAdapter(_LOG, {"tenant": run.tenant, "run_id": run.run_id, "step_id": state.id})
        return ToolContext(run.tenant, run.run_id, state.id, attempt, state.key or "", self.deps, deadline_s, report, log)

    def _report(self, step: StepId, attempt: int, note: str, fraction: float | None) -> None:
        if self.tokens.wants(self.run.run_id):
            self.tokens.publish(TokenDelta(self.run.run_id, self.run.head, step, attempt, 0, Progress(note, fraction)))

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


def _refuse(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON number")
