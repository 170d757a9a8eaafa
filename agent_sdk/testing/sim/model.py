"""A simulated model in process: the port `Model`, with the failures as an adapter would raise them and time on a clock of the test's."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

from agent_sdk.core.errors import (
    AuthFailed,
    BadRequest,
    ConfigError,
    ContentRefused,
    ContextTooLong,
    ModelError,
    Overloaded,
    RateLimited,
    ReplyInvalid,
    Unavailable,
)
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.model import Delta, ModelReply, ModelRequest, ReasoningDelta, ReplyDone, TextDelta, ToolCallDelta
from agent_sdk.core.ports import Clock
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id, parse_call
from agent_sdk.testing.scripted_model import Call
from agent_sdk.testing.sim.asked import SimRequest, SimTool, Spoken, Wanted
from agent_sdk.testing.sim.faults import INSTEAD, FaultKind
from agent_sdk.testing.sim.said import arguments_text
from agent_sdk.testing.sim.sim import Sim, Verdict
from agent_sdk.testing.sim.tokens import json_tokens, split_tokens

_RAISED: Mapping[FaultKind, tuple[type[ModelError], str]] = {
    "rate_limited": (RateLimited, "the simulated model was asked too often"),
    "overloaded": (Overloaded, "the simulated model has too much to do"),
    "server_error": (Unavailable, "the simulated model failed inside"),
    "timeout": (Unavailable, "the simulated model did not answer in time"),
    "stall": (Unavailable, "the simulated model fell silent in the midst of its reply"),
    "closed": (Unavailable, "the simulated model broke off its reply"),
    "error_in_stream": (Overloaded, "the simulated model broke off its reply: it has too much to do"),
    "malformed_json": (ReplyInvalid, "the simulated model sent what is not JSON"),
    "html": (ReplyInvalid, "the simulated model sent an HTML page"),
    "context_too_long": (ContextTooLong, "the question does not fit the simulated model's context"),
    "auth_failed": (AuthFailed, "the simulated model does not accept the key"),
    "unknown_model": (BadRequest, "there is no simulated model of this name"),
    "filtered": (ContentRefused, "the simulated model's safety system refuses to answer"),
}
_SILENT: frozenset[FaultKind] = frozenset({"timeout", "stall"})


class SimModel:
    """Answers as `sim` says, on `clock` (None: that of the event loop).

    Who would wait for ever is told after `patience_s` that nothing came, as an adapter's time limit says it.
    """

    def __init__(self, sim: Sim, *, clock: Clock | None = None, patience_s: float = 60.0) -> None:
        self.sim = sim
        self._sleep = asyncio.sleep if clock is None else clock.sleep
        self._patience_s = patience_s

    async def complete(self, request: ModelRequest) -> ModelReply:
        verdict = self.sim.decide(_asked(request, is_stream=False))
        await self._pause(self.sim.first_token_s(verdict) + self._rest_s(verdict))
        if verdict.kind in _RAISED:
            raise await self._failure(verdict)
        return self._billed(request, verdict)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Yield the reply token by token, up to where it breaks."""
        verdict = self.sim.decide(_asked(request, is_stream=True))
        await self._pause(self.sim.first_token_s(verdict))
        breaks = verdict.kind in _RAISED
        deltas = [] if breaks and (verdict.kind in INSTEAD or verdict.kind in {"timeout", "html"}) else _deltas(verdict)
        shown = deltas[: verdict.chance.randrange(len(deltas) + 1)] if breaks else deltas
        for delta in shown:
            yield delta
            await self._pause(self.sim.latency.per_token(verdict.chance))
        if breaks:
            raise await self._failure(verdict, len(shown))
        yield ReplyDone(self._billed(request, verdict))

    def _rest_s(self, verdict: Verdict) -> float:
        return sum(self.sim.latency.per_token(verdict.chance) for _ in range(max(0, verdict.reply.output_tokens - 1)))

    async def _pause(self, delay_s: float) -> None:
        if delay_s > 0:
            await self._sleep(delay_s)

    async def _failure(self, verdict: Verdict, shown: int = 0) -> ModelError:
        if verdict.kind in _SILENT:
            await self._sleep(self._patience_s)
        if verdict.kind is None or verdict.fault is None:
            raise ConfigError("this reply does not fail")
        kind, message = _RAISED[verdict.kind]
        error = kind(message, retry_after_s=verdict.fault.retry_after_s if kind in {RateLimited, Overloaded} else None)
        if shown:  # as with vendors that report the input when they begin
            error.usage = self._priced(verdict, Usage(verdict.usage.input_tokens, shown))
            self.sim.charge(verdict, error.usage, is_whole=False)
        return error

    def _billed(self, request: ModelRequest, verdict: Verdict) -> ModelReply:
        if verdict.raw is not None:
            raise ConfigError("a RawReply is an HTTP response, and this model answers in process", hint="use SimServer, or a Fault")
        self.sim.charge(verdict, verdict.reported, is_whole=True)
        usage = self._usage(verdict)
        message = Message("assistant", tuple(_parts(verdict, request.id)))
        return ModelReply(message, usage, verdict.reply.stopped, request.model, f"sim-{verdict.number}")

    def _usage(self, verdict: Verdict) -> Usage:
        usage = verdict.reported or Usage()
        return self._priced(verdict, usage if usage.input_tokens >= 0 else Usage())

    def _priced(self, verdict: Verdict, usage: Usage) -> Usage:
        model = verdict.request.model
        return replace(usage, cost_usd=self.sim.cost_usd(model, usage)) if model in self.sim.prices else usage


