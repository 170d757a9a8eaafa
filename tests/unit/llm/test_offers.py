import pytest
from pydantic import JsonValue

from agent_sdk.core.errors import ConfigError
from agent_sdk.core.ids import StepId
from agent_sdk.core.messages import Conversation, user_message
from agent_sdk.core.model import ModelRequest, ModelSettings, OutputMode
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.offers import Offers, forced_tool, tool_choice
from agent_sdk.llm.output import OUTPUT_TOOL, Output

SCHEMA: dict[str, JsonValue] = {"type": "object", "properties": {}}
SEARCH = ToolSpec("files.search", "Search.", {"type": "object"}, {})
TOOLS = (SEARCH,)


def offers(default: OutputMode = "native") -> Offers:
    return Offers(lambda name, tool: {"name": name}, default)


def request(
    mode: OutputMode | None = None, tools: tuple[ToolSpec, ...] = TOOLS, schema: dict[str, JsonValue] | None = SCHEMA
) -> ModelRequest:
    settings = ModelSettings(output_mode=mode)
    return ModelRequest(StepId("t1"), "m", Conversation([user_message("Hi")]), tools=tools, output_schema=schema, settings=settings)


@pytest.mark.parametrize("mode", ["native", "tool", "prompt", None])
def test_an_output_and_tools_are_packed_once(mode: OutputMode | None) -> None:
    made = offers()
    assert made.output(request(mode)) is made.output(request(mode))
    assert made.toolbox(request(mode)) is made.toolbox(request(mode))


def test_the_protocol_s_own_mode_is_taken_where_none_is_asked_for() -> None:
    for default in ("native", "tool"):
        output = offers(default).output(request())
        assert output is not None
        assert output.mode == default
    assert offers().output(request(schema=None)) is None


def test_a_schema_that_allows_anything_is_packed_once_too() -> None:
    made, anything = offers(), dict[str, JsonValue]()
    output = made.output(request(schema=anything))
    assert output is not None
    assert output is made.output(request(schema=anything))


def test_the_tool_that_takes_the_output_stands_beside_the_others() -> None:
    made = offers()
    assert OUTPUT_TOOL.encode() in made.toolbox(request("tool")).encoded
    assert OUTPUT_TOOL.encode() not in made.toolbox(request("native")).encoded
    assert made.toolbox(request("tool")).names == made.toolbox(request("native")).names


def test_a_tool_of_that_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="same name"):
        offers().toolbox(request("tool", (ToolSpec(OUTPUT_TOOL, "", {}, {}),)))


@pytest.mark.parametrize(
    ("settings", "mode", "forced", "choice"),
    [
        (ModelSettings(), None, None, "auto"),
        (ModelSettings(tool_choice="none"), None, None, "none"),
        (ModelSettings(tool_choice="none"), "native", None, "none"),
        (ModelSettings(force_tool="a", tool_choice="none"), "tool", "a", "required"),
        (ModelSettings(), "tool", None, "required"),
        (ModelSettings(tool_choice="none"), "tool", OUTPUT_TOOL, "required"),
    ],
)
def test_output_by_a_tool_has_that_tool_called(settings: ModelSettings, mode: OutputMode | None, forced: str | None, choice: str) -> None:
    output = None if mode is None else Output.of(SCHEMA, mode)
    assert (forced_tool(settings, output), tool_choice(settings, output)) == (forced, choice)
