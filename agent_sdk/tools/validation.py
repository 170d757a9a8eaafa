"""What pydantic finds wrong with a value, as findings: exact JSON path, what was expected and what was found."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agent_sdk.core.findings import Finding

MAX_FINDINGS = 50
MAX_FOUND = 60

Step = str | int

_NAME = re.compile(r"[A-Za-z_]\w*")
_SHOULD = re.compile(r"Input should be (?:an instance of )?")


def json_path(steps: Iterable[Step]) -> str:
    """Return a JSON path such as `$.steps[2].args["odd key"]`."""
    return "$" + "".join(_step(step) for step in steps)


def render_value(value: object) -> str:
    """Return a value in a few words, as JSON where it is short."""
    match value:
        case str():
            text = json.dumps(value[:MAX_FOUND], ensure_ascii=not value.isascii())
            return text if len(value) <= MAX_FOUND else f"{text}... ({len(value)} characters)"
        case None | bool() | int() | float():
            return json.dumps(value)[:MAX_FOUND]
        case dict():
            return f"an object of {len(cast('dict[object, object]', value))}"
        case list() | tuple():
            return f"a list of {len(cast('Sequence[object]', value))}"
        case _:
            return type(value).__name__


def findings_of(error: ValidationError, value: object, code: str, translate: Callable[[ErrorDetails], Finding | None]) -> list[Finding]:
    """Return one finding a place; what a union's members say of the same place is joined by "or". `translate` may know better."""
    found: dict[str, Finding] = {}
    details = error.errors(include_url=False, include_context=False)
    for detail in details[:MAX_FINDINGS]:
        finding = translate(detail) or _finding(detail, value, code)
        found[finding.path] = _joined(found[finding.path], finding) if finding.path in found else finding
    if (more := len(details) - MAX_FINDINGS) > 0:
        found[""] = Finding(code, "$", f"{more} more places do not fit")
    return list(found.values())


def _finding(detail: ErrorDetails, value: object, code: str) -> Finding:
    path = json_path(_steps(detail, value))
    match detail["type"]:
        case "missing":
            return Finding(code, path, "it is missing", expected="a value", found="nothing")
        case "extra_forbidden" | "unexpected_keyword_argument":
            return Finding(code, path, "nothing of this name is known here", found=render_value(detail["input"]))
        case "json_invalid":
            return Finding(code, "$", detail["msg"].removeprefix("Invalid JSON: "))
        case _:
            message = detail["msg"]
            if expected := _SHOULD.match(message):
                return Finding(code, path, "it does not fit", expected=message[expected.end() :], found=render_value(detail["input"]))
            return Finding(code, path, message.removeprefix("Value error, "), found=render_value(detail["input"]))


def _joined(one: Finding, other: Finding) -> Finding:
    if other.expected is None or one.expected is None or other.expected in one.expected.split(" or "):
        return one
    return Finding(one.code, one.path, one.message, hint=one.hint, expected=f"{one.expected} or {other.expected}", found=one.found)


def _steps(detail: ErrorDetails, value: object) -> list[Step]:
    """Return the error's place without the names of union members that pydantic puts between."""
    steps: list[Step] = []
    here = value
    for step in detail["loc"]:
        below = _below(here, step)
        if below is not None:
            steps.append(step)
            here = below[0]
    if detail["type"] == "missing":
        steps.append(detail["loc"][-1])
    return steps


def _below(value: object, step: Step) -> tuple[object] | None:
    match value, step:
        case dict(), str():
            members = cast("dict[object, object]", value)
            return (members[step],) if step in members else None
        case ((list() | tuple()), int()):
            items = cast("Sequence[object]", value)
            return (items[step],) if 0 <= step < len(items) else None
        case _:
            return None


def _step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _NAME.fullmatch(step) else f"[{json.dumps(step)}]"
