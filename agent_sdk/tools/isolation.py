"""What a tool needs to run in a process of its own: a function that another process can import, and limits that the system can hold."""

import importlib
import inspect
import math
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import FunctionType, NoneType
from typing import Literal, get_args

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.frozen import frozen
from agent_sdk.tools.signature import NOTHING, Signature, declaration_error

Isolation = Literal["none", "process"]


@frozen
class Limits:
    """What a tool's process may take: MiB of address space, seconds of processor time; None means no limit."""

    memory_mb: int | None = None
    cpu_s: float | None = None


@frozen
class Home:
    """Where another process finds a function."""

    module: str
    qualname: str


def check_isolation(function: FunctionType, isolation: Isolation, limits: Limits, *, is_inline: bool, is_bound: bool) -> None:
    """Find what keeps a function from being called in another process.

    Raises:
        ToolDeclarationError: with a hint on how to mend it.
    """
    if isolation not in get_args(Isolation):
        raise declaration_error(function, f"there is no isolation {isolation!r}", f"choose one of {', '.join(get_args(Isolation))}")
    if isolation == "none":
        if limits != Limits():
            raise declaration_error(function, "it has memory_mb or cpu_s, and no process of its own", 'add isolation="process"')
        return
    if is_inline:
        raise declaration_error(function, "it cannot be inline and in a process of its own", 'take inline=True or isolation="process" away')
    if is_bound or "." in function.__qualname__ or not function.__name__.isidentifier():
        raise declaration_error(
            function,
            "another process cannot import it",
            'isolation="process" needs a function at the top level of a module, and no method, lambda or inner function',
        )
    if home_of(function) is None:
        raise declaration_error(
            function, "another process cannot import it, as its __main__ is no file", "move it into a module, and import it from there"
        )
    _check_limits(function, limits)


def check_deps(function: FunctionType, signature: Signature) -> None:
    """Refuse dependencies, which cannot cross into another process.

    Raises:
        ToolDeclarationError: the function asks for some.
    """
    if signature.deps not in (NOTHING, None, NoneType):
        raise declaration_error(
            function,
            f"parameter '{signature.context}': a tool in a process of its own gets no dependencies",
            "write ToolContext[None], and open in the function what it needs",
        )


def check_home(function: FunctionType, home: Home) -> None:
    """Make sure that an import finds the function, now that its module is loaded.

    Raises:
        ToolDeclarationError: something else has its name.
    """
    try:
        found = inspect.unwrap(imported(home))
    except (ImportError, AttributeError):
        found = None
    if found is not function:
        raise declaration_error(
            function,
            f"another process does not find it as {home.module}:{home.qualname}",
            "keep it, or its tool, in its module under the name that it was written with",
        )


def require_library() -> None:
    """Make sure that what starts processes is installed.

    Raises:
        ConfigError: it is not.
    """
    if find_spec("pebble") is None:
        raise ConfigError(
            'isolation="process" needs a library that is not installed', hint="install the extra: pip install 'agent-sdk[process]'"
        )


def home_of(function: FunctionType) -> Home | None:
    """Return where another process finds the function; None where its module is no file that could be imported."""
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        if spec is not None and spec.name.endswith("__main__"):
            module = spec.name  # of a package, `python -m package`: multiprocessing imports it for nobody
        elif spec is None and getattr(main, "__file__", None) is None:
            return None
    return Home(module, function.__qualname__)


def imported(home: Home) -> Callable[..., object]:
    """Return what stands there.

    Raises:
        ImportError: there is no such module.
        AttributeError: nothing has the name.
    """
    found: Callable[..., object] = getattr(importlib.import_module(home.module), home.qualname)
    return found


def _check_limits(function: FunctionType, limits: Limits) -> None:
    for name, value in (("memory_mb", limits.memory_mb), ("cpu_s", limits.cpu_s)):
        if value is None:
            continue
        if not (value > 0 and math.isfinite(value)):
            raise declaration_error(function, f"{name} is {value}", f"give {name} above 0, or None for no limit")
        if not _is_held(name):
            raise declaration_error(function, f"this system cannot hold {name}", f"take {name} away here, or run on Linux")


def _is_held(limit: str) -> bool:
    """Say whether the system holds the limit: Windows has none, and macOS takes one for memory and does not keep it."""
    return find_spec("resource") is not None and (limit != "memory_mb" or sys.platform != "darwin")
