from typing import Any

import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import ToolDeclarationError
from agent_sdk.core.labels import TRUSTED
from agent_sdk.core.ports import Tool
from agent_sdk.core.tools import ToolContext, ToolSpec
from agent_sdk.tools import FunctionTool, tool


def search(query: str) -> str:
    return query


async def search_async(query: str) -> str:
    return query


def done(key: str) -> str | None:
    return key


def names(declared: Tool) -> list[str]:
    found = declared.spec.parameters["properties"]
    assert isinstance(found, dict)
    return list(found)


class Shop:
    """Methods of every kind; each returns where it was called and with what."""

    prefix = "shop"

    @tool(effect="read")
    def find(self, name: str) -> str:
        return f"{self.prefix}:{name}"

    @tool
    @classmethod
    def label(cls, name: str) -> str:
        return f"{cls.prefix}:{name}"

    @tool
    @staticmethod
    def triple(value: int) -> int:
        return 3 * value

    @staticmethod
    @tool
    def double(value: int) -> int:
        return 2 * value


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"effect": "sometimes"}, "there is no effect 'sometimes'"),
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"timeout_s": float("nan")}, "timeout_s is nan"),
        ({"retries": 1}, "retries is 1, and its effect is 'once'"),
        ({"retries": -1, "effect": "read"}, "retries is -1"),
        ({"effect": "verify"}, "it has no check"),
        ({"effect": "read", "check": done}, "it has a check, and its effect is 'read'"),
        ({"effect": "verify", "check": lambda: None}, "its check takes neither"),
        ({"effect": "verify", "check": 3}, "its check takes neither"),
        ({"name": "no spaces"}, "'no spaces' is no name that models can call"),
        ({"name": "x" * 65}, "is no name that models can call"),
        ({"name": ""}, "'' is no name"),
    ],
)
def test_options_that_make_no_tool_are_refused_where_they_stand(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ToolDeclarationError) as caught:
        tool(**options)(search)
    assert caught.value.message.startswith(f"{__file__}:{search.__code__.co_firstlineno}: search: ")
    assert problem in caught.value.message
    assert caught.value.hint


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(ToolDeclarationError, match="'<lambda>' is no name"):
        tool(lambda: 1)
    assert tool(name="one")(lambda: 1).name == "one"


def test_an_async_function_cannot_be_inline() -> None:
    with pytest.raises(ToolDeclarationError, match="on the event loop already"):
        tool(inline=True)(search_async)


def test_what_was_declared_stands_in_the_spec() -> None:
    declared = tool(effect="idempotent", timeout_s=2, retries=3, output_label=TRUSTED, name="find", description="Find it.")(search)
    assert declared.spec == ToolSpec(
        name="find",
        description="Find it.",
        parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"], "additionalProperties": False},
        returns={"type": "string"},
        effect="idempotent",
        timeout_s=2,
        retries=3,
        output_label=TRUSTED,
    )


def test_without_options_an_effect_happens_once_and_its_output_is_untrusted() -> None:
    spec = tool(search).spec
    assert (spec.effect, spec.retries, spec.timeout_s, spec.label.untrusted) == ("once", 0, None, ("tool:search",))


def test_the_tool_looks_like_its_function() -> None:
    declared = tool(search)
    assert (declared.__name__, declared.__module__, declared.__wrapped__) == ("search", __name__, search)
    assert repr(declared) == "<tool search (once)>"


def test_the_spec_is_made_once() -> None:
    declared = tool(search)
    assert declared.spec is declared.spec


def test_a_method_is_bound_through_its_instance() -> None:
    shop = Shop()
    shop.prefix = "corner"
    assert shop.find("tea") == "corner:tea"
    assert names(shop.find) == ["name"]
    assert Shop().find.spec is shop.find.spec


def test_a_method_that_is_not_bound_says_so() -> None:
    with pytest.raises(ToolDeclarationError, match="parameter 'self': it has no annotation") as caught:
        _ = Shop.find.spec
    assert caught.value.hint == "this is a method: give the agent the one of an instance, as in tools=[Shop().search]"


@pytest.mark.parametrize("name", ["find", "label", "triple", "double"])
async def test_methods_of_every_kind_are_called_right(name: str, context: ToolContext[object]) -> None:
    declared: FunctionTool[..., object] = getattr(Shop(), name)
    (argument,) = names(declared)
    given: JsonValue = "tea" if argument == "name" else 2
    inline = tool(inline=True, name=name)(declared.__wrapped__)
    assert await inline.call({argument: given}, context) == {"find": "shop:tea", "label": "shop:tea", "triple": 6, "double": 4}[name]


def test_a_class_method_is_bound_to_its_class() -> None:
    class Corner(Shop):
        prefix = "corner"

    corner: Any = Corner
    assert (corner.label("tea"), corner().label("tea")) == ("corner:tea", "corner:tea")


def test_a_bound_method_can_be_made_a_tool_later() -> None:
    class Plain:
        def find(self, name: str) -> str:
            return f"plain:{name}"

    declared = tool(effect="read")(Plain().find)
    assert declared("tea") == "plain:tea"
    assert names(declared) == ["name"]


def test_a_class_method_that_is_bound_too_late_says_how_to_write_it() -> None:
    def label(cls, name: str) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]  (as in a class body)
        return name

    late: Any = label  # pyright: ignore[reportUnknownVariableType]  (the same)
    with pytest.raises(ToolDeclarationError) as caught:
        tool(late)
    assert caught.value.hint == "write @tool above @classmethod"
