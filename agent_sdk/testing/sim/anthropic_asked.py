"""What a well-formed question to Anthropic's Messages is."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from agent_sdk.testing.chat_protocol import Wire
from agent_sdk.testing.sim.wire import check_pairs, seal

MOST_BREAKPOINTS = 4


class CacheControl(Wire):
    """A mark up to which the question is kept."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Marked(Wire):
    """What may bear such a mark."""

    cache_control: CacheControl | None = None


class TextBlock(Marked):
    """Plain text."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1)]
    citations: list[JsonValue] | None = None


class Source(Wire):
    """Where an image or a document is."""

    type: Literal["base64", "url", "text", "file"]
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        needed = {"base64": (self.media_type, self.data), "text": (self.media_type, self.data), "url": (self.url,), "file": (self.file_id,)}
        if None in needed[self.type]:
            raise ValueError(f"source of type '{self.type}': Field required")
        return self


class ImageBlock(Marked):
    """An image."""

    type: Literal["image"]
    source: Source

    @model_validator(mode="after")
    def _is_image(self) -> Self:
        if self.source.type == "base64" and self.source.media_type not in {"image/jpeg", "image/png", "image/gif", "image/webp"}:
            raise ValueError("media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'")
        return self


class DocumentBlock(Marked):
    """A PDF or a text."""

    type: Literal["document"]
    source: Source
    title: str | None = None
    context: str | None = None
    citations: JsonValue = None

    @model_validator(mode="after")
    def _is_document(self) -> Self:
        wanted = {"base64": "application/pdf", "text": "text/plain"}.get(self.source.type)
        if wanted is not None and self.source.media_type != wanted:
            raise ValueError(f"media_type: Input should be '{wanted}'")
        return self


class ToolUse(Marked):
    """A call that the model asked for."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    input: dict[str, JsonValue]


class ToolResult(Marked):
    """What the tool answered."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$")]
    content: str | list[Annotated[TextBlock | ImageBlock | DocumentBlock, Field(discriminator="type")]] = ""
    is_error: bool = False

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(map(said, self.content))


class Thinking(Wire):
    """What the model thought; its signature is over the text."""

    type: Literal["thinking"]
    thinking: str
    signature: str

    @model_validator(mode="after")
    def _is_unaltered(self) -> Self:
        if self.signature != seal(self.thinking):
            raise ValueError("Invalid `signature` in `thinking` block")
        return self


class Redacted(Wire):
    """What the model thought and nobody may read."""

    type: Literal["redacted_thinking"]
    data: str


Block = TextBlock | ImageBlock | DocumentBlock | ToolUse | ToolResult | Thinking | Redacted


class AnthropicMessage(Wire):
    """A message of one of the two."""

    role: Literal["user", "assistant"]
    content: str | Annotated[list[Annotated[Block, Field(discriminator="type")]], Field(min_length=1)]

    @property
    def blocks(self) -> Sequence[Block]:
        return [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content

    @property
    def uses(self) -> list[ToolUse]:
        return [block for block in self.blocks if isinstance(block, ToolUse)]

    @property
    def results(self) -> list[ToolResult]:
        return [block for block in self.blocks if isinstance(block, ToolResult)]

    @model_validator(mode="after")
    def _fits_role(self) -> Self:
        if self.content == "":
            raise ValueError("user messages must have non-empty content")
        wrong = (ToolUse, Thinking, Redacted) if self.role == "user" else (ToolResult, ImageBlock, DocumentBlock)
        if odd := next((block for block in self.blocks if isinstance(block, wrong)), None):
            raise ValueError(f"`{odd.type}` blocks are not permitted in messages of role `{self.role}`")
        kinds = [isinstance(block, ToolResult) for block in self.blocks]
        if True in kinds and kinds != sorted(kinds, reverse=True):
            raise ValueError("`tool_result` blocks must come first in the content of a message")
        return self


class AnthropicTool(Marked):
    """A tool that is offered."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    input_schema: dict[str, JsonValue]
    type: Literal["custom"] | None = None
    strict: bool | None = None
    eager_input_streaming: bool | None = None

    @model_validator(mode="after")
    def _is_object(self) -> Self:
        if self.input_schema.get("type") != "object":
            raise ValueError("input_schema.type: Input should be 'object'")
        if unknown := self.input_schema.keys() & {"anyOf", "oneOf", "allOf"}:
            raise ValueError(f"input_schema does not support {min(unknown)} at the top level")
        if self.strict:
            check_output_schema(self.input_schema)
        return self


class Choice(Wire):
    """Which tool is to be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class ThinkingConfig(Wire):
    """Whether and how much is to be thought."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Field(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None

    @property
    def is_on(self) -> bool:
        return self.type != "disabled"


class OutputFormat(Wire):
    """The schema of the answer."""

    type: Literal["json_schema"]
    schema_: dict[str, JsonValue] = Field(alias="schema")

    @model_validator(mode="after")
    def _is_in_dialect(self) -> Self:
        check_output_schema(self.schema_)
        return self


class OutputConfig(Wire):
    """How the answer is to be."""

    format: OutputFormat | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class Metadata(Wire):
    """On whose behalf it is asked."""

    user_id: str | None = None


