"""What every `Tool` of the ports keeps, whatever its function is."""

import asyncio
import math
from collections.abc import Callable, Generator

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, ResultInvalid
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import ThreadPool, tool

CONTEXT: ToolContext[object] = ToolContext(TenantId("t"), RunId("r"), StepId("s"), attempt=1, idempotency_key="k", deps=None)

atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20)


class Calls:
    """Counts what reaches the functions."""

    def __init__(self) -> None:
        self.count = 0

    def echo(self, value: JsonValue, times: int = 1) -> JsonValue:
        """Return the value."""
        self.count += 1
        return [value] * times if times > 1 else value

    async def echo_async(self, value: JsonValue, times: int = 1) -> JsonValue:
        """Return the value."""
        return self.echo(value, times)

    def hostile(self, value: JsonValue = None, times: int = 1) -> object:
        return {"a": [math.nan]}


def in_a_thread(calls: Calls, pool: ThreadPool) -> Tool:
    return tool(name="echo")(calls.echo).bound_to(pool)


def inline(calls: Calls, pool: ThreadPool) -> Tool:
    return tool(name="echo", inline=True)(calls.echo)


def on_the_loop(calls: Calls, pool: ThreadPool) -> Tool:
    return tool(name="echo")(calls.echo_async)


def of_a_closure(calls: Calls, pool: ThreadPool) -> Tool:
    @tool
    async def echo(value: JsonValue, times: int = 1) -> JsonValue:
        """Return the value."""
        return calls.echo(value, times)

    return echo


Make = Callable[[Calls, ThreadPool], Tool]
KINDS: list[Make] = [in_a_thread, inline, on_the_loop, of_a_closure]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def pool() -> Generator[ThreadPool, None, None]:
    pool = ThreadPool(2)
    yield pool
    pool.close()


@pytest.fixture
def echo(make: Make, calls: Calls, pool: ThreadPool) -> Tool:
    return make(calls, pool)


def test_the_spec_says_what_the_signature_says(echo: Tool) -> None:
    spec = echo.spec
    assert (spec.name, spec.description, spec.effect) == ("echo", "Return the value.", "once")
    assert (list(spec.parameters["properties"]), spec.parameters["required"]) == (["value", "times"], ["value"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (an object)
    assert spec.digest == echo.spec.digest


async def test_a_call_returns_what_the_function_does(echo: Tool, calls: Calls) -> None:
    assert await echo.call({"value": {"a": 1}}, CONTEXT) == {"a": 1}
    assert await echo.call({"value": None, "times": 2}, CONTEXT) == [None, None]
    assert calls.count == 2


@pytest.mark.parametrize("args", [{}, {"value": 1, "times": "2"}, {"value": 1, "other": 1}], ids=["missing", "mistyped", "unknown"])
async def test_arguments_with_problems_never_reach_the_function(echo: Tool, calls: Calls, args: dict[str, JsonValue]) -> None:
    assert len(echo.problems(args)) == 1
    with pytest.raises(ArgumentsInvalid) as caught:
        await echo.call(args, CONTEXT)
    assert caught.value.findings == tuple(echo.problems(args))
    assert calls.count == 0


def test_paths_of_problems_start_at_the_root(echo: Tool) -> None:
    paths = [finding.path for finding in echo.problems({"times": "2", "other": 1})]
    assert paths == ["$.value", "$.times", "$.other"]


def test_partial_arguments_are_looked_at_by_name_alone(echo: Tool) -> None:
    reference: JsonValue = {"$ref": "a"}
    assert not echo.problems({"value": reference, "times": reference}, partial=frozenset({"value", "times"}))
    assert [finding.path for finding in echo.problems({"other": reference}, partial=frozenset({"other"}))] == ["$.value", "$.other"]


async def test_a_result_that_json_cannot_hold_is_refused(pool: ThreadPool, calls: Calls) -> None:
    for hostile in (tool(calls.hostile).bound_to(pool), tool(inline=True)(calls.hostile)):
        with pytest.raises(ResultInvalid) as caught:
            await hostile.call({}, CONTEXT)
        assert [finding.path for finding in caught.value.findings] == ["$.a[0]"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_json_value_comes_through_as_it_is(kind: Make) -> None:
    pool = ThreadPool(1)
    echo = kind(Calls(), pool)

    async def calling(values: list[JsonValue]) -> list[JsonValue]:
        return [await echo.call({"value": value}, CONTEXT) for value in values]

    with asyncio.Runner() as runner:

        @given(st.lists(json_values, min_size=1, max_size=3))
        def holds(values: list[JsonValue]) -> None:
            assert runner.run(calling(values)) == values

        holds()
    pool.close()
