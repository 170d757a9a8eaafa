"""How a finished call is undone: which of the call's arguments, output and context the compensation asks for."""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, cast, get_type_hints

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from agent_sdk.core.errors import ResultInvalid
from agent_sdk.core.findings import render_findings
from agent_sdk.core.frozen import frozen
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools.companion import Companion, read_companion
from agent_sdk.tools.signature import declaration_error, is_context
from agent_sdk.tools.validation import findings_of

OUTPUT = "output"
"""The name by which a compensation asks for what the call returned; a lone parameter of another name takes it too."""

_HINT = "write it as (output), or with parameters named like the tool's own, 'output' and one ToolContext"


@frozen
class Compensation:
    """A tool's compensation; `arguments` of the call, `output` and `context` are the names of the parameters that take them."""

    tool: str
    companion: Companion
    arguments: tuple[str, ...]
    output: str | None
    context: str | None
    adapter: TypeAdapter[Any] | None

    def bound(
        self, receiver: object, values: Mapping[str, object], output: JsonValue, context: ToolContext[object]
    ) -> Callable[[], object]:
        """Return what undoes the call that had these validated arguments.

        Raises:
            ResultInvalid: the output is not what the compensation takes.
        """
        given: dict[str, object] = {name: values[name] for name in self.arguments if name in values}
        if self.output is not None:
            given[self.output] = self._parsed(output)
        if self.context is not None:
            given[self.context] = context
        function = self.companion.bound(receiver)
        return lambda: function(**given)

    def _parsed(self, output: JsonValue) -> object:
        if self.adapter is None:
            return output
        try:
            parsed: object = self.adapter.validate_json(to_json(output))
        except ValidationError as error:
            findings = findings_of(error, output, "invalid_result", lambda _: None)
            raise ResultInvalid(
                f"the output of {self.tool} is not what its compensation takes:\n{render_findings(findings)}", findings=tuple(findings)
            ) from None
        return parsed


def read_compensable(tool: FunctionType, given: object) -> Companion:
    """Look at what `compensate=` was given, as far as it shows without its annotations.

    Raises:
        ToolDeclarationError: it can not be called by name.
    """
    companion = read_companion(tool, given)
    if companion is None or not companion.by_name:
        raise declaration_error(tool, "its compensation is no function that takes arguments by name", _HINT)
    return companion


def read_compensation(tool: FunctionType, name: str, companion: Companion, parameters: frozenset[str]) -> Compensation:
    """Say which parameter takes what.

    Raises:
        ToolDeclarationError: a parameter is neither the tool's, nor the output, nor a `ToolContext`.
    """
    hints = _hints(companion.function)
    contexts = [each for each in companion.names if is_context(hints.get(each))]
    others = [each for each in companion.names if each not in contexts]
    arguments = tuple(each for each in others if each in parameters)
    rest = [each for each in others if each not in parameters]
    output = OUTPUT if OUTPUT in rest else rest[0] if len(rest) == 1 and len(others) == 1 else None
    left = [each for each in rest if each != output and each in companion.required]
    if left or len(contexts) > 1:
        wrong = left[0] if left else contexts[1]
        raise declaration_error(tool, f"its compensation asks for '{wrong}', and nothing of that name is known of a call", _HINT)
    hint = None if output is None else hints.get(output)
    adapter = None if hint in (None, object, Any, JsonValue) or isinstance(hint, str) else TypeAdapter(cast("Any", hint))
    return Compensation(name, companion, arguments, output, contexts[0] if contexts else None, adapter)


def _hints(function: Callable[..., object]) -> Mapping[str, object]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return getattr(function, "__annotations__", {})
