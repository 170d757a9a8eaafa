"""A reply of OpenAI's Chat Completions, whole or in chunks, as one of ours; what is not of the protocol is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, Part, ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ReasoningDelta, Stop, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id, called_tool, parse_call
from agent_sdk.llm.output import Output
from agent_sdk.llm.vendor_errors import OPENAI, Place, error_inside, not_the_protocol
from agent_sdk.llm.wire import count, count_within, parse_wire

_DONE = b"[DONE]"
_STOPS: Mapping[str, Stop] = {
    "stop": "end",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "refused",
}


@dataclass(slots=True)
class FunctionWire:
    """A function's name, and its arguments as JSON text; some servers send the object itself."""

    name: str | None = None
    arguments: str | dict[str, JsonValue] | None = None


@dataclass(slots=True)
class CallWire:
    """A call or a piece of one."""

    index: int | None = None
    id: str | None = None
    function: FunctionWire | None = None


@dataclass(slots=True)
class TextWire:
    """A piece of content, where a server sends it as a list."""

    type: str = ""
    text: str = ""


@dataclass(slots=True)
class MessageWire:
    """A message or a piece of one. Thoughts come as `reasoning_content` (DeepSeek, vLLM, llama.cpp) or `reasoning` (OpenRouter, Ollama)."""

    content: str | list[TextWire] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: JsonValue = None
    tool_calls: list[CallWire] | None = None


@dataclass(slots=True)
class ChoiceWire:
    """One of the answers; we ask for one. OpenRouter tells here that it failed."""

    index: int | None = 0
    delta: MessageWire | None = None
    message: MessageWire | None = None
    finish_reason: str | None = None
    error: JsonValue = None


@dataclass(slots=True)
class ReplyWire:
    """A whole reply, or a chunk of one."""

    choices: list[ChoiceWire] | None = None
    usage: JsonValue = None
    model: str | None = None
    error: JsonValue = None


@dataclass(slots=True)
class _Call:
    vendor_id: str | None
    tool: str
    arguments: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class ReplyAssembly:
    """Puts one reply together.

    `names` gives tools their own names back; `output` says how one was asked for.
    """

    question: StepId
    place: Place
    names: Mapping[str, str]
    output: Output | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    is_done: bool = False
    _model: str = ""
    _usage: JsonValue = None
    _has_choice: bool = False
    _is_refused: bool = False
    _text: list[str] = field(default_factory=list[str])
    _reasoning: list[str] = field(default_factory=list[str])
    _calls: list[_Call] = field(default_factory=list[_Call])
    _by_index: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def is_complete(self) -> bool:
        return self.finish_reason is not None

    @property
    def used(self) -> Usage | None:
        """What the server counted so far: some do with every chunk."""
        return None if self._usage is None else parse_usage(self._usage)

    def add(self, data: bytes) -> list[Delta]:
        """Take a chunk, or a whole reply, and return what is new in it.

        Raises:
            ReplyInvalid: it is not of the protocol.
            ModelError: it is an error.
        """
        if self.is_done or data == _DONE:
            self.is_done = True
            return []
        wire = parse_wire(ReplyWire, data, self.place, OPENAI)
        if wire.error is not None:
            raise self._failed(wire.error)
        if wire.usage is not None:
            self._usage = wire.usage
        if wire.model:
            self._model = wire.model
        for choice in wire.choices or ():
            if not choice.index:
                if choice.error is not None:
                    raise self._failed(choice.error)
                self._has_choice = True
                self.finish_reason = choice.finish_reason or self.finish_reason
                if (message := choice.delta or choice.message) is not None:
                    return self._add(message)
        return []

    def reply(self) -> ModelReply:
        """Return the whole reply.

        Raises:
            ReplyInvalid: nothing came that could be one.
        """
        if not self._has_choice:
            raise not_the_protocol("a reply without choices", b"", self.place)
        message = Message("assistant", tuple(self._parts()))
        return ModelReply(message, parse_usage(self._usage), self._stop(message), self._model, self.request_id)

    def _failed(self, said: JsonValue) -> ModelError:
        error = error_inside(said, self.place)
        error.usage = self.used
        return error

    def _add(self, message: MessageWire) -> list[Delta]:
        deltas: list[Delta] = []
        if message.content:
            deltas.append(self._add_text(message.content))
        if (thought := message.reasoning_content or message.reasoning) and isinstance(thought, str):
            self._reasoning.append(thought)
            deltas.append(ReasoningDelta(thought))
        if message.refusal:
            self._is_refused = True
            deltas.append(self._add_text(message.refusal))
        deltas.extend(self._add_call(piece) for piece in message.tool_calls or ())
        return deltas

    def _add_text(self, content: str | list[TextWire]) -> TextDelta:
        text = content if isinstance(content, str) else "".join(piece.text for piece in content)
        self._text.append(text)
        return TextDelta(text)

    def _add_call(self, piece: CallWire) -> ToolCallDelta:
        function = piece.function or FunctionWire()
        at = self._find(piece)
        started = at is None
        if at is None:
            at = len(self._calls)
            self._calls.append(_Call(piece.id, called_tool(function.name, at, self.names, self.place, OPENAI)))
            self._by_index[at if piece.index is None else piece.index] = at
        call = self._calls[at]
        arguments = function.arguments or ""
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call.arguments.append(arguments)
        return ToolCallDelta(at, arguments, call.tool if started else None)

    def _find(self, piece: CallWire) -> int | None:
        """Return which call a piece belongs to, None for a new one.

        Servers exist that number no call, or every one 0: a name, or another id, then begins a new one.
        """
        if piece.index is None:
            is_new = piece.id or (piece.function is not None and piece.function.name)
            return None if is_new or not self._calls else len(self._calls) - 1
        at = self._by_index.get(piece.index)
        if at is not None and piece.id and self._calls[at].vendor_id and piece.id != self._calls[at].vendor_id:
            return None
        return at

    def _parts(self) -> list[Part]:
        parts: list[Part] = []
        if self._reasoning:
            parts.append(ReasoningPart("".join(self._reasoning)))
        if self._text:
            parts.append(TextPart("".join(self._text)))
        parts.extend(self._call(index, call) for index, call in enumerate(self._calls))
        return parts if self.output is None or self._is_refused else self.output.parts(parts)

    def _call(self, index: int, call: _Call) -> ToolCallPart:
        return parse_call(call_id(self.question, index), call.tool, "".join(call.arguments))

    def _stop(self, message: Message) -> Stop:
        if self._is_refused:
            return "refused"
        stop = _STOPS.get(self.finish_reason or "", "other")
        if stop == "end" and message.tool_calls:
            return "tool_calls"  # several servers say "stop" all the same
        return "end" if stop == "tool_calls" and not message.tool_calls else stop


def parse_usage(usage: JsonValue) -> Usage:
    """Return the tokens that the vendor counted."""
    if not isinstance(usage, dict):
        return Usage()
    return Usage(
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
        count_within(usage, "prompt_tokens_details", "cached_tokens"),
        count_within(usage, "completion_tokens_details", "reasoning_tokens"),
        cache_write_tokens=count_within(usage, "prompt_tokens_details", "cache_write_tokens"),
    )
