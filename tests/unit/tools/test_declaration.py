"""The schemas of tools with parameters of every kind are those in `golden_schemas.json`: a digest that changes makes paused runs wait."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, JsonValue
from typing_extensions import TypedDict

from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import FunctionTool, tool
from agent_sdk.tools.files import Files

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden_schemas.json").read_text())


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Range(BaseModel):
    """From low to high."""

    low: int = Field(description="The lowest.")
    high: int = 10


class Tree(BaseModel):
    name: str
    children: list["Tree"] = []


@dataclass
class Point:
    x: float
    y: float = 0.0
    tags: list[str] = field(default_factory=list[str])


class Options(TypedDict):
    deep: bool
    width: NotRequired[int]


class Pair(NamedTuple):
    key: str
    value: int


@tool
def plain(text: str, count: int, share: float, is_new: bool, nothing: None, anything: object, data: JsonValue) -> dict[str, JsonValue]:
    """Take plain data."""
    return {}


@tool
def defaults(text: str = "a", count: int | None = None, items: Sequence[str] = ("x", "y"), colour: Colour = Colour.RED) -> None:
    """Take what was left out."""


@tool(effect="read")
async def described(
    query: Annotated[str, Field(min_length=1, pattern="^[a-z]+$")], limit: Annotated[int, Field(gt=0, le=100)] = 10
) -> list[Range]:
    """Search the
    catalogue.

    This is not shown.

    Args:
        query: What to look for.
        limit: How many
            at most.
    """
    return []


@tool
def composed(where: Range, point: Point, options: Options, pair: Pair, tree: Tree) -> Tree:
    return tree


@tool
def chosen(
    mode: Literal["fast", "slow", 3], either: int | str | list[Point], by_name: dict[str, Range], two: tuple[int, str]
) -> Point | None:
    return None


@tool
def written(day: datetime, time: timedelta, price: Decimal, key: UUID, path: Path, raw: bytes) -> Decimal:
    return price


@tool
def with_context(query: str, ctx: ToolContext[dict[str, str]]):  # type: ignore[no-untyped-def]  # noqa: ANN201  (no annotation is the case)
    return query


TOOLS: list[FunctionTool[..., object]] = [plain, defaults, described, composed, chosen, written, with_context]


@pytest.mark.parametrize("declared", TOOLS, ids=lambda declared: declared.name)
def test_the_schema_of_a_tool_is_the_golden_one(declared: FunctionTool[..., object]) -> None:
    spec = declared.spec
    assert {"description": spec.description, "parameters": spec.parameters, "returns": spec.returns} == GOLDEN[declared.name]


def test_the_schemas_of_the_file_tools_are_the_golden_ones(tmp_path: Path) -> None:
    files = {each.spec.name: {"parameters": each.spec.parameters, "returns": each.spec.returns} for each in Files(tmp_path).tools}
    assert files == GOLDEN["files"]


def test_every_schema_is_json() -> None:
    for declared in TOOLS:
        assert len(declared.spec.digest) == 64
