"""`@tool`: makes a function a tool, and finds at once what the function's code alone shows to be wrong."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from types import FrameType, FunctionType, MethodType
from typing import Any, ParamSpec, TypeVar, cast, get_args, overload

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.labels import Label
from agent_sdk.core.tools import Effect
from agent_sdk.tools.declaration import Binding, Declaration, Options
from agent_sdk.tools.function import FunctionTool
from agent_sdk.tools.signature import check_shape, class_of, declaration_error, early_hints

P = ParamSpec("P")
R = TypeVar("R")

_EFFECTS = get_args(Effect)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PLAINEST = Options()


@overload
def tool(function: Callable[P, R], /) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    effect: Effect = "once",
    timeout_s: float | None = None,
    retries: int = 0,
    output_label: Label | None = None,
    inline: bool = False,
    name: str | None = None,
    description: str | None = None,
    check: Callable[..., object] | None = None,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(  # noqa: PLR0913  (each is a keyword that users write; `Options` groups them behind)
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: Effect = "once",
    timeout_s: float | None = None,
    retries: int = 0,
    output_label: Label | None = None,
    inline: bool = False,
    name: str | None = None,
    description: str | None = None,
    check: Callable[..., object] | None = None,
) -> FunctionTool[..., Any] | Callable[[Callable[..., Any]], FunctionTool[..., Any]]:
    """Make a function or method a tool; the schema comes from its signature and docstring.

    `effect` says what a repeated call does: "read" changes nothing outside, "idempotent" may be repeated with the same
    `ToolContext.idempotency_key`, "verify" brings a `check` that is asked whether a key was done, and "once" is never repeated.
    `timeout_s` None means the agent's limit; `retries` counts further attempts. A synchronous function runs in a thread, or on the event
    loop where it is `inline`, because it never blocks. A parameter of type `ToolContext` is filled in by the run, and is not in the schema.
    A check is `check(key)` or `check(key, context)`, sync or async; it returns the result, or None where nothing was done.

    Raises:
        ToolDeclarationError: the function or the options cannot be a tool's. What only resolved annotations show is raised at first use.
    """
    if function is not None:
        return _declare(function, _PLAINEST, _caller())
    options = Options(effect, timeout_s, retries, output_label, inline, name, description, check)
    return partial(_declare_with, options)


def _caller() -> FrameType | None:
    """Return the frame that the decorated function stands in."""
    frame = inspect.currentframe()
    return frame.f_back.f_back if frame is not None and frame.f_back is not None else None


def _declare_with(options: Options, given: Callable[..., Any]) -> FunctionTool[..., Any]:
    return _declare(given, options, _caller())


def _declare(given: Callable[..., Any], options: Options, frame: FrameType | None) -> FunctionTool[..., Any]:
    function, binding, receiver = _opened(given)
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType):
        raise ToolDeclarationError(f"{given!r} is no function that was written in Python", hint="write a small function around it")
    check_shape(plain, is_method=receiver is not None or (binding != "nothing" and class_of(plain) != ""))
    _check_options(plain, options)
    declaration = Declaration(function, plain, options, early_hints(plain, frame), binding)
    return FunctionTool(declaration, function if receiver is None else given, receiver)


def _opened(given: object) -> tuple[Callable[..., Any], Binding, object]:
    """Return the function, what access binds it to, and what it is bound to already."""
    match given:
        case staticmethod():
            return cast("staticmethod[..., Any]", given).__func__, "nothing", None
        case classmethod():
            return cast("classmethod[Any, ..., Any]", given).__func__, "class", None
        case MethodType():
            return given.__func__, "instance", given.__self__
        case _:
            return cast("Callable[..., Any]", given), "instance", None


def _check_options(function: FunctionType, options: Options) -> None:
    name = options.name if options.name is not None else function.__name__
    if not _NAME.fullmatch(name):
        raise declaration_error(
            function, f"{name!r} is no name that models can call", 'give it one of letters, digits and "_", as in @tool(name="search")'
        )
    if options.effect not in _EFFECTS:
        raise declaration_error(function, f"there is no effect {options.effect!r}", f"choose one of {', '.join(_EFFECTS)}")
    if options.timeout_s is not None and not options.timeout_s > 0:
        raise declaration_error(function, f"timeout_s is {options.timeout_s}", "give seconds above 0, or None for the agent's limit")
    if options.retries < 0 or (options.retries and options.effect == "once"):
        hint = (
            'declare effect="read", "idempotent" or "verify" if it may be repeated'
            if options.retries > 0
            else "retries counts further attempts: 0 or more"
        )
        raise declaration_error(function, f"retries is {options.retries}, and its effect is {options.effect!r}", hint)
    if (options.effect == "verify") != (options.check is not None):
        problem = "has no check" if options.check is None else f"has a check, and its effect is {options.effect!r}"
        raise declaration_error(function, f"it {problem}", 'effect="verify" and check=... go together')
    if options.inline and inspect.iscoroutinefunction(function):
        raise declaration_error(function, "an async function is on the event loop already", "take inline=True away")
