"""Structured output, whichever way a protocol has for it: by its own means, by a tool that must be called, or in words."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import JsonValue

from agent_sdk.core.frozen import frozen
from agent_sdk.core.messages import Part, TextPart, ToolCallPart
from agent_sdk.core.model import OutputMode
from agent_sdk.core.strict_json import is_crowded
from agent_sdk.core.tools import ToolSpec
from agent_sdk.llm.encoding import encode_json
from agent_sdk.llm.strict_schema import WRAPPED, object_schema

_FENCED = re.compile(r"\A\s*```[A-Za-z]*\n(.*)```\s*\Z", re.DOTALL)
"""A text that is one code fence, as models write JSON that they are asked for in words."""
OUTPUT_TOOL = "give_the_answer"
"""The tool by which a model gives its answer under the mode `tool`; nobody else's may have this name."""


@frozen
class Output:
    """How one output schema is asked for; `is_wrapped` where the output stands in an object of one property."""

    mode: OutputMode
    schema: Mapping[str, JsonValue]
    is_wrapped: bool

    @classmethod
    def of(cls, schema: Mapping[str, JsonValue], mode: OutputMode) -> "Output":
        """Return how output of `schema` is asked for: an object, whatever the schema says."""
        rooted, is_wrapped = object_schema(schema)
        return cls(mode, rooted, is_wrapped)

    @property
    def tool(self) -> ToolSpec:
        """The tool that takes the answer, as it is offered beside the others under the mode `tool`."""
        return ToolSpec(OUTPUT_TOOL, "Give the final answer. Call this once, when everything is known.", self.schema, {}, "read")

    def in_words(self, instructions: str) -> str:
        """Return the instructions with the schema in them, for the mode `prompt`."""
        text = f"Answer with one JSON object of this JSON Schema, and nothing else:\n{encode_json(self.schema).decode()}"
        return f"{instructions}\n\n{text}" if instructions else text

    def parts(self, parts: Sequence[Part]) -> list[Part]:
        """Return a reply's parts with the output as its text: taken out of the call that gave it, and out of its wrapping.

        Where the answer came with calls of other tools, those are made first, and it is dropped: it was given too early.
        """
        calls = [part for part in parts if isinstance(part, ToolCallPart)]
        given = [call for call in calls if call.tool == OUTPUT_TOOL]
        kept: list[Part] = [part for part in parts if not (isinstance(part, ToolCallPart) and part.tool == OUTPUT_TOOL)]
        if given and len(given) == len(calls):
            text = given[0].raw if given[0].args is None else json.dumps(given[0].args, ensure_ascii=False)
            kept = [*(part for part in kept if not isinstance(part, TextPart)), TextPart(text or "")]
        return [TextPart(self._unwrapped(part.text), part.signature) if isinstance(part, TextPart) else part for part in kept]

    def _unwrapped(self, text: str) -> str:
        if not self.is_wrapped or is_crowded(text):
            return text
        try:
            value = cast("JsonValue", json.loads(_FENCED.sub(r"\1", text)))
        except (ValueError, RecursionError):
            return text  # whoever reads the output finds out what is wrong with it
        return json.dumps(value[WRAPPED], ensure_ascii=False) if isinstance(value, dict) and value.keys() == {WRAPPED} else text
