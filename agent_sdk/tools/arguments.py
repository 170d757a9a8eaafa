"""A tool's arguments: their JSON Schema, and the one validator that stands before the function."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NotRequired, cast

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json, to_jsonable_python
from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on

from agent_sdk.core.errors import ArgumentsInvalid
from agent_sdk.core.findings import Finding, render_findings
from agent_sdk.core.nearest import nearest
from agent_sdk.core.schemas import Schema, describe
from agent_sdk.tools.schema import json_schema
from agent_sdk.tools.signature import Parameter
from agent_sdk.tools.validation import findings_of, json_path, render_value

_typed_dict = cast("Callable[[str, Mapping[str, object]], type[dict[str, object]]]", TypedDict)


class Arguments:
    """What a tool takes. Values are judged as JSON, strictly: "5" is no integer, and a date is text of the right form."""

    def __init__(self, tool: str, parameters: Sequence[Parameter]) -> None:
        self._tool = tool
        fields = {each.name: each.annotation if each.is_required else NotRequired[cast("Any", each.annotation)] for each in parameters}
        shape = _typed_dict(tool, fields)
        shape.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  (pydantic reads it there)
        adapter: TypeAdapter[dict[str, object]] = TypeAdapter(shape)
        self._validate = adapter.validator.validate_json
        self.schema = _described(json_schema(adapter, "validation"), parameters)

    def parse(self, args: Mapping[str, JsonValue]) -> dict[str, object]:
        """Return what the function is called with; parameters that were not given keep their defaults.

        Raises:
            ArgumentsInvalid: with a finding for each thing that does not fit.
        """
        try:
            parsed: dict[str, object] = self._validate(to_json(dict(args), inf_nan_mode="constants"), strict=True)
        except Exception:  # noqa: BLE001  (`findings` does the same again, and tells the errors apart)
            findings = self.findings(args)
            raise ArgumentsInvalid(
                f"the arguments of {self._tool} do not fit:\n{render_findings(findings)}", findings=tuple(findings)
            ) from None
        return parsed

    def findings(self, args: Mapping[str, JsonValue], partial: Collection[str] = ()) -> list[Finding]:
        """Say what is wrong; of the arguments in `partial` only the names are looked at."""
        whole = {name: value for name, value in args.items() if name not in partial}
        unknown = [self._unknown(name, args.get(name)) for name in partial if name not in self._names]
        return [*self._wrong(whole, partial), *unknown]

    def _wrong(self, args: Mapping[str, JsonValue], given: Collection[str]) -> list[Finding]:
        try:
            self._validate(to_json(args, inf_nan_mode="constants"), strict=True)
        except ValidationError as error:
            absent = {json_path([name]) for name in given}
            return [each for each in findings_of(error, args, "invalid_argument", self._translate) if each.path not in absent]
        except PydanticSerializationError as error:
            return [Finding("invalid_argument", "$", f"it is no JSON: {error}")]
        except Exception as error:  # noqa: BLE001  (the boundary to a tool: its validators are the user's code)
            return [Finding("invalid_argument", "$", f"the tool's own validator failed: {type(error).__name__}: {error}")]
        return []

    @property
    def _names(self) -> dict[str, JsonValue]:
        return cast("dict[str, JsonValue]", self.schema["properties"])

    def _translate(self, detail: ErrorDetails) -> Finding | None:
        match detail["type"], detail["loc"]:
            case "missing", (str(name),):
                node = self._names.get(name)
                expected = describe(Schema(node, self.schema)) if isinstance(node, dict) else None
                return Finding("missing_argument", json_path([name]), f"argument '{name}' is missing", expected=expected, found="nothing")
            case "extra_forbidden", (str(name),):
                return self._unknown(name, detail["input"])
            case _:
                return None

    def _unknown(self, name: str, value: object) -> Finding:
        near = nearest(name, self._names)
        known = ", ".join(self._names) or "no arguments"
        hint = f"did you mean '{near}'?" if near else None
        return Finding("unknown_argument", json_path([name]), f"{self._tool} has no parameter '{name}'", hint, known, render_value(value))


def _described(schema: dict[str, JsonValue], parameters: Sequence[Parameter]) -> dict[str, JsonValue]:
    """Return the schema with the defaults and descriptions that stand in the signature and its docstring."""
    properties = cast("dict[str, JsonValue]", schema.setdefault("properties", {}))
    for parameter in parameters:
        if isinstance(node := properties.get(parameter.name), dict):
            if parameter.description:
                node.setdefault("description", parameter.description)
            if not parameter.is_required:
                _set_default(node, parameter.default)
    return schema


def _set_default(node: dict[str, JsonValue], default: object) -> None:
    try:
        node["default"] = to_jsonable_python(default)
    except PydanticSerializationError:
        return  # a default that JSON cannot hold is known to the function alone
