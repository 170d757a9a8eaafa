"""The functions that an agent's author writes around its runs: their kinds, what they are told of the run, and how they can be called."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, TypeVar, cast

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.ids import PrincipalId, RunId, TenantId

DepsT = TypeVar("DepsT")
FunctionT = TypeVar("FunctionT", bound="Callable[..., Complaint]")
_INLINE = "__agent_sdk_inline__"


@frozen
class RunInfo:
    """What an author's function may know of the run that it is called for."""

    tenant: TenantId
    run_id: RunId
    agent: str
    principal: PrincipalId | None = None


@frozen
class GuardedCall:
    """A call that the model asks for, as a guardrail sees it; `args` is a copy."""

    tool: str
    args: dict[str, JsonValue]


DepsFactory = Callable[[RunInfo], AbstractAsyncContextManager[DepsT]]
Instructions = Callable[[RunInfo], str | Awaitable[str]]
Complaint = str | None | Awaitable[str | None]
"""What a guardrail or a validator returns: what is wrong, None where nothing is."""
InputGuardrail = Callable[[str, RunInfo], Complaint]
CallGuardrail = Callable[[GuardedCall, RunInfo], Complaint]
# the answer is of the agent's output type, which a sequence of options cannot name
OutputGuardrail = Callable[[Any, RunInfo], Complaint]
Validator = Callable[[Any], Complaint] | Callable[[Any, RunInfo], Complaint]


def inline(function: FunctionT) -> FunctionT:
    """Call this guardrail or validator on the event loop, and not in a thread, because it never blocks: `inline=True` of a tool."""

    @wraps(function)
    def called(*given: object) -> Complaint:
        return function(*given)

    vars(called)[_INLINE] = True
    return cast("FunctionT", called)


def blocks(function: Callable[..., object]) -> bool:
    """Say whether the function may block the event loop: it is neither async nor declared inline."""
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
    return not (is_async or getattr(function, _INLINE, False))


def takes(function: Callable[..., object], arguments: int) -> bool:
    """Say whether the function can be called with so many arguments, given by place; one in C that does not say counts as fitting."""
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def needs_info(validator: Callable[..., object]) -> bool:
    """Say whether a validator wants to know of the run: it cannot be called with the answer alone."""
    return not takes(validator, 1)


def name_of(function: Callable[..., object]) -> str:
    """Return the function's qualified name, or that of its class."""
    named: object = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}"
