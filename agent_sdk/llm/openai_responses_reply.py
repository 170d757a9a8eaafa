"""A reply of OpenAI's Responses, whole or in events, as one of ours; what is not of the protocol is refused."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, Part, ReasoningPart, TextPart
from agent_sdk.core.model import Delta, ModelReply, ReasoningDelta, Stop, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id, called_tool, parse_call
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.openai_responses_request import PROTOCOL
from agent_sdk.llm.output import Output
from agent_sdk.llm.vendor_errors import ErrorTable, Place, error_inside, not_the_protocol
from agent_sdk.llm.wire import count, count_within, parse_wire, read_wire

_DONE = b"[DONE]"
_TEXT = "response.output_text.delta"
_REFUSAL = "response.refusal.delta"
_ARGUMENTS = "response.function_call_arguments.delta"
_THOUGHTS = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_INCOMPLETE: Mapping[str, Stop] = {"max_output_tokens": "length", "content_filter": "refused"}
_ANSWER = "final_answer"
_READ = frozenset({"message", "reasoning", "function_call"})
"""The items that we know; what else a reply holds is passed over."""

Value = dict[str, JsonValue]


@dataclass(slots=True)
class ContentWire:
    """A piece of a message, of a summary of thoughts, or of thoughts."""

    type: str = ""
    text: str = ""
    refusal: str = ""


@dataclass(slots=True)
class ItemWire:
    """A message, a thought or a call. `phase` tells a message's remarks on the way from its answer."""

    type: str
    content: list[ContentWire] | None = None
    phase: str | None = None
    summary: list[ContentWire] | None = None
    encrypted_content: str | None = None
    name: str | None = None
    arguments: str | Value = ""

    @property
    def is_refusal(self) -> bool:
        return any(piece.type == "refusal" for piece in self.content or ())

    @property
    def text(self) -> str:
        """What it says, or what was thought: in a summary, or (by open models) as it is."""
        if self.type == "reasoning":
            return "\n\n".join(piece.text for piece in self.summary or self.content or ())
        return "".join(piece.refusal if piece.type == "refusal" else piece.text for piece in self.content or ())

    @property
    def args(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


Item = tuple[Value, ItemWire]
"""An item as it came, and what we read in it."""


@dataclass(slots=True)
class ResponseWire:
    """A whole reply; its output is read item by item, as some of it may be unknown here."""

    output: list[Value] | None = None
    status: str | None = None
    model: str | None = None
    usage: JsonValue = None
    error: JsonValue = None
    incomplete_details: JsonValue = None


@dataclass(slots=True)
class EventWire:
    """One event of a stream, read no further than every event can be; a whole reply has no `type`."""

    type: str = ""
    delta: object = None
    output_index: int | None = None
    summary_index: int | None = None
    item: object = None
    response: object = None
    error: JsonValue = None
    code: JsonValue = None
    message: JsonValue = None


@dataclass(slots=True)
class ResponseAssembly:
    """Puts one reply together.

    `names` gives tools their own names back; `output` says how one was asked for.
    """

    question: StepId
    place: Place
    errors: ErrorTable
    names: Mapping[str, str]
    output: Output | None = None
    request_id: str | None = None
    is_done: bool = False
    _items: dict[int, Item] = field(default_factory=dict[int, Item])
    _calls: dict[int, int] = field(default_factory=dict[int, int])
    _response: ResponseWire = field(default_factory=ResponseWire)

    @property
    def is_complete(self) -> bool:
        return self.is_done

    def add(self, data: bytes) -> list[Delta]:
        """Take an event, or a whole reply, and return what is new in it.

        Raises:
            ReplyInvalid: it is not of the protocol.
            ModelError: it is an error.
        """
        if self.is_done or data == _DONE:
            return []
        event = parse_wire(EventWire, data, self.place, self.errors)
        kind, delta = event.type, event.delta
        if not isinstance(delta, str):
            return self._take(event, data)
        if kind in {_TEXT, _REFUSAL}:
            return [TextDelta(delta)]
        if kind == _ARGUMENTS:
            at = self._calls.get(event.output_index or 0)
            return [] if at is None else [ToolCallDelta(at, delta)]
        return [ReasoningDelta(delta)] if kind in _THOUGHTS else []

    def reply(self) -> ModelReply:
        """Return the whole reply.

        Raises:
            ReplyInvalid: nothing came that could be one.
        """
        if not self.is_done:
            raise not_the_protocol("a stream without a response", b"", self.place, self.errors)
        response = self._response
        items = [item for _, item in sorted(self._items.items())]
        parts = self._parts(items)
        is_refused = any(item.is_refusal for _, item in items)
        if self.output is not None and not is_refused:
            parts = self.output.parts(_without_remarks(parts))
        message = Message("assistant", tuple(parts), PROTOCOL if any(map(_is_signed, parts)) else None)
        stop = "refused" if is_refused else _stop(response, message)
        return ModelReply(message, parse_usage(response.usage), stop, response.model or "", self.request_id)

    def _take(self, event: EventWire, data: bytes) -> list[Delta]:
        match event.type:
            case "response.output_item.added":
                _, item = self._read(event.item)
                return self._begin(event.output_index or 0, item) if item.type == "function_call" else []
            case "response.output_item.done":
                return self._finish(event.output_index or 0, self._read(event.item))
            case "response.reasoning_summary_part.added" if event.summary_index:
                return [ReasoningDelta("\n\n")]
            case "error":
                raise self._error(event.error or {"code": event.code, "message": event.message}, None)
            case "":
                return self._whole(parse_wire(ResponseWire, data, self.place, self.errors), data)
            case kind if kind in _ENDS:
                self._end(read_wire(ResponseWire, event.response or {}, self.place, self.errors))
                return []
            case _:
                return []

    def _begin(self, index: int, item: ItemWire) -> list[Delta]:
        """Take note of a call when it is first seen."""
        if index in self._calls:
            return []
        at = self._calls[index] = len(self._calls)
        return [ToolCallDelta(at, item.args, self._own_name(item, at))]

    def _finish(self, index: int, item: Item) -> list[Delta]:
        _, read = item
        if read.type not in _READ:
            return []
        self._items[index] = item
        return self._begin(index, read) if read.type == "function_call" else []

    def _end(self, response: ResponseWire) -> None:
        """Take the end of the reply; its items only where they did not come in events of their own, which alone are sure to be sealed."""
        if response.error is not None or response.status == "failed":
            raise self._error(response.error or {"message": "it gave no reason"}, response.usage)
        items = [self._read(value) for value in response.output or ()]
        known = {index: item for index, item in enumerate(items) if item[1].type in _READ}
        if len(known) > len(self._items):
            self._items = known
        self._response = response
        self.is_done = True

    def _whole(self, response: ResponseWire, data: bytes) -> list[Delta]:
        if response.error is None and response.output is None:
            raise not_the_protocol("a reply without output", data, self.place, self.errors)
        self._end(response)
        deltas: list[Delta] = []
        for index, (_, item) in self._items.items():
            if item.type == "function_call":
                deltas.extend(self._begin(index, item))
            elif item.text:
                deltas.append(ReasoningDelta(item.text) if item.type == "reasoning" else TextDelta(item.text))
        return deltas

    def _parts(self, items: Iterable[Item]) -> list[Part]:
        parts: list[Part] = []
        calls = 0
        for value, item in items:
            match item.type:
                case "function_call":
                    parts.append(parse_call(call_id(self.question, calls), self._own_name(item, calls), item.args))
                    calls += 1
                case "reasoning":
                    seal = _sealed(value) if item.encrypted_content or item.content else None
                    parts.extend([ReasoningPart(item.text, seal)] if seal or item.text else [])
                case _:
                    parts.extend([TextPart(item.text, item.phase)] if item.text else [])
        return parts

    def _read(self, value: object) -> Item:
        """Return an item with what we read in it; nothing, where we do not know it."""
        if not isinstance(value, dict):
            raise not_the_protocol("an output that is no item", b"", self.place, self.errors)
        known = cast("Value", value)
        if known.get("type") not in _READ:
            return known, ItemWire("")
        return known, read_wire(ItemWire, known, self.place, self.errors)

    def _own_name(self, item: ItemWire, at: int) -> str:
        return called_tool(item.name, at, self.names, self.place, self.errors)

    def _error(self, error: JsonValue, usage: JsonValue) -> ModelError:
        raised = error_inside(error, self.place, self.errors)
        raised.usage = None if usage is None else parse_usage(usage)
        return raised


def parse_usage(usage: JsonValue) -> Usage:
    """Return the tokens that the vendor counted."""
    if not isinstance(usage, dict):
        return Usage()
    return Usage(
        count(usage.get("input_tokens")),
        count(usage.get("output_tokens")),
        count_within(usage, "input_tokens_details", "cached_tokens"),
        count_within(usage, "output_tokens_details", "reasoning_tokens"),
        cache_write_tokens=count_within(usage, "input_tokens_details", "cache_write_tokens"),
    )


def _sealed(value: Value) -> str:
    """Return a thought as it goes back: all that the vendor said of it."""
    return encode_json({name: each for name, each in value.items() if each is not None}).decode()


def _without_remarks(parts: Sequence[Part]) -> Sequence[Part]:
    """Leave out what was said on the way, where an answer is marked as such: joined to it, they would be no JSON."""
    texts = [part for part in parts if isinstance(part, TextPart)]
    if not any(text.signature == _ANSWER for text in texts):
        return parts
    return [part for part in parts if not isinstance(part, TextPart) or part.signature == _ANSWER]


def _is_signed(part: Part) -> bool:
    return isinstance(part, TextPart | ReasoningPart) and part.signature is not None


def _stop(response: ResponseWire, message: Message) -> Stop:
    if response.status == "incomplete":
        details = response.incomplete_details
        reason = details.get("reason") if isinstance(details, dict) else None
        return _INCOMPLETE.get(str(reason), "other")
    if response.status not in {"completed", None}:
        return "other"
    return "tool_calls" if message.tool_calls else "end"
