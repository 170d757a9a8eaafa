from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from threading import Lock  # noqa: F401  # pyright: ignore[reportUnusedImport]  (an annotation names it)
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel, Field
from typing_extensions import Doc

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext
from agent_sdk.tools import tool

if TYPE_CHECKING:
    from decimal import Decimal as Hidden


class Node(BaseModel):
    name: str
    children: list[Node] = []


class OldShape(TypedDict):
    x: int


def refusal(declare: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ToolDeclarationError) as caught:
        declare()
    return caught.value.message, caught.value.hint or ""


def properties(declared: Tool) -> dict[str, Any]:
    found = declared.spec.parameters["properties"]
    assert isinstance(found, dict)
    return found


def test_star_arguments_are_refused_where_the_function_stands() -> None:
    def search(*queries: str) -> None: ...

    message, hint = refusal(lambda: tool(search))
    assert message == (
        f"{__file__}:{search.__code__.co_firstlineno}: {search.__qualname__}: parameter '*queries': a model must know each argument by name"
    )
    assert hint == "name the parameters one by one, or take a list"


def test_star_keywords_are_refused() -> None:
    def search(a: int, *, b: int, **more: str) -> None: ...

    assert "parameter '**more'" in refusal(lambda: tool(search))[0]


def test_a_parameter_without_an_annotation_is_refused() -> None:
    def search(query, limit: int = 5): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # pyright: ignore  (what this test is about)

    message, hint = refusal(lambda: tool(search))  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]  (the same)
    assert "parameter 'query': it has no annotation" in message
    assert hint == "write its type, as in query: str"


def test_positional_only_parameters_are_refused() -> None:
    def search(query: str, /) -> None: ...

    assert "parameter 'query': a tool is called with names" in refusal(lambda: tool(search))[0]


def test_generators_are_refused() -> None:
    def search(query: str) -> Iterator[str]:
        yield query

    assert refusal(lambda: tool(search))[1] == "return a list"


@pytest.mark.parametrize("given", [len, int, functools.partial(int, base=2), "text"])
def test_what_is_no_python_function_is_refused(given: Callable[..., object]) -> None:
    assert "is no function that was written in Python" in refusal(lambda: tool(given))[0]


def test_a_name_that_exists_for_type_checkers_alone_is_named_at_first_use() -> None:
    def pay(amount: int, price: Hidden) -> None: ...

    message, hint = refusal(lambda: tool(pay).spec)
    assert "parameter 'price': nothing is named 'Hidden'" in message
    assert hint.startswith("import it outside `if TYPE_CHECKING:`")


def test_an_unknown_name_in_the_return_annotation_is_named() -> None:
    def pay() -> Missing: ...  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable, reportUnknownParameterType]  (what this test is about)

    pay_again: Callable[[], object] = pay  # pyright: ignore[reportUnknownVariableType]  (the same)
    assert "return type: nothing is named 'Missing'" in refusal(lambda: tool(pay_again).spec)[0]


def test_an_annotation_that_is_no_type_is_refused() -> None:
    def pay(amount: int[str]) -> None: ...  # type: ignore[type-arg]  # pyright: ignore[reportInvalidTypeArguments]  (what this test is about)

    assert "its annotations cannot be read" in refusal(lambda: tool(pay).spec)[0]


@pytest.mark.parametrize("annotation", ["Callable[[], int]", "Iterator[int]", "Lock()", "open"])
def test_a_type_that_no_model_can_give_names_its_parameter(annotation: str) -> None:
    def search(query: str, how: object) -> None: ...

    search.__annotations__["how"] = annotation
    message, hint = refusal(lambda: tool(search).spec)
    assert message.startswith(__file__)
    assert "parameter 'how': no JSON Schema is known of its type" in message
    assert "dataclasses" in hint


def test_a_typed_dict_that_pydantic_refuses_says_why() -> None:
    def search(query: str, how: OldShape) -> None: ...

    if sys.version_info < (3, 12):
        assert "parameter 'how': Please use `typing_extensions.TypedDict`" in refusal(lambda: tool(search).spec)[0]
    else:
        assert list(properties(tool(search))) == ["query", "how"]


def test_a_return_type_without_a_schema_is_named() -> None:
    def connect() -> Callable[[], int]:
        return int

    assert "return type: no JSON Schema is known of its type" in refusal(lambda: tool(connect).spec)[0]


def test_a_second_context_is_refused() -> None:
    def search(one: ToolContext[None], two: ToolContext[None]) -> None: ...

    assert "parameter 'two': 'one' takes the ToolContext already" in refusal(lambda: tool(search).spec)[0]


def test_a_field_as_default_value_is_refused() -> None:
    def search(limit: int = Field(5, ge=1)) -> None: ...

    message, hint = refusal(lambda: tool(search).spec)
    assert "parameter 'limit': its default is a Field" in message
    assert hint == "write limit: Annotated[..., Field(...)] = default"


def test_a_default_in_the_annotation_is_refused() -> None:
    def search(limit: Annotated[int, Field(default=5)]) -> None: ...

    assert "parameter 'limit': its default stands in the annotation" in refusal(lambda: tool(search).spec)[0]


@pytest.mark.parametrize("annotation", ["ToolContext[None]", "ToolContext", "ToolContext[dict[str, int]] | None"])
def test_a_context_is_no_part_of_the_schema(annotation: str) -> None:
    def search(query: str, ctx: object = None) -> None: ...

    search.__annotations__["ctx"] = annotation
    assert list(properties(tool(search))) == ["query"]


def test_forward_references_to_the_module_are_resolved() -> None:
    @tool
    def grow(node: Node) -> Node:
        return node

    assert properties(grow) == {"node": {"$ref": "#/$defs/Node"}}


def test_names_of_the_function_around_are_resolved() -> None:
    class Local(BaseModel):
        size: int

    @tool
    def grow(local: Local) -> list[Local]:
        return [local]

    @tool(effect="read")
    def shrink(local: Local) -> int:
        return local.size

    assert properties(grow) == properties(shrink) == {"local": {"$ref": "#/$defs/Local"}}


def test_names_around_a_class_in_a_function_are_resolved() -> None:
    class Local(BaseModel):
        size: int

    class Shop:
        @tool
        def grow(self, local: Local) -> int:
            return local.size

    assert properties(Shop().grow) == {"local": {"$ref": "#/$defs/Local"}}


def test_names_that_come_later_are_taken_from_the_closure() -> None:
    @tool
    def grow(size: Later) -> Later:
        return Later(size=size.size + 1)

    class Later(BaseModel):
        size: int

    assert properties(grow) == {"size": {"$ref": "#/$defs/Later"}}


def test_descriptions_come_from_annotations_before_the_docstring() -> None:
    @tool
    def search(a: Annotated[str, Field(description="field")], b: Annotated[str, Doc("doc")], c: str, d: str) -> None:
        """Search.

        Args:
            a: args
            b: args
            c: args
        """

    assert {name: node.get("description") for name, node in properties(search).items()} == {
        "a": "field",
        "b": "doc",
        "c": "args",
        "d": None,
    }


def test_a_wrapped_function_keeps_its_signature() -> None:
    def doubled(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def wrapper(*args: int, **kwargs: int) -> int:
            return 2 * function(*args, **kwargs)

        return wrapper

    @tool
    @doubled
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert (add(1, 2), add.name, add.spec.description, list(properties(add))) == (6, "add", "Add.", ["a", "b"])
