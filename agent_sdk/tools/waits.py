"""Tools that wait and call nothing: for a person's answer, for a time, for a signal from outside. How a run waits is the executor's."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Annotated, NoReturn, cast

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue, TypeAdapter

from agent_sdk.core.errors import ConfigError, ToolDeclarationError
from agent_sdk.core.findings import Finding
from agent_sdk.core.labels import TRUSTED, Label
from agent_sdk.core.ports import Verdict
from agent_sdk.core.schemas import Schema, mismatch, schema_of
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait
from agent_sdk.tools.arguments import Arguments
from agent_sdk.tools.schema import json_schema
from agent_sdk.tools.signature import NOTHING, Parameter, read_signature

MAX_WAIT_S = 366 * 86_400.0
"""How long a timer may be told to wait: a year, with its leap day."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

Question = Annotated[
    str, Field(min_length=1, max_length=10_000, pattern=r"\S", description="What the person is asked, with all they need.")
]
Seconds = Annotated[float, Field(ge=0, le=MAX_WAIT_S, allow_inf_nan=False, description="How long to wait.")]
Until = Annotated[AwareDatetime, Field(description="The time to wait for, with its offset from UTC, as in 2030-05-01T09:00:00Z.")]


class WaitTool:
    """A tool whose steps wait as `make_wait` says of the validated arguments.

    Without `arguments`, what `spec.parameters` says of names, types and `minLength` is held.
    """

    def __init__(self, spec: ToolSpec, make_wait: Callable[[Mapping[str, object]], Wait], arguments: Arguments | None = None) -> None:
        self._spec = spec
        self._make_wait = make_wait
        self._arguments = arguments if arguments is not None else _arguments_of(spec)

    def __repr__(self) -> str:
        return f"<tool {self.name} (waits: {self._spec.kind})>"

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    def approval(self, args: Mapping[str, JsonValue]) -> str | None:
        return None

    def wait(self, args: Mapping[str, JsonValue]) -> Wait:
        return self._make_wait(self._arguments.parse(args))

    def problems(self, args: Mapping[str, JsonValue], *, partial: frozenset[str] = frozenset()) -> Sequence[Finding]:
        return self._arguments.findings(args, partial)

    async def call(self, args: Mapping[str, JsonValue], context: ToolContext[object]) -> JsonValue:
        self._refuse("called")

    async def verify(self, context: ToolContext[object]) -> Verdict:
        self._refuse("asked whether it was done")

    async def compensate(self, args: Mapping[str, JsonValue], output: JsonValue, context: ToolContext[object]) -> None:
        self._refuse("undone")

    def _refuse(self, what: str) -> NoReturn:
        raise ConfigError(f"{self.name} waits, and cannot be {what}", hint="ask its wait() what a step of it waits for, as a run does")


def ask_person(
    name: str = "ask_person",
    *,
    expires_s: float | None = None,
    description: str | None = None,
    answer: object = str,
    output_label: Label | None = None,
) -> WaitTool:
    """Return a tool that puts a question to a person and returns the answer, a value of the type `answer`.

    The run may wait for days, with no process holding it. After `expires_s` seconds the step fails as `wait_expired`; None: never.

    Raises:
        ToolDeclarationError: the name, the time or the type cannot be a tool's.
    """
    _check_expiry(expires_s)

    def ask(question: Question) -> Wait:
        """Ask a person a question, and wait for the answer."""
        return Wait("question", text=question, after_s=expires_s)

    return _made(ask, ToolSpec(name, description or "", {}, _returns(answer), "read", output_label=output_label, kind="question"))


def wait_for(name: str = "wait_for", *, description: str | None = None) -> WaitTool:
    """Return a tool that waits a number of seconds, up to `MAX_WAIT_S`, and returns the time that it was due, in UTC as ISO 8601 writes it.

    Raises:
        ToolDeclarationError: the name cannot be a tool's.
    """

    def wait(seconds: Seconds) -> Wait:
        """Wait for some time before going on."""
        return Wait("timer", after_s=seconds)

    return _made(wait, _timer(name, description))


