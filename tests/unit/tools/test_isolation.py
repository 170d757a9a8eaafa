import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

import pytest

from agent_sdk.core.errors import ConfigError, ToolDeclarationError
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import FunctionTool, ProcessPool, ThreadPool, isolation, tool
from agent_sdk.tools.isolation import Home, home_of


def double(value: int) -> int:
    return 2 * value


@tool(isolation="process")
def triple(value: int, ctx: ToolContext[None]) -> int:
    return 3 * value


def hidden(value: int) -> int:
    return value


hide = tool(isolation="process")(hidden)
hidden = double


def with_deps(value: int, ctx: ToolContext[dict[str, str]] | None = None) -> int:
    return value


def nothing(name: str) -> None:
    """Find no module, whatever its name."""


class Shop:
    def sell(self, item: int) -> int:
        return item


def declared(function: Callable[..., object], *, memory_mb: int | None = None, cpu_s: float | None = None) -> FunctionTool[..., object]:
    return tool(isolation="process", memory_mb=memory_mb, cpu_s=cpu_s)(function)


def inner() -> Callable[[], None]:
    def function() -> None: ...

    return function


@pytest.mark.parametrize(
    ("function", "options", "problem"),
    [
        (double, {"isolation": "thread"}, "there is no isolation 'thread'"),
        (double, {"isolation": "none", "memory_mb": 100}, "it has memory_mb or cpu_s, and no process of its own"),
        (double, {"isolation": "process", "inline": True}, "it cannot be inline and in a process of its own"),
        (double, {"isolation": "process", "memory_mb": 0}, "memory_mb is 0"),
        (double, {"isolation": "process", "cpu_s": float("nan")}, "cpu_s is nan"),
        (Shop.sell, {"isolation": "process"}, "another process cannot import it"),
        (Shop().sell, {"isolation": "process"}, "another process cannot import it"),
        (inner(), {"isolation": "process"}, "another process cannot import it"),
        (lambda: 1, {"isolation": "process", "name": "one"}, "another process cannot import it"),
    ],
    ids=["isolation", "limits", "inline", "memory", "time", "method", "bound", "inner", "lambda"],
)
def test_a_function_that_needs_this_process_is_refused(function: Callable[..., object], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolDeclarationError, match=problem) as caught:
        tool(**options)(function)
    assert caught.value.hint


def test_dependencies_do_not_cross() -> None:
    assert triple.spec.name == "triple"
    with pytest.raises(ToolDeclarationError, match="parameter 'ctx': a tool in a process of its own gets no dependencies"):
        _ = declared(with_deps).spec


def test_limits_that_the_system_does_not_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert declared(double, memory_mb=500, cpu_s=2).declaration.limits == isolation.Limits(500, 2)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert declared(double, cpu_s=2).name == "double"
    with pytest.raises(ToolDeclarationError, match="this system cannot hold memory_mb"):
        declared(double, memory_mb=500)
    monkeypatch.setattr(isolation, "find_spec", nothing)
    with pytest.raises(ToolDeclarationError, match="this system cannot hold cpu_s"):
        declared(double, cpu_s=2)


def test_a_tool_is_bound_if_another_process_will_find_it(pool: ThreadPool) -> None:
    processes = ProcessPool()
    for made in (triple, declared(double)):
        assert made.bound_to(pool, processes) is not made
    with pytest.raises(ToolDeclarationError, match=f"another process does not find it as {__name__}:hidden"):
        hide.bound_to(pool, processes)


def test_a_module_that_is_gone_is_named(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = declared(double)
    monkeypatch.setitem(sys.modules, __name__, None)
    with pytest.raises(ToolDeclarationError, match="another process does not find it"):
        made.bound_to(pool, ProcessPool())


def test_what_must_be_installed_is_named_before_anything_runs(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "find_spec", nothing)
    with pytest.raises(ConfigError) as caught:
        triple.bound_to(pool, ProcessPool())
    assert caught.value.hint == "install the extra: pip install 'agent-sdk[process]'"


async def test_without_a_process_pool_it_says_how_to_mend_it(pool: ThreadPool, context: ToolContext[object]) -> None:
    assert triple.bound_to(pool) is triple
    with pytest.raises(ConfigError, match="triple has no process to run in"):
        await triple.call({"value": 1}, context)


@pytest.mark.parametrize(
    ("spec", "file", "home"),
    [
        (None, "/srv/script.py", Home("__main__", "double")),
        (None, None, None),
        ("script", "/srv/script.py", Home("__main__", "double")),
        ("package.__main__", "/srv/package/__main__.py", Home("package.__main__", "double")),
    ],
    ids=["a script", "a notebook", "a module", "a package"],
)
def test_what_stands_in_main_is_found_where_main_is_a_file(
    spec: str | None, file: str | None, home: Home | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = ModuleType("__main__")
    main.__spec__ = None if spec is None else ModuleSpec(spec, None)
    main.__dict__.update({} if file is None else {"__file__": file})
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(double, "__module__", "__main__")
    function: object = double
    assert isinstance(function, FunctionType)
    assert home_of(function) == home
    if home is None:
        with pytest.raises(ToolDeclarationError, match="its __main__ is no file"):
            declared(double)
