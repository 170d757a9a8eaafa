"""The calls in a model's reply: named by us, with arguments that must be one JSON object, or a problem that the model can be told."""

import json
import math
from typing import NoReturn, cast

from pydantic import JsonValue

from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import ToolCallPart


class _Problem(ValueError):
    """What JSON's grammar lets pass and we do not."""


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
        value = cast("JsonValue", _DECODER.decode(text))
        text.encode()
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except _Problem as problem:
        return None, f"the arguments hold {problem}"
    except json.JSONDecodeError as error:
        return None, f"the arguments are not JSON: {error.msg} at character {error.pos} of {len(text)}"
    except UnicodeEncodeError:
        return None, "the arguments hold half of a surrogate pair, which is no character"
    except (ValueError, RecursionError) as error:
        return None, f"the arguments cannot be read as JSON: {error}"
    if not isinstance(value, dict):
        return None, f"the arguments are a JSON {_KINDS[type(value)]}; an object is expected"
    return value, None


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Problem(f"the key {twice!r} more than once")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Problem(f"{text}, which is too large for a number")
    return value


def _no_number(text: str) -> NoReturn:
    raise _Problem(f"{text}, which is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_number)
_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
