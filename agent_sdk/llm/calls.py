"""The calls in a model's reply: named by us, with arguments that must be one JSON object, or a problem that the model can be told."""

import json
from collections.abc import Mapping

from pydantic import JsonValue

from agent_sdk.core.errors import ReplyInvalid
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ToolCallPart
from agent_sdk.core.strict_json import parse_json
from agent_sdk.llm.vendor_errors import ErrorTable, Place, not_the_protocol

MAX_CALLS = 10_000
"""What asks for more at once is no model at its senses, and each call costs time before the run's own limits refuse it."""
TOO_MANY = f"more than {MAX_CALLS:,} calls in one reply"
_NAME_CHARS = 200
"""Longer than any tool's name: of what is longer yet, the beginning says what the model wrote."""


def called_tool(name: str | None, at: int, names: Mapping[str, str], place: Place, table: ErrorTable) -> str:
    """Return the own name of the tool that the call at `at` (from 0) of a reply is for; `names` has it by the name on the wire.

    Raises:
        ReplyInvalid: it names none, or there are too many calls before it.
    """
    if not name:
        raise not_the_protocol("a tool call without a name", b"", place, table)
    if at >= MAX_CALLS:
        raise ReplyInvalid(f"{place.url} sent {TOO_MANY}", hint="bound the reply, as by model_call.max_output_tokens")
    return names.get(name) or (name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "...")


def call_id(question: StepId, index: int) -> StepId:
    """Return the id of the call at `index` (from 0) in the reply to `question`: the first is `{question}.1`."""
    return StepId(f"{question}.{index + 1}")


def parse_call(identity: StepId, tool: str, text: str) -> ToolCallPart:
    """Return the call as the model wrote it; `raw` holds the text where it is no JSON object."""
    args, problem = parse_arguments(text)
    return ToolCallPart(identity, tool, args, None if problem is None else text, problem)


def parse_arguments(text: str) -> tuple[dict[str, JsonValue] | None, str | None]:
    """Return the arguments and None, or None and what is wrong with the text: nothing is guessed, dropped or filled in."""
    if not text.strip():
        return None, "the arguments are empty; a JSON object is expected, {} where there are none"
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        return None, f"the arguments are not JSON: {error.msg} at character {error.pos} of {len(text)}"
    except ValueError as error:
        return None, f"the arguments are not JSON that can be kept: {error}"
    if not isinstance(value, dict):
        return None, f"the arguments are a JSON {_KINDS[type(value)]}; an object is expected"
    return value, None


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
