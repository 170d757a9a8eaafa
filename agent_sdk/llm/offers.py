"""What a question offers a model beside words: tools, and the form of the output; packed once for the same tuple and schema."""

from collections.abc import Callable
from dataclasses import field

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.model import ModelRequest, ModelSettings, OutputMode, ToolChoice
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import Once
from agent_sdk.llm.output import OUTPUT_TOOL, Output
from agent_sdk.llm.tool_names import Toolbox, pack

Describe = Callable[[str, ToolSpec], JsonValue]


@frozen
class Offers:
    """Packs as one protocol wants it: `describe` says a tool, by its name on the wire, and `default_mode` how output is best asked for."""

    describe: Describe
    default_mode: OutputMode = "native"
    _toolboxes: Once[Toolbox] = field(default_factory=Once[Toolbox])
    _with_output: Once[Once[Toolbox]] = field(default_factory=Once[Once[Toolbox]])
    _outputs: Once[dict[OutputMode, Output]] = field(default_factory=Once[dict[OutputMode, Output]])

    def output(self, request: ModelRequest) -> Output | None:
        """Return how the request's output is asked for, the same object for the same schema; None where it is text."""
        schema, mode = request.output_schema, request.settings.output_mode or self.default_mode
        if schema is None:
            return None
        known = self._outputs.get(schema, dict[OutputMode, Output])
        if mode not in known:
            known[mode] = Output.of(schema, mode)
        return known[mode]

    def toolbox(self, request: ModelRequest) -> Toolbox:
        """Return the request's tools, with the one that takes its output where there is one.

        Raises:
            ConfigError: two of them have the same name.
        """
        output = self.output(request)
        if output is None or output.mode != "tool":
            return self._toolboxes.get(request.tools, lambda: pack(request.tools, self.describe))
        known = self._with_output.get(output, Once[Toolbox])
        return known.get(request.tools, lambda: pack((*request.tools, output.tool), self.describe))


def forced_tool(settings: ModelSettings, output: Output | None) -> str | None:
    """Return the tool that must be called: the one that is named, or the one that takes the output where no other may be called."""
    if settings.force_tool is None and settings.tool_choice == "none" and output is not None and output.mode == "tool":
        return OUTPUT_TOOL
    return settings.force_tool


def tool_choice(settings: ModelSettings, output: Output | None) -> ToolChoice:
    """Return whether some tool must be called, where none is forced: output that a tool takes is not to be had otherwise."""
    return "required" if output is not None and output.mode == "tool" else settings.tool_choice
