"""What a decorated function declares: made once, read at first use, and shared by all that is bound of it."""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from types import FunctionType
from typing import Literal

from pydantic import JsonValue
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.frozen import frozen
from agent_sdk.core.labels import Label
from agent_sdk.core.tools import Effect, ToolSpec
from agent_sdk.tools.approval import Approval, read_approval
from agent_sdk.tools.arguments import Arguments
from agent_sdk.tools.companion import Companion, read_companion
from agent_sdk.tools.compensation import Compensation, read_compensable, read_compensation
from agent_sdk.tools.isolation import Isolation, Limits, check_deps, home_of
from agent_sdk.tools.results import Results
from agent_sdk.tools.signature import Hints, Signature, declaration_error, read_signature

Binding = Literal["instance", "class", "nothing"]
"""What a tool in a class body is bound to when it is accessed."""


@frozen
class Options:
    """What `@tool` was told."""

    effect: Effect = "once"
    timeout_s: float | None = None
    retries: int = 0
    output_label: Label | None = None
    inline: bool = False
    name: str | None = None
    description: str | None = None
    check: Callable[..., object] | None = None
    approval: Approval = False
    approval_s: float | None = None
    compensate: Callable[..., object] | None = None
    isolation: Isolation = "none"
    memory_mb: int | None = None
    cpu_s: float | None = None


@frozen
class Form:
    """What is made of a signature; `context` names the parameter that takes the `ToolContext`, `defaults` are of what need not be given."""

    spec: ToolSpec
    arguments: Arguments
    results: Results
    context: str | None
    defaults: Mapping[str, object]
    compensation: Compensation | None

    def values(self, args: Mapping[str, JsonValue]) -> dict[str, object]:
        """Return every argument of a call, those with it that were not given.

        Raises:
            ArgumentsInvalid: the arguments do not hold.
        """
        return {**self.defaults, **self.arguments.parse(args)}


class Declaration:
    """One decorated function. `of_method` is its form without the first parameter, which the receiver takes."""

    def __init__(
        self, function: Callable[..., object], plain: FunctionType, options: Options, hints: Hints | None, binding: Binding
    ) -> None:
        self.function = function
        self.plain = plain
        self.options = options
        self.binding: Binding = binding
        self.name = options.name or plain.__name__
        self.is_async = inspect.iscoroutinefunction(function) or (plain is not function and inspect.iscoroutinefunction(plain))
        self.check = None if options.check is None else _check(plain, options.check)
        self.approval = read_approval(plain, self.name, options.approval)
        self.undoer = None if options.compensate is None else read_compensable(plain, options.compensate)
        self.home = home_of(plain) if options.isolation == "process" else None
        self.limits = Limits(options.memory_mb, options.cpu_s)
        here = [each.is_async for each in (self.check, self.undoer) if each is not None]
        self.needs_thread = not options.inline and not all([self.is_async or self.home is not None, *here])
        self._hints = hints

    @cached_property
    def of_function(self) -> Form:
        return self._form(is_method=False)

    @cached_property
    def of_method(self) -> Form:
        return self._form(is_method=True)

    def _form(self, *, is_method: bool) -> Form:
        signature = read_signature(self.plain, self._hints, is_method=is_method)
        if self.home is not None:
            check_deps(self.plain, signature)
        arguments, results = self._arguments(signature), self._results(signature)
        options = self.options
        spec = ToolSpec(
            name=self.name,
            description=options.description if options.description is not None else signature.summary,
            parameters=arguments.schema,
            returns=results.schema,
            effect=options.effect,
            timeout_s=options.timeout_s,
            retries=options.retries,
            output_label=options.output_label,
            approval_s=options.approval_s,
            undoes=options.compensate is not None,
        )
        defaults = {each.name: each.default for each in signature.parameters if not each.is_required}
        return Form(spec, arguments, results, signature.context, defaults, self._compensation(signature))

    def _compensation(self, signature: Signature) -> Compensation | None:
        if self.undoer is None:
            return None
        return read_compensation(self.plain, self.name, self.undoer, frozenset(each.name for each in signature.parameters))

    def _arguments(self, signature: Signature) -> Arguments:
        try:
            return Arguments(self.name, signature.parameters)
        except Exception as error:  # pydantic and the types' own hooks raise what they like
            raise self._unfit(_culprit(self.name, signature), error) from error

    def _results(self, signature: Signature) -> Results:
        try:
            return Results(self.name, signature.returns)
        except Exception as error:  # the same
            raise self._unfit("return type", error) from error

    def _unfit(self, where: str, error: Exception) -> ToolDeclarationError:
        is_unknown = isinstance(error, PydanticSchemaGenerationError | PydanticInvalidForJsonSchema)
        reason = "no JSON Schema is known of its type" if is_unknown else str(error).split("\n", 1)[0]
        return declaration_error(
            self.plain, f"{where}: {reason}", "use JSON types, pydantic models, dataclasses, TypedDicts, Enums or Literals"
        )


def _culprit(tool: str, signature: Signature) -> str:
    for parameter in signature.parameters:
        try:
            Arguments(tool, [parameter])
        except Exception:  # noqa: BLE001  (only which one is asked here)
            return f"parameter '{parameter.name}'"
    return "its parameters"


def _check(tool: FunctionType, given: Callable[..., object]) -> Companion:
    """Look at the function that asks for a key.

    Raises:
        ToolDeclarationError: it takes neither `(key)` nor `(key, context)`.
    """
    companion = read_companion(tool, given)
    if companion is None or len(companion.names) not in (1, 2):
        raise declaration_error(tool, "its check takes neither (key) nor (key, context)", "write check(key: str) -> result or None")
    return companion
