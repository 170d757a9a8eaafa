from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue

from agent_sdk.core.errors import ConfigError, ResultInvalid, ToolDeclarationError
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import FunctionTool, ThreadPool, tool


class Order(BaseModel):
    id: int


@dataclass
class Call:
    """What a compensation was given."""

    given: tuple[object, ...] = ()


def book(seats: int, name: str = "nobody") -> Order:
    return Order(id=seats)


def undone_by(compensate: Callable[..., object]) -> FunctionTool[..., Order]:
    return tool(effect="idempotent", compensate=compensate)(book)


def by_output(seen: Call) -> Callable[..., object]:
    def undo(order: Order) -> None:
        seen.given = (order,)

    return undo


def by_plain_output(seen: Call) -> Callable[..., object]:
    def undo(output: dict[str, int]) -> None:
        seen.given = (output,)

    return undo


def by_untyped_output(seen: Call) -> Callable[..., object]:
    def undo(whatever):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]  (as a lambda is)
        seen.given = (whatever,)

    return undo  # pyright: ignore[reportUnknownVariableType]  (the same)


def by_arguments(seen: Call) -> Callable[..., object]:
    def undo(seats: int, name: str) -> None:
        seen.given = (seats, name)

    return undo


def by_all(seen: Call) -> Callable[..., object]:
    async def undo(ctx: ToolContext[object], name: str, output: object) -> None:
        seen.given = (ctx.idempotency_key, name, output)

    return undo


def by_context(seen: Call) -> Callable[..., object]:
    def undo(order: Order, ctx: ToolContext[object], reason: str = "late") -> None:
        seen.given = (ctx.idempotency_key, reason)

    return undo


@pytest.mark.parametrize(
    ("made", "given"),
    [
        (by_output, (Order(id=3),)),
        (by_plain_output, ({"id": 3},)),
        (by_untyped_output, ({"id": 3},)),
        (by_arguments, (3, "nobody")),
        (by_all, ("key-1", "nobody", {"id": 3})),
    ],
)
async def test_a_compensation_gets_what_it_asks_for(
    made: Callable[[Call], Callable[..., object]], given: tuple[object, ...], pool: ThreadPool, context: ToolContext[object]
) -> None:
    seen = Call()
    declared = undone_by(made(seen)).bound_to(pool)
    assert declared.spec.undoes
    await declared.compensate({"seats": 3}, {"id": 3}, context)
    assert seen.given == given


async def test_a_compensation_in_a_class_body_is_bound_as_its_tool(pool: ThreadPool, context: ToolContext[object]) -> None:
    class Shop:
        def __init__(self) -> None:
            self.sold = {7}

        def take_back(self, item: int) -> None:
            self.sold.discard(item)

        @tool(effect="idempotent", compensate=take_back)
        async def sell(self, item: int) -> int:
            return item

    shop = Shop()
    await shop.sell.bound_to(pool).compensate({"item": 7}, 7, context)
    assert shop.sold == set()


async def test_an_output_that_the_compensation_does_not_take_is_refused(pool: ThreadPool, context: ToolContext[object]) -> None:
    with pytest.raises(ResultInvalid) as caught:
        await undone_by(by_output(Call())).bound_to(pool).compensate({"seats": 3}, {"id": "three"}, context)
    assert [finding.path for finding in caught.value.findings] == ["$.id"]


async def test_what_a_compensation_raises_comes_through(pool: ThreadPool, context: ToolContext[object]) -> None:
    def undo(output: JsonValue) -> None:
        raise ValueError("too late")

    with pytest.raises(ValueError, match="too late"):
        await undone_by(undo).bound_to(pool).compensate({"seats": 3}, {"id": 3}, context)


async def test_a_tool_without_a_compensation_cannot_be_undone(context: ToolContext[object]) -> None:
    assert not tool(book).spec.undoes
    with pytest.raises(ConfigError, match="book has no compensation"):
        await tool(book).compensate({"seats": 3}, {"id": 3}, context)


def of_output(output: object) -> None: ...


def by_position(output: object, /) -> None: ...


def of_price(seats: int, price: int) -> None: ...


def of_two(one: object, two: object) -> None: ...


def of_output_and_two(output: object, two: object) -> None: ...


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"effect": "read", "compensate": of_output}, "it has a compensation, and its effect is 'read'"),
        ({"compensate": 3}, "its compensation is no function"),
        ({"compensate": by_position}, "its compensation is no function that takes arguments by name"),
        ({"compensate": of_price}, "its compensation asks for 'price'"),
        ({"compensate": of_two}, "its compensation asks for 'one'"),
        ({"compensate": of_output_and_two}, "its compensation asks for 'two'"),
    ],
)
def test_a_compensation_that_cannot_be_called_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolDeclarationError, match=problem) as caught:
        _ = tool(**options)(book).spec
    assert caught.value.hint


def test_one_context_is_enough() -> None:
    def undo(one: ToolContext[object], two: ToolContext[object]) -> None: ...

    with pytest.raises(ToolDeclarationError, match="asks for 'two'"):
        _ = undone_by(undo).spec


def test_a_compensation_whose_annotations_do_not_resolve_gets_plain_data() -> None:
    def undo(output: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  (what this test is about)

    assert undone_by(undo).spec.undoes  # pyright: ignore[reportUnknownArgumentType]  (the same)
