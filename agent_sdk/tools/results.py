"""A tool's result: its JSON Schema, and the way from what the function returned to JSON data."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic import JsonValue, TypeAdapter, ValidationError

from agent_sdk.core.errors import ResultInvalid
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.tools.plain import NotPlainError, plain
from agent_sdk.tools.schema import json_schema
from agent_sdk.tools.signature import NOTHING
from agent_sdk.tools.validation import findings_of, json_path

_ANYTHING = (NOTHING, Any, object, JsonValue)
_PLAIN = (*_ANYTHING, str, int, float, bool, None, NoneType, list, dict)
_PLAIN_HINT = "return plain JSON data, or annotate the return type with a pydantic model, dataclass or TypedDict"


class Results:
    """What a tool returns. Values are judged as pydantic does, by the return annotation; where there is none, any JSON data may come."""

    def __init__(self, tool: str, annotation: object) -> None:
        self._tool = tool
        self._exact = annotation if annotation is str or annotation is int or annotation is bool else NoneType
        self._adapter: TypeAdapter[Any] | None = None if annotation in _ANYTHING else TypeAdapter(cast("Any", annotation))
        self._is_plain = _is_plain(annotation)
        self.schema: dict[str, JsonValue] = json_schema(self._adapter, "serialization") if self._adapter is not None else {}

    def dump(self, value: object) -> JsonValue:
        """Return the result as JSON data that nobody else holds.

        Raises:
            ResultInvalid: the value does not fit the annotation, or JSON cannot hold it; the findings say where.
        """
        try:
            if self._adapter is None or (type(value) is self._exact and self._is_plain):
                return plain(value)
            return plain(self._validated(self._adapter, value))
        except NotPlainError as error:
            raise self._invalid(
                [Finding("invalid_result", json_path(reversed(error.steps)), error.problem, _PLAIN_HINT, found=error.found)]
            ) from None
        except ValidationError as error:
            raise self._invalid(findings_of(error, value, "invalid_result", lambda _: None)) from None

    def _validated(self, adapter: TypeAdapter[Any], value: object) -> object:
        try:
            checked: object = adapter.validate_python(value)
            return checked if self._is_plain else adapter.dump_python(checked, mode="json", by_alias=True, warnings="error")
        except ValidationError:
            raise
        except Exception as error:  # the boundary to a tool: its validators and serializers are the user's code
            raise self._invalid([Finding("invalid_result", "$", f"{type(error).__name__}: {error}", _PLAIN_HINT)]) from error

    def _invalid(self, findings: list[Finding]) -> ResultInvalid:
        return ResultInvalid(f"the result of {self._tool} does not fit:\n{render_findings(findings)}", findings=tuple(findings))


def _is_plain(annotation: object) -> bool:
    """Say whether values of this type are JSON data as they are, so that nothing need be dumped."""
    if annotation in _PLAIN or get_origin(annotation) is Literal:
        return all(isinstance(value, str | int | None) for value in get_args(annotation)) if get_origin(annotation) is Literal else True
    match get_origin(annotation), get_args(annotation):
        case (origin, members) if origin in (list, Union, UnionType):
            return all(_is_plain(member) for member in members)
        case (origin, (key, member)) if origin is dict:
            return key is str and _is_plain(member)
        case _:
            return False
