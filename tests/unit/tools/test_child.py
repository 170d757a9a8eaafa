"""What a tool's process does, done here: what only a real one can show stands in tests/integration/test_process_tools.py."""

import asyncio
import json
import sys
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, NotDone, ResultInvalid, ToolError
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import NoProcessFree, ToolProcessDied, tool
from agent_sdk.tools.child import Request, answer
from agent_sdk.tools.isolation import Home, Limits
from agent_sdk.tools.processes import parse_answer

Point = dict[str, int]


class Spot(BaseModel):
    x: int


class Slow(ToolError):
    code: ClassVar[str] = "slow"
    retryable: ClassVar[bool] = True


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@tool(isolation="process")
def move(spot: Spot, by: int = 1) -> Spot:
    return Spot(x=spot.x + by)


async def move_later(spot: Spot) -> Spot:
    return spot


def who(ctx: ToolContext[None]) -> list[JsonValue]:
    assert ctx.deadline_s is not None
    return [ctx.tenant, ctx.run_id, ctx.step_id, ctx.attempt, ctx.idempotency_key, ctx.deps]


def wrong() -> int:
    return "three"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  (what a test is about)


def fail(how: str) -> None:
    match how:
        case "not done":
            raise NotDone("nothing was sent", hint="try later")
        case "its own":
            raise Slow("too slow", retry_after_s=3) from ValueError("because")
        case "network":
            raise ConnectionError("gone")
        case "exit":
            sys.exit(3)
        case "cancelled":
            raise asyncio.CancelledError
        case "broken":
            raise Broken
        case _:
            raise ValueError("no")


def no_memory() -> None:
    raise MemoryError


not_a_function = len


def asked(name: str, args: dict[str, JsonValue], limits: Limits = Limits()) -> JsonValue:  # noqa: B008  (it is frozen)
    home = Home(__name__, name)
    return parse_answer(answer(Request(home, json.dumps(args), limits, TenantId("t"), RunId("r"), StepId("s"), 2, "k", 5.0)), limits)


def raised(name: str, **args: JsonValue) -> ToolError:
    with pytest.raises(ToolError) as caught:
        asked(name, args)
    return caught.value


def test_values_cross_as_json_and_arrive_as_their_types() -> None:
    assert asked("move", {"spot": {"x": 1}}) == {"x": 2}
    assert asked("move_later", {"spot": {"x": 1}}) == {"x": 1}


def test_the_context_crosses_without_dependencies() -> None:
    assert asked("who", {}) == ["t", "r", "s", 2, "k", None]


def test_values_are_judged_there_too() -> None:
    refused = raised("move", spot={"x": "1"})
    assert isinstance(refused, ArgumentsInvalid)
    assert [finding.path for finding in refused.findings] == ["$.spot.x"]
    refused = raised("wrong")
    assert isinstance(refused, ResultInvalid)
    assert [finding.path for finding in refused.findings] == ["$"]


def test_the_tools_own_word_that_nothing_was_done_crosses() -> None:
    error = raised("fail", how="not done")
    assert isinstance(error, NotDone)
    assert (error.code, error.message, error.hint) == ("tool_not_done", "nothing was sent", "try later")


def test_the_tools_own_error_crosses_with_its_code_and_cause() -> None:
    error = raised("fail", how="its own")
    assert (error.code, error.message, error.retryable, error.retry_after_s) == ("slow", "too slow", True, 3)
    assert "ValueError: because" in str(error.__cause__)


@pytest.mark.parametrize(
    ("how", "code", "message", "retryable"),
    [
        ("value", "tool_failed", "ValueError: no", False),
        ("network", "tool_failed", "ConnectionError: gone", True),
        ("exit", "tool_exited", "the tool tried to end the process: SystemExit(3)", False),
        ("cancelled", "tool_cancelled_itself", "the tool was cancelled from within, not by the run", False),
        ("broken", "tool_failed", "Broken", False),
    ],
)
def test_what_else_is_raised_crosses_with_its_traceback(how: str, code: str, message: str, *, retryable: bool) -> None:
    error = raised("fail", how=how)
    assert (type(error).__name__, error.code, error.message, error.retryable) == ("ToolError", code, message, retryable)
    assert "in fail" in str(error.__cause__)


def test_to_run_out_of_memory_is_the_end_of_the_process() -> None:
    error = raised("no_memory")
    assert isinstance(error, ToolProcessDied)
    assert (error.code, error.message) == ("tool_process_died", "the tool's process ran out of memory")


@pytest.mark.parametrize("name", ["gone", "not_a_function"])
def test_what_is_not_found_was_not_called(name: str) -> None:
    error = raised(name)
    assert isinstance(error, NoProcessFree)
    assert error.code == "tool_no_process"


def test_a_module_that_cannot_be_imported_was_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, None)
    assert isinstance(raised("move"), NoProcessFree)


def test_limits_are_taken_on_within_what_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    resource: Any = pytest.importorskip("resource")
    most = {resource.RLIMIT_AS: 50 * 1024 * 1024, resource.RLIMIT_CPU: resource.RLIM_INFINITY, resource.RLIMIT_CORE: 0}
    taken: dict[int, tuple[int, int]] = {}
    allowed = {kind: (limit, limit) for kind, limit in most.items()}
    monkeypatch.setattr(resource, "getrlimit", allowed.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", taken.__setitem__)
    monkeypatch.setattr("time.process_time", lambda: 0.75)
    assert asked("move", {"spot": {"x": 1}}, Limits(memory_mb=100, cpu_s=2)) == {"x": 2}
    assert taken == {resource.RLIMIT_AS: (50 * 1024 * 1024,) * 2, resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_CPU: (3, 4)}
