"""A function that goes with a tool: its check, its approval rule, its compensation. Said once: how it is written, bound and asked."""

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import cast

from agent_sdk.core.frozen import frozen
from agent_sdk.tools.signature import class_of

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@frozen
class Companion:
    """A function beside its tool; `is_method` where both stand in one class body.

    `names` are its parameters without the receiver, `required` those of them without a default; `takes_any` where it has `**`, and
    `by_name` where each of them can be given by name.
    """

    function: Callable[..., object]
    is_method: bool
    is_async: bool
    names: tuple[str, ...]
    required: frozenset[str]
    takes_any: bool
    by_name: bool

    def bound(self, receiver: object) -> Callable[..., object]:
        """Return the function as the tool of this receiver calls it."""
        return MethodType(self.function, receiver) if self.is_method and receiver is not None else self.function


def read_companion(tool: FunctionType, given: object) -> Companion | None:
    """Look at what was given beside the tool's function; None where it can not be called."""
    is_static = isinstance(given, staticmethod)
    opened = cast("object", given.__func__) if isinstance(given, staticmethod) else given
    if not callable(opened):
        return None
    is_method = not is_static and _owner(opened) != "" and _owner(opened) == class_of(tool)
    try:
        parameters = list(inspect.signature(opened).parameters.values())[is_method:]
    except (TypeError, ValueError):
        return None
    plain = [each for each in parameters if each.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)]
    return Companion(
        opened,
        is_method,
        inspect.iscoroutinefunction(opened) or inspect.iscoroutinefunction(getattr(opened, "__call__", None)),  # noqa: B004  (an object whose call is async)
        tuple(each.name for each in plain),
        frozenset(each.name for each in plain if each.default is inspect.Parameter.empty),
        takes_any=any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters),
        by_name=all(each.kind in _NAMED for each in plain),
    )


def _owner(function: object) -> str:
    return class_of(function) if isinstance(function, FunctionType) else ""
