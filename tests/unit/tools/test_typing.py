"""What type checkers know of a tool: mypy and pyright read this file as the tests run it."""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_type

from agent_sdk.core.ports import Tool
from agent_sdk.tools import FunctionTool, ThreadPool, tool
from agent_sdk.tools.files import Files


@dataclass
class Hit:
    title: str


@tool(effect="read")
async def search(query: str, limit: int = 5) -> list[Hit]:
    return [Hit(query)] * limit


@tool
def add(a: int, b: int = 1) -> int:
    return a + b


class Shop:
    prefix = "shop:"

    @tool(effect="read")
    def find(self, name: str) -> str:
        return self.prefix + name

    @tool
    async def buy(self, name: str, *, count: int = 1) -> list[str]:
        return [self.prefix + name] * count

    @staticmethod
    @tool
    def double(value: int) -> int:
        return 2 * value

    @tool
    @staticmethod
    def triple(value: int) -> int:
        return 3 * value


async def test_a_tool_is_called_like_its_function() -> None:
    assert_type(await search("x", limit=3), list[Hit])
    assert assert_type(add(1, b=2), int) == 3


async def test_a_method_keeps_its_types_without_the_receiver() -> None:
    shop = Shop()
    assert assert_type(shop.find("tea"), str) == "shop:tea"
    assert assert_type(await shop.buy("tea", count=2), list[str]) == ["shop:tea", "shop:tea"]
    assert assert_type(Shop.double(2), int) == 4
    assert assert_type(Shop.triple(2), int) == 6


def test_wrong_calls_are_type_errors() -> None:
    def never() -> None:
        add("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (what this test is about)
        add(1, c=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  (the same)
        Shop().find(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  (the same)

    assert callable(never)


def test_every_kind_of_tool_is_a_tool_to_the_ports(tmp_path: Path) -> None:
    shop = Shop()
    pool = ThreadPool()
    tools: list[Tool] = [search, add, add.bound_to(pool), shop.find, shop.buy, Shop.double, Shop.triple, *Files(tmp_path).tools]
    assert [each.spec.name for each in tools][:6] == ["search", "add", "add", "find", "buy", "double"]


def test_bound_to_keeps_the_type() -> None:
    assert_type(add.bound_to(ThreadPool())(1), int)
    assert isinstance(add, FunctionTool)
