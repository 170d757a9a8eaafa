"""The shapes of Anthropic's replies on the wire; what they mean is read by the assembly."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from agent_sdk.core.usage import Usage
from agent_sdk.llm.wire import count, count_within


@dataclass(slots=True)
class DeltaWire:
    """A piece of a block, or what ends the reply."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: JsonValue = None
    stop_reason: str | None = None
    stop_details: JsonValue = None


@dataclass(slots=True)
class BlockWire:
    """A block as it begins, or whole."""

    type: str = ""
    text: str | None = None
    citations: list[JsonValue] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    name: str | None = None
    input: JsonValue = None


@dataclass(slots=True)
class MessageWire:
    """A reply as its first event has it."""

    model: str | None = None
    usage: JsonValue = None


@dataclass(slots=True)
class EventWire:
    """One event of a stream, or a whole reply, which has `content`."""

    type: str = ""
    index: int | None = None
    delta: DeltaWire | None = None
    content_block: BlockWire | None = None
    message: MessageWire | None = None
    usage: JsonValue = None
    error: JsonValue = None
    content: list[BlockWire] | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_details: JsonValue = None


def parse_usage(usage: Mapping[str, JsonValue]) -> Usage:
    """Return the tokens that the vendor counted; it counts what is cached apart, and we within the input."""
    cached, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    return Usage(
        count(usage.get("input_tokens")) + cached + written,
        count(usage.get("output_tokens")),
        cached,
        count_within({**usage}, "output_tokens_details", "thinking_tokens"),
        cache_write_tokens=written,
    )
