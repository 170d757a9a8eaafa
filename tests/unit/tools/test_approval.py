from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, JsonValue

from agent_sdk.core.errors import ConfigError, ToolDeclarationError
from agent_sdk.tools import FunctionTool, tool
from agent_sdk.tools.approval import MAX_REASON_CHARS


class Order(BaseModel):
    total: int


class Unreadable:
    """Can be called, and does not say with what."""

    __signature__ = "none"

    def __call__(self, order: Order) -> bool:
        return True


class Broken(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def buy(order: Order, note: str = "none") -> int:
    return order.total


async def later(order: Order) -> bool:
    return True


def throw(error: BaseException) -> Callable[[Order], bool]:
    def rule(order: Order) -> bool:
        raise error

    return rule


def asked(rule: object, args: dict[str, JsonValue] | None = None) -> str | None:
    options: dict[str, Any] = {"approval": rule}
    declared: FunctionTool[..., object] = tool(**options)(buy)
    return declared.approval(args if args is not None else {"order": {"total": 200}})


def test_without_a_rule_nobody_is_asked() -> None:
    assert tool(buy).approval({"order": {"total": 1}}) is None
    assert asked(rule=False) is None


def test_a_rule_may_be_constant() -> None:
    assert asked(rule=True) == "every call of buy needs approval"
    assert asked("money leaves the house") == "money leaves the house"


def over_100(order: Order) -> bool:
    return order.total > 100


def over_1000(order: Order) -> bool:
    return order.total > 1000


def much(order: Order) -> str:
    return f"{order.total} is much"


def noted(note: str) -> str:
    return note


def empty() -> str:
    return ""


def nothing() -> None:
    return None


def everything(**given: object) -> str:
    return ", ".join(given)


def with_default(order: Order, limit: int = 100) -> bool:
    return order.total > limit


def of_price(price: int) -> bool:
    return price > 100


def by_position(order: Order, /) -> bool:
    return order.total > 100


def a_number(order: Order) -> int:
    return order.total


def a_promise(order: Order) -> object:
    return later(order)


def long(order: Order) -> str:
    return "x" * 10_000


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (over_100, "buy asks for approval of this call"),
        (over_1000, None),
        (much, "200 is much"),
        (noted, "none"),
        (empty, None),
        (nothing, None),
        (everything, "note, order"),
        (with_default, "buy asks for approval of this call"),
    ],
)
def test_a_rule_gets_what_it_asks_for(rule: object, reason: str | None) -> None:
    assert asked(rule) == reason


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (throw(ValueError("no idea")), "the approval rule of buy failed, so a person decides: ValueError: no idea"),
        (throw(SystemExit(1)), "the approval rule of buy failed, so a person decides: SystemExit: 1"),
        (throw(Broken()), "the approval rule of buy failed, so a person decides: Broken"),
        (a_number, "the approval rule of buy returned int, which is no answer, so a person decides"),
        (a_promise, "the approval rule of buy returned coroutine, which is no answer, so a person decides"),
    ],
)
def test_no_call_slips_through_a_rule_that_fails(rule: object, said: str) -> None:
    assert asked(rule) == said


def test_a_long_reason_is_cut() -> None:
    assert asked(long) == "x" * MAX_REASON_CHARS


def test_arguments_that_do_not_hold_need_nobodys_word() -> None:
    assert asked(throw(ValueError()), {"order": 3}) is None


def test_a_rule_in_a_class_body_is_bound_as_its_tool() -> None:
    class Shop:
        def __init__(self, limit: int) -> None:
            self.limit = limit

        def needs(self, amount: int) -> bool:
            return amount > self.limit

        @tool(approval=needs)
        def sell(self, amount: Annotated[int, Field(ge=0)]) -> int:
            return amount

        @staticmethod
        def never(amount: int) -> bool:
            return False

        @tool(approval=never)
        def give(self, amount: int) -> int:
            return amount

    assert Shop(10).sell.approval({"amount": 5}) is None
    assert Shop(1).sell.approval({"amount": 5}) == "sell asks for approval of this call"
    assert Shop(1).give.approval({"amount": 5}) is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"approval": " "}, "its reason for approval is empty"),
        ({"approval": 3}, "its approval is no function that can be asked"),
        ({"approval": Unreadable()}, "its approval is no function that can be asked"),
        ({"approval": later}, "its approval rule is async"),
        ({"approval": of_price}, "asks for 'price', which is no parameter of the tool"),
        ({"approval": by_position}, "takes arguments by position alone"),
        ({"approval_s": 60}, "it has approval_s and no approval"),
        ({"approval": True, "approval_s": 0}, "approval_s is 0"),
        ({"approval": True, "approval_s": float("inf")}, "approval_s is inf"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_refused_where_it_stands(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolDeclarationError) as caught:
        tool(**options)(buy)
    assert problem in caught.value.message
    assert caught.value.hint


def test_the_spec_says_how_long_a_request_stands() -> None:
    assert tool(approval=True, approval_s=60)(buy).spec.approval_s == 60


def test_a_function_waits_for_nothing() -> None:
    with pytest.raises(ConfigError, match="buy is called, and waits for nothing"):
        tool(buy).wait({"order": {"total": 1}})
