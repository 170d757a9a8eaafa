"""What every `Tool` of the ports keeps, whatever its function is."""

import asyncio
import math
from collections.abc import Callable, Generator

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue

from agent_sdk.core.errors import ArgumentsInvalid, ConfigError, ResultInvalid
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext, ToolSpec, Wait
from agent_sdk.tools import ThreadPool, WaitTool, ask_person, tool, wait_for, wait_for_signal, wait_until

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


class Bookings:
    """Keeps what was booked, so that it can be undone."""

    def __init__(self) -> None:
        self.seats: dict[str, int] = {}

    def book(self, seats: int, ctx: ToolContext[object]) -> int:
        """Book seats."""
        self.seats[ctx.idempotency_key] = seats
        return seats

    async def book_async(self, seats: int, ctx: ToolContext[object]) -> int:
        """Book seats."""
        return self.book(seats, ctx)

    def cancel(self, output: int, ctx: ToolContext[object]) -> None:
        if self.seats.get(ctx.idempotency_key) == output:
            del self.seats[ctx.idempotency_key]

    async def cancel_async(self, output: int, ctx: ToolContext[object]) -> None:
        self.cancel(output, ctx)


Book = Callable[[Bookings, ThreadPool], Tool]


def over_ten(seats: int) -> bool:
    return seats > 10


def book_in_a_thread(bookings: Bookings, pool: ThreadPool) -> Tool:
    return tool(name="book", approval=over_ten, compensate=bookings.cancel)(bookings.book).bound_to(pool)


def book_inline(bookings: Bookings, pool: ThreadPool) -> Tool:
    return tool(name="book", approval=over_ten, compensate=bookings.cancel, inline=True)(bookings.book)


def book_on_the_loop(bookings: Bookings, pool: ThreadPool) -> Tool:
    return tool(name="book", approval=over_ten, compensate=bookings.cancel_async)(bookings.book_async)


def book_on_both(bookings: Bookings, pool: ThreadPool) -> Tool:
    return tool(name="book", approval=over_ten, compensate=bookings.cancel)(bookings.book_async).bound_to(pool)


@pytest.fixture(params=[book_in_a_thread, book_inline, book_on_the_loop, book_on_both])
def make_book(request: pytest.FixtureRequest) -> Book:
    made: Book = request.param
    return made


def test_whether_a_person_is_asked_depends_on_the_arguments_alone(make_book: Book, pool: ThreadPool) -> None:
    book = make_book(Bookings(), pool)
    assert book.approval({"seats": 10}) is None
    assert [book.approval({"seats": 11}) for _ in range(2)] == ["book asks for approval of this call"] * 2


def test_without_a_rule_no_call_needs_a_word(echo: Tool) -> None:
    assert echo.approval({"value": 1}) is None


async def test_an_undone_call_may_be_undone_again(make_book: Book, pool: ThreadPool) -> None:
    bookings = Bookings()
    book = make_book(bookings, pool)
    assert book.spec.undoes
    output = await book.call({"seats": 3}, CONTEXT)
    for _ in range(2):
        await book.compensate({"seats": 3}, output, CONTEXT)
        assert bookings.seats == {}


async def test_what_cannot_be_undone_says_so(echo: Tool) -> None:
    assert not echo.spec.undoes
    with pytest.raises(ConfigError):
        await echo.compensate({"value": 1}, 1, CONTEXT)


def test_a_call_waits_for_nothing(echo: Tool) -> None:
    assert echo.spec.kind == "call"
    with pytest.raises(ConfigError):
        echo.wait({"value": 1})


CHILD = ToolSpec(
    "hire", "Hire.", {"type": "object", "properties": {"goal": {"type": "string"}}, "required": ["goal"]}, {}, "read", kind="child"
)
WAITS: list[tuple[Tool, dict[str, JsonValue]]] = [
    (ask_person(), {"question": "Red or blue?"}),
    (wait_for(), {"seconds": 1.5}),
    (wait_until(), {"until": "2030-01-01T00:00:00Z"}),
    (wait_for_signal("paid"), {}),
    (WaitTool(CHILD, lambda args: Wait("child", text=str(args["goal"]), name="helper")), {"goal": "Find it."}),
]


@pytest.fixture(params=WAITS, ids=[waits.spec.name for waits, _ in WAITS])
def waiting(request: pytest.FixtureRequest) -> tuple[Tool, dict[str, JsonValue]]:
    made: tuple[Tool, dict[str, JsonValue]] = request.param
    return made


async def test_a_wait_says_what_it_waits_for_and_is_never_called(waiting: tuple[Tool, dict[str, JsonValue]]) -> None:
    waits, args = waiting
    assert (waits.spec.effect, waits.spec.undoes, waits.approval(args), waits.problems(args)) == ("read", False, None, [])
    assert waits.wait(args).kind == waits.spec.kind
    assert waits.wait(args) == waits.wait(args)
    with pytest.raises(ConfigError):
        await waits.call(args, CONTEXT)


def test_a_wait_with_arguments_that_do_not_hold_does_not_begin(waiting: tuple[Tool, dict[str, JsonValue]]) -> None:
    waits, args = waiting
    wrong: dict[str, JsonValue] = {**args, "other": 1}
    with pytest.raises(ArgumentsInvalid) as caught:
        waits.wait(wrong)
    assert caught.value.findings == tuple(waits.problems(wrong))
    assert [finding.path for finding in caught.value.findings] == ["$.other"]