def wait_until(name: str = "wait_until", *, description: str | None = None) -> WaitTool:
    """Return a tool that waits until a time, and returns it in UTC as ISO 8601 writes it. A time that has passed holds up nothing.

    Raises:
        ToolDeclarationError: the name cannot be a tool's.
    """

    def wait(until: Until) -> Wait:
        """Wait until a given time before going on."""
        return Wait("timer", at_us=max(0, (until - _EPOCH) // timedelta(microseconds=1)))

    return _made(wait, _timer(name, description))


def wait_for_signal(
    signal_name: str,
    payload: object = JsonValue,
    *,
    name: str | None = None,
    expires_s: float | None = None,
    description: str | None = None,
    output_label: Label | None = None,
) -> WaitTool:
    """Return a tool that waits for a signal from outside and returns its payload, a value of the type `payload`.

    A signal that came before the run waits for it is not lost. After `expires_s` seconds the step fails as `wait_expired`; None: never.

    Raises:
        ToolDeclarationError: the name, the time or the type cannot be a tool's.
    """
    _check_expiry(expires_s)
    if not signal_name.strip():
        raise ToolDeclarationError("a signal needs a name", hint='name it, as in wait_for_signal("payment_received")')

    def wait() -> Wait:
        return Wait("signal", name=signal_name, after_s=expires_s)

    called = name if name is not None else "wait_for_" + re.sub(r"[^A-Za-z0-9_-]", "_", signal_name)
    text = description if description is not None else f"Wait for the signal {signal_name!r} from outside, and get what it brings."
    return _made(wait, ToolSpec(called, text, {}, _returns(payload), "read", output_label=output_label, kind="signal"))


def _timer(name: str, description: str | None) -> ToolSpec:
    return ToolSpec(name, description or "", {}, {"type": "string", "format": "date-time"}, "read", output_label=TRUSTED, kind="timer")


def _made(ask: Callable[..., Wait], spec: ToolSpec) -> WaitTool:
    """Return the tool that takes what `ask` does, and is described as it is where the spec says nothing."""
    if not _NAME.fullmatch(spec.name):
        raise ToolDeclarationError(
            f"{spec.name!r} is no name that models can call", hint='give it one of up to 64 letters, digits, "_" and "-", as in name="wait"'
        )
    signature = read_signature(cast("FunctionType", ask), None, is_method=False)
    arguments = Arguments(spec.name, signature.parameters)
    described = spec.description or signature.summary
    whole = ToolSpec(spec.name, described, arguments.schema, spec.returns, spec.effect, output_label=spec.output_label, kind=spec.kind)
    return WaitTool(whole, lambda values: ask(**values), arguments)


def _check_expiry(expires_s: float | None) -> None:
    if expires_s is not None and not (expires_s > 0 and math.isfinite(expires_s)):
        raise ToolDeclarationError(f"expires_s is {expires_s}", hint="give seconds above 0, or None to wait for ever")


def _returns(kind: object) -> Mapping[str, JsonValue]:
    """Return the schema of what may come from outside."""
    if kind is object or kind is JsonValue:
        return {}
    try:
        return json_schema(TypeAdapter(cast("type[object]", kind)), "validation")
    except Exception as error:
        raise ToolDeclarationError(
            f"no JSON Schema is known of {kind!r}", hint="use JSON types, pydantic models, dataclasses, TypedDicts, Enums or Literals"
        ) from error


def _arguments_of(spec: ToolSpec) -> Arguments:
    properties, required = spec.parameters.get("properties"), spec.parameters.get("required")
    needed = required if isinstance(required, list) else []
    nodes = properties if isinstance(properties, dict) else {}
    return Arguments(
        spec.name,
        [
            Parameter(name, _held(Schema.of(spec.parameters).child(node)), NOTHING if name in needed else None, None)
            for name, node in nodes.items()
        ],
    )


def _held(schema: Schema) -> object:
    """Return the annotation of an argument that a schema describes."""

    def fits(value: JsonValue) -> JsonValue:
        if (misfit := mismatch(schema_of(value), schema)) is not None:
            where = f"at {misfit.path.lstrip('.')} " if misfit.path else ""
            raise ValueError(f"{where}it should be {misfit.expected}, and is {misfit.found}")
        least = schema.node.get("minLength")
        if isinstance(value, str) and isinstance(least, int) and len(value.strip()) < least:
            raise ValueError(f"it needs at least {least} characters")
        return value

    return Annotated[JsonValue, AfterValidator(fits)]
