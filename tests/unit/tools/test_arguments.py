import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st
from pydantic import AfterValidator, BaseModel, Field, JsonValue

from agent_sdk.core.errors import ArgumentsInvalid
from agent_sdk.core.findings import Finding
from agent_sdk.core.ids import RunId, StepId, TenantId
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import tool

calls: list[object] = []


class Range(BaseModel):
    low: int
    high: Annotated[int, Field(le=10)] = 5


def explode(value: int) -> int:
    raise KeyError(value)


@tool(inline=True)
def search(query: str, limit: Annotated[int, Field(ge=1)] = 5, ranges: list[Range] | None = None) -> int:
    calls.append(query)
    return limit


@tool(inline=True)
def convert(day: date = date(2026, 1, 2), price: Decimal = Decimal(1), flag: bool = False, share: float = 0.5) -> list[str]:
    return [str(day), str(price), str(flag), str(share)]


@tool(inline=True)
def fragile(value: Annotated[int, AfterValidator(explode)]) -> int:
    return value


def wrong(args: Mapping[str, JsonValue], *partial: str) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in search.problems(args, partial=frozenset(partial))]


def test_arguments_that_fit_have_no_problems() -> None:
    assert wrong({"query": "x"}) == []
    assert wrong({"query": "x", "limit": 1, "ranges": [{"low": 1}]}) == []


def test_all_that_is_wrong_is_said_at_once_with_its_exact_place() -> None:
    args: dict[str, JsonValue] = {"qurey": "x", "limit": "5", "ranges": [{"low": 1}, {"low": 2.5, "high": 11}]}
    assert search.problems(args) == [
        Finding("missing_argument", "$.query", "argument 'query' is missing", None, "string", "nothing"),
        Finding("invalid_argument", "$.limit", "it does not fit", None, "a valid integer", '"5"'),
        Finding("invalid_argument", "$.ranges[1].low", "it does not fit", None, "a valid integer", "2.5"),
        Finding("invalid_argument", "$.ranges[1].high", "it does not fit", None, "less than or equal to 10", "11"),
        Finding("unknown_argument", "$.qurey", "search has no parameter 'qurey'", "did you mean 'query'?", "query, limit, ranges", '"x"'),
    ]


def test_a_tool_without_parameters_takes_no_arguments() -> None:
    @tool
    def now() -> int:
        return 1

    assert now.spec.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    (finding,) = now.problems({"zone": "utc"})
    assert (finding.path, finding.expected, finding.hint) == ("$.zone", "no arguments", None)


@pytest.mark.parametrize(
    ("value", "fits"), [("x", True), ("", True), (1, False), (None, False), (True, False), (["x"], False), ({"$ref": "a"}, False)]
)
def test_text_is_text_alone(value: JsonValue, *, fits: bool) -> None:
    assert (wrong({"query": value}) == []) is fits


@pytest.mark.parametrize(
    ("value", "fits"), [(1, True), (10**30, True), (1.0, False), ("1", False), (True, False), (math.nan, False), (0, False)]
)
def test_an_integer_is_an_integer_alone(value: JsonValue, *, fits: bool) -> None:
    assert (wrong({"query": "x", "limit": value}) == []) is fits


async def test_what_json_writes_as_text_or_number_becomes_what_the_function_takes(context: ToolContext[object]) -> None:
    given: dict[str, JsonValue] = {"day": "2026-11-23", "price": "1.10", "flag": True, "share": 1}
    assert await convert.call(given, context) == ["2026-11-23", "1.10", "True", "1.0"]


async def test_defaults_are_those_of_the_function(context: ToolContext[object]) -> None:
    assert await convert.call({}, context) == ["2026-01-02", "1", "False", "0.5"]
    assert [node["default"] for node in properties().values()] == ["2026-01-02", "1", False, 0.5]


def properties() -> dict[str, dict[str, Any]]:
    found: Any = convert.spec.parameters["properties"]
    return {str(name): node for name, node in found.items()}


def test_a_default_that_json_cannot_hold_is_not_shown() -> None:
    @tool
    def search(query: str, mode: object = object) -> str:
        return query

    assert search.spec.parameters["properties"] == {"query": {"type": "string"}, "mode": {}}


def test_references_are_looked_at_by_name_alone() -> None:
    reference: JsonValue = {"$ref": "a.text"}
    assert wrong({"query": reference}, "query") == []
    assert wrong({"limit": reference}, "limit") == [("missing_argument", "$.query")]
    assert wrong({"query": reference, "limit": "5"}, "query") == [("invalid_argument", "$.limit")]
    assert wrong({"query": "x", "limt": reference}, "limt") == [("unknown_argument", "$.limt")]


async def test_wrong_arguments_never_reach_the_function(context: ToolContext[object]) -> None:
    calls.clear()
    with pytest.raises(ArgumentsInvalid) as caught:
        await search.call({"query": 3}, context)
    assert [finding.path for finding in caught.value.findings] == ["$.query"]
    assert caught.value.message == (
        "the arguments of search do not fit:\n- $.query: it does not fit [invalid_argument]; expected a valid string; found 3"
    )
    assert calls == []


@given(
    st.dictionaries(st.sampled_from(["query", "limit", "ranges", "x"]), st.none() | st.booleans() | st.integers() | st.floats() | st.text())
)
def test_a_call_begins_exactly_where_there_are_no_problems(args: dict[str, JsonValue]) -> None:
    calls.clear()
    context: ToolContext[object] = ToolContext(TenantId("t"), RunId("r"), StepId("s"), 1, "k", None)
    problems = search.problems(args)
    with pytest.raises(ArgumentsInvalid if problems else StopIteration) as caught:
        search.call(args, context).send(None)
    assert getattr(caught.value, "findings", ()) == tuple(problems)
    assert len(calls) == (not problems)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_surrogate_pair_is_no_text(text: str) -> None:
    (finding,) = search.problems({"query": text})
    assert finding.path == "$"
    assert "surrogates not allowed" in finding.message


@pytest.mark.parametrize("depth", [220, 1000])
def test_arguments_nested_too_deep_are_refused(depth: int) -> None:
    deep: JsonValue = "x"
    for _ in range(depth):
        deep = [deep]
    assert [finding.code for finding in search.problems({"query": deep})] == ["invalid_argument"]


async def test_a_validator_that_fails_is_told_as_the_tools_own_fault(context: ToolContext[object]) -> None:
    with pytest.raises(ArgumentsInvalid, match="the tool's own validator failed: KeyError: 3"):
        await fragile.call({"value": 3}, context)


def test_an_alias_is_the_name_that_models_use() -> None:
    @tool(inline=True)
    def find(kind: Annotated[str, Field(alias="type")]) -> str:
        return kind

    assert find.spec.parameters["required"] == ["type"]
    assert find.problems({"type": "x"}) == []
    assert [finding.path for finding in find.problems({"kind": "x"})] == ["$.type", "$.kind"]
