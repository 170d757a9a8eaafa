"""What is asked of a model and what it answers, in no vendor's dialect."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, Protocol

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import DEFAULT_TENANT, StepId, TenantId
from agent_sdk.core.messages import Conversation, Message
from agent_sdk.core.tools import ToolSpec
from agent_sdk.core.usage import Attempt as Attempt, Usage  # noqa: PLC0414 - errors name it too, and may not import this module

Stop = Literal["end", "tool_calls", "length", "refused", "other"]


Reasoning = Literal["none", "minimal", "low", "medium", "high"]
ToolChoice = Literal["auto", "required", "none"]
OutputMode = Literal["native", "tool", "prompt"]
"""How JSON of a schema is asked for: by the protocol's own means, by a tool that must be called, or in words."""


@frozen
class ModelSettings:
    """How a model is to answer; None leaves the choice to the vendor, or to what the catalog knows of the model.

    `force_tool` names the tool that must be called, and goes before `tool_choice`. `cache` asks that what questions have in common be kept
    by the vendor: for minutes (`short`) or an hour (`long`); who caches by itself needs no asking. `extra` are fields of the vendor's own,
    put into the request as they are.
    """

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    reasoning: Reasoning | None = None
    tool_choice: ToolChoice = "auto"
    force_tool: str | None = None
    parallel_tool_calls: bool | None = None
    output_mode: OutputMode | None = None
    cache: Literal["short", "long"] | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


NO_SETTINGS = ModelSettings()


class Allowance(Protocol):
    """What a question may still be tried for: whoever tries it again says how the try before ended, and asks."""

    def ended(self, attempt: Attempt) -> None:
        """Take note of a try that failed."""
        ...

    async def another(self) -> bool:
        """Say whether the question may be put once more. Where not, the failure stands, and no other model is asked either."""
        ...


@frozen
class ModelRequest:
    """One question to a model.

    `id` names the question in the run: the calls that the reply asks for are `{id}.{n}`. `output_schema` asks for a reply that is JSON of
    that schema; None for text. `max_attempts` bounds the tries below what the model's own policy allows; None leaves it to the policy.
    `tenant` is for whom the model is asked. `allowance` must grant each further try; None where nothing bounds what the tries may cost.
    """

    id: StepId
    model: str
    conversation: Conversation
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, JsonValue] | None = None
    settings: ModelSettings = NO_SETTINGS
    max_attempts: int | None = None
    tenant: TenantId = DEFAULT_TENANT
    allowance: Allowance | None = field(default=None, repr=False, compare=False)


@frozen
class ModelReply:
    """What the model answered. `model` is the name the vendor gave; `request_id` the vendor's id of the exchange, for its support."""

    message: Message
    usage: Usage
    stop: Stop = "end"
    model: str = ""
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = field(default=())


@frozen
class TextDelta:
    """A piece of the reply's text."""

    text: str


@frozen
class ReasoningDelta:
    """A piece of what the model thinks aloud."""

    text: str


@frozen
class ToolCallDelta:
    """A piece of the n-th call's arguments; `tool` stands in its first piece."""

    index: int
    arguments: str
    tool: str | None = None


@frozen
class AttemptStarted:
    """All that was streamed before belongs to a failed attempt and is void."""

    attempt: int


@frozen
class ReplyDone:
    """The last delta of every stream: the whole reply."""

    reply: ModelReply


@frozen
class Progress:
    """A tool's word on how far it is: `fraction` from 0 to 1, or None."""

    note: str
    fraction: float | None = None


Delta = TextDelta | ReasoningDelta | ToolCallDelta | AttemptStarted | ReplyDone
