"""A reply of Gemini's `generateContent`, whole or in chunks, as one of ours; what is not of the protocol is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from agent_sdk.core.errors import BadRequest, ModelError, ReplyInvalid
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import FilePart, Message, Part, ReasoningPart, TextPart, ToolCallPart
from agent_sdk.core.model import Delta, ModelReply, ReasoningDelta, Stop, TextDelta, ToolCallDelta
from agent_sdk.core.usage import Usage
from agent_sdk.llm.calls import call_id, called_tool, parse_call
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.gemini_contents import DIALECT
from agent_sdk.llm.gemini_errors import GEMINI
from agent_sdk.llm.output import Output
from agent_sdk.llm.vendor_errors import Place, error_inside, not_the_protocol
from agent_sdk.llm.wire import count, parse_wire

_DONE = b"[DONE]"
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_STOPS: Mapping[str, Stop] = {"STOP": "end", "MAX_TOKENS": "length", "CONTINUATION": "length"}
_REFUSED = frozenset(
    {"BLOCKLIST", "ESCALATION", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_SAFETY", "JAILBREAK", "MODEL_ARMOR"}
    | {"PROHIBITED_CONTENT", "PUP_LIMITED_DISABLED", "RECITATION", "SAFETY", "SPII"}
)
_FAILED: Mapping[str, type[ModelError]] = {
    "MALFORMED_FUNCTION_CALL": ReplyInvalid,
    "MALFORMED_RESPONSE": ReplyInvalid,
    "UNEXPECTED_TOOL_CALL": ReplyInvalid,
    "MISSING_THOUGHT_SIGNATURE": BadRequest,
}
"""Reasons for which the reply holds no answer, and no call that could be told what is wrong with it."""


@dataclass(slots=True)
class CallWire:
    """A call; its arguments come whole."""

    name: str | None = None
    args: JsonValue = None


@dataclass(slots=True)
class BlobWire:
    """A file that the model made."""

    mimeType: str = ""  # noqa: N815 - the vendor's name
    data: str = ""


@dataclass(slots=True)
class PartWire:
    """A part of the content. What else there is (code that the vendor ran, its own tools) is passed over."""

    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None  # noqa: N815 - the vendor's name
    functionCall: CallWire | None = None  # noqa: N815 - the vendor's name
    inlineData: BlobWire | None = None  # noqa: N815 - the vendor's name


@dataclass(slots=True)
class ContentWire:
    """What the model says."""

    parts: list[PartWire] | None = None


@dataclass(slots=True)
class CandidateWire:
    """One of the answers; we ask for one."""

    content: ContentWire | None = None
    finishReason: str | None = None  # noqa: N815 - the vendor's name
    finishMessage: str | None = None  # noqa: N815 - the vendor's name
    index: int | None = None


@dataclass(slots=True)
class FeedbackWire:
    """Why a prompt was not even read."""

    blockReason: str | None = None  # noqa: N815 - the vendor's name
    blockReasonMessage: str | None = None  # noqa: N815 - the vendor's name


@dataclass(slots=True)
class ReplyWire:
    """A whole reply, or a chunk of one."""

    candidates: list[CandidateWire] | None = None
    promptFeedback: FeedbackWire | None = None  # noqa: N815 - the vendor's name
    usageMetadata: JsonValue = None  # noqa: N815 - the vendor's name
    modelVersion: str | None = None  # noqa: N815 - the vendor's name
    responseId: str | None = None  # noqa: N815 - the vendor's name
    error: JsonValue = None


@dataclass(slots=True)
class _Words:
    """Text that comes in pieces, until one is signed."""

    is_thought: bool
    pieces: list[str]
    signature: str | None = None

    def part(self) -> Part:
        text = "".join(self.pieces)
        return ReasoningPart(text, self.signature) if self.is_thought else TextPart(text, self.signature)


@dataclass(slots=True)
class ReplyAssembly:
    """Puts one reply together.

    `names` gives tools their own names back; `output` says how one was asked for. The stream has no end of its own: it is complete once a
    reason to finish was given, and usage may follow.
    """

    question: StepId
    place: Place
    names: Mapping[str, str]
    output: Output | None = None
    request_id: str | None = None
    reason: str | None = None
    is_done: bool = False
    _message: str = ""
    _model: str = ""
    _usage: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    _parts: list[_Words | ToolCallPart | FilePart] = field(default_factory=list["_Words | ToolCallPart | FilePart"])
    _calls: int = 0
    _is_signed: bool = False
    _has_text: bool = False

    @property
    def is_complete(self) -> bool:
        return self.reason is not None

    @property
    def used(self) -> Usage | None:
        """What the vendor has counted so far."""
        return parse_usage(self._usage) if self._usage else None

    def add(self, data: bytes) -> list[Delta]:
        """Take a chunk, or a whole reply, and return what is new in it.

        Raises:
            ReplyInvalid: it is not of the protocol.
            ModelError: it is an error.
        """
        if data == _DONE:
            self.is_done = True
            return []
        try:
            wire = parse_wire(ReplyWire, data, self.place, GEMINI)
        except ReplyInvalid as error:
            raise self._with_usage(error) from None
        if wire.error is not None:
            raise self._with_usage(error_inside(wire.error, self.place, GEMINI))
        if isinstance(wire.usageMetadata, dict):
            self._usage |= wire.usageMetadata
        if wire.modelVersion is not None:
            self._model = wire.modelVersion
        if wire.responseId is not None:
            self.request_id = wire.responseId
        if wire.promptFeedback is not None and wire.promptFeedback.blockReason is not None:
            self.reason = wire.promptFeedback.blockReason if wire.promptFeedback.blockReason in _REFUSED else "SAFETY"
            return self._refuse(wire.promptFeedback.blockReason, wire.promptFeedback.blockReasonMessage)
        for candidate in wire.candidates or ():
            if not candidate.index:
                return self._add(candidate)
        return []

    def reply(self) -> ModelReply:
        """Return the whole reply.

        Raises:
            ReplyInvalid: nothing came that could be one, or a call that the vendor itself could not read.
            BadRequest: the vendor misses a signature.
        """
        if self.reason is None and not self._parts:
            raise self._with_usage(not_the_protocol("a reply without candidates", b"", self.place, GEMINI))
        if (failed := _FAILED.get(self.reason or "")) is not None:
            said = self.place.clean(self._message)
            raise self._with_usage(failed(f"{self.place.url} gave up its reply: {self.reason}" + (f": {said}" if said else "")))
        message = Message("assistant", tuple(self._told()), DIALECT if self._is_signed else None)
        return ModelReply(message, parse_usage(self._usage), self._stop(message), self._model, self.request_id)

    def _add(self, candidate: CandidateWire) -> list[Delta]:
        parts = candidate.content.parts if candidate.content is not None else None
        deltas = [delta for part in parts or () if (delta := self._add_part(part)) is not None]
        if candidate.finishReason and candidate.finishReason != _UNSPECIFIED:
            self.reason, self._message = candidate.finishReason, candidate.finishMessage or ""
            if candidate.finishReason in _REFUSED:
                return [*deltas, *self._refuse(candidate.finishReason, candidate.finishMessage)]
        return deltas

    def _add_part(self, part: PartWire) -> Delta | None:
        signature = part.thoughtSignature
        if part.text is not None:
            return self._add_text(part.text, signature, is_thought=part.thought is True)
        if part.functionCall is not None:
            return self._add_call(part.functionCall, signature)
        if part.inlineData is not None and part.thought is not True:
            blob = part.inlineData
            self._parts.append(FilePart(f"data:{blob.mimeType};base64,{blob.data}", blob.mimeType))
        return None

    def _add_text(self, text: str, signature: str | None, *, is_thought: bool) -> Delta | None:
        if not text and not signature:
            return None
        last = self._parts[-1] if self._parts else None
        if signature is None and isinstance(last, _Words) and last.is_thought is is_thought and last.signature is None:
            last.pieces.append(text)
        else:
            self._is_signed = self._is_signed or signature is not None
            self._parts.append(_Words(is_thought, [text], signature))
            self._has_text = self._has_text or not is_thought
        return None if not text else ReasoningDelta(text) if is_thought else TextDelta(text)

    def _add_call(self, call: CallWire, signature: str | None) -> Delta:
        tool, at = called_tool(call.name, self._calls, self.names, self.place, GEMINI), self._calls
        arguments = "{}" if call.args is None else call.args if isinstance(call.args, str) else encode_json(call.args).decode()
        parsed = parse_call(call_id(self.question, at), tool, arguments)
        if signature is not None:
            self._is_signed = True
            parsed = replace(parsed, signature=signature)
        self._parts.append(parsed)
        self._calls += 1
        return ToolCallDelta(at, arguments, tool)

    def _refuse(self, reason: str, message: str | None) -> list[Delta]:
        """Take a refusal; where nothing was said before, its reason is the text."""
        if self._has_text:
            return []
        text = message or f"blocked: {reason}"
        self._parts.append(_Words(is_thought=False, pieces=[text]))
        self._has_text = True
        return [TextDelta(text)]

    def _told(self) -> list[Part]:
        parts: list[Part] = [part.part() if isinstance(part, _Words) else part for part in self._parts]
        if self.output is None or self.reason in _REFUSED:
            return parts
        return self.output.parts(_in_one(parts) if self.output.is_wrapped else parts)

    def _stop(self, message: Message) -> Stop:
        if self.reason in _REFUSED:
            return "refused"
        stop = _STOPS.get(self.reason or "", "other")
        return "tool_calls" if stop == "end" and message.tool_calls else stop

    def _with_usage(self, error: ModelError) -> ModelError:
        error.usage = self.used
        return error


def parse_usage(usage: Mapping[str, JsonValue]) -> Usage:
    """Return the tokens that the vendor counted: thoughts are said, and what its own tools gave the model was asked."""
    thoughts = count(usage.get("thoughtsTokenCount"))
    return Usage(
        count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount")),
        count(usage.get("candidatesTokenCount")) + thoughts,
        count(usage.get("cachedContentTokenCount")),
        thoughts,
    )


def _in_one(parts: list[Part]) -> list[Part]:
    """Return the parts with one text, which then can be taken out of its wrapping, under the last signature."""
    texts = [part for part in parts if isinstance(part, TextPart)]
    if len(texts) < 2:
        return parts
    signature = next((part.signature for part in reversed(texts) if part.signature is not None), None)
    return [*(part for part in parts if not isinstance(part, TextPart)), TextPart("".join(part.text for part in texts), signature)]
