"""The conversation's words: messages made of a closed union of parts, and the conversation that only grows."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.errors import InputTooLarge, RequestError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import StepId

Role = Literal["user", "assistant", "tool"]


@frozen
class TextPart:
    """Plain text. `signature`, where a vendor signs its texts, goes back to it unaltered."""

    text: str
    signature: str | None = None
    type: Literal["text"] = "text"


@frozen
class FilePart:
    """An image or another file: an https URL, or a data URL (RFC 2397) that holds it. `media_type` is such as `image/png`."""

    ref: str
    media_type: str
    name: str | None = None
    type: Literal["file"] = "file"

    @classmethod
    def from_bytes(cls, content: bytes, media_type: str, name: str | None = None) -> "FilePart":
        """Return a part that holds the content itself."""
        return cls(f"data:{media_type};base64,{b64encode(content).decode()}", media_type, name)


@frozen
class ReasoningPart:
    """What the model thought aloud; `signature`, opaque to all but the adapter that wrote it, goes back to the vendor unaltered."""

    text: str
    signature: str | None = None
    type: Literal["reasoning"] = "reasoning"


@frozen
class ToolCallPart:
    """One call the model asks for.

    `id` is the step's id, never the vendor's. Where the arguments are no JSON object, `args` is None, `raw` holds them as they came and
    `problem` says what is wrong. `signature` goes back to the vendor unaltered.
    """

    id: StepId
    tool: str
    args: dict[str, JsonValue] | None = None
    raw: str | None = None
    problem: str | None = None
    signature: str | None = None
    type: Literal["tool_call"] = "tool_call"


@frozen
class ToolResultPart:
    """The answer to one call: the tool's output, or what went wrong (`is_error`). `files` are shown to the model beside the output."""

    id: StepId
    output: JsonValue = None
    is_error: bool = False
    files: tuple[FilePart, ...] = ()
    type: Literal["tool_result"] = "tool_result"


Part = TextPart | FilePart | ReasoningPart | ToolCallPart | ToolResultPart


@frozen
class Message:
    """One contribution to the conversation.

    `protocol` names the protocol that a reply with signatures came in: they go back over that one alone. What `is_pinned` stays in the
    conversation, whatever is left out of it to save room.
    """

    role: Role
    parts: tuple[Part, ...]
    protocol: str | None = None
    is_pinned: Literal[True] | None = None

    @property
    def text(self) -> str:
        return "".join([part.text for part in self.parts if isinstance(part, TextPart)])

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return tuple([part for part in self.parts if isinstance(part, ToolCallPart)])  # a list is twice as fast here as a generator

    def without_calls(self) -> "Message":
        """Return the message without the calls that nobody answers: vendors refuse a call that no result follows."""
        return replace(self, parts=tuple(part for part in self.parts if not isinstance(part, ToolCallPart)))


@dataclass(slots=True)
class Conversation:
    """Messages in order. It only grows, so that each dialect encodes a message once however often the conversation is sent."""

    messages: list[Message] = field(default_factory=list[Message])
    _encoded: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]], repr=False, compare=False)
    _sums: list[int] = field(default_factory=lambda: [0], repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def add(self, message: Message) -> None:
        self.messages.append(message)

    def encoded(self, dialect: str, encode: Callable[[Message], bytes]) -> Sequence[bytes]:
        """Return every message in the bytes of `dialect`, encoding only those that were added since the last call."""
        done = self._encoded.setdefault(dialect, [])
        done.extend(encode(message) for message in self.messages[len(done) :])
        return done

    def sums(self, size: Callable[[Message], int]) -> Sequence[int]:
        """Return the size of the first n messages for each n from 0 on, measuring only those that were added since the last call."""
        for message in self.messages[len(self._sums) - 1 :]:
            self._sums.append(self._sums[-1] + size(message))
        return self._sums


def user_message(text: str) -> Message:
    """Return what the user, or the SDK in their place, says to the model."""
    return Message("user", (TextPart(text),))


def goal_message(goal: str, files: Sequence[FilePart]) -> Message:
    """Return the goal as the model is told it, with what came with it; it stays in the conversation."""
    return Message("user", (TextPart(goal), *files), is_pinned=True)


SHOWN_TYPES = frozenset({"application/pdf", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""What of a tool's output is shown to the model as a file: kinds that models take, with their content. An address would be fetched by the
vendor, and who wrote the output may have put there what it likes."""


def files_in(output: JsonValue) -> tuple[FilePart, ...]:
    """Return the files in a tool's output: it is one, or a list or an object that holds some at its first level."""
    if not isinstance(output, list | dict):
        return ()
    values = output if isinstance(output, list) else (output,) if "ref" in output else output.values()
    return tuple(file for value in values if (file := _file(value)) is not None)


def _file(value: JsonValue) -> FilePart | None:
    if not isinstance(value, dict) or value.get("type") != "file" or not value.keys() <= {"type", "ref", "media_type", "name"}:
        return None
    ref, media_type, name = value.get("ref"), value.get("media_type"), value.get("name")
    if not isinstance(ref, str) or media_type not in SHOWN_TYPES or not ref.startswith(f"data:{media_type};base64,"):
        return None
    return FilePart(ref, media_type, name if isinstance(name, str) else None)


def without_files(output: JsonValue) -> JsonValue:
    """Return the output as text shows it, with the content of its files left out: the model is shown them themselves."""
    match output:
        case list():
            return [_named(value) for value in output]
        case dict() if _file(output) is None:
            return {key: _named(value) for key, value in output.items()}
        case _:
            return _named(output)


def _named(value: JsonValue) -> JsonValue:
    file = _file(value)
    return value if file is None else {"type": "file", "media_type": file.media_type, "name": file.name or "shown beside this"}


def parse_goal(text: str, *, max_bytes: int) -> str:
    """Return the goal as it will be journaled.

    Raises:
        RequestError: it is empty, or not text that UTF-8 can hold.
        InputTooLarge: it has more than `max_bytes` bytes in UTF-8.
    """
    if not text.strip():
        raise RequestError("the goal is empty", hint="say in a sentence what the run shall achieve")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise RequestError(
            f"the goal is not valid text: {error.reason} at character {error.start}", hint="decode the input as UTF-8"
        ) from error
    if size > max_bytes:
        raise InputTooLarge(
            f"the goal has {size:,} bytes; at most {max_bytes:,} are allowed",
            hint="put large material into a file that a tool can read, or raise Limits.max_goal_bytes",
        )
    return text
