"""`@tool`: makes a function a tool, and finds at once what the function's code alone shows to be wrong."""

import inspect
from collections.abc import Callable
from functools import partial
from types import FrameType, FunctionType, MethodType
from typing import Any, ParamSpec, TypeVar, cast, overload

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.labels import Label
from agent_sdk.core.tools import Effect
from agent_sdk.tools.approval import Approval
from agent_sdk.tools.declaration import Binding, Declaration, Options
from agent_sdk.tools.function import FunctionTool
from agent_sdk.tools.isolation import Isolation, Limits, check_isolation
from agent_sdk.tools.options import check_options
from agent_sdk.tools.signature import check_shape, class_of, early_hints

P = ParamSpec("P")
R = TypeVar("R")

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
    approval: Approval = False,
    approval_s: float | None = None,
    compensate: Callable[..., object] | None = None,
    isolation: Isolation = "none",
    memory_mb: int | None = None,
    cpu_s: float | None = None,
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
    approval: Approval = False,
    approval_s: float | None = None,
    compensate: Callable[..., object] | None = None,
    isolation: Isolation = "none",
    memory_mb: int | None = None,
    cpu_s: float | None = None,
) -> FunctionTool[..., Any] | Callable[[Callable[..., Any]], FunctionTool[..., Any]]:
    """Make a function or method a tool; the schema comes from its signature and docstring.

    `effect` says what a repeated call does: "read" changes nothing outside, "idempotent" may be repeated with the same
    `ToolContext.idempotency_key`, "verify" brings a `check` that is asked whether a key was done, and "once" is never repeated.
    `timeout_s` None means the agent's limit; `retries` counts further attempts. A synchronous function runs in a thread, or on the event
    loop where it is `inline`, because it never blocks. A parameter of type `ToolContext` is filled in by the run, and is not in the schema.
    A check is `check(key)` or `check(key, context)`, sync or async; it returns the result, or None where nothing was done.

    `approval` says that a person must allow a call first: True, a reason, or a function that gets the validated arguments it asks for by
    name and returns whether or why; a rule that fails counts as a reason. `approval_s` is after how long a request counts as denied.

    `compensate` undoes a finished call: `compensate(output)`, or with parameters named like the tool's own, `output` and a
    `ToolContext`; sync or async. It may be called again for the same call, so make it idempotent by `ToolContext.idempotency_key`.

    `isolation="process"` calls a module-level function in a process of its own, which a time limit or a cancel kills, with whatever it
    started. `memory_mb` bounds its address space (that of Python and all imports within), `cpu_s` its processor time in the call, to
    the next whole second. Each call starts a new process, which takes a few hundred milliseconds. As with `multiprocessing`, a script
    that starts runs does so under `if __name__ == "__main__":`, for its file is imported again there. The process gets no `deps`
    (`ToolContext[None]`), and what it says to `log` and `report` goes nowhere. Needs the extra `process`.

    Raises:
        ToolDeclarationError: the function or the options cannot be a tool's. What only resolved annotations show is raised at first use.
    """
    if function is not None:
        return _declare(function, _PLAINEST, _caller())
    options = Options(
        effect=effect,
        timeout_s=timeout_s,
        retries=retries,
        output_label=output_label,
        inline=inline,
        name=name,
        description=description,
        check=check,
        approval=approval,
        approval_s=approval_s,
        compensate=compensate,
        isolation=isolation,
        memory_mb=memory_mb,
        cpu_s=cpu_s,
    )
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
    check_options(plain, options)
    check_isolation(
        plain, options.isolation, Limits(options.memory_mb, options.cpu_s), is_inline=options.inline, is_bound=receiver is not None
    )
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