def _asked(request: ModelRequest, *, is_stream: bool) -> SimRequest:
    settings = request.settings
    schema = request.output_schema
    wanted = Wanted(
        tuple(SimTool(tool.name, tool.parameters) for tool in request.tools),
        settings.tool_choice,
        settings.force_tool,
        settings.parallel_tool_calls is not False,
        schema,
        settings.max_output_tokens,
        is_stream,
        settings.cache is not None,
    )
    offered = sum(json_tokens([tool.name, tool.description, dict(tool.parameters)]) for tool in request.tools)
    offered += json_tokens(dict(schema)) if schema is not None else 0
    messages = [_spoken(message) for message in request.conversation.messages]
    return SimRequest("port", request.model, request.instructions, messages, wanted, offered)


def _spoken(message: Message) -> Spoken:
    results = tuple(_said(part) for part in message.parts if isinstance(part, ToolResultPart))
    return Spoken(message.role, "\n".join(map(_said, message.parts)), len(message.tool_calls), results)


def _said(part: Part) -> str:
    match part:
        case TextPart(text=text) | ReasoningPart(text=text):
            return text
        case FilePart(ref=ref):
            return ref
        case ToolCallPart():
            return f"{part.tool} {part.raw if part.args is None else part.args}"
        case ToolResultPart(output=output):
            return output if isinstance(output, str) else str(output)


def _parts(verdict: Verdict, question: StepId) -> list[Part]:
    reply = verdict.reply
    parts: list[Part] = []
    if reply.reasoning:
        parts.append(ReasoningPart(reply.reasoning))
    if reply.text:
        parts.append(TextPart(reply.text))
    return [*parts, *(_call(call_id(question, index), call) for index, call in enumerate(reply.calls))]


def _call(identity: StepId, call: Call) -> ToolCallPart:
    return parse_call(identity, call.tool, arguments_text(call))


def _deltas(verdict: Verdict) -> list[Delta]:
    reply = verdict.reply
    deltas: list[Delta] = [ReasoningDelta(token) for token in split_tokens(reply.reasoning)]
    deltas += [TextDelta(token) for token in split_tokens(reply.text)]
    for index, call in enumerate(reply.calls):
        deltas.append(ToolCallDelta(index, "", call.tool))
        deltas += [ToolCallDelta(index, token) for token in split_tokens(arguments_text(call))]
    return deltas
