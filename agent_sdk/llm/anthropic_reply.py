"""A reply of Anthropic's Messages, whole or in events, as one of ours. What is not of the protocol is refused; unknown blocks are kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pydantic import JsonValue

from agent_sdk.core.errors import ModelError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Message, Part, ReasoningPart, TextPart
from agent_sdk.core.model import Delta, ModelReply, ReasoningDelta, Stop, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.anthropic_messages import DIALECT, REDACTED
from agent_sdk.llm.anthropic_wire import BlockWire, DeltaWire, EventWire, MessageWire, parse_usage
from agent_sdk.llm.calls import call_id, called_tool, parse_call
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.output import Output
from agent_sdk.llm.vendor_errors import ErrorTable, Place, error_inside, not_the_protocol
from agent_sdk.llm.wire import parse_plain, parse_wire

_STOPS: Mapping[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
_KNOWN = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


@dataclass(slots=True)
class _Block:
    """A block so far: `pieces` are of its text, thoughts or arguments; `raw` is what a block that we do not know began with."""

    begun: BlockWire
    tool: str = ""
    call: int | None = None
    raw: dict[str, JsonValue] | None = None
    pieces: list[str] = field(default_factory=list[str])
    signature: str | None = None
    citations: list[JsonValue] = field(default_factory=list[JsonValue])


@dataclass(slots=True)
class MessageAssembly:
    """Puts one reply together.

    `names` gives tools their own names back; `output` says how one was asked for.
    """

    question: StepId
    place: Place
    errors: ErrorTable
    names: Mapping[str, str]
    output: Output | None = None
    request_id: str | None = None
    stop_reason: str | None = None
    is_done: bool = False
    _model: str = ""
    _has_begun: bool = False
    _usage: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    _blocks: list[_Block] = field(default_factory=list[_Block])
    _by_index: dict[int, _Block] = field(default_factory=dict[int, _Block])
    _calls: int = 0
    _explanation: str | None = None

    @property
    def is_complete(self) -> bool:
        return self.stop_reason is not None

    @property
    def used(self) -> Usage | None:
        return parse_usage(self._usage) if self._usage else None

    def add(self, data: bytes) -> Sequence[Delta]:
        """Take an event, or a whole reply, and return what is new in it.

        Raises:
            ReplyInvalid: it is not of the protocol.
            ModelError: it is an error.
        """
        if self.is_done:
            return ()
        event = parse_wire(EventWire, data, self.place, self.errors)
        if event.error is not None:
            raise self._known(error_inside(event.error, self.place, self.errors))
        if event.delta is not None and event.type == "content_block_delta":
            return self._grow(self._block(event.index, event.delta, data), event.delta)
        match event:
            case EventWire(type="content_block_start", content_block=BlockWire() as begun):
                return self._begin(begun, event.index, None if begun.type in _KNOWN else _plain(data, "content_block"))
            case EventWire(type="message_start", message=MessageWire() as message):
                self._head(message.model, message.usage)
            case EventWire(type="message_delta"):
                ending = event.delta or DeltaWire()
                self._end(ending.stop_reason, ending.stop_details, event.usage)
            case EventWire(type="message_stop"):
                self.is_done = True
            case EventWire(content=list() as blocks):
                return self._whole(event, blocks, data)
            case _:
                pass
        return ()

    def reply(self) -> ModelReply:
        """Return the whole reply.

        Raises:
            ReplyInvalid: nothing came that could be one.
        """
        if not self._has_begun:
            raise not_the_protocol("a reply without content", b"", self.place, self.errors)
        is_refused = self.stop_reason == "refusal"
        parts = self._parts()
        if is_refused and self._explanation is not None and not any(isinstance(part, TextPart) for part in parts):
            parts.append(TextPart(self._explanation))
        if self.output is not None and not is_refused:
            parts = self.output.parts(parts)
        is_signed = any(isinstance(part, TextPart | ReasoningPart) and part.signature is not None for part in parts)
        message = Message("assistant", tuple(parts), protocol=DIALECT if is_signed else None)
        return ModelReply(message, parse_usage(self._usage), self._stop(message), self._model, self.request_id)

    def _known(self, error: ModelError) -> ModelError:
        error.usage = self.used
        return error

    def _head(self, model: str | None, usage: JsonValue) -> None:
        self._has_begun = True
        self._model = model or self._model
        self._count(usage)

    def _end(self, stop_reason: str | None, details: JsonValue, usage: JsonValue) -> None:
        self._has_begun = True
        self.stop_reason = stop_reason or self.stop_reason
        if isinstance(details, dict) and isinstance(explanation := details.get("explanation"), str):
            self._explanation = explanation
        self._count(usage)

    def _count(self, usage: JsonValue) -> None:
        """Take counts, which are of the whole reply so far; one that is missing is as it was."""
        if isinstance(usage, dict):
            self._usage |= {name: value for name, value in usage.items() if value is not None}

    def _whole(self, event: EventWire, blocks: list[BlockWire], data: bytes) -> list[Delta]:
        self._head(event.model, event.usage)
        self._end(event.stop_reason, event.stop_details, None)
        plain = _plain(data, "content") if any(begun.type not in _KNOWN for begun in blocks) else None
        raws: list[JsonValue] = plain if isinstance(plain, list) else [None] * len(blocks)
        return [delta for index, (begun, raw) in enumerate(zip(blocks, raws, strict=True)) for delta in self._begin(begun, index, raw)]

    def _begin(self, begun: BlockWire, index: int | None, raw: JsonValue) -> list[Delta]:
        self._has_begun = True
        block = _Block(begun, signature=begun.signature, citations=begun.citations or [])
        self._by_index[len(self._blocks) if index is None else index] = block
        self._blocks.append(block)
        match begun:
            case BlockWire(type="text", text=str() as text) if text:
                block.pieces.append(text)
                return [TextDelta(text)]
            case BlockWire(type="thinking", thinking=str() as thought) if thought:
                block.pieces.append(thought)
                return [ReasoningDelta(thought)]
            case BlockWire(type="tool_use"):
                block.tool, block.call = called_tool(begun.name, self._calls, self.names, self.place, self.errors), self._calls
                self._calls += 1
                return [ToolCallDelta(block.call, "", block.tool)]
            case _:
                block.raw = raw if isinstance(raw, dict) and begun.type not in _KNOWN else None
                return []

    def _block(self, index: int | None, piece: DeltaWire, data: bytes) -> _Block:
        """Return the block that a piece belongs to; text and thoughts begin one where their beginning was lost."""
        block = self._blocks[-1] if index is None and self._blocks else self._by_index.get(-1 if index is None else index)
        if block is not None:
            return block
        if piece.partial_json is not None:
            raise self._known(not_the_protocol("a piece of a call that never began", data, self.place, self.errors))
        self._begin(BlockWire("text" if piece.text is not None else "thinking"), index, None)
        return self._blocks[-1]

    def _grow(self, block: _Block, piece: DeltaWire) -> Sequence[Delta]:
        match block.begun.type:
            case "text" if piece.text:
                block.pieces.append(piece.text)
                return (TextDelta(piece.text),)
            case "text" if piece.citation is not None:
                block.citations.append(piece.citation)
            case "tool_use" if piece.partial_json and block.call is not None:
                block.pieces.append(piece.partial_json)
                return (ToolCallDelta(block.call, piece.partial_json),)
            case "thinking" if piece.thinking:
                block.pieces.append(piece.thinking)
                return (ReasoningDelta(piece.thinking),)
            case "thinking" if piece.signature:
                block.signature = piece.signature
            case known if known in _KNOWN:
                pass
            case _ if piece.partial_json is not None:
                block.pieces.append(piece.partial_json)
            case _:
                block.raw = None  # it grows in a way that we do not know, and must not go back by halves
        return ()

    def _parts(self) -> list[Part]:
        """Return what the blocks say; texts that follow on each other without a signature are one."""
        parts: list[Part] = []
        told = (part for block in self._blocks if (part := self._part(block)) is not None)
        for is_plain, group in groupby(told, lambda part: isinstance(part, TextPart) and part.signature is None):
            alike = list(group)
            parts.extend([TextPart("".join(part.text for part in alike if isinstance(part, TextPart)))] if is_plain else alike)
        return parts

    def _part(self, block: _Block) -> Part | None:
        said = "".join(block.pieces)
        match block.begun.type:
            case "text":
                citations = encode_json(block.citations).decode() if block.citations else None
                return TextPart(said, citations) if said else None
            case "thinking":
                return ReasoningPart(said, _own_signature(block.signature))
            case "redacted_thinking":
                return ReasoningPart("", REDACTED + (block.begun.data or ""))
            case "tool_use":
                return parse_call(call_id(self.question, block.call or 0), block.tool, said if said.strip() else _given(block.begun.input))
            case _:
                return _unknown(block, said)

    def _stop(self, message: Message) -> Stop:
        stop = _STOPS.get(self.stop_reason or "", "other")
        if stop in {"end", "tool_calls"}:
            return "tool_calls" if message.tool_calls else "end"
        return stop


def _own_signature(signature: str | None) -> str | None:
    """Return what signs a thought; what would go back as another block, and could say anything there, signs none."""
    return None if not signature or signature.startswith(("{", REDACTED)) else signature


def _given(arguments: JsonValue) -> str:
    """Return the arguments of a call that came whole as their text; some servers send the text itself."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)


def _unknown(block: _Block, said: str) -> Part | None:
    """Return a block that we do not know, such as a search of the vendor's own and what it found, as it goes back: whole and unaltered."""
    if block.raw is None:
        return None
    raw = block.raw
    if said:
        try:
            raw = raw | {"input": parse_plain(said.encode())}
        except ValueError:
            return None
    return ReasoningPart("", encode_json(raw).decode())


def _plain(data: bytes, name: str) -> JsonValue:
    """Return one field of an event as plain data, None where no question could hold it."""
    try:
        event = parse_plain(data)
    except ValueError:
        return None
    return event.get(name) if isinstance(event, dict) else None
