import asyncio
import functools
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, NotDone, ResultInvalid, ToolError
from agent_sdk.core.ports import Verdict
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import FunctionTool, ThreadPool, tool

Deps = dict[str, str]


@tool(effect="read")
def read(name: str, ctx: ToolContext[Deps]) -> str:
    return f"{name}:{ctx.deps['db']}:{ctx.idempotency_key}"


@tool(effect="read")
async def read_async(name: str, ctx: ToolContext[Deps] | None = None) -> str:
    return f"{name}:{ctx.attempt if ctx else 'no context'}"


class Ledger:
    """Knows which keys were paid."""

    def __init__(self) -> None:
        self.paid: dict[str, int] = {}

    def look_up(self, key: str) -> int | None:
        return self.paid.get(key)

    @tool(effect="verify", check=look_up)
    def pay(self, amount: int, ctx: ToolContext[object]) -> int:
        self.paid[ctx.idempotency_key] = amount
        return amount


async def test_a_synchronous_tool_runs_in_the_pool_with_its_context(pool: ThreadPool, context: ToolContext[object]) -> None:
    assert await read.bound_to(pool).call({"name": "a"}, context) == "a:open:key-1"
    assert pool.threads == 1


async def test_a_synchronous_tool_without_a_pool_says_how_to_mend_it(context: ToolContext[object]) -> None:
    with pytest.raises(ConfigError, match="read is synchronous and has no thread") as caught:
        await read.call({"name": "a"}, context)
    assert caught.value.hint is not None
    assert "bound_to(ThreadPool())" in caught.value.hint


async def test_an_async_tool_runs_on_the_loop_with_its_context(context: ToolContext[object]) -> None:
    assert await read_async.call({"name": "a"}, context) == "a:1"


async def test_the_model_cannot_give_the_context(context: ToolContext[object]) -> None:
    with pytest.raises(ArgumentsInvalid, match="has no parameter 'ctx'"):
        await read_async.call({"name": "a", "ctx": None}, context)


async def test_a_tool_is_still_its_function() -> None:
    assert await read_async("a") == "a:no context"


async def test_an_inline_tool_runs_on_the_loop(context: ToolContext[object]) -> None:
    @tool(inline=True)
    def where() -> bool:
        return asyncio.get_running_loop().is_running()

    assert await where.call({}, context) is True


async def test_a_result_that_does_not_fit_is_refused_whichever_way_the_tool_runs(pool: ThreadPool, context: ToolContext[object]) -> None:
    def wrong() -> int:
        return "three"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  (what this test is about)

    async def wrong_async() -> int:
        return wrong()

    for declared in (tool(wrong).bound_to(pool), tool(inline=True)(wrong), tool(wrong_async)):
        with pytest.raises(ResultInvalid) as caught:
            await declared.call({}, context)
        assert [finding.path for finding in caught.value.findings] == ["$"]


def exits() -> None:
    sys.exit(7)


def stops() -> None:
    raise StopIteration("x")


async def exits_async() -> None:
    sys.exit(7)


@pytest.mark.parametrize("declared", [tool(exits), tool(inline=True)(exits), tool(exits_async)], ids=["thread", "inline", "async"])
async def test_exit_is_given_to_the_caller(declared: FunctionTool[[], object], pool: ThreadPool, context: ToolContext[object]) -> None:
    code: object = None
    try:
        await declared.bound_to(pool).call({}, context)
    except SystemExit as error:
        code = error.code
    assert code == 7


@pytest.mark.parametrize(
    ("declared", "kind"), [(tool(stops), ToolError), (tool(inline=True)(stops), RuntimeError)], ids=["thread", "inline"]
)
async def test_stop_iteration_is_no_result(
    declared: FunctionTool[[], None], kind: type[Exception], pool: ThreadPool, context: ToolContext[object]
) -> None:
    with pytest.raises(kind, match="StopIteration"):
        await declared.bound_to(pool).call({}, context)


async def test_what_a_tool_prints_stays_as_it_is(
    pool: ThreadPool, context: ToolContext[object], capsys: pytest.CaptureFixture[str]
) -> None:
    @tool
    def loud() -> None:
        print("hello")  # noqa: T201  (what this test is about)

    assert await loud.bound_to(pool).call({}, context) is None
    assert capsys.readouterr().out == "hello\n"


async def test_a_function_that_returns_a_coroutine_is_awaited_where_it_is_wrapped(context: ToolContext[object]) -> None:
    def logged(function: Callable[[int], Coroutine[Any, Any, int]]) -> Callable[[int], Coroutine[Any, Any, int]]:
        @functools.wraps(function)
        def wrapper(value: int) -> Coroutine[Any, Any, int]:
            return function(value)

        return wrapper

    @tool
    @logged
    async def double(value: int) -> int:
        return 2 * value

    assert await double.call({"value": 2}, context) == 4


async def test_a_check_in_the_same_class_is_bound_as_its_tool(pool: ThreadPool, context: ToolContext[object]) -> None:
    ledger = Ledger()
    pay = ledger.pay.bound_to(pool)
    assert await pay.verify(context) == Verdict(is_done=False)
    await pay.call({"amount": 3}, context)
    assert await pay.verify(context) == Verdict(is_done=True, output=3)


def returns(value: object) -> Callable[[str], object]:
    def check(key: str) -> object:
        return value

    return check


def says_not_done(key: str) -> int:
    raise NotDone("no")


def with_context(key: str, ctx: ToolContext[Deps]) -> int:
    return len(key + ctx.deps["db"])


async def asks_outside(key: str) -> int:
    return 4


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (returns(None), Verdict(is_done=False)),
        (returns(NotDone), Verdict(is_done=False)),
        (returns(NotDone("no")), Verdict(is_done=False)),
        (returns(Verdict(is_done=False, output=None)), Verdict(is_done=False)),
        (returns(Verdict(is_done=True, output=5)), Verdict(is_done=True, output=5)),
        (staticmethod(returns(6)), Verdict(is_done=True, output=6)),
        (says_not_done, Verdict(is_done=False)),
        (with_context, Verdict(is_done=True, output=9)),
        (asks_outside, Verdict(is_done=True, output=4)),
    ],
    ids=["none", "class", "error", "verdict no", "verdict yes", "static", "raises", "context", "async"],
)
async def test_a_check_answers_in_many_ways(
    check: Callable[..., object], verdict: Verdict, pool: ThreadPool, context: ToolContext[object]
) -> None:
    @tool(effect="verify", check=check)
    def pay(amount: int) -> int:
        return amount

    assert await pay.bound_to(pool).verify(context) == verdict


async def test_what_a_check_returns_is_judged_as_the_result(pool: ThreadPool, context: ToolContext[object]) -> None:
    @tool(effect="verify", check=returns("three"))
    def pay(amount: int) -> int:
        return amount

    with pytest.raises(ResultInvalid):
        await pay.bound_to(pool).verify(context)


async def test_a_tool_without_a_check_cannot_be_asked(context: ToolContext[object]) -> None:
    with pytest.raises(ConfigError, match="read has no check"):
        await read.verify(context)