class AnthropicCount(Wire):
    """A question for the number of tokens alone: `POST /v1/messages/count_tokens`."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[AnthropicMessage], Field(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: Choice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None

    @property
    def instructions(self) -> str:
        return self.system or "" if not isinstance(self.system, list) else "\n".join(block.text for block in self.system)

    @property
    def output_schema(self) -> Mapping[str, JsonValue] | None:
        return self.output_config.format.schema_ if self.output_config is not None and self.output_config.format is not None else None

    @property
    def breakpoints(self) -> int:
        return sum(1 for _ in self._breakpoints())

    def _breakpoints(self) -> Iterator[CacheControl]:
        blocks = [block for message in self.messages for block in message.blocks]
        for each in (self, *(self.system if isinstance(self.system, list) else ()), *(self.tools or ()), *blocks):
            if not isinstance(each, Thinking | Redacted) and each.cache_control is not None:
                yield each.cache_control

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.messages[0].role != "user":
            raise ValueError('messages: first message must use the "user" role')
        self._check_results()
        if (last := self.messages[-1]).role == "assistant":
            text = next((block.text for block in reversed(last.blocks) if isinstance(block, TextBlock)), "")
            if text != text.rstrip():
                raise ValueError("messages: final assistant content cannot end with trailing whitespace")
        if self.breakpoints > MOST_BREAKPOINTS:
            raise ValueError(f"A maximum of 4 blocks with cache_control may be provided. Found {self.breakpoints}.")
        self._check_choice()
        return self

    def _check_results(self) -> None:
        for number, (message, after) in enumerate(zip([None, *self.messages], [*self.messages, None], strict=True)):
            uses = [use.id for use in message.uses] if message is not None else []
            results = [result.tool_use_id for result in after.results] if after is not None else []
            if len(set(uses)) < len(uses):
                raise ValueError(f"messages.{number}: `tool_use` ids must be unique")
            if (odd := check_pairs(uses, results)) is None:
                continue
            if odd in uses:
                raise ValueError(
                    f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: {odd}. "
                    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
                )
            raise ValueError(
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {odd}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )

    def _check_choice(self) -> None:
        names = [tool.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise ValueError("tools: Tool names must be unique.")
        if not names and any(message.uses for message in self.messages):
            raise ValueError("Requests which include `tool_use` or `tool_result` blocks must define tools")
        if self.tool_choice is None:
            return
        if not names:
            raise ValueError("tool_choice may only be specified while providing tools.")
        if (self.tool_choice.type == "tool") != (self.tool_choice.name is not None):
            raise ValueError("tool_choice.name: Field required for the type 'tool', and for it alone")
        if self.tool_choice.name is not None and self.tool_choice.name not in names:
            raise ValueError(f"Tool '{self.tool_choice.name}' not found in provided tools")
        if self.thinking is not None and self.thinking.is_on and self.tool_choice.type in {"any", "tool"}:
            raise ValueError("Thinking may not be enabled when tool_choice forces tool use.")


class AnthropicRequest(AnthropicCount):
    """A question: `POST /v1/messages`."""

    max_tokens: Annotated[int, Field(ge=1)]
    stop_sequences: list[Annotated[str, Field(min_length=1)]] | None = None
    stream: bool = False
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    @model_validator(mode="after")
    def _thinks_within_bounds(self) -> Self:
        if self.thinking is None or not self.thinking.is_on:
            return self
        if (self.thinking.type == "enabled") != (self.thinking.budget_tokens is not None):
            raise ValueError("thinking.budget_tokens: Field required for the type 'enabled', and for it alone")
        if self.thinking.budget_tokens is not None and self.thinking.budget_tokens >= self.max_tokens:
            raise ValueError("`max_tokens` must be greater than `thinking.budget_tokens`.")
        return self


class OlderRequest(AnthropicRequest):
    """A question in the versions before 2026-10-21, which could still be asked for more or less chance."""

    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _thinks_at_its_own_heat(self) -> Self:
        if self.thinking is not None and self.thinking.is_on and self.temperature not in {None, 1.0}:
            raise ValueError("`temperature` may only be set to 1 when thinking is enabled.")
        return self


def said(block: Block) -> str:
    """Return all that a block says, as text."""
    match block:
        case TextBlock():
            return block.text
        case Thinking():
            return block.thinking
        case Redacted():
            return block.data
        case ToolUse():
            return f"{block.name} {block.input}"
        case ToolResult():
            return block.text
        case _:
            return block.model_dump_json()


_NOT_SUPPORTED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems"}
    | {"oneOf", "not", "if", "then", "else", "patternProperties", "minProperties", "maxProperties", "prefixItems"}
)


def check_output_schema(schema: JsonValue) -> None:
    """Refuse a schema that the vendor's structured outputs cannot hold to.

    Raises:
        ValueError: an object is open, or a keyword is not supported.
    """
    if not isinstance(schema, dict):
        raise ValueError("output_config.format.schema: Input should be an object")
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise ValueError("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false")
    if unknown := schema.keys() & _NOT_SUPPORTED:
        raise ValueError(f"output_config.format.schema: For '{kind}' type, property '{min(unknown)}' is not supported")
    if schema.get("minItems", 0) not in {0, 1}:
        raise ValueError("output_config.format.schema: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    if isinstance(pattern := schema.get("pattern"), str) and re.search(r"\(\?[=!<]|\\b|\\\d", pattern):
        raise ValueError("output_config.format.schema: the pattern is not supported")
    for key in ("properties", "$defs"):
        group = schema.get(key)
        for each in group.values() if isinstance(group, dict) else ():
            check_output_schema(each)
    for key in ("anyOf", "allOf"):
        branches = schema.get(key)
        for each in branches if isinstance(branches, list) else ():
            check_output_schema(each)
    if "items" in schema:
        check_output_schema(schema["items"])
