"""What is asked of a model and what it answers, in no vendor's dialect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, Message
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Usage

Stop = Literal["end", "tool_calls", "length", "refused", "other"]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a model.

    `id` names the question in the run: the calls that the reply asks for are `{id}.{n}`. `output_schema` asks for a reply that is JSON of
    that schema; None for text.
    `max_attempts` bounds the tries below what the model's own policy allows; None leaves it to the policy.
    """

    id: StepId
    model: str
    conversation: Conversation
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, JsonValue] | None = None
    temperature: float | None = None
    max_output_tokens: int | None = None
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a model call: `code` is None where it succeeded, else the error's code."""

    duration_us: int
    code: str | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the model answered. `model` is the name the vendor gave; `request_id` the vendor's id of the exchange, for its support."""

    message: Message
    usage: Usage
    stop: Stop = "end"
    model: str = ""
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of what the model thinks aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the n-th call's arguments; `tool` stands in its first piece."""

    index: int
    arguments: str
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """All that was streamed before belongs to a failed attempt and is void."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """The last delta of every stream: the whole reply."""

    reply: ModelReply


@dataclass(frozen=True, slots=True)
class Progress:
    """A tool's word on how far it is: `fraction` from 0 to 1, or None."""

    note: str
    fraction: float | None = None


Delta = TextDelta | ReasoningDelta | ToolCallDelta | AttemptStarted | ReplyDone
