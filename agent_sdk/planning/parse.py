"""A plan from outside: a model's reply or an author's file, parsed once, with every finding where it stands."""

import re
from collections.abc import Mapping
from dataclasses import fields

from pydantic import JsonValue, ValidationError

from agent_sdk.core.codec import from_json
from agent_sdk.core.findings import Finding
from agent_sdk.core.nearest import nearest
from agent_sdk.core.plan import ModelStep, Plan, ToolStep, When
from agent_sdk.planning.replies import parse_json_reply

MAX_PARSE_FINDINGS = 50
_EXPECTED: Mapping[str, str] = {
    "missing": "this field",
    "unexpected_keyword_argument": "no such field",
    "string_type": "a string",
    "dict_type": "an object",
    "tuple_type": "an array",
    "dataclass_type": "an object",
    "union_tag_invalid": '"tool" or "model"',
}


_MESSAGES: Mapping[str, str] = {
    "dataclass_type": "this is no object",
    "tuple_type": "this is no array",
    "union_tag_invalid": "there is no such kind of step",
}


def parse_plan_reply(text: str) -> tuple[Plan | None, tuple[Finding, ...]]:
    """Return the plan that a reply holds, or None and why it holds none."""
    value, problem = parse_json_reply(text)
    if problem is not None:
        return None, (problem,)
    return parse_plan(value)


def parse_plan(value: JsonValue) -> tuple[Plan | None, tuple[Finding, ...]]:
    """Return the plan that `value` describes, or None and all that is wrong with its shape."""
    try:
        return from_json(Plan, value), ()
    except ValidationError as error:
        return None, tuple(
            Finding(
                "plan_shape",
                _json_path(problem["loc"]) + (".kind" if problem["type"] == "union_tag_invalid" else ""),
                _MESSAGES.get(problem["type"], problem["msg"]),
                hint=_hint(problem["type"], problem["loc"]),
                expected=_EXPECTED.get(problem["type"]),
                found=_found(problem),
            )
            for problem in error.errors(include_url=False)[:MAX_PARSE_FINDINGS]
        )


def _json_path(loc: tuple[int | str, ...]) -> str:
    """Turn pydantic's location into a JSON path; the tags of the step union are no part of it."""
    parts: list[str] = []
    for index, part in enumerate(loc):
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif not (part in {"tool", "model"} and index and isinstance(loc[index - 1], int)):
            parts.append(f".{part}" if re.fullmatch(r"[\w$-]+", part) else f"[{part!r}]")
    return "$" + "".join(parts)


def _hint(kind: str, loc: tuple[int | str, ...]) -> str | None:
    match kind:
        case "unexpected_keyword_argument":
            return _hint_on_fields(loc)
        case "missing":
            return "add the field"
        case _:
            return None


def _hint_on_fields(loc: tuple[int | str, ...]) -> str:
    """Say which fields there are where an unknown one stands, and which was probably meant."""
    match loc:
        case (_,):
            owner, known = "a plan", _names(Plan)
        case (*_, "when", _):
            owner, known = "a condition", _names(When)
        case (*_, "model", _):
            owner, known = "a model step", _names(ModelStep)
        case _:
            owner, known = "a tool step", _names(ToolStep)
    near = nearest(str(loc[-1]), known)
    return (f"did you mean {near}? " if near else "") + f"{owner} knows {', '.join(known[:-1])} and {known[-1]}"


def _names(kind: type[Plan | When | ToolStep | ModelStep]) -> list[str]:
    return [field.name for field in fields(kind)]


def _found(problem: Mapping[str, object]) -> str | None:
    return None if problem["type"] == "missing" else repr(problem["input"])[:80]
