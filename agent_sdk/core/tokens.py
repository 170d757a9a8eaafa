"""How many tokens a model will count, as far as that can be said without asking it: an estimate that is rather too high than too low.

Three bytes of UTF-8 count as a token. Of English prose a token takes four and a half, of code and JSON three to four, of Chinese or
Japanese about three; a file counts as 1,500, what vendors charge for a large image. What a vendor counted of earlier requests corrects it.
"""

from collections.abc import Mapping
from typing import assert_never

from pydantic import JsonValue
from pydantic_core import to_json

from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import FilePart, Message, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from agent_sdk.core.tools import ToolSpec

BYTES_PER_TOKEN = 3
PER_MESSAGE = 5
PER_CALL = 8
PER_FILE = 1500
LEAST_RATIO, MOST_RATIO = 0.5, 3.0
_MARGIN = 1.05
"""What is added to a corrected estimate: texts differ in how many tokens they take."""


@frozen
class Measured:
    """What a vendor counted of a request whose conversation had `messages` messages: `tokens`, all else of the request included."""

    messages: int
    tokens: int


def ratio_of(tokens: int, estimated: int) -> float:
    """Return by how much estimates must be corrected, within reason: a count that is absurd corrects little."""
    return min(MOST_RATIO, max(LEAST_RATIO, tokens / max(1, estimated)))


def tokens_of_text(text: str) -> int:
    """Return an estimate for plain text."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def tokens_of_message(message: Message) -> int:
    """Return an estimate for a message."""
    total = PER_MESSAGE
    for part in message.parts:
        match part:
            case TextPart(text=text):
                total += tokens_of_text(text)
            case ReasoningPart(text=text, signature=signature):
                total += tokens_of_text(text) + tokens_of_text(signature or "")
            case ToolCallPart(args=args, raw=raw, tool=tool):
                total += PER_CALL + tokens_of_text(tool) + (tokens_of_text(raw or "") if args is None else _tokens_of_json(args))
            case ToolResultPart(output=output, files=files):
                total += PER_CALL + PER_FILE * len(files)
                total += tokens_of_text(output) if isinstance(output, str) else _tokens_of_json(output)
            case FilePart():
                total += PER_FILE
            case _:
                assert_never(part)
    return total


def tokens_of_tools(tools: tuple[ToolSpec, ...]) -> int:
    """Return an estimate for the declarations of tools."""
    return sum(
        PER_CALL + tokens_of_text(tool.name) + tokens_of_text(tool.description) + _tokens_of_json(dict(tool.parameters)) for tool in tools
    )


def tokens_of_schema(schema: Mapping[str, JsonValue] | None) -> int:
    """Return an estimate for the schema that a reply must be of."""
    return 0 if schema is None else _tokens_of_json(dict(schema))


def corrected(estimate: int, ratio: float | None) -> int:
    """Return an estimate corrected by what earlier ones were wrong by."""
    return estimate if ratio is None or not estimate else int(estimate * ratio * _MARGIN) + 1


def _tokens_of_json(value: object) -> int:
    return -(-len(to_json(value, inf_nan_mode="strings")) // BYTES_PER_TOKEN)
