"""What a well-formed question to OpenAI's Responses is."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from agent_sdk.testing.chat_protocol import Wire, check_strict
from agent_sdk.testing.sim.wire import check_pairs, seal

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Status = Literal["in_progress", "completed", "incomplete"]


class InputText(Wire):
    """What was said to the model."""

    type: Literal["input_text"]
    text: str


class InputImage(Wire):
    """An image, by address or data URL."""

    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto", "original"] = "auto"


class InputFile(Wire):
    """A file, by address or data URL."""

    type: Literal["input_file"]
    filename: str | None = None
    file_data: Annotated[str, Field(pattern="^data:")] | None = None
    file_url: str | None = None
    file_id: str | None = None


class OutputText(Wire):
    """What the model said."""

    type: Literal["output_text"]
    text: str
    annotations: list[JsonValue] = Field(default_factory=list[JsonValue])
    logprobs: list[JsonValue] | None = None


class OutputRefusal(Wire):
    """What the model refused with."""

    type: Literal["refusal"]
    refusal: str


InputPart = Annotated[InputText | InputImage | InputFile, Field(discriminator="type")]
AnyPart = Annotated[InputText | InputImage | InputFile | OutputText | OutputRefusal, Field(discriminator="type")]


class SaidMessage(Wire):
    """A message of anybody but a tool."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[AnyPart]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text if isinstance(part, InputText | OutputText) else part.model_dump_json() for part in self.content)

    @model_validator(mode="after")
    def _fits_role(self) -> Self:
        for part in self.content if not isinstance(self.content, str) else ():
            if (self.role == "assistant") != isinstance(part, OutputText | OutputRefusal):
                raise ValueError(f"Invalid value: '{part.type}' in a message with role '{self.role}'")
        return self


class AskedCall(Wire):
    """A call that the model asked for."""

    type: Literal["function_call"]
    call_id: Annotated[str, Field(min_length=1, max_length=64)]
    name: Name
    arguments: str
    id: Annotated[str, Field(pattern="^fc_")] | None = None
    status: Status | None = None


class CallOutput(Wire):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: Annotated[str, Field(min_length=1, max_length=64)]
    output: str | list[InputPart]
    id: str | None = None
    status: Status | None = None

    @property
    def text(self) -> str:
        if isinstance(self.output, str):
            return self.output
        return "".join(part.text if isinstance(part, InputText) else part.model_dump_json() for part in self.output)


class Summary(Wire):
    """A part of what the model thought."""

    type: Literal["summary_text", "reasoning_text"]
    text: str


class Thought(Wire):
    """What the model thought; its signature is over the summary."""

    type: Literal["reasoning"]
    id: Annotated[str, Field(pattern="^rs_")]
    summary: list[Summary]
    content: list[Summary] | None = None
    encrypted_content: str | None = None
    status: Status | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.summary)

    @model_validator(mode="after")
    def _is_unaltered(self) -> Self:
        if self.encrypted_content is not None and self.encrypted_content != seal(self.text):
            raise ValueError(f"The encrypted content for item {self.id} could not be verified.")
        return self


def _kind(item: JsonValue | Wire) -> str:
    return str(item.get("type", "message")) if isinstance(item, dict) else str(getattr(item, "type", "message"))


InputItem = Annotated[
    Annotated[SaidMessage, Tag("message")]
    | Annotated[AskedCall, Tag("function_call")]
    | Annotated[CallOutput, Tag("function_call_output")]
    | Annotated[Thought, Tag("reasoning")],
    Discriminator(_kind),
]


class ResponsesTool(Wire):
    """A function that is offered."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: dict[str, JsonValue] | None
    strict: bool | None = None

    @model_validator(mode="after")
    def _is_in_dialect(self) -> Self:
        if self.strict and self.parameters is not None:
            check_strict(self.parameters)
        return self


class Forced(Wire):
    """The one function that must be called."""

    type: Literal["function"]
    name: str


class TextFormat(Wire):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    name: Name | None = None
    schema_: dict[str, JsonValue] | None = Field(default=None, alias="schema")
    strict: bool | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _is_in_dialect(self) -> Self:
        if self.type != "json_schema":
            return self
        if self.name is None or self.schema_ is None:
            raise ValueError("Missing required parameter: 'text.format.name' or 'text.format.schema'")
        if self.schema_.get("type") != "object":
            raise ValueError("schema must be a JSON Schema of 'type: \"object\"'")
        if self.strict:
            check_strict(self.schema_)
        return self


class TextConfig(Wire):
    """How the text is to be."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Wire):
    """How much is to be thought."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ResponsesCount(Wire):
    """A question for the number of tokens alone: `POST /v1/responses/input_tokens`."""

    model: Annotated[str, Field(min_length=1)]
    input: str | list[InputItem]
    instructions: str | None = None
    tools: list[ResponsesTool] | None = None
    tool_choice: Literal["auto", "required", "none"] | Forced | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: Literal["auto", "disabled"] | None = None

    @property
    def items(self) -> list[SaidMessage | AskedCall | CallOutput | Thought]:
        return [SaidMessage(role="user", content=self.input)] if isinstance(self.input, str) else list(self.input)

    @property
    def output_schema(self) -> Mapping[str, JsonValue] | None:
        return self.text.format.schema_ if self.text is not None and self.text.format is not None else None

    @model_validator(mode="after")
    def _calls_have_outputs(self) -> Self:
        items = self.items
        if not items:
            raise ValueError("Missing required parameter: 'input'")
        calls = [item.call_id for item in items if isinstance(item, AskedCall)]
        outputs = [item.call_id for item in items if isinstance(item, CallOutput)]
        if (odd := check_pairs(calls, outputs)) is not None:
            word = "tool call found for function call output with" if odd not in calls else "tool output found for function call with"
            raise ValueError(f"No {word} call_id {odd}.")
        for item, after in zip(items, [*items[1:], None], strict=True):
            if isinstance(item, Thought) and not (
                isinstance(after, AskedCall | Thought) or (isinstance(after, SaidMessage) and after.role == "assistant")
            ):
                raise ValueError(f"Item '{item.id}' of type 'reasoning' was provided without its required following item.")
        return self

    @model_validator(mode="after")
    def _choice_has_tools(self) -> Self:
        forced = self.tool_choice.name if isinstance(self.tool_choice, Forced) else None
        if forced is not None and forced not in {tool.name for tool in self.tools or ()}:
            raise ValueError(f"Tool choice '{forced}' not found in 'tools' parameter.")
        if self.tool_choice == "required" and not self.tools:
            raise ValueError("Tool choice 'required' must be specified with 'tools' parameter.")
        return self


class StreamOptions(Wire):
    """What a stream brings beside the reply."""

    include_obfuscation: bool | None = None


class ResponsesRequest(ResponsesCount):
    """A question: `POST /v1/responses`."""

    max_output_tokens: Annotated[int, Field(ge=16)] | None = None
    max_tool_calls: int | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    store: bool = True
    include: list[Literal["reasoning.encrypted_content", "message.output_text.logprobs"]] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None

    @model_validator(mode="after")
    def _thoughts_are_known(self) -> Self:
        for item in self.items:
            if isinstance(item, Thought) and item.encrypted_content is None and not self.store:
                raise ValueError(f"Item with id '{item.id}' not found. Items are not persisted when `store` is set to false.")
        return self
